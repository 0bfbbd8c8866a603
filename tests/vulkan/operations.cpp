#include "cotenant/vulkan/operations.hpp"

#include <doctest/doctest.h>

#include "cotenant/vulkan/backend.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("a reduction's type says what it computes in") {
  const auto number = []<class Kind, class T>(ReduceArguments<Kind, T, float> arguments) { return AnyReduce(arguments).number; };
  CHECK(number(ReduceArguments<reduction::Sum, f16, float>{}) == DType::f32);
  CHECK(number(ReduceArguments<reduction::Sum, std::int8_t, float>{}) == DType::i32);
  CHECK(number(ReduceArguments<reduction::Maximum, std::int64_t, float>{}) == DType::i64);
  CHECK(number(ReduceArguments<reduction::Mean, std::int64_t, float>{}) == DType::f32);
  CHECK(AnyReduce(ReduceArguments<reduction::Minimum, float, float>{}).kind == Reduction::minimum);
  CHECK(AnyReduce(ReduceArguments<reduction::AbsMaximum, float, float>{}).kind == Reduction::absolute_maximum);
}
TEST_CASE("quantize, dequantize and requantize are one op with other parameters") {
  std::array<float, 2> reals{};
  std::array<std::int8_t, 2> bytes{};
  std::array<float, 1> scale{};
  const Operand<const float> by{View<const float>(std::span<const float>(scale), {1}), reinterpret_cast<Block*>(&scale)};
  const AnyQuantize to(QuantizeArguments<float, std::int8_t>{
      .in = {View<const float>(std::span<const float>(reals), {2})}, .scale = by, .zero_point = {}, .out = {View<std::int8_t>(bytes, {2})}});
  CHECK(to.in_scale.block == nullptr);
  CHECK(to.scale.block == by.block);
  CHECK(to.low == -128);
  CHECK(to.high == 127);
  const AnyQuantize back(DequantizeArguments<std::int8_t, float>{{View<const std::int8_t>(std::span<const std::int8_t>(bytes), {2})}, by, {}, {View<float>(reals, {2})}});
  CHECK(back.in_scale.block == by.block);
  CHECK(back.scale.block == nullptr);
  CHECK(back.in.type() == DType::i8);
}
