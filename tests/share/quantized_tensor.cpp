// Quantized tensors: which values the options put into one range, and what transpose() and freeze() do.
#include "cotenant/share/quantized_tensor.hpp"

#include "support.hpp"

namespace ct = cotenant;
using share_tests::has;
using share_tests::message_of;

TEST_CASE("options name ranges: tensor, channel, row, block") {
  CHECK(ct::detail::range_shape({2, 3, 8}, {}) == ct::Shape{1, 1, 1});
  CHECK(ct::detail::range_shape({2, 3, 8}, {.axis = 1}) == ct::Shape{1, 3, 1});
  CHECK(ct::detail::range_shape({2, 3, 8}, ct::per_row) == ct::Shape{2, 3, 1});
  CHECK(ct::detail::range_shape({2, 3, 8}, ct::per_block(4)) == ct::Shape{2, 3, 2});
  CHECK(ct::detail::range_shape({4, 3}, {.axis = 0, .block_size = 2}) == ct::Shape{2, 3});
  CHECK(has(message_of<ct::ShapeError>([] { ct::detail::range_shape({2, 6}, ct::per_block(4)); }), "blocks of 4"));
  CHECK(has(message_of<ct::ShapeError>([] { ct::detail::range_shape({2, 6}, {.axis = std::nullopt, .block_size = 4}); }), "name it"));
}

TEST_CASE("transpose() turns values and parameters, and freeze() ends their writing") {
  ct::Quantized<std::int8_t, ct::Heap> q{ct::empty<std::int8_t>({4, 6}), ct::empty<float>({4, 3}), {}};
  CHECK(q.transpose().values.shape() == ct::Shape{6, 4});
  CHECK(q.transpose().scale.shape() == ct::Shape{3, 4});
  CHECK_FALSE(static_cast<bool>(q.transpose().zero_point));
  q.scale = ct::empty<float>({6});  // per column, of lower rank
  CHECK(q.transpose().scale.shape() == ct::Shape{6, 1});
  q.freeze();
  CHECK_THROWS_AS(q.values.mutable_view(), ct::ReadOnly);
  CHECK(ct::kept_bytes(q) == q.values.block()->bytes() + q.scale.block()->bytes());
}
