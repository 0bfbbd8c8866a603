#include "cotenant/vulkan/kernels/product_few.hpp"

#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("products of few rows are sound modules") {
  const Capabilities device = test::paper_device();
  for (const Addressing addressing : {Addressing::pointers, Addressing::descriptors})
    for (const std::uint32_t rows : {1u, 4u, 8u})
      for (const bool along : {true, false})
        for (const bool vectors : {true, false}) {
          const Fetch right = along ? (vectors ? Fetch::vector_depth : Fetch::scalar_depth) : (vectors ? Fetch::vector_across : Fetch::scalar_across);
          ProductCode code = test::plain_code(DType::f16, DType::bf16, DType::f32, vectors ? Fetch::vector_depth : Fetch::scalar_depth, right);
          code.vector_out = false;
          test::check_words(emit_few_product({device, addressing}, code, {rows, along ? 32u : 8u, 256, along}));
        }
}

TEST_CASE("a workgroup's columns") {
  CHECK(FewTile{1, 32, 256, true}.columns() == 8);
  CHECK(FewTile{1, 8, 256, false}.columns() == 32);
}

}  // namespace
