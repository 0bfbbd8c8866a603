// on_every_target: runs a test under every CPU target that was compiled and that this machine supports.
#ifndef COTENANT_TESTS_CPU_EVERY_TARGET_HPP
#define COTENANT_TESTS_CPU_EVERY_TARGET_HPP
#include <cotenant/cpu/cpu.hpp>
// After cotenant: Highway opens its targets once per translation unit.
#include <hwy/targets.h>

namespace cotenant::test {
template <class F> void on_every_target(F f) {
#ifdef COTENANT_STATIC_DISPATCH
  f();
#else
  for (const auto target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    f();
  }
  hwy::SetSupportedTargetsForTest(0);
#endif
}
}  // namespace cotenant::test

#endif
