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

}  // namespace detail
}  // namespace cotenant::vulkan

#endif
