// matmul on a Vulkan device: plans a product, chooses its kernel and launches it.
#ifndef COTENANT_VULKAN_KERNELS_MATMUL_HPP
#define COTENANT_VULKAN_KERNELS_MATMUL_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/product_pack.hpp"
#include "cotenant/vulkan/kernels/product_plan.hpp"
#include "cotenant/vulkan/kernels/product_split.hpp"
#include "cotenant/vulkan/kernels/product_tuning.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/spirv_expression.hpp"
#include "cotenant/vulkan/storage.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

namespace detail {

inline spirv::Words emit_product(const Target& target, const ProductPlan& plan, const ProductCode& code) {
  switch (plan.kernel) {
    case ProductKernel::few: return emit_few_product(target, code, plan.few);
    case ProductKernel::cooperative: return emit_cooperative_product(target, code, plan.cooperative);
    case ProductKernel::workgroup: return emit_workgroup_product(target, code, plan.workgroup);
    case ProductKernel::simt: break;
  }
  return emit_simt_product(target, code, plan.simt);
}

inline Few<BufferArgument, 8> buffer_arguments(const MatrixProduct& product) {
  Few<BufferArgument, 8> buffers;
  for (std::size_t i = 0; i < product.operands.size(); ++i) {
    const MatrixOperand& x = product.operands[i];
    buffers.push_back({x.block, x.reach.address, x.reach.bytes, i == 2 ? Access::write : Access::read});
  }
  return buffers;
}

// Operands that a kernel can count through: fewer than 2^31 elements each.
inline void check_reach(const MatrixProduct& product) {
  for (const MatrixOperand& x : product.operands)
    if (x.reach.elements >= max_reach)
      raise<Unsupported>("a product's operand reaches over " + std::to_string(x.reach.elements) +
          " elements, but one kernel counts fewer than 2^31: multiply parts of it");
}

inline void launch_product(Device& device, Stream& stream, const MatrixProduct& product, const ProductPlan& plan, const ProductCode& code,
    std::size_t split_stride) {
  KernelKey key("product ", plan.key(), ' ');
  code.append_to(key);
  const auto buffers = buffer_arguments(product);
  const auto scalars = product_scalars(product, code, plan.split_depth, split_stride);
  Launch launch{key, buffers, scalars, folded_groups(plan.tiles(product) * plan.splits)};
  if (plan.kernel == ProductKernel::cooperative) launch.subgroup_size = plan.cooperative.subgroup;
  device.launch(stream, launch, [&](const Target& target) { return emit_product(target, plan, code); });
}

// Depth that one invocation goes through on a software device: lavapipe (Mesa 22.3, not 26) ends the loops of an invocation after 65535 turns in
// all, and what they have not computed is missing. Tiles take five turns for 16 steps, few rows one for eight.
inline constexpr std::size_t software_depth = std::size_t{1} << 16;

// Runs a product whose code has its epilogue (and its elements) described already.
inline void run_planned(Device& device, Stream& stream, const MatrixProduct& product, ProductPlan plan, ProductCode code) {
  if (device.capabilities().type == DeviceType::software) plan.splits = std::max(plan.splits, (product.depth + software_depth - 1) / software_depth);
  choose_fetches(plan, product, code);
  if (plan.splits == 1) return launch_product(device, stream, product, plan, code, 0);
  // Sums of each part of depth by themselves, then all of them together.
  const std::size_t matrix = product.rows * product.columns, part = matrix * product.batches();
  const BlockRef scratch = temporary(stream, part * plan.splits * sizeof(float));
  MatrixOperand sums;
  sums.type = code.integers ? DType::i32 : DType::f32;
  sums.block = scratch.get();
  sums.reach = {scratch->data(), part * plan.splits * sizeof(float), 0, part * plan.splits};
  sums.row = static_cast<std::ptrdiff_t>(product.columns), sums.column = 1;
  std::size_t stride = matrix;
  for (std::size_t axis = product.batch_rank; axis-- > 0;) sums.batch[axis] = static_cast<std::ptrdiff_t>(stride), stride *= product.batch[axis];
  MatrixProduct parts = product;
  parts.operands.resize(3 + code.parameters);
  parts.out() = sums;
  ProductCode partial = code;
  partial.out = sums.type, partial.vector_out = product.columns % 4 == 0 && plan.kernel != ProductKernel::few;
  partial.extra.resize(code.parameters);
  for (ProductCode::Extra& x : partial.extra) x.in_epilogue = false;
  partial.epilogue_text = "sum", partial.epilogue = plain_epilogue, partial.scalars.clear();
  launch_product(device, stream, parts, plan, partial, part);

  MatrixProduct total = product;
  total.a() = sums, total.b() = sums, total.depth = plan.splits;
  ProductCode last = code;
  last.a = last.b = sums.type, last.fetch_a = last.fetch_b = Fetch::scalar_depth;
  last.element_a = last.element_b = last.four_a = last.four_b = nullptr, last.element_text.clear(), last.element_scalars.clear();
  const KernelKey key("product parts ", last.key());
  const auto buffers = buffer_arguments(total);
  auto scalars = product_scalars(total, last, plan.splits);
  scalars.push_back(static_cast<std::uint32_t>(part));
  const std::size_t tiles =
      (product.rows + split_tile_rows - 1) / split_tile_rows * ((product.columns + split_tile_columns - 1) / split_tile_columns) * product.batches();
  device.launch(stream, {key, buffers, scalars, folded_groups(tiles)}, [&](const Target& target) { return emit_split_sum(target, last); });
}

inline void run_product(Device& device, Stream& stream, MatrixProduct product, ProductCode code, bool quantised = false) {
  if (product.empty()) return;
  check_reach(product);
  // Few columns are few rows of the transposed product; else rows are what lies dense in the result.
  const bool few_columns = product.columns <= few_rows && product.columns < product.rows;
  const bool few_already = product.rows <= few_rows;
  const bool transposed_out = product.out().column != 1 && product.out().row == 1;
  if (few_columns || (transposed_out && !few_already)) {
    product.transpose();
    std::swap(code.element_a, code.element_b), std::swap(code.four_a, code.four_b);
    if (code.element_a || code.element_b) code.element_text += " t";
  }
  product.merge_batches();
  const std::array<BlockRef, 2> copies = prepare_sides(device, stream, product, code);
  const bool reads_elements = quantised && (code.integers || code.element_a || code.element_b);
  ProductPlan plan = default_plan(device.capabilities(), product, code.integers, reads_elements);
  // The table is read when the first product asks.
  ProductTuning& tuning = ProductTuning::of(device);
  if (!reads_elements && ProductTuning::any() && plan.kernel != ProductKernel::few) tuning.choose(device.capabilities(), product, code.integers, plan);
  run_planned(device, stream, product, plan, std::move(code));
}

}  // namespace detail

namespace kernels {

COTENANT_VULKAN_INLINE void matmul(Stream& stream, const AnyMatmul& x) {
  MatrixProduct product = matrix_product(x.a.shape().back(), x.a, x.b, x.out, x.extra);
  ProductCode code;
  code.epilogue_text = x.epilogue.text;
  code.scalars.assign(x.epilogue.literals.begin(), x.epilogue.literals.end());
  code.epilogue = [text = x.epilogue.text](ProductFrame& frame) -> Epilogue { return RecordedCode(frame.k, text, DType::f32); };
  vulkan::detail::run_product(stream.device(), stream, std::move(product), std::move(code));
}

}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
