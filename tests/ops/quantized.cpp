// Quantized and how parameters divide values into blocks; what ranges the options ask for.
#include <cotenant/ops/quantized.hpp>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("options name ranges: tensor, channel, row, block") {
  CHECK(detail::range_shape({2, 3, 8}, {}) == Shape{1, 1, 1});
  CHECK(detail::range_shape({2, 3, 8}, {.axis = 1}) == Shape{1, 3, 1});
  CHECK(detail::range_shape({2, 3, 8}, per_row) == Shape{2, 3, 1});
  CHECK(detail::range_shape({2, 3, 8}, per_block(4)) == Shape{2, 3, 2});
  CHECK(detail::range_shape({4, 3}, {.axis = 0, .block_size = 2}) == Shape{2, 3});
  CHECK(has(message_of<ShapeError>([] { detail::range_shape({2, 6}, per_block(4)); }), "blocks of 4"));
  CHECK(has(message_of<ShapeError>([] { detail::range_shape({2, 6}, {.axis = std::nullopt, .block_size = 4}); }), "name it"));
}

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

TEST_CASE("transpose() turns values and parameters, and freeze() ends their writing") {
  Quantized<std::int8_t, ReferenceHeap> q{blank<std::int8_t>({4, 6}), blank<float>({4, 3}), {}};
  CHECK(q.transpose().values.shape() == Shape{6, 4});
  CHECK(q.transpose().scale.shape() == Shape{3, 4});
  CHECK_FALSE(static_cast<bool>(q.transpose().zero_point));
  q.scale = blank<float>({6});  // per column, of lower rank
  CHECK(q.transpose().scale.shape() == Shape{6, 1});
  q.freeze();
  CHECK_THROWS_AS(q.values.mutable_view(), ReadOnly);
  CHECK(kept_bytes(q) == q.values.block()->bytes() + q.scale.block()->bytes());
}

}  // namespace cotenant::test
