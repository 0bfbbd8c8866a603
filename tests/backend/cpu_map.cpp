// The CPU backend passes the suite: element-wise ops and copies; and host storages meet in one op.
#include "cpu_fixture.hpp"

#include <span>
#include <vector>

namespace cotenant::test {
TEST_CASE("borrowed and heap tensors meet in one op") {
  std::vector<float> outside{1.f, 2.f, 3.f};
  const auto borrowed = borrow(std::span<float>(outside), {3});
  const auto sum = map([](auto a, auto b) { return a + b; }, borrowed, full<float>({2, 3}, 1.f));
  static_assert(std::same_as<decltype(sum), const SharedTensor<float, Heap>>);
  CHECK(sum.view()(1, 2) == 4.f);
}
}  // namespace cotenant::test

using cotenant::test::CpuFixture;
TYPE_TO_STRING(CpuFixture);
COTENANT_BACKEND_SUITE_MAP(CpuFixture)
