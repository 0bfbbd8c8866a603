// softmax and its logarithm on one CPU target: a row after another, or neighbouring rows side by side.
#if defined(COTENANT_CPU_SOFTMAX_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_SOFTMAX_INL_HPP
#undef COTENANT_CPU_SOFTMAX_INL_HPP
#else
#define COTENANT_CPU_SOFTMAX_INL_HPP
#endif
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cotenant/cpu/caches.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/pack-inl.hpp"
#include "cotenant/cpu/row-inl.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/softmax.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// As a Source and a Sink the softmax's axis is the column.
struct SoftmaxPlan {
  cpu::Source in;
  cpu::Sink out;
  cpu::Iteration<2> outer;  // of out, in: where the rows begin
  std::size_t length = 0;
  bool logarithm = false;
  bool streams = false;  // results go past the caches
};

template <std::int64_t Compiled> struct Softmaxes {
  template <class In, class Out> static void softmax(const SoftmaxArguments<In, Out>& arguments) {
    const View<const In>& in = arguments.in.view;
    const View<Out>& out = arguments.out.view;
    if (out.size() == 0) return;
    const std::size_t last = out.rank() - 1;
    const Strides out_strides = out.strides().part(0, last), in_strides = in.strides().part(0, last);
    SoftmaxPlan plan{Rows<Compiled>::source(in.data(), 0, in.stride(last)), Rows<Compiled>::sink(out.data(), 0, out.stride(last)),
                     cpu::coalesce<2>(out.shape().part(0, last), {&out_strides, &in_strides}, 0), out.shape(last), arguments.logarithm};
    // Twice what the third level holds would not be there any more when it is read: writing past the caches saves reading
    // each line that is overwritten, a third of the traffic.
    plan.streams = plan.out.is_float && plan.out.column_stride == 1 && out.size() * sizeof(float) > (std::size_t{1} << 20) &&
                   out.size() > cpu::caches().level3 / sizeof(float);
    // A vector takes about 8 cycles.
    const double nanoseconds = 0.15 * static_cast<double>(plan.length);
    if (is_sideways(plan)) cpu::parallel_for(plan.outer.outer_count(1) * groups(plan), nanoseconds * static_cast<double>(group_rows()), &run_sideways, &plan);
    else cpu::parallel_for(plan.outer.outer_count(0), nanoseconds, &run, &plan);
  }

 private:
  // What stays in the L1 cache between a maximum and the weights that need it, 16 KiB: a block of a long row, or several
  // short rows, whose chains of maximum, exp, total and quotient then overlap.
  static constexpr std::size_t block_length = 4096, most_together = 16;

  static void run(const void* context, std::size_t begin, std::size_t end) {
    const SoftmaxPlan& plan = *static_cast<const SoftmaxPlan*>(context);
    plan.logarithm ? rows<true>(plan, begin, end) : rows<false>(plan, begin, end);
  }
  template <bool Logarithm> static void rows(const SoftmaxPlan& plan, std::size_t begin, std::size_t end) {
    const std::size_t length = plan.length, together = std::clamp<std::size_t>(block_length / length, 1, most_together);
    const bool direct_in = plan.in.is_float && plan.in.column_stride == 1, direct_out = plan.out.is_float && plan.out.column_stride == 1;
    float* const staged = direct_in && direct_out && !plan.streams ? nullptr : cpu::scratch(cpu::ScratchUse::row, together * length);
    cpu::Odometer<2> at(plan.outer, 0, begin);
    Row row[most_together];
    for (std::size_t first = begin; first < end; first += together) {
      const std::size_t count = std::min(together, end - first);
      for (std::size_t i = 0; i < count; ++i, at.advance()) {
        const char* in = plan.in.at(at.offset(1));
        row[i].out = plan.out.at(at.offset(0));
        if (!direct_in) plan.in.load(in, plan.in.column_stride, length, staged + i * length);
        row[i].from = direct_in ? reinterpret_cast<const float*>(in) : staged + i * length;
        row[i].to = direct_out ? reinterpret_cast<float*>(row[i].out) : staged + i * length;
        row[i].weights = plan.streams ? staged + i * length : row[i].to;
      }
      if (length > block_length) long_row<Logarithm>(row[0], length, plan.streams);
      else {
        // The rows after these come into the cache while these are computed.
        const std::ptrdiff_t ahead = count > 1 && first + 2 * count <= end ? (row[1].from - row[0].from) * static_cast<std::ptrdiff_t>(count) : 0;
        for (std::size_t i = 0; i < count; ++i) row[i].largest = reduce_row<LargestStep>(row[i].from, length);
        for (std::size_t i = 0; i < count; ++i) row[i].total = weigh<!Logarithm>(row[i].from, row[i].weights, length, subtrahend(row[i].largest), row[i].from + ahead);
        for (std::size_t i = 0; i < count; ++i) {
          if constexpr (Logarithm) finish(Shift{row[i].largest, std::log(row[i].total)}, row[i].from, row[i].to, length, plan.streams);
          else finish(Factor{1.0f / row[i].total}, row[i].weights, row[i].to, length, plan.streams);
        }
      }
      if (!direct_out) for (std::size_t i = 0; i < count; ++i) plan.out.store(row[i].to, row[i].out, plan.out.column_stride, length);
    }
    if (plan.streams) hwy::FlushStream();
  }

  struct Row {
    const float* from = nullptr;
    float* weights = nullptr;  // exp(from - largest)
    float* to = nullptr;       // may be either
    char* out = nullptr;
    float largest = 0, total = 0;
  };

  // In blocks: each has its own largest element, and its weights are put right when they are divided by the total. So a
  // row is read once and written, and what was written is scaled. Sums do not depend on the number of threads.
  template <bool Logarithm> static void long_row(const Row& row, std::size_t count, bool streams) {
    constexpr std::size_t most_blocks = 64, whole_vectors = HWY_MAX_BYTES / sizeof(float);
    const std::size_t step = count <= block_length * most_blocks ? block_length : (count / most_blocks / whole_vectors + 1) * whole_vectors;
    float block_largest[most_blocks], block_total[most_blocks];
    float largest = LargestStep::neutral, total = 0;
    std::size_t blocks = 0;
    for (std::size_t first = 0; first < count; first += step, ++blocks) {
      const std::size_t some = std::min(step, count - first);
      block_largest[blocks] = reduce_row<LargestStep>(row.from + first, some);
      const std::size_t next = first + step < count ? first + step : first;
      block_total[blocks] = weigh<!Logarithm>(row.from + first, row.weights + first, some, subtrahend(block_largest[blocks]), row.from + next);
      largest = std::max(largest, block_largest[blocks]);
    }
    for (std::size_t block = 0; block < blocks; ++block) {
      // Of a row of -inf only the total is 0, and every result 0 / 0.
      block_largest[block] = block_largest[block] == largest ? 1.0f : std::exp(block_largest[block] - largest);
      total += block_largest[block] * block_total[block];
    }
    for (std::size_t first = 0, block = 0; first < count; first += step, ++block) {
      const std::size_t some = std::min(step, count - first);
      if constexpr (Logarithm) finish(Shift{largest, std::log(total)}, row.from + first, row.to + first, some, streams);
      else finish(Factor{block_largest[block] / total}, row.weights + first, row.to + first, some, streams);
    }
  }

  // What is subtracted from a block before exp: where it holds -inf only, its weights are exp(-inf - 0) = 0.
  static float subtrahend(float largest) { return largest > LargestStep::neutral ? largest : 0; }

  // The sum of exp(from[i] - shift), and where Keep to[i] = exp(from[i] - shift).
  template <bool Keep> static float weigh(const float* from, float* to, std::size_t count, float shift, const float* next) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto minus = hn::Set(d, shift);
    auto a = hn::Zero(d), b = a;
    std::size_t i = 0;
    for (; i + 2 * lanes <= count; i += 2 * lanes) {
      const auto x = exp_of_negative(d, hn::Sub(hn::LoadU(d, from + i), minus)), y = exp_of_negative(d, hn::Sub(hn::LoadU(d, from + i + lanes), minus));
      hwy::Prefetch(next + i);
      hwy::Prefetch(next + i + lanes);
      if constexpr (Keep) {
        hn::StoreU(x, d, to + i);
        hn::StoreU(y, d, to + i + lanes);
      }
      a = hn::Add(a, x);
      b = hn::Add(b, y);
    }
    if (i + lanes <= count) {
      const auto x = exp_of_negative(d, hn::Sub(hn::LoadU(d, from + i), minus));
      if constexpr (Keep) hn::StoreU(x, d, to + i);
      a = hn::Add(a, x);
      i += lanes;
    }
    if (i < count) {
      const auto x = exp_of_negative(d, hn::Sub(load_partial(d, from + i, count - i, LargestStep::neutral), minus));
      if constexpr (Keep) store_partial(d, x, count - i, to + i);
      b = hn::Add(b, x);
    }
    return sum_of_lanes(d, hn::Add(a, b));
  }
  struct Factor {
    float factor;
    HWY_INLINE FloatVector operator()(FloatTag d, FloatVector x) const { return hn::Mul(x, hn::Set(d, factor)); }
  };
  struct Shift {
    float first, second;
    HWY_INLINE FloatVector operator()(FloatTag d, FloatVector x) const { return hn::Sub(hn::Sub(x, hn::Set(d, first)), hn::Set(d, second)); }
  };
  // to[i] = step(from[i]).
  template <class Step> static void finish(const Step step, const float* from, float* to, std::size_t count, bool streams) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    std::size_t i = 0;
    if (streams && reinterpret_cast<std::uintptr_t>(to) % (lanes * sizeof(float)) == 0)
      for (; i + lanes <= count; i += lanes) hn::Stream(step(d, hn::LoadU(d, from + i)), d, to + i);
    for (; i + lanes <= count; i += lanes) hn::StoreU(step(d, hn::LoadU(d, from + i)), d, to + i);
    if (i < count) store_partial(d, step(d, load_partial(d, from + i, count - i, 0)), count - i, to + i);
  }

  // Over an axis that is not the contiguous one, the lanes of a vector are neighbouring rows: two cache lines of each
  // step along the axis are copied together, and maximum, total and quotient are element by element.
  static std::size_t group_rows() { return std::max<std::size_t>(32, hn::Lanes(FloatTag{})); }
  static bool is_sideways(const SoftmaxPlan& plan) {
    // Longer rows would leave the L2 cache: 32 * 8192 * 4 = 1 MiB.
    return plan.outer.rank != 0 && plan.length <= 8192 && plan.length > 1 && plan.out.column_stride != 1 && plan.outer.stride[0][plan.outer.rank - 1] == 1;
  }
  static std::size_t groups(const SoftmaxPlan& plan) { return (plan.outer.extent[plan.outer.rank - 1] - 1) / group_rows() + 1; }

  static void run_sideways(const void* context, std::size_t begin, std::size_t end) {
    const SoftmaxPlan& plan = *static_cast<const SoftmaxPlan*>(context);
    const FloatTag d;
    const std::size_t width = group_rows(), last = plan.outer.rank - 1;
    float* const staged = cpu::scratch(cpu::ScratchUse::row, width * plan.length);
    for (std::size_t i = begin; i < end; ++i) {
      const cpu::Odometer<2> at(plan.outer, 1, i / groups(plan));
      const std::size_t first = i % groups(plan) * width, rows = std::min(width, plan.outer.extent[last] - first);
      cpu::Source in = plan.in.moved(at.offset(1) + static_cast<std::ptrdiff_t>(first) * plan.outer.stride[1][last]);
      in.row_stride = in.column_stride;
      in.column_stride = plan.outer.stride[1][last];
      // Lanes without a row compute on zeros.
      if (rows < width) std::fill_n(staged, width * plan.length, 0.0f);
      Packing<Compiled>::copy(in, plan.length, rows, staged, width);
      for (std::size_t lane = 0; lane < rows; lane += hn::Lanes(d)) {
        if (plan.logarithm) column<true>(staged + lane, plan.length, width);
        else column<false>(staged + lane, plan.length, width);
      }
      char* out = plan.out.at(at.offset(0) + static_cast<std::ptrdiff_t>(first));
      const std::ptrdiff_t out_step = plan.out.column_stride * static_cast<std::ptrdiff_t>(plan.out.element_size);
      for (std::size_t j = 0; j < plan.length; ++j) plan.out.store(staged + j * width, out + static_cast<std::ptrdiff_t>(j) * out_step, 1, rows);
    }
  }

  // softmax of x[0], x[step], …, one for each lane, in place.
  template <bool Logarithm> static void column(float* x, std::size_t count, std::size_t step) {
    const FloatTag d;
    const float* const end = x + count * step;
    auto largest = hn::Load(d, x);
    for (const float* at = x + step; at != end; at += step) largest = hn::Max(largest, hn::Load(d, at));
    // As in row(): 0 is subtracted where all are -inf, and the total is 0.
    const auto shift = hn::IfThenElseZero(hn::Gt(largest, hn::Set(d, LargestStep::neutral)), largest);
    auto total = hn::Zero(d);
    for (float* at = x; at != end; at += step) {
      const auto weight = exp_of_negative(d, hn::Sub(hn::Load(d, at), shift));
      if constexpr (!Logarithm) hn::Store(weight, d, at);
      total = hn::Add(total, weight);
    }
    const auto scale = Logarithm ? vector_log(d, total) : hn::Div(hn::Set(d, 1.0f), total);
    for (float* at = x; at != end; at += step) {
      const auto value = hn::Load(d, at);
      if constexpr (Logarithm) hn::Store(hn::Sub(hn::Sub(value, largest), scale), d, at);
      else hn::Store(hn::Mul(value, scale), d, at);
    }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
