// The SIMD CPU backend passes the suite under every target that was compiled and that this machine supports.
#include <cotenant/cotenant.hpp>
// After cotenant: Highway opens its targets once per translation unit.
#include <hwy/targets.h>

#include "suite.hpp"

namespace cotenant::test {
namespace {
struct CpuFixture {
  using storage_type = Heap;
  static Heap storage() { return {}; }
  static std::string description() { return std::string("cpu ") + Cpu::target_name(); }
  template <class F> static void for_each_configuration(F f) {
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
};
}  // namespace

TEST_CASE("mapped, borrowed and heap tensors meet in one op") {
  const std::vector<float> outside{1.f, 2.f, 3.f};
  std::vector<float> copy = outside;
  const auto borrowed = borrow(std::span<float>(copy), {3});
  const auto sum = map([](auto a, auto b) { return a + b; }, borrowed, full<float>({2, 3}, 1.f));
  static_assert(std::same_as<decltype(sum), const SharedTensor<float, Heap>>);
  CHECK(sum.view()(1, 2) == 4.f);
}
}  // namespace cotenant::test

using cotenant::test::CpuFixture;
COTENANT_BACKEND_SUITE(CpuFixture)
