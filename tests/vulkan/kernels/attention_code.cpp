#include "cotenant/vulkan/kernels/attention_code.hpp"

#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("what attention's code depends on has a key of its own") {
  vulkan::detail::AttentionCode code;
  code.product = test::plain_code(DType::f16, DType::f16, DType::f16, Fetch::vector_depth, Fetch::vector_depth, 2);
  const KernelKey plain = code.key();
  code.mask = MaskKind::add;
  const KernelKey masked = code.key();
  code.mask_per_key = true;
  const KernelKey per_key = code.key();
  code.causal = true;
  CHECK(plain != masked);
  CHECK(masked != per_key);
  CHECK(per_key != code.key());
}

}  // namespace
