#include "cotenant/vulkan/kernels/attention_simt.hpp"

#include "product_code.hpp"

// Against the reference: tests/backend/vulkan_attention.cpp.
namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("tiles of attention on ordinary arithmetic are sound modules") {
  const Capabilities device = test::paper_device();
  vulkan::detail::AttentionCode code;
  for (const Fetch fetch : test::every_fetch)
    for (const MaskKind mask : {MaskKind::none, MaskKind::keep, MaskKind::add}) {
      code.product = test::plain_code(DType::f16, DType::f16, DType::f16, fetch, Fetch::vector_depth, 2);
      code.product.extra = {{DType::bf16, Along::strided, false}};
      if (mask != MaskKind::none) code.product.extra.push_back({mask == MaskKind::keep ? DType::boolean : DType::f32, Along::strided, false});
      code.fetch_v = fetch, code.mask = mask, code.causal = mask == MaskKind::add;
      test::check_words(vulkan::detail::AttentionEmitter({device, Addressing::pointers}, code, {8, 8, 2, 16, true}).emit());
    }
}

}  // namespace
