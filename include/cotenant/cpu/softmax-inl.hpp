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

#include <hwy/highway.h>

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
};

template <std::int64_t Compiled> struct Softmaxes {
  template <class In, class Out> static void softmax(const SoftmaxArguments<In, Out>& arguments) {
    const View<const In>& in = arguments.in.view;
    const View<Out>& out = arguments.out.view;
    if (out.size() == 0) return;
    const std::size_t last = out.rank() - 1;
    const Strides out_strides = out.strides().part(0, last), in_strides = in.strides().part(0, last);
    const SoftmaxPlan plan{Rows<Compiled>::source(in.data(), 0, in.stride(last)), Rows<Compiled>::sink(out.data(), 0, out.stride(last)),
                           cpu::coalesce<2>(out.shape().part(0, last), {&out_strides, &in_strides}, 0), out.shape(last), arguments.logarithm};
    // A vector takes about 8 cycles.
    const double nanoseconds = 0.15 * static_cast<double>(plan.length);
    if (is_sideways(plan)) cpu::parallel_for(plan.outer.outer_count(1) * groups(plan), nanoseconds * static_cast<double>(group_rows()), &run_sideways, &plan);
    else cpu::parallel_for(plan.outer.outer_count(0), nanoseconds, &run, &plan);
  }

 private:
  static void run(const void* context, std::size_t begin, std::size_t end) {
    const SoftmaxPlan& plan = *static_cast<const SoftmaxPlan*>(context);
    const bool direct_in = plan.in.is_float && plan.in.column_stride == 1, direct_out = plan.out.is_float && plan.out.column_stride == 1;
    float* const staged = direct_in && direct_out ? nullptr : cpu::scratch(cpu::ScratchUse::row, plan.length);
    cpu::Odometer<2> at(plan.outer, 0, begin);
    for (std::size_t i = begin; i < end; ++i, at.advance()) {
      const char* in = plan.in.at(at.offset(1));
      char* out = plan.out.at(at.offset(0));
      if (!direct_in) plan.in.load(in, plan.in.column_stride, plan.length, staged);
      const float* const from = direct_in ? reinterpret_cast<const float*>(in) : staged;
      float* const to = direct_out ? reinterpret_cast<float*>(out) : staged;
      if (plan.logarithm) row<true>(from, to, plan.length);
      else row<false>(from, to, plan.length);
      if (!direct_out) plan.out.store(staged, out, plan.out.column_stride, plan.length);
    }
  }

  // A long row goes through in blocks that stay in the L1 cache (16 KiB) between their maximum and their weights; a block's
  // weights exp(x - its own largest) are put right when they are divided by the total. So a row is read once and
  // written, and what was written is scaled. No row has more blocks than most_blocks.
  static constexpr std::size_t block_length = 4096, most_blocks = 64;

  // `to` may be `from`.
  template <bool Logarithm> static void row(const float* from, float* to, std::size_t count) {
    constexpr std::size_t whole_vectors = HWY_MAX_BYTES / sizeof(float);
    const std::size_t step = count <= block_length * most_blocks ? block_length : (count / most_blocks / whole_vectors + 1) * whole_vectors;
    float block_largest[most_blocks], block_total[most_blocks];
    float largest = LargestStep::neutral, total = 0;
    std::size_t blocks = 0;
    for (std::size_t first = 0; first < count; first += step, ++blocks) {
      const std::size_t some = std::min(step, count - first);
      block_largest[blocks] = reduce_row<LargestStep>(from + first, some);
      block_total[blocks] = weigh<!Logarithm>(from + first, to + first, some, subtrahend(block_largest[blocks]));
      largest = std::max(largest, block_largest[blocks]);
    }
    for (std::size_t block = 0; block < blocks; ++block) {
      // Of a row of -inf only the total is 0, and every result 0 / 0.
      block_largest[block] = block_largest[block] == largest ? 1.0f : std::exp(block_largest[block] - largest);
      total += block_largest[block] * block_total[block];
    }
    const float shift = Logarithm ? std::log(total) : 0.0f;
    for (std::size_t first = 0, block = 0; first < count; first += step, ++block) {
      const std::size_t some = std::min(step, count - first);
      if constexpr (Logarithm) subtract(from + first, to + first, some, largest, shift);
      else multiply(to + first, some, block_largest[block] / total);
    }
  }

  // What is subtracted from a block before exp: where it holds -inf only, its weights are exp(-inf - 0) = 0.
  static float subtrahend(float largest) { return largest > LargestStep::neutral ? largest : 0; }

  // The sum of exp(from[i] - shift), and where Keep to[i] = exp(from[i] - shift).
  template <bool Keep> static float weigh(const float* from, float* to, std::size_t count, float shift) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto minus = hn::Set(d, shift);
    auto a = hn::Zero(d), b = a;
    std::size_t i = 0;
    for (; i + 2 * lanes <= count; i += 2 * lanes) {
      const auto x = exp_of_negative(d, hn::Sub(hn::LoadU(d, from + i), minus)), y = exp_of_negative(d, hn::Sub(hn::LoadU(d, from + i + lanes), minus));
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
  static void multiply(float* x, std::size_t count, float factor) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto scale = hn::Set(d, factor);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) hn::StoreU(hn::Mul(hn::LoadU(d, x + i), scale), d, x + i);
    if (i < count) store_partial(d, hn::Mul(load_partial(d, x + i, count - i, 0), scale), count - i, x + i);
  }
  // to[i] = (from[i] - first) - second.
  static void subtract(const float* from, float* to, std::size_t count, float first, float second) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto one = hn::Set(d, first), other = hn::Set(d, second);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) hn::StoreU(hn::Sub(hn::Sub(hn::LoadU(d, from + i), one), other), d, to + i);
    if (i < count) store_partial(d, hn::Sub(hn::Sub(load_partial(d, from + i, count - i, 0), one), other), count - i, to + i);
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
