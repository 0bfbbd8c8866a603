// How parameters divide values into blocks.
#include <cotenant/ops/quantized.hpp>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("values and parameters become operands of one shape") {
  const auto x = blank<float>({2, 6}), scale = blank<float>({2, 3});
  const detail::BlockSplit split(x.shape(), false, scale.shape());
  CHECK(split.values(input(x)).shape() == Shape{2, 3, 2});
  CHECK(split.parameter(input(scale)).view.strides() == Strides{3, 1, 0});
  CHECK(split.parameter(Operand<const float>{}).block == nullptr);
}

TEST_CASE("both halves of a byte lie at one place") {
  const auto pairs = blank<i4x2>({2, 4});
  const auto scale = blank<float>({2, 2});
  const detail::BlockSplit blocks({2, 8}, true, scale.shape());
  CHECK(blocks.elements(input(pairs)).shape() == Shape{2, 2, 2, 2});
  CHECK(blocks.elements(input(pairs)).view.strides() == Strides{4, 2, 1, 0});
  // A scale for each value: neighbours in a byte have two.
  const auto each = blank<float>({8});
  CHECK(detail::BlockSplit({2, 8}, true, each.shape()).parameter(input(each)).view.strides() == Strides{0, 2, 1});
  CHECK(has(message_of<ShapeError>([] { detail::BlockSplit({2, 6}, true, {2, 2}); }), "a pair"));
  CHECK(has(message_of<ShapeError>([] { detail::packed_shape({4, 3}); }), "even"));
  CHECK_THROWS_AS(detail::packed_shape({}), ShapeError);
}

TEST_CASE("two sets of blocks must fit into each other") {
  CHECK_NOTHROW(detail::BlockSplit({12}, false, {2}, {6}));
  CHECK(has(message_of<ShapeError>([] { detail::BlockSplit({12}, false, {3}, {2}); }), "do not fit"));
}

}  // namespace cotenant::test
