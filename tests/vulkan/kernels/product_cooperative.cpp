#include "cotenant/vulkan/kernels/product_cooperative.hpp"

#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("tiles on cooperative matrices are sound modules") {
  const Capabilities device = test::paper_device();
  const Target target{device, Addressing::pointers};
  for (const Fetch a : test::every_fetch)
    for (const Fetch b : test::every_fetch) {
      test::check_words(emit_cooperative_product(target, test::plain_code(DType::f16, DType::f16, DType::f16, a, b, 2), {64, 64, 64, 32, 32, 16, 16, 16, 32}));
      ProductCode bytes = test::plain_code(DType::u8, DType::i8, DType::i32, a, b);
      bytes.integers = true;
      test::check_words(emit_cooperative_product(target, bytes, {64, 64, 64, 32, 32, 16, 16, 32, 32}));
    }
  CooperativeTile unrolled{128, 128, 32, 64, 64};
  unrolled.unrolled = true;
  test::check_words(emit_cooperative_product(target, test::plain_code(DType::bf16, DType::bf16, DType::f32, Fetch::vector_depth, Fetch::vector_across), unrolled));
  // Blocks whose words do not share out evenly among the threads.
  test::check_words(emit_cooperative_product(target, test::plain_code(DType::f16, DType::f16, DType::f16, Fetch::vector_depth, Fetch::vector_across),
      {128, 192, 48, 64, 48}));
  // Blocks that take turns.
  for (const Fetch a : {Fetch::vector_depth, Fetch::vector_across})
    test::check_words(emit_cooperative_product(target, test::plain_code(DType::f16, DType::f16, DType::f32, a, Fetch::vector_depth),
        {128, 128, 32, 64, 64, 16, 16, 16, 32, true, 2}));
}

TEST_CASE("lines of one row of matrices lie an odd number of words apart, and little is lost between them") {
  using Layout = vulkan::detail::CooperativeSide::Layout;
  const CooperativeTile tile{128, 256, 48};
  for (const Fetch fetch : test::every_fetch)
    for (const bool is_left : {true, false}) {
      const Layout layout(tile, is_left, fetch, DType::f16);
      CHECK(layout.pitch % 2 == 1);
      CHECK(layout.lines * layout.words * 16 == (is_left ? 128u : 256u) * 48 * 2);
      CHECK(layout.size() <= layout.lines * layout.words + 16);
      CHECK(layout.pitch >= layout.block());
    }
}

}  // namespace
