#include "cotenant/vulkan/kernels/attention_cooperative.hpp"

#include "product_code.hpp"

// Their results: tests/backend/vulkan_attention.cpp on a device that has cooperative matrices.
namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("tiles of attention on cooperative matrices are sound modules") {
  const Capabilities device = test::paper_device();
  vulkan::detail::AttentionCode code;
  for (const DType type : {DType::f16, DType::bf16})
    for (const MaskKind mask : {MaskKind::none, MaskKind::keep, MaskKind::add})
      for (const bool vectors : {false, true})
        for (const bool per_key : {false, true}) {
          code.product = test::plain_code(type, type, type, vectors ? Fetch::vector_depth : Fetch::scalar_depth, Fetch::vector_depth, 2);
          code.product.extra = {{type, Along::strided, false}};
          if (mask != MaskKind::none) code.product.extra.push_back({mask == MaskKind::keep ? DType::boolean : DType::f32, Along::strided, false});
          code.fetch_v = vectors ? Fetch::vector_across : Fetch::scalar_across, code.mask = mask, code.mask_per_key = per_key, code.causal = vectors != per_key;
          CooperativeAttentionTile tile;
          tile.part_queries = per_key ? 32 : 16, tile.converts = vectors, tile.width = 48;
          test::check_words(vulkan::detail::CooperativeAttentionEmitter({device, Addressing::pointers}, code, tile).emit());
        }
}

}  // namespace
