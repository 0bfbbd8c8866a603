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
#include <tuple>
#include <type_traits>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/gemm-inl.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/skinny-inl.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/matmul.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::int64_t Compiled> struct Matmuls {
  template <class A, class B, class Out, class E, class... Extra, std::size_t... I>
  static void matmul(const MatmulArguments<A, B, Out, E, Extra...>& arguments, std::index_sequence<I...>) {
    constexpr std::size_t operands = 3 + sizeof...(Extra);
    const View<Out>& out = arguments.out.view;
    if (out.size() == 0) return;
    const View<const A>& a = arguments.a.view;
    const View<const B>& b = arguments.b.view;
    // Where the right operand has few columns and the left one many rows, it is the transposed product that has few rows.
    const std::size_t rank = out.rank(), batch_rank = rank - 2;
    const bool swapped =
        out.shape(rank - 1) <= Skinny<Compiled>::most_rows && out.shape(rank - 2) > out.shape(rank - 1) && (a.stride(rank - 1) == 1 || a.stride(rank - 2) == 1);
    const std::size_t m = swapped ? rank - 1 : rank - 2, n = swapped ? rank - 2 : rank - 1;
    Plan<E, sizeof...(Extra)> plan{arguments.epilogue, {}, {}, {}, {}, 0, 0, 0, 0};
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
    if (Skinny<Compiled>::takes(gemm)) gemm.few_rows = swapped ? &Skinny<Compiled>::template block<A> : &Skinny<Compiled>::template block<B>;
    plan.out = Rows<Compiled>::sink(out.data(), out.stride(m), out.stride(n));
    ((plan.extra[I] = Rows<Compiled>::source(std::get<I>(arguments.extra).view.data(), std::get<I>(arguments.extra).view.stride(m),
                                             std::get<I>(arguments.extra).view.stride(n))),
     ...);
    gemm.finish = &finish<E, sizeof...(Extra)>;
    plan.is_direct = std::is_same_v<E, expr::Identity> && std::is_same_v<Out, float> && (out.stride(n) == 1 || gemm.columns == 1);

    const Strides left_batch = a.strides().part(0, batch_rank), right_batch = b.strides().part(0, batch_rank);
    const Strides strides[] = {out.strides().part(0, batch_rank), swapped ? right_batch : left_batch, swapped ? left_batch : right_batch,
                               std::get<I>(arguments.extra).view.strides().part(0, batch_rank)...};
    std::array<const Strides*, operands> batch{};
    for (std::size_t operand = 0; operand < operands; ++operand) batch[operand] = &strides[operand];
    plan.batch = cpu::coalesce<operands>(out.shape().part(0, batch_rank), batch, 0);
    const std::size_t batches = plan.batch.outer_count(0);

    divide(plan, batches);
    const std::size_t tasks = batches * plan.row_blocks * plan.column_blocks;
    const double nanoseconds = work(plan) / static_cast<double>(plan.row_blocks * plan.column_blocks);
    cpu::parallel_for(tasks, nanoseconds, &run<E, sizeof...(Extra)>, &plan);
  }

 private:
  template <class E, std::size_t Count> struct Plan {
    const E& epilogue;
    cpu::GemmProblem gemm;
    cpu::Sink out;
    std::array<cpu::Source, Count> extra;
    cpu::Iteration<Count + 3> batch;
    std::size_t block_rows, block_columns, row_blocks, column_blocks;
    bool is_direct = false;
  };

  // Nanoseconds of one batch entry: about 16 multiply-adds in each, and what few rows need to read the right operand.
  template <class P> static double work(const P& plan) {
    return static_cast<double>(std::max<std::size_t>(plan.gemm.rows, 2)) * static_cast<double>(plan.gemm.columns) * static_cast<double>(plan.gemm.depth) / 16;
  }

  // The blocks that one task computes, each with its own packing. Sums do not depend on where the cuts are.
  template <class P> static void divide(P& plan, std::size_t batches) {
    const cpu::GemmProblem& gemm = plan.gemm;
    const auto round_up = [](std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; };
    const std::size_t width = Gemm<Compiled>::panel_columns();
    plan.row_blocks = (gemm.rows - 1) / block_rows + 1;
    plan.block_rows = round_up((gemm.rows - 1) / plan.row_blocks + 1, tile_rows);
    // Where sums wait between blocks of k, 512 columns of them for 384 rows fill 768 KiB. Else wide blocks are better: each
    // block packs the left operand again.
    const std::size_t most_columns = plan.is_direct || gemm.depth <= block_depth ? 4096 : 512;
    plan.column_blocks = (gemm.columns - 1) / most_columns + 1;
    const std::size_t tasks = batches * plan.row_blocks;
    const double nanoseconds = work(plan) * static_cast<double>(batches);
    // Asking for the number of threads takes longer than a small product.
    if (nanoseconds > 2 * cpu::minimum_nanoseconds_per_task) {
      // A task for each thread, two where they are long, but none so short that packing the left operand again would show.
      const std::size_t threads = cpu::thread_count();
      const std::size_t wanted = nanoseconds > 1e6 * static_cast<double>(threads) ? 2 * threads : threads;
      const auto worth = static_cast<std::size_t>(work(plan) / static_cast<double>(plan.row_blocks) / (2 * cpu::minimum_nanoseconds_per_task));
      if (threads > 1 && tasks * plan.column_blocks < wanted) plan.column_blocks = std::max(plan.column_blocks, std::min((wanted - 1) / tasks + 1, worth));
    }
    plan.block_columns = round_up((gemm.columns - 1) / plan.column_blocks + 1, width);
    plan.row_blocks = (gemm.rows - 1) / plan.block_rows + 1;
    plan.column_blocks = (gemm.columns - 1) / plan.block_columns + 1;
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
      const std::size_t row = task % per_batch / plan.column_blocks * plan.block_rows, column = task % plan.column_blocks * plan.block_columns;
      if (gemm.few_rows != nullptr) gemm.few_rows(gemm, column, std::min(gemm.columns, column + plan.block_columns));
      else Gemm<Compiled>::block(gemm, row, std::min(gemm.rows, row + plan.block_rows), column, std::min(gemm.columns, column + plan.block_columns));
    }
  }

  template <class E, std::size_t Count> static void finish(const void* context, std::size_t batch, const float* sums, std::ptrdiff_t stride, std::size_t row,
                                                           std::size_t column, std::size_t rows, std::size_t columns) {
    const auto& plan = *static_cast<const Plan<E, Count>*>(context);
    const cpu::Odometer<Count + 3> at(plan.batch, 0, batch);
    const auto m = static_cast<std::ptrdiff_t>(row), n = static_cast<std::ptrdiff_t>(column);
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
