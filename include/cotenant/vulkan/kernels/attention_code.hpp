// AttentionCode: what the code of an attention kernel depends on, beside its tile.
#ifndef COTENANT_VULKAN_KERNELS_ATTENTION_CODE_HPP
#define COTENANT_VULKAN_KERNELS_ATTENTION_CODE_HPP
#include <cstdint>

#include "cotenant/vulkan/kernel_key.hpp"
#include "cotenant/vulkan/kernels/product_frame.hpp"

namespace cotenant::vulkan {

enum class MaskKind : std::uint8_t { none, keep, add };

namespace detail {

// The frame's operands: q [M, D], k as [D, N], the result [M, Dv]; then v [N, Dv] and the mask [M, N].
struct AttentionCode {
  ProductCode product;
  Fetch fetch_v{};
  MaskKind mask = MaskKind::none;
  bool mask_per_key = false;  // the mask's rows are one
  bool causal = false;

  KernelKey key() const {
    return KernelKey(product.key(), " v ", to_string(fetch_v), " mask", static_cast<int>(mask), mask_per_key ? " per key" : "", causal ? " causal" : "");
  }
};

// Where the keys end that a tile's queries see: a causal query sees those before its number + shift, the last one of the tile most.
inline spirv::Value end_of_keys(ProductFrame& frame, const AttentionCode& code, std::uint32_t queries, spirv::Value keys, spirv::Value shift) {
  if (!code.causal) return keys;
  const spirv::Value last = spirv::bitcast(frame.k.i32(), spirv::min(frame.row0 + queries, frame.rows)) + shift;
  return spirv::min(keys, spirv::bitcast(frame.k.u32(), spirv::max(last, 0)));
}

}  // namespace detail
}  // namespace cotenant::vulkan

#endif
