// Entry: the bytes of a registered tensor, and the parameters of a quantised one.
#include "cotenant/share/entry.hpp"

#include "support.hpp"

namespace ct = cotenant;

TEST_CASE("an entry knows the bytes that it covers") {
  const ct::detail::TypedEntry<float, ct::Heap> entry("x", share_tests::ramp().slice(0, 12, 3, -4));
  REQUIRE(entry.ranges->size() == 3);
  CHECK(entry.ranges->front().first == 4 * 4);
  CHECK(entry.ranges->back().last == 13 * 4);
  CHECK(entry.dtype == ct::DType::f32);
  CHECK(entry.layout.shape == ct::Shape{3});
}

TEST_CASE("a quantised entry covers its parameters as well") {
  const ct::BlockRef block = ct::Block::allocate(ct::Heap{}, 256);
  ct::detail::QuantizedParameters parameters{ct::contiguous_layout({2, 1}), ct::contiguous_layout({2, 1})};
  parameters.scale.offset = 16;
  parameters.zero_point->offset = 128;
  const ct::detail::TypedEntry<std::uint8_t, ct::Heap> entry("q", ct::SharedTensor<std::uint8_t>(block, ct::contiguous_layout({2, 20})),
                                                            std::make_shared<const ct::detail::QuantizedParameters>(parameters));
  CHECK(entry.element_bytes() == 40 + 8 + 2);
  CHECK(ct::detail::union_bytes(*entry.ranges) == 50);
  CHECK(entry.quantized().scale.unchecked_view().data() == static_cast<float*>(block->data()) + 16);
  CHECK(entry.quantized().zero_point.shape() == ct::Shape{2, 1});
  CHECK_FALSE(entry.is_form());
  const ct::detail::TypedEntry<std::uint8_t, ct::Heap> bare("bare", ct::SharedTensor<std::uint8_t>(block, ct::contiguous_layout({4})));
  CHECK_THROWS_AS(static_cast<void>(bare.quantized()), ct::TypeError);
  CHECK(block->references() == 3);  // the parameters are no handles
}

TEST_CASE("the same entry on another block, and another layout of it") {
  const ct::detail::TypedEntry<float, ct::Heap> entry("x", share_tests::ramp());
  const auto other = share_tests::ramp(4);
  CHECK(entry.on(other.block(), other.layout())->name == "x");
  CHECK(entry.on(other.block(), other.layout())->block == other.block().get());
  const auto view = entry.with("part", ct::slice(entry.layout, 0, 2, 4));
  CHECK(view->block == entry.block);
  CHECK(view->element_bytes() == 8);
}
