#include "cotenant/vulkan/kernels/attention_scores.hpp"

#include "../emitted.hpp"
#include "product_code.hpp"

// Their results: tests/backend/vulkan_attention.cpp on a device that has cooperative matrices.
namespace {
using namespace cotenant;
using namespace cotenant::vulkan;
using vulkan::detail::AttentionScores;

spirv::Words prepared(MaskKind mask, bool mask_per_key, bool causal) {
  const Capabilities device = test::paper_device();
  vulkan::detail::AttentionCode code;
  code.product = test::plain_code(DType::f16, DType::f16, DType::f16, Fetch::vector_depth, Fetch::vector_depth);
  code.product.extra = {{DType::f16, Along::strided, false}};
  if (mask != MaskKind::none) code.product.extra.push_back({mask == MaskKind::keep ? DType::boolean : DType::f32, Along::strided, false});
  code.mask = mask, code.mask_per_key = mask_per_key, code.causal = causal;
  KernelBuilder k({device}, {.workgroup = 128, .vulkan_memory_model = true});
  ProductFrame frame(k, code.product);
  const Value keys = k.scalar(), scale = k.scalar(k.f32()), shift = k.scalar(k.i32());
  const Shared key_numbers = k.shared(k.f32(), 64), places = k.shared(k.f32(), 16);
  const Type sums = k.module().cooperative_matrix(k.f32(), spirv::Scope::Subgroup, 16, 16, spirv::CooperativeMatrixUse::MatrixAccumulator);
  frame.for_tile(64, 64, [&] {
    AttentionScores scores(k, frame, code, {sums, 32, keys, scale, shift, k.subgroup_id() * 16u}, key_numbers, places);
    scores.number_places();
    const Variable number = k.variable(k.f32());
    scores.fetch_key_number(number, k.constant(0u));
    scores.put_key_number(number, k.constant(0u));
    k.barrier();
    scores.prepare(k.variables(2, spirv::zero_matrix(sums)), k.variables(1, sums), k.constant(0u), k.constant(0u));
  });
  return k.finish();
}

TEST_CASE("scores with any mask are sound modules; blocks that every query sees whole are scaled alone") {
  const auto branches = [](const spirv::Words& words) { return test::count_of(words, spirv::Op::SelectionMerge); };
  for (const MaskKind mask : {MaskKind::none, MaskKind::keep, MaskKind::add})
    for (const bool per_key : {false, true})
      for (const bool causal : {false, true}) test::check_words(prepared(mask, per_key, causal));
  // Only without a mask is there a choice, made once per block and subgroup.
  CHECK(branches(prepared(MaskKind::none, false, true)) == branches(prepared(MaskKind::add, false, true)) + 1);
}

}  // namespace
