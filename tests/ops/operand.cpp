// Operands: what a backend is given, and where results belong.
#include <cotenant/ops/operand.hpp>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("an operand repeats to a shape by strides of 0") {
  const auto x = tensor({1.f, 2.f}, {2, 1});
  const auto wide = broadcast_to(input(x), {3, 2, 4});
  CHECK(wide.view.strides() == Strides{0, 1, 0});
  CHECK(wide.view.data() == x.view().data());
  CHECK(wide.block == x.block().get());
}

TEST_CASE("output() refuses what others may be reading") {
  const auto x = tensor({1.f}, {1});
  CHECK(output(x).view.data() == x.view().data());
  x.block()->publish();
  CHECK_THROWS_AS(output(x), ReadOnly);
}

TEST_CASE("results belong where the first operand's results do") {
  static_assert(std::same_as<decltype(empty_like<bf16>(blank<float>({1}), {2})), SharedTensor<bf16, ReferenceHeap>>);
  static_assert(std::same_as<common_backend<SharedTensor<float, ReferenceHeap>>, Reference>);
  static_assert(std::same_as<common_element<float, float>, float> && std::same_as<common_element<f16, bf16>, float> &&
                std::same_as<common_element<std::int8_t, std::int64_t>, std::int64_t>);
  CHECK(empty_like<bf16>(blank<float>({1}), {2}).size() == 2);
}

}  // namespace cotenant::test
