// The sums of a byte matrix's lines along depth, which make up for zero points after a product of raw bytes.
#ifndef COTENANT_VULKAN_KERNELS_LINE_SUMS_HPP
#define COTENANT_VULKAN_KERNELS_LINE_SUMS_HPP
#include <cstddef>
#include <cstdint>

#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/matmul.hpp"
#include "cotenant/vulkan/storage.hpp"

namespace cotenant::vulkan::detail {

// Where the sums of the left rows (or right columns) lie: one i32 for each, in every matrix of the batch.
inline MatrixOperand line_sum_operand(const MatrixProduct& product, const BlockRef& sums, bool left) {
  MatrixOperand result;
  result.type = DType::i32;
  result.block = sums.get();
  const std::size_t lines = left ? product.rows : product.columns, count = lines * product.batches();
  result.reach = {sums->data(), count * sizeof(std::int32_t), 0, count};
  (left ? result.row : result.column) = lines <= 1 ? 0 : 1;
  std::size_t stride = lines;
  for (std::size_t axis = product.batch_rank; axis-- > 0;)
    result.batch[axis] = product.batch[axis] <= 1 ? 0 : static_cast<std::ptrdiff_t>(stride), stride *= product.batch[axis];
  return result;
}

// sum over k of a[m, k] (or of b[k, n]), of unsigned bytes 128 less each, as the product reads them.
inline BlockRef line_sums(Device& device, Stream& stream, const MatrixProduct& product, bool left) {
  const std::size_t lines = left ? product.rows : product.columns;
  BlockRef sums = temporary(stream, std::max<std::size_t>(lines * product.batches() * sizeof(std::int32_t), 4));
  // A product with a column of ones, which nobody needs to store.
  MatrixProduct ones;
  ones.rows = lines, ones.columns = 1, ones.depth = product.depth;
  ones.batch_rank = product.batch_rank, ones.batch = product.batch;
  MatrixOperand side = left ? product.a() : product.b();
  if (!left) std::swap(side.row, side.column);
  MatrixOperand out = line_sum_operand(product, sums, left);
  if (!left) std::swap(out.row, out.column);
  ones.operands = {side, side, out};
  ProductCode code;
  code.integers = true;
  code.epilogue = plain_epilogue;
  code.element_b = [](ProductFrame& frame, bool, Value, Value) { return frame.k.constant(1); };
  if (side.type == DType::u8)
    code.element_a = [](ProductFrame& frame, bool is_left, Value across, Value depth) {
      const OperandCode& x = frame.operands[is_left ? 0 : 1];
      return frame.load_number(x, x.base + across * (is_left ? x.row : x.column) + depth * (is_left ? x.column : x.row)) - 128;
    };
  code.element_text = "line sums";
  run_product(device, stream, std::move(ones), std::move(code), true);
  return sums;
}

}  // namespace cotenant::vulkan::detail

#endif
