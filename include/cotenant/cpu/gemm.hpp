// GemmProblem: a matrix product with its element types erased, so that the blocked loops are compiled once per CPU target.
#ifndef COTENANT_CPU_GEMM_HPP
#define COTENANT_CPU_GEMM_HPP
#include <cstddef>

#include "cotenant/cpu/tile.hpp"

namespace cotenant::cpu {

// Elements [row, row + rows) x [column, column + columns) of batch entry `batch` are summed up: `sums` holds them, `stride`
// floats from row to row, with room for whole vectors at the end of each row. Turns them into elements of the output.
using FinishTile = void (*)(const void* context, std::size_t batch, const float* sums, std::ptrdiff_t stride, std::size_t row,
                            std::size_t column, std::size_t rows, std::size_t columns);

// sum over k of left[m, k] * right[k, n] for m < rows, n < columns, k < depth.
struct GemmProblem {
  std::size_t rows = 0, columns = 0, depth = 0;
  // left: its rows are m and its columns k; right: its rows are k and its columns n.
  Source left, right;
  // Where the output's rows are plain floats, the sums are its elements: data of this batch entry, else null.
  float* direct = nullptr;
  std::ptrdiff_t direct_stride = 0;
  FinishTile finish = nullptr;
  const void* context = nullptr;
  std::size_t batch = 0;
  // For few rows: all of them, columns [first, last), by a kernel that reads the right operand's own element type. Null
  // where the strides or the shape do not suit it.
  void (*few_rows)(const GemmProblem& problem, std::size_t first_column, std::size_t last_column) = nullptr;
};

}  // namespace cotenant::cpu

#endif
