// The SIMD CPU backend as a fixture of the suite: under every target that was compiled and that this machine supports.
#ifndef COTENANT_TESTS_BACKEND_CPU_FIXTURE_HPP
#define COTENANT_TESTS_BACKEND_CPU_FIXTURE_HPP
#include <string>

#include "../cpu/every_target.hpp"
#include "suite.hpp"

namespace cotenant::test {
struct CpuFixture {
  using storage_type = Heap;
  static Heap storage() { return {}; }
  static std::string description() { return std::string("cpu ") + Cpu::target_name(); }
  static bool rounds_weights() { return true; }  // of attention, in bf16
  template <class F> static void for_each_configuration(F f) { on_every_target(f); }
};
}  // namespace cotenant::test

#endif
