#include "cotenant/vulkan/kernels/product_split.hpp"

#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("the sum of parts is a sound module, of floats and of integers") {
  const Capabilities device = test::paper_device();
  for (const bool vectors : {true, false})
    for (const DType type : {DType::f32, DType::i32}) {
      ProductCode code = test::plain_code(type, type, DType::f16, Fetch::scalar_depth, Fetch::scalar_depth, 2);
      code.integers = type == DType::i32, code.vector_out = vectors;
      test::check_words(emit_split_sum({device, Addressing::pointers}, code));
      test::check_words(emit_split_sum({device, Addressing::descriptors}, code));
    }
}

}  // namespace
