// What the tests of product kernels have in common: devices and products that exist on paper only, codes, and the checker's verdict.
#ifndef COTENANT_TESTS_VULKAN_KERNELS_PRODUCT_CODE_HPP
#define COTENANT_TESTS_VULKAN_KERNELS_PRODUCT_CODE_HPP
#include <doctest/doctest.h>

#include <string>

#include "../../error_text.hpp"
#include "cotenant/vulkan/kernels/matrix_product.hpp"
#include "cotenant/vulkan/kernels/product_frame.hpp"
#include "cotenant/vulkan/module_check.hpp"

namespace cotenant::test {

// A GPU with cooperative matrices, as far as emitters ask.
inline vulkan::Capabilities paper_device() {
  vulkan::Capabilities device;
  device.name = "paper";
  device.type = vulkan::DeviceType::discrete;
  device.api_version = 1u << 22 | 3u << 12;
  device.storage_8bit = device.storage_16bit = device.shader_int64 = device.shader_int16 = device.shader_int8 = device.shader_float16 = true;
  device.subgroup_size = 32;
  device.shared_memory_bytes = 49152;
  device.max_workgroup_invocations = 1024;
  device.multiprocessors = 132;
  device.cooperative_matrix = device.vulkan_memory_model = device.bfloat16 = device.bfloat16_cooperative_matrix = true;
  using vulkan::ComponentType;
  device.matrix_shapes = {{16, 16, 16, ComponentType::float16, ComponentType::float16, ComponentType::float32, ComponentType::float32, false, 3},
                          {16, 16, 16, ComponentType::bfloat16, ComponentType::bfloat16, ComponentType::float32, ComponentType::float32, false, 3},
                          {16, 16, 32, ComponentType::sint8, ComponentType::sint8, ComponentType::sint32, ComponentType::sint32, false, 3}};
  return device;
}
// a [rows, depth] · b [depth, columns], row-major, at aligned addresses.
inline vulkan::MatrixProduct product_of(std::size_t rows, std::size_t depth, std::size_t columns, DType type = DType::f16) {
  vulkan::MatrixProduct product;
  product.rows = rows, product.columns = columns, product.depth = depth;
  product.operands.resize(3);
  const auto set = [&](vulkan::MatrixOperand& x, std::size_t stride) {
    x.type = type, x.row = static_cast<std::ptrdiff_t>(stride), x.column = 1;
  };
  set(product.a(), depth), set(product.b(), columns), set(product.out(), columns);
  return product;
}
inline vulkan::ProductCode plain_code(DType a, DType b, DType out, vulkan::Fetch fetch_a, vulkan::Fetch fetch_b, std::size_t batch_rank = 0) {
  vulkan::ProductCode code;
  code.a = a, code.b = b, code.out = out, code.fetch_a = fetch_a, code.fetch_b = fetch_b, code.batch_rank = batch_rank;
  code.vector_out = is_vector(fetch_b);
  code.epilogue = vulkan::plain_epilogue;
  return code;
}
inline void check_words(const vulkan::spirv::Words& words) {
  REQUIRE(words.size() > 5);
  CHECK(message([&] { static_cast<void>(vulkan::detail::ModuleCheck(words)); }) == "no error");
}
inline constexpr vulkan::Fetch every_fetch[] = {vulkan::Fetch::vector_depth, vulkan::Fetch::vector_across, vulkan::Fetch::scalar_depth,
    vulkan::Fetch::scalar_across};

}  // namespace cotenant::test

#endif
