// MatmulPlan: a batch of products, planned and divided among threads in code that is compiled once for all CPU targets and epilogues.
#ifndef COTENANT_CPU_MATMUL_HPP
#define COTENANT_CPU_MATMUL_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "cotenant/core/layout.hpp"
#include "cotenant/cpu/blocked_product.hpp"
#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/packed_panels.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/cpu/tile.hpp"

namespace cotenant::cpu {

// Computes rows and panels of columns, as multiply_blocks() does.
using MultiplyBlocks = void (*)(const GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel, std::size_t last_panel);

// For few rows: see GemmProblem::few_rows.
using MultiplyFewRows = void (*)(const GemmProblem& problem, std::size_t first_column, std::size_t last_column);

// Count operands of the epilogue beside the sums. Who uses it sets gemm.kernel, gemm.finish, epilogue and the operands without their
// strides (gemm.left is a, gemm.right b), calls set_up(), may change what it likes in `gemm`, `block` and `packed`, and calls run().
template <std::size_t Count> struct MatmulPlan {
  GemmProblem gemm;
  Sink out;
  std::array<Source, Count> extra;
  const void* epilogue = nullptr;
  Iteration<Count + 3> batch;  // of out, the left operand, the right one, the others
  MultiplyBlocks block = &multiply_blocks;
  Ref<const PackedRight> packed;
  std::size_t block_rows = 0, block_panels = 0, row_blocks = 0, column_blocks = 0;
  double nanoseconds = 0;  // of one block
  bool is_direct = false;  // the sums are the output's elements
  bool swapped = false;    // it is the transposed product that is computed
  bool one_right = true;   // the right operand is one matrix for all batch entries, and may be packed

  // out has `shape` and at least one element. `can_be_direct`: it holds floats, and nothing is done to the sums. The kernels for few
  // rows read a right operand that is b, or a (in the transposed product); where they are null, it is neither transposed nor are
  // batch entries taken as rows. `packs_few`: a packed right operand is better for few rows, too.
  [[gnu::noinline]] void set_up(const Shape& shape, std::size_t depth, const Strides& out_strides, const Strides& a, const Strides& b,
                                const std::array<const Strides*, Count>& others, bool can_be_direct, MultiplyFewRows few_of_b, MultiplyFewRows few_of_a,
                                bool packs_few) {
    // Where the right operand has few columns and the left one many rows, it is the transposed product that has few rows.
    const std::size_t rank = shape.rank(), batch_rank = rank - 2;
    swapped = few_of_a != nullptr && shape[rank - 1] <= most_few_rows && shape[rank - 2] > shape[rank - 1] && (a[rank - 1] == 1 || a[rank - 2] == 1);
    const std::size_t m = swapped ? rank - 1 : rank - 2, n = swapped ? rank - 2 : rank - 1;
    gemm.rows = shape[m];
    gemm.columns = shape[n];
    gemm.depth = depth;
    // Swapped, left and right change places and their rows and columns too: m and n say so for both.
    if (swapped) std::swap(gemm.left, gemm.right);
    const Strides &left = swapped ? b : a, &right = swapped ? a : b;
    const auto set = [=](auto& operand, const Strides& strides) {
      operand.row_stride = strides[m];
      operand.column_stride = strides[n];
    };
    set(gemm.left, left);
    set(gemm.right, right);
    set(out, out_strides);
    for (std::size_t i = 0; i < Count; ++i) set(extra[i], *others[i]);
    is_direct = can_be_direct && (out.column_stride == 1 || gemm.columns == 1);

    if (batch_rank != 0) {
      std::array<Strides, Count + 3> strides;
      std::array<const Strides*, Count + 3> operands{};
      for (std::size_t i = 0; i < Count + 3; ++i) {
        const Strides& whole = i == 0 ? out_strides : i == 1 ? left : i == 2 ? right : *others[i - 3];
        strides[i] = whole.part(0, batch_rank);
        operands[i] = &strides[i];
      }
      batch = coalesce<Count + 3>(shape.part(0, batch_rank), operands, 0);
      for (std::size_t axis = 0; axis < batch_rank; ++axis) one_right = one_right && (strides[2][axis] == 0 || shape[axis] == 1);
    }
    if (few_of_b == nullptr) return;
    if (one_right && !swapped) merge_batch_into_rows();
    if (has_few_rows(gemm)) gemm.few_rows = swapped ? few_of_a : few_of_b;
    one_right = one_right && (gemm.few_rows == nullptr || (packs_few && !swapped));
  }

  // The right operand packed, where `right_block`, which holds it, keeps it so. Weights are one matrix for all batch entries, and their
  // block says whether it may still change.
  void pack(const Block* right_block) {
    if (one_right) packed = packed_panels(gemm, right_block);
  }

  [[gnu::noinline]] void run() {
    if (packed) {
      gemm.packed_right = packed->data();
      gemm.few_rows = nullptr;
    }
    gemm.context = this;
    // Where L2 holds the output, asking for places costs more than it saves.
    if (!is_direct && out.column_stride == 1 && gemm.rows * gemm.columns * out.element_size > (std::size_t{1} << 20)) {
      gemm.result = out.data;
      gemm.result_column = static_cast<std::ptrdiff_t>(out.element_size);
      gemm.result_row = out.row_stride * gemm.result_column;
    }
    const std::size_t batches = batch.outer_count(0);
    divide(batches);
    // One small product needs neither a place in the batch nor a problem of its own.
    if (batch.rank == 0 && row_blocks * column_blocks == 1) {
      if (is_direct) {
        gemm.direct = reinterpret_cast<float*>(out.data);
        gemm.direct_stride = out.row_stride;
      }
      if (gemm.few_rows != nullptr) gemm.few_rows(gemm, 0, gemm.columns);
      else block(gemm, 0, gemm.rows, 0, block_panels);
      return;
    }
    parallel_for(batches * row_blocks * column_blocks, nanoseconds, &run_blocks, this);
  }

 private:
  // Sequences by one matrix of weights: batch entries that follow each other as rows do are rows of one larger product.
  void merge_batch_into_rows() {
    for (; batch.rank > 0; --batch.rank) {
      const std::size_t axis = batch.rank - 1;
      if (gemm.rows == 1) {  // one row has no neighbours yet
        out.row_stride = batch.stride[0][axis];
        gemm.left.row_stride = batch.stride[1][axis];
        for (std::size_t i = 0; i < Count; ++i) extra[i].row_stride = batch.stride[i + 3][axis];
      }
      const auto follows = [&](std::size_t operand, std::ptrdiff_t row_stride) {
        return batch.stride[operand][axis] == static_cast<std::ptrdiff_t>(gemm.rows) * row_stride;
      };
      bool merges = follows(0, out.row_stride) && follows(1, gemm.left.row_stride);
      for (std::size_t i = 0; i < Count; ++i) merges = merges && follows(i + 3, extra[i].row_stride);
      if (!merges) return;
      gemm.rows *= batch.extent[axis];
    }
  }

  // The blocks that one task computes. Sums do not depend on where the cuts are.
  void divide(std::size_t batches) {
    const auto divide_up = [](std::size_t value, std::size_t unit) { return (value + unit - 1) / unit; };
    const std::size_t tile_rows = gemm.kernel->tile_rows, depth = vectors(gemm.depth, gemm.kernel->per_lane);
    const Panels panels(gemm.columns, *gemm.kernel);
    // Nanoseconds of `rows` by `vectors` vectors of sums: 2 vectors per cycle at 4 GHz. Packing a panel takes as long as
    // about 16 rows of it, reading it for few rows as long as 2, and reading a packed one from memory (64 bytes of each vector at some
    // 60 GB/s) as long as 8: an encoder of 16 tokens took 1.9 ms on two threads where both read all of the weights, and takes 1.2.
    const auto work = [&](std::size_t rows, std::size_t vectors) {
      const std::size_t with_packing = gemm.few_rows != nullptr ? std::max<std::size_t>(rows, 2) : gemm.packed_right != nullptr ? rows + 8 : rows + 16;
      return static_cast<double>(with_packing) * static_cast<double>(vectors) * static_cast<double>(depth) / 8;
    };
    row_blocks = column_blocks = 1;
    block_rows = gemm.rows;
    block_panels = panels.count();
    nanoseconds = work(gemm.rows, panels.vectors());
    // Asking for the number of threads takes longer than a small product.
    if (nanoseconds * static_cast<double>(batches) <= 2 * minimum_nanoseconds_per_task) return;
    const std::size_t threads = thread_count();
    double least = 0;
    for (std::size_t columns = 1; columns <= std::min(panels.count(), 2 * threads); ++columns)
      for (const std::size_t wanted : {threads, 2 * threads}) {
        const std::size_t rows = gemm.few_rows != nullptr ? 1 : divide_up(wanted, columns * batches);
        const std::size_t some_rows = gemm.few_rows != nullptr ? gemm.rows : divide_up(divide_up(gemm.rows, rows), tile_rows) * tile_rows;
        const std::size_t some_panels = divide_up(panels.count(), columns);
        const std::size_t rows_cut = divide_up(gemm.rows, some_rows), columns_cut = divide_up(panels.count(), some_panels);
        const double one = work(std::min(some_rows, gemm.rows), std::min(panels.vectors(), gemm.kernel->tile_vectors * some_panels));
        const double all = static_cast<double>(divide_up(rows_cut * columns_cut * batches, threads)) * one;
        if (least != 0 && all >= least * 0.98) continue;
        least = all;
        row_blocks = rows_cut;
        column_blocks = columns_cut;
        block_rows = some_rows;
        block_panels = some_panels;
        nanoseconds = one;
      }
  }

  static void run_blocks(const void* context, std::size_t begin, std::size_t end) {
    const MatmulPlan& plan = *static_cast<const MatmulPlan*>(context);
    const std::size_t per_batch = plan.row_blocks * plan.column_blocks;
    for (std::size_t task = begin; task < end; ++task) {
      const Odometer<Count + 3> at(plan.batch, 0, task / per_batch);
      GemmProblem gemm = plan.gemm;
      gemm.batch = task / per_batch;
      gemm.left = gemm.left.moved(at.offset(1));
      gemm.right = gemm.right.moved(at.offset(2));
      if (gemm.result != nullptr) gemm.result = plan.out.at(at.offset(0));
      if (plan.is_direct) {
        gemm.direct = reinterpret_cast<float*>(plan.out.at(at.offset(0)));
        gemm.direct_stride = plan.out.row_stride;
      }
      const Panels panels(gemm.columns, *gemm.kernel);
      const std::size_t row = task % per_batch / plan.column_blocks * plan.block_rows, panel = task % plan.column_blocks * plan.block_panels;
      const std::size_t last_row = std::min(gemm.rows, row + plan.block_rows), last_panel = std::min(panels.count(), panel + plan.block_panels);
      if (gemm.few_rows != nullptr) gemm.few_rows(gemm, panels.first_column(panel), std::min(gemm.columns, panels.first_column(last_panel)));
      else plan.block(gemm, row, last_row, panel, last_panel);
    }
  }
};

}  // namespace cotenant::cpu

#endif
