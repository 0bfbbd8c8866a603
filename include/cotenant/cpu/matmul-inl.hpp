// matmul on one CPU target: batch, work division and the recorded epilogue around the blocked product.
#if defined(COTENANT_CPU_MATMUL_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_MATMUL_INL_HPP
#undef COTENANT_CPU_MATMUL_INL_HPP
#else
#define COTENANT_CPU_MATMUL_INL_HPP
#endif
#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/caches.hpp"
#include "cotenant/cpu/gemm-inl.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/skinny-inl.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/matmul.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::int64_t Compiled> struct Matmuls {
  // The leaf follows from the elements. Another `customize(plan, block, packed)` sets plan.block, plan.per_lane and what it likes in
  // plan.gemm, and may set `packed`, where `block` is not null: it holds the right operand, one matrix for all batch entries.
  struct Plain {};

  template <class A, class B, class Out, class E, class... Extra, std::size_t... I, class Customize = Plain>
  static void matmul(const MatmulArguments<A, B, Out, E, Extra...>& arguments, std::index_sequence<I...>, const Customize& customize = {}) {
    constexpr std::size_t operands = 3 + sizeof...(Extra);
    constexpr bool is_plain = std::is_same_v<Customize, Plain>;
    const View<Out>& out = arguments.out.view;
    if (out.size() == 0) return;
    const View<const A>& a = arguments.a.view;
    const View<const B>& b = arguments.b.view;
    // Where the right operand has few columns and the left one many rows, it is the transposed product that has few rows.
    const std::size_t rank = out.rank(), batch_rank = rank - 2;
    const bool swapped =
        is_plain && out.shape(rank - 1) <= Skinny<Compiled>::most_rows && out.shape(rank - 2) > out.shape(rank - 1) && (a.stride(rank - 1) == 1 || a.stride(rank - 2) == 1);
    const std::size_t m = swapped ? rank - 1 : rank - 2, n = swapped ? rank - 2 : rank - 1;
    Plan<E, sizeof...(Extra)> plan{arguments.epilogue, {}, {}, {}, {}};
    cpu::GemmProblem& gemm = plan.gemm;
    gemm.rows = out.shape(m);
    gemm.columns = out.shape(n);
    gemm.depth = a.shape(rank - 1);
    const cpu::Source rows_of_a = Rows<Compiled>::source(a.data(), a.stride(rank - 2), a.stride(rank - 1)),
                      columns_of_a = Rows<Compiled>::source(a.data(), a.stride(rank - 1), a.stride(rank - 2));
    const cpu::Source rows_of_b = Rows<Compiled>::source(b.data(), b.stride(rank - 2), b.stride(rank - 1)),
                      columns_of_b = Rows<Compiled>::source(b.data(), b.stride(rank - 1), b.stride(rank - 2));
    gemm.left = swapped ? columns_of_b : rows_of_a;
    gemm.right = swapped ? columns_of_a : rows_of_b;
    plan.out = Rows<Compiled>::sink(out.data(), out.stride(m), out.stride(n));
    ((plan.extra[I] = Rows<Compiled>::source(std::get<I>(arguments.extra).view.data(), std::get<I>(arguments.extra).view.stride(m),
                                             std::get<I>(arguments.extra).view.stride(n))),
     ...);
    gemm.finish = &finish<E, sizeof...(Extra)>;
    plan.is_direct = std::is_same_v<E, expr::Identity> && std::is_same_v<Out, float> && (out.stride(n) == 1 || gemm.columns == 1);

    constexpr bool are_pairs = COTENANT_X86_DOT && std::is_same_v<A, bf16> && std::is_same_v<B, bf16>;
    bool by_pairs = false;
    if constexpr (are_pairs) by_pairs = Dots<Compiled>::has_bf16();
    bool one_right = true;
    if (batch_rank != 0) {
      const Strides left_batch = a.strides().part(0, batch_rank), right_batch = b.strides().part(0, batch_rank);
      const Strides strides[] = {out.strides().part(0, batch_rank), swapped ? right_batch : left_batch, swapped ? left_batch : right_batch,
                                 std::get<I>(arguments.extra).view.strides().part(0, batch_rank)...};
      std::array<const Strides*, operands> batch{};
      for (std::size_t operand = 0; operand < operands; ++operand) batch[operand] = &strides[operand];
      plan.batch = cpu::coalesce<operands>(out.shape().part(0, batch_rank), batch, 0);
      for (std::size_t axis = 0; axis < batch_rank; ++axis) one_right = one_right && (strides[2][axis] == 0 || out.shape(axis) == 1);
    }
    if constexpr (is_plain) {
      if (one_right && !swapped) merge_batch_into_rows(plan);
      if (Skinny<Compiled>::takes(gemm)) gemm.few_rows = swapped ? &Skinny<Compiled>::template block<A> : &Skinny<Compiled>::template block<B>;
      // Few rows read the right operand where it lies. The pairs of a packed one give them a third more of the bandwidth.
      one_right = one_right && (gemm.few_rows == nullptr || (by_pairs && !swapped));
    }
    const std::size_t batches = plan.batch.outer_count(0);

    // Weights are one matrix for all batch entries, and its block says whether it may still change.
    const Block* const right_block = swapped ? arguments.a.block : arguments.b.block;
    std::shared_ptr<const cpu::PackedRight> packed;
    const auto use = [&]<class Leaf>(Leaf) {
      plan.block = &Gemm<Compiled, Leaf>::block;
      plan.per_lane = Leaf::per_lane;
      if (one_right) packed = Gemm<Compiled, Leaf>::packed(gemm, right_block);
    };
    if constexpr (!is_plain) customize(plan, one_right ? right_block : nullptr, packed);
    else if constexpr (are_pairs) by_pairs ? use(Bf16Leaf<true>{}) : use(FloatLeaf{});
    else use(FloatLeaf{});
    if (packed) {
      gemm.packed_right = packed->data();
      gemm.few_rows = nullptr;
    }
    divide(plan, batches);
    cpu::parallel_for(batches * plan.row_blocks * plan.column_blocks, plan.nanoseconds, &run<E, sizeof...(Extra)>, &plan);
  }

 private:
  template <class E, std::size_t Count> struct Plan {
    const E& epilogue;
    cpu::GemmProblem gemm;
    cpu::Sink out;
    std::array<cpu::Source, Count> extra;
    cpu::Iteration<Count + 3> batch;
    // Computes rows and panels of columns, see Gemm.
    void (*block)(const cpu::GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel, std::size_t last_panel) = nullptr;
    std::size_t block_rows = 0, block_panels = 0, row_blocks = 0, column_blocks = 0;
    double nanoseconds = 0;  // of one block
    std::size_t per_lane = 1;
    bool is_direct = false;
  };

  // Sequences by one matrix of weights: batch entries that follow each other as rows do are rows of one larger product.
  template <class P> static void merge_batch_into_rows(P& plan) {
    for (; plan.batch.rank > 0; --plan.batch.rank) {
      const std::size_t axis = plan.batch.rank - 1;
      if (plan.gemm.rows == 1) {  // one row has no neighbours yet
        plan.out.row_stride = plan.batch.stride[0][axis];
        plan.gemm.left.row_stride = plan.batch.stride[1][axis];
        for (std::size_t i = 0; i < plan.extra.size(); ++i) plan.extra[i].row_stride = plan.batch.stride[i + 3][axis];
      }
      const auto follows = [&](std::size_t operand, std::ptrdiff_t row_stride) {
        return plan.batch.stride[operand][axis] == static_cast<std::ptrdiff_t>(plan.gemm.rows) * row_stride;
      };
      bool merges = follows(0, plan.out.row_stride) && follows(1, plan.gemm.left.row_stride);
      for (std::size_t i = 0; i < plan.extra.size(); ++i) merges = merges && follows(i + 3, plan.extra[i].row_stride);
      if (!merges) return;
      plan.gemm.rows *= plan.batch.extent[axis];
    }
  }

  // The blocks that one task computes. Sums do not depend on where the cuts are.
  template <class P> static void divide(P& plan, std::size_t batches) {
    const cpu::GemmProblem& gemm = plan.gemm;
    const auto divide_up = [](std::size_t value, std::size_t unit) { return (value + unit - 1) / unit; };
    const std::size_t lanes = hn::Lanes(FloatTag{}), depth = divide_up(gemm.depth, plan.per_lane);
    const cpu::Panels panels(gemm.columns, lanes);
    // Nanoseconds of `rows` by `vectors` vectors of sums: 2 vectors per cycle at 4 GHz. Packing a panel takes as long as
    // about 16 rows of it, and reading it for few rows as long as 2.
    const auto work = [&](std::size_t rows, std::size_t vectors) {
      const std::size_t with_packing = gemm.few_rows != nullptr ? std::max<std::size_t>(rows, 2) : gemm.packed_right != nullptr ? rows : rows + 16;
      return static_cast<double>(with_packing) * static_cast<double>(vectors) * static_cast<double>(depth) / 8;
    };
    plan.row_blocks = plan.column_blocks = 1;
    plan.block_rows = gemm.rows;
    plan.block_panels = panels.count();
    plan.nanoseconds = work(gemm.rows, panels.vectors());
    // Asking for the number of threads takes longer than a small product.
    if (plan.nanoseconds * static_cast<double>(batches) <= 2 * cpu::minimum_nanoseconds_per_task) return;
    const std::size_t threads = cpu::thread_count();
    double least = 0;
    for (std::size_t columns = 1; columns <= std::min(panels.count(), 2 * threads); ++columns)
      for (const std::size_t wanted : {threads, 2 * threads}) {
        const std::size_t rows = gemm.few_rows != nullptr ? 1 : divide_up(wanted, columns * batches);
        const std::size_t block_rows = gemm.few_rows != nullptr ? gemm.rows : divide_up(divide_up(gemm.rows, rows), tile_rows) * tile_rows;
        const std::size_t block_panels = divide_up(panels.count(), columns);
        const std::size_t row_blocks = divide_up(gemm.rows, block_rows), column_blocks = divide_up(panels.count(), block_panels);
        const double block = work(std::min(block_rows, gemm.rows), std::min(panels.vectors(), 3 * block_panels));
        const double all = static_cast<double>(divide_up(row_blocks * column_blocks * batches, threads)) * block;
        if (least != 0 && all >= least * 0.98) continue;
        least = all;
        plan.row_blocks = row_blocks;
        plan.column_blocks = column_blocks;
        plan.block_rows = block_rows;
        plan.block_panels = block_panels;
        plan.nanoseconds = block;
      }
  }

  template <class E, std::size_t Count> static void run(const void* context, std::size_t begin, std::size_t end) {
    const auto& plan = *static_cast<const Plan<E, Count>*>(context);
    const std::size_t per_batch = plan.row_blocks * plan.column_blocks;
    for (std::size_t task = begin; task < end; ++task) {
      const cpu::Odometer<Count + 3> at(plan.batch, 0, task / per_batch);
      cpu::GemmProblem gemm = plan.gemm;
      gemm.context = context;
      gemm.batch = task / per_batch;
      gemm.left = gemm.left.moved(at.offset(1));
      gemm.right = gemm.right.moved(at.offset(2));
      if (plan.is_direct) {
        gemm.direct = reinterpret_cast<float*>(plan.out.at(at.offset(0)));
        gemm.direct_stride = plan.out.row_stride;
      }
      const cpu::Panels panels(gemm.columns, hn::Lanes(FloatTag{}));
      const std::size_t row = task % per_batch / plan.column_blocks * plan.block_rows, panel = task % plan.column_blocks * plan.block_panels;
      const std::size_t last_row = std::min(gemm.rows, row + plan.block_rows), last_panel = std::min(panels.count(), panel + plan.block_panels);
      if (gemm.few_rows != nullptr) gemm.few_rows(gemm, panels.first_column(panel), std::min(gemm.columns, panels.first_column(last_panel)));
      else plan.block(gemm, row, last_row, panel, last_panel);
    }
  }

  template <class E, std::size_t Count> static void finish(const void* context, std::size_t batch, const float* sums, std::ptrdiff_t stride, std::size_t row,
                                                           std::size_t column, std::size_t rows, std::size_t columns) {
    const auto& plan = *static_cast<const Plan<E, Count>*>(context);
    const cpu::Odometer<Count + 3> at(plan.batch, 0, batch);
    const auto m = static_cast<std::ptrdiff_t>(row), n = static_cast<std::ptrdiff_t>(column);
    if (plan.gemm.scale != nullptr) plan.gemm.scale(plan.gemm.scaling, const_cast<float*>(sums), stride, row, column, rows, columns);
    cpu::Source in[Count + 1];
    in[0] = Rows<Compiled>::source(sums, stride, 1);
    for (std::size_t i = 0; i < Count; ++i) in[i + 1] = plan.extra[i].moved(at.offset(i + 3) + m * plan.extra[i].row_stride + n * plan.extra[i].column_stride);
    Tiles<Compiled>::template tile<E, Count + 1>(plan.epilogue, in, plan.out.moved(at.offset(0) + m * plan.out.row_stride + n * plan.out.column_stride), rows,
                                                 columns);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
