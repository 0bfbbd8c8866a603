// MatrixProduct: a batched product of matrices and what its epilogue reads, as extents and strides that a kernel's scalars hold.
#ifndef COTENANT_VULKAN_KERNELS_MATRIX_PRODUCT_HPP
#define COTENANT_VULKAN_KERNELS_MATRIX_PRODUCT_HPP
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/vulkan/any_operand.hpp"
#include "cotenant/vulkan/kernels/axes.hpp"

namespace cotenant::vulkan {

// What an operand that the epilogue or a side's elements read has for rows and columns: the result's, or one side's, of which one is depth.
enum class MatrixSide { result, left, right };

// One operand: strides in elements along its last axis but one (row), its last (column), and the batch axes.
struct MatrixOperand {
  MatrixSide side = MatrixSide::result;
  DType type = DType::f32;
  Block* block = nullptr;  // null where there is no such operand
  Reach reach;
  std::ptrdiff_t row = 0, column = 0;
  std::array<std::ptrdiff_t, max_rank> batch{};
  bool padded = false;  // zeros lie between a line's end and the next multiple of 16 bytes

  // Whether every row (or column) begins at a multiple of `bytes`, the first one and those of every batch too.
  bool aligned(std::size_t bytes, bool along_rows, std::size_t batch_rank) const {
    const std::size_t size = size_of(type);
    const auto fits = [&](std::ptrdiff_t stride) { return static_cast<std::size_t>(std::abs(stride)) * size % bytes == 0; };
    bool all = reinterpret_cast<std::uintptr_t>(reach.address) % bytes == 0 && reach.first * size % bytes == 0 && fits(along_rows ? row : column);
    for (std::size_t axis = 0; axis < batch_rank; ++axis) all = all && fits(batch[axis]);
    return all;
  }
};

// out [..., rows, columns] = a [..., rows, depth] · b [..., depth, columns]; operands: a, b, out, then what the epilogue reads.
struct MatrixProduct {
  std::size_t rows = 0, columns = 0, depth = 0;
  std::size_t batch_rank = 0;
  std::array<std::size_t, max_rank> batch{};
  std::vector<MatrixOperand> operands;

  MatrixOperand& a() { return operands[0]; }
  MatrixOperand& b() { return operands[1]; }
  MatrixOperand& out() { return operands[2]; }
  const MatrixOperand& a() const { return operands[0]; }
  const MatrixOperand& b() const { return operands[1]; }
  const MatrixOperand& out() const { return operands[2]; }
  std::size_t batches() const {
    std::size_t count = 1;
    for (std::size_t axis = 0; axis < batch_rank; ++axis) count *= batch[axis];
    return count;
  }
  bool empty() const { return rows == 0 || columns == 0 || batches() == 0; }

  // outᵀ = bᵀ · aᵀ: the same bytes, rows and columns exchanged everywhere.
  void transpose() {
    std::swap(rows, columns);
    std::swap(operands[0], operands[1]);
    for (MatrixOperand& operand : operands) {
      std::swap(operand.row, operand.column);
      if (operand.side != MatrixSide::result) operand.side = operand.side == MatrixSide::left ? MatrixSide::right : MatrixSide::left;
    }
  }

  // Drops batch axes of one element and merges neighbours that every operand walks through as one; a whole batch whose
  // right operand is one matrix becomes more rows where the others lie so, and it may.
  void merge_batches(bool into_rows = true) {
    std::size_t rank = 0;
    for (std::size_t axis = 0; axis < batch_rank; ++axis) {
      if (batch[axis] == 1) continue;
      bool merges = rank > 0;
      for (const MatrixOperand& x : operands) merges = merges && x.batch[rank - 1] == x.batch[axis] * static_cast<std::ptrdiff_t>(batch[axis]);
      const std::size_t to = merges ? rank - 1 : rank++;
      batch[to] = merges ? batch[to] * batch[axis] : batch[axis];
      for (MatrixOperand& x : operands) x.batch[to] = x.batch[axis];
    }
    batch_rank = rank;
    if (rank == 0 || !into_rows) return;
    // What belongs to the right operand has depth for rows: it stays as it is, the same for the whole batch.
    const auto is_right = [&](std::size_t i) { return i == 1 || operands[i].side == MatrixSide::right; };
    for (std::size_t i = 0; i < operands.size(); ++i) {
      const std::ptrdiff_t step = operands[i].batch[rank - 1];
      if (is_right(i) ? step != 0 : rows != 1 && step != operands[i].row * static_cast<std::ptrdiff_t>(rows)) return;
    }
    if (rows == 1) for (std::size_t i = 0; i < operands.size(); ++i) if (!is_right(i)) operands[i].row = operands[i].batch[rank - 1];
    rows *= batch[rank - 1];
    batch_rank = rank - 1;
  }
};

inline MatrixOperand matrix_operand(const AnyOperand& operand) {
  MatrixOperand result;
  result.type = operand.type();
  result.block = operand.block;
  if (operand.block == nullptr) return result;
  const Layout layout = operand.view.layout();
  const std::size_t rank = layout.shape.rank();
  result.reach = reach_of(operand.view);
  // The stride of an axis with one element is never walked.
  const auto stride = [&](std::size_t axis) { return layout.shape[axis] <= 1 ? std::ptrdiff_t{0} : layout.strides[axis]; };
  result.row = stride(rank - 2);
  result.column = stride(rank - 1);
  for (std::size_t axis = 0; axis + 2 < rank; ++axis) result.batch[axis] = stride(axis);
  return result;
}

// The product of operands that have out's batch axes already (stride 0 where repeated).
inline MatrixProduct matrix_product(std::size_t depth, const AnyOperand& a, const AnyOperand& b, const AnyOperand& out,
                                    std::span<const AnyOperand> extra = {}) {
  MatrixProduct product;
  const Shape& shape = out.shape();
  const std::size_t rank = shape.rank();
  product.rows = shape[rank - 2];
  product.columns = shape[rank - 1];
  product.depth = depth;
  product.batch_rank = rank - 2;
  for (std::size_t axis = 0; axis + 2 < rank; ++axis) product.batch[axis] = shape[axis];
  product.operands = {matrix_operand(a), matrix_operand(b), matrix_operand(out)};
  for (const AnyOperand& one : extra) product.operands.push_back(matrix_operand(one));
  return product;
}

}  // namespace cotenant::vulkan

#endif
