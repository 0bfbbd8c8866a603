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
    const std::size_t rank = out.rank(), m = rank - 2, n = rank - 1;
    Plan<E, sizeof...(Extra)> plan{arguments.epilogue, {}, {}, {}, {}, 0, 0, 0, 0};
    cpu::GemmProblem& gemm = plan.gemm;
    gemm.rows = out.shape(m);
    gemm.columns = out.shape(n);
    gemm.depth = arguments.a.view.shape(n);
    gemm.left = Rows<Compiled>::source(arguments.a.view.data(), arguments.a.view.stride(m), arguments.a.view.stride(n));
    gemm.right = Rows<Compiled>::source(arguments.b.view.data(), arguments.b.view.stride(m), arguments.b.view.stride(n));
    plan.out = Rows<Compiled>::sink(out.data(), out.stride(m), out.stride(n));
    ((plan.extra[I] = Rows<Compiled>::source(std::get<I>(arguments.extra).view.data(), std::get<I>(arguments.extra).view.stride(m), std::get<I>(arguments.extra).view.stride(n))), ...);
    gemm.finish = &finish<E, sizeof...(Extra)>;
    plan.is_direct = std::is_same_v<E, expr::Identity> && std::is_same_v<Out, float> && (out.stride(n) == 1 || gemm.columns == 1);

    const Strides strides[] = {out.strides().part(0, m), arguments.a.view.strides().part(0, m), arguments.b.view.strides().part(0, m), std::get<I>(arguments.extra).view.strides().part(0, m)...};
    std::array<const Strides*, operands> batch{};
    for (std::size_t operand = 0; operand < operands; ++operand) batch[operand] = &strides[operand];
    plan.batch = cpu::coalesce<operands>(out.shape().part(0, m), batch, 0);
    const std::size_t batches = plan.batch.outer_count(0);

    divide(plan, batches);
    const std::size_t tasks = batches * plan.row_blocks * plan.column_blocks;
    // About 16 multiply-adds per nanosecond.
    const double nanoseconds = static_cast<double>(plan.block_rows * plan.block_columns) * static_cast<double>(gemm.depth) / 16;
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
    const std::size_t threads = cpu::thread_count(), tasks = batches * plan.row_blocks;
    if (threads > 1 && tasks * plan.column_blocks < 2 * threads) {
      // A task for each thread, two where they are long, but none below about 50 us.
      const double work = static_cast<double>(plan.block_rows * gemm.columns) * static_cast<double>(gemm.depth);
      const auto worth = static_cast<std::size_t>(work / 800'000);
      const std::size_t wanted = (work * static_cast<double>(tasks) > 16'000'000.0 * static_cast<double>(threads) ? 2 : 1) * threads;
      plan.column_blocks = std::max(plan.column_blocks, std::min((wanted - 1) / tasks + 1, worth));
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
      Gemm<Compiled>::block(gemm, row, std::min(gemm.rows, row + plan.block_rows), column, std::min(gemm.columns, column + plan.block_columns));
    }
  }

  template <class E, std::size_t Count>
  static void finish(const void* context, std::size_t batch, const float* sums, std::ptrdiff_t stride, std::size_t row, std::size_t column, std::size_t rows, std::size_t columns) {
    const auto& plan = *static_cast<const Plan<E, Count>*>(context);
    const cpu::Odometer<Count + 3> at(plan.batch, 0, batch);
    const auto m = static_cast<std::ptrdiff_t>(row), n = static_cast<std::ptrdiff_t>(column);
    cpu::Source in[Count + 1];
    in[0] = Rows<Compiled>::source(sums, stride, 1);
    for (std::size_t i = 0; i < Count; ++i) in[i + 1] = plan.extra[i].moved(at.offset(i + 3) + m * plan.extra[i].row_stride + n * plan.extra[i].column_stride);
    Tiles<Compiled>::template tile<E, Count + 1>(plan.epilogue, in, plan.out.moved(at.offset(0) + m * plan.out.row_stride + n * plan.out.column_stride), rows, columns);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
