// Reductions in float on one CPU target: along rows, or down columns where those are the contiguous direction.
#if defined(COTENANT_CPU_REDUCE_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_REDUCE_INL_HPP
#undef COTENANT_CPU_REDUCE_INL_HPP
#else
#define COTENANT_CPU_REDUCE_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <hwy/highway.h>

#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/row-inl.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/reduce.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

struct ReducePlan {
  cpu::Source in;
  cpu::Sink out;
  cpu::Iteration<2> kept;     // out and in over the kept axes
  cpu::Iteration<1> reduced;  // in over the reduced axes, its last axis the row
  std::size_t reduced_count = 0;
  float divisor = 1;
  double* parts = nullptr;    // of long rows, `chunks` for each result
  std::size_t chunks = 1;
};

template <std::int64_t Compiled> struct Reductions {
  template <class Kind, class In, class Out> static void reduce(const ReduceArguments<Kind, In, Out>& arguments) {
    using Step = std::conditional_t<std::is_same_v<Kind, reduction::Maximum>, MaximumStep,
                 std::conditional_t<std::is_same_v<Kind, reduction::Minimum>, MinimumStep,
                 std::conditional_t<std::is_same_v<Kind, reduction::AbsMaximum>, AbsMaximumStep, SumStep>>>;
    const auto& in = arguments.in.view;
    const auto& out = arguments.out.view;
    if (out.size() == 0) return;
    const std::size_t rank = in.rank(), split = rank - arguments.reduced_rank;
    ReducePlan plan;
    const Shape kept = in.shape().part(0, split), reduced = in.shape().part(split, rank);
    const Strides kept_strides = in.strides().part(0, split), reduced_strides = in.strides().part(split, rank);
    plan.kept = cpu::coalesce<2>(kept, {&out.strides(), &kept_strides}, 1);
    plan.reduced = cpu::coalesce<1>(reduced, {&reduced_strides}, 1);
    plan.reduced_count = element_count(reduced);
    if constexpr (std::is_same_v<Kind, reduction::Mean>) plan.divisor = static_cast<float>(plan.reduced_count);
    const std::size_t kept_last = plan.kept.rank - 1, reduced_last = plan.reduced.rank - 1;
    plan.in = Rows<Compiled>::source(in.data(), 0, plan.reduced.stride[0][reduced_last]);
    plan.out = Rows<Compiled>::sink(out.data(), 0, plan.kept.stride[0][kept_last]);
    const double nanoseconds = 0.2 * static_cast<double>(plan.reduced_count + 1);
    if (plan.kept.stride[1][kept_last] == 1 && plan.in.column_stride != 1 && plan.kept.extent[kept_last] >= 4 && plan.reduced_count > 0) {
      plan.in.column_stride = 1;
      const std::size_t blocks = (plan.kept.extent[kept_last] - 1) / block_columns + 1;
      cpu::parallel_for(plan.kept.outer_count(1) * blocks, nanoseconds * static_cast<double>(std::min(block_columns, plan.kept.extent[kept_last])),
                        &down_columns<Step>, &plan);
    } else if (plan.reduced.rank == 1 && plan.reduced_count > chunk_length) {
      reduce_chunks<Step>(plan);
    } else {
      cpu::parallel_for(plan.kept.outer_count(0), nanoseconds, &along_rows<Step>, &plan);
    }
  }

 private:
  // Kept elements that are reduced side by side.
  static constexpr std::size_t block_columns = 256;
  // Sums of more terms than this are gathered in double: rounding then stays that of a short sum.
  static constexpr std::size_t most_terms = 64;

  // Longer rows are cut into parts of this many elements, whatever the number of threads: the result is always the same.
  static constexpr std::size_t chunk_length = std::size_t{1} << 16;

  // Sums are joined in double; extrema are exact anyway.
  template <class Step> static double join(double total, double part) {
    if constexpr (std::is_same_v<Step, SumStep>) return total + part;
    else if constexpr (std::is_same_v<Step, MinimumStep>) return total != total || total <= part ? total : part;
    else return total != total || total >= part ? total : part;
  }

  // total, joined with the elements [first, last) of the row at an offset.
  template <class Step> static double reduce_part(const ReducePlan& plan, std::ptrdiff_t offset, std::size_t first, std::size_t last, double total) {
    const bool direct = plan.in.is_float && plan.in.column_stride == 1;
    const std::size_t most = direct ? 8 * cpu::staged_columns : cpu::staged_columns;
    HWY_ALIGN float buffer[cpu::staged_columns];
    for (std::size_t column = first; column < last; column += most) {
      const std::size_t columns = std::min(most, last - column);
      const char* from = plan.in.at(offset + static_cast<std::ptrdiff_t>(column) * plan.in.column_stride);
      if (!direct) plan.in.load(from, plan.in.column_stride, columns, buffer);
      total = join<Step>(total, static_cast<double>(reduce_row<Step>(direct ? reinterpret_cast<const float*>(from) : buffer, columns)));
    }
    return total;
  }

  template <class Step> static void reduce_chunks(ReducePlan& plan) {
    const std::size_t results = plan.kept.outer_count(0);
    plan.chunks = (plan.reduced_count - 1) / chunk_length + 1;
    std::vector<double> parts(results * plan.chunks);
    plan.parts = parts.data();
    cpu::parallel_for(parts.size(), 0.1 * static_cast<double>(chunk_length), &some_chunks<Step>, &plan);
    cpu::Odometer<2> kept(plan.kept, 0, 0);
    for (std::size_t i = 0; i < results; ++i, kept.advance()) {
      double total = static_cast<double>(Step::neutral);
      for (std::size_t chunk = 0; chunk < plan.chunks; ++chunk) total = join<Step>(total, parts[i * plan.chunks + chunk]);
      const float result = static_cast<float>(total / static_cast<double>(plan.divisor));
      plan.out.store(&result, plan.out.at(kept.offset(0)), 1, 1);
    }
  }
  template <class Step> static void some_chunks(const void* context, std::size_t begin, std::size_t end) {
    const ReducePlan& plan = *static_cast<const ReducePlan*>(context);
    for (std::size_t i = begin; i < end; ++i) {
      const cpu::Odometer<2> kept(plan.kept, 0, i / plan.chunks);
      const std::size_t first = i % plan.chunks * chunk_length;
      plan.parts[i] = reduce_part<Step>(plan, kept.offset(1), first, std::min(first + chunk_length, plan.reduced_count), static_cast<double>(Step::neutral));
    }
  }

  template <class Step> static void along_rows(const void* context, std::size_t begin, std::size_t end) {
    const ReducePlan& plan = *static_cast<const ReducePlan*>(context);
    const std::size_t length = plan.reduced.extent[plan.reduced.rank - 1], rows = length == 0 ? 0 : plan.reduced_count / length;
    cpu::Odometer<2> kept(plan.kept, 0, begin);
    for (std::size_t i = begin; i < end; ++i, kept.advance()) {
      double total = static_cast<double>(Step::neutral);
      cpu::Odometer<1> row(plan.reduced, 1, 0);
      for (std::size_t r = 0; r < rows; ++r, row.advance()) total = reduce_part<Step>(plan, kept.offset(1) + row.offset(0), 0, length, total);
      const float result = static_cast<float>(total / static_cast<double>(plan.divisor));
      plan.out.store(&result, plan.out.at(kept.offset(0)), 1, 1);
    }
  }

  template <class Step> static void down_columns(const void* context, std::size_t begin, std::size_t end) {
    const ReducePlan& plan = *static_cast<const ReducePlan*>(context);
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), extent = plan.kept.extent[plan.kept.rank - 1], blocks = (extent - 1) / block_columns + 1;
    HWY_ALIGN float part[block_columns], buffer[block_columns];
    double total[block_columns];
    for (std::size_t i = begin; i < end; ++i) {
      const cpu::Odometer<2> kept(plan.kept, 1, i / blocks);
      const std::size_t first = i % blocks * block_columns, columns = std::min(block_columns, extent - first);
      const auto in_offset = kept.offset(1) + static_cast<std::ptrdiff_t>(first);
      std::fill(total, total + columns, static_cast<double>(Step::neutral));
      cpu::Odometer<1> row(plan.reduced, 0, 0);
      for (std::size_t done = 0; done < plan.reduced_count;) {
        const std::size_t terms = std::min(most_terms, plan.reduced_count - done);
        std::fill(part, part + columns, Step::neutral);
        for (std::size_t term = 0; term < terms; ++term, row.advance()) {
          const char* from = plan.in.at(in_offset + row.offset(0));
          if (!plan.in.is_float) plan.in.load(from, 1, columns, buffer);
          const float* x = plan.in.is_float ? reinterpret_cast<const float*>(from) : buffer;
          std::size_t column = 0;
          for (; column + lanes <= columns; column += lanes) hn::Store(Step::step(d, hn::Load(d, part + column), hn::LoadU(d, x + column)), d, part + column);
          if (column < columns)
            store_partial(d, Step::step(d, hn::Load(d, part + column), load_partial(d, x + column, columns - column, Step::neutral)), columns - column,
                          part + column);
        }
        for (std::size_t column = 0; column < columns; ++column) total[column] = join<Step>(total[column], static_cast<double>(part[column]));
        done += terms;
      }
      for (std::size_t column = 0; column < columns; ++column) part[column] = static_cast<float>(total[column] / static_cast<double>(plan.divisor));
      plan.out.store(part, plan.out.at(kept.offset(0) + static_cast<std::ptrdiff_t>(first) * plan.out.column_stride), plan.out.column_stride, columns);
    }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
