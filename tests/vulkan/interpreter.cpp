// The interpreter computes what modules say, and finds what no device has to bear.
#include "interpreter/dispatch.hpp"

#include <doctest/doctest.h>

#include "cotenant/vulkan/kernels/product_cooperative.hpp"
#include "kernels/product_code.hpp"

namespace {
using namespace cotenant;

TEST_CASE("one tile of a product on cooperative matrices, interpreted") {
  const vulkan::Capabilities device = test::paper_device();
  const vulkan::ProductCode code = test::plain_code(DType::f16, DType::f16, DType::f32, vulkan::Fetch::vector_depth, vulkan::Fetch::vector_across);
  const auto words = vulkan::emit_cooperative_product({device, vulkan::Addressing::descriptors}, code, {64, 64, 64, 32, 32, 16, 16, 16, 32});
  const test::interpreter::Program program(words);
  CHECK(program.invocations() == 128);
  CHECK(program.vulkan_memory_model);
}

}  // namespace
