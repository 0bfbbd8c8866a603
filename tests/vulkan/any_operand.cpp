#include "cotenant/vulkan/any_operand.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("an operand without a type keeps what the typed one says") {
  std::array<f16, 24> memory{};
  const Operand<const f16> typed{View<f16>(memory, {4, 6}).with({{6, 2}, {1, 12}, 6}), nullptr};
  const AnyOperand any(typed);
  CHECK(any.type() == DType::f16);
  CHECK(any.view.data() == typed.view.data());
  CHECK(any.shape() == Shape{6, 2});
  CHECK(any.view.stride(1) == 12);
  CHECK(any.view.size() == 12);
  CHECK(any.view.bytes() == 24);
  CHECK_FALSE(any.view.contiguous());
  const AnyOperand whole = any.with(contiguous_layout({3, 4}));
  CHECK(whole.view.contiguous());
  CHECK(whole.view.data() == typed.view.data());
  CHECK(whole.type() == DType::f16);
}
TEST_CASE("an operand that is not there has a type and no block") {
  const AnyOperand none(Operand<const bool>{});
  CHECK(none.type() == DType::boolean);
  CHECK(none.block == nullptr);
}
