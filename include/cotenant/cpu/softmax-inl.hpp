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
    if (is_sideways(plan))
      cpu::parallel_for(plan.outer.outer_count(1) * groups(plan), nanoseconds * static_cast<double>(group_rows(plan)), &run_sideways, &plan);
    else cpu::parallel_for(plan.outer.outer_count(0), nanoseconds, &run, &plan);
  }

 private:
  // What goes from a maximum to its weights at once: a block of a long row, or several short rows, whose chains of maximum,
  // exp, total and quotient then overlap. 8 KiB: with the weights and what is fetched ahead half of an L1 cache. Twice that
  // was 15 % slower from memory.
  static constexpr std::size_t block_length = 2048, most_together = 16;

  static void run(const void* context, std::size_t begin, std::size_t end) {
    const SoftmaxPlan& plan = *static_cast<const SoftmaxPlan*>(context);
    if (plan.streams && plan.length > block_length) plan.logarithm ? stream_long_rows<true>(plan, begin, end) : stream_long_rows<false>(plan, begin, end);
    else plan.logarithm ? rows<true>(plan, begin, end) : rows<false>(plan, begin, end);
    if (plan.streams) hwy::FlushStream();
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
      if (length > block_length) {
        LongRow long_row{row[0].from, row[0].weights, row[0].to, length};
        weigh_long<Logarithm>(long_row, nullptr);
        for (std::size_t block = 0; block * long_row.step < length; ++block) finish_block<Logarithm>(long_row, block, false);
      } else {
        // The rows after these come into the cache while these are computed.
        const std::ptrdiff_t ahead = count > 1 && first + 2 * count <= end ? (row[1].from - row[0].from) * static_cast<std::ptrdiff_t>(count) : 0;
        for (std::size_t i = 0; i < count; ++i) row[i].largest = reduce_row<LargestStep>(row[i].from, length);
        for (std::size_t i = 0; i < count; ++i)
          row[i].total = weigh<!Logarithm>(row[i].from, row[i].weights, length, subtrahend(row[i].largest), row[i].from + ahead);
        for (std::size_t i = 0; i < count; ++i) {
          if constexpr (Logarithm) finish(Shift{row[i].largest, std::log(row[i].total)}, row[i].from, row[i].to, length, plan.streams);
          else finish(Factor{1.0f / row[i].total}, row[i].weights, row[i].to, length, plan.streams);
        }
      }
      if (!direct_out) for (std::size_t i = 0; i < count; ++i) plan.out.store(row[i].to, row[i].out, plan.out.column_stride, length);
    }
  }

  struct Row {
    const float* from = nullptr;
    float* weights = nullptr;  // exp(from - largest)
    float* to = nullptr;       // may be either
    char* out = nullptr;
    float largest = 0, total = 0;
  };

  // A row in blocks, each with its own largest element: its weights are put right when they are divided by the total. So a
  // row is read once and written, and what was written is scaled. Sums do not depend on the number of threads.
  struct LongRow {
    static constexpr std::size_t most_blocks = 64, whole_vectors = HWY_MAX_BYTES / sizeof(float);
    LongRow() = default;
    LongRow(const float* from_data, float* weights_data, float* to_data, std::size_t length)
        : from(from_data), weights(weights_data), to(to_data), count(length) {
      step = count <= block_length * most_blocks ? block_length : (count / most_blocks / whole_vectors + 1) * whole_vectors;
    }
    const float* from = nullptr;
    float* weights = nullptr;
    float* to = nullptr;
    std::size_t count = 0, step = 1;
    float factor[most_blocks] = {};  // of each block
    float largest = LargestStep::neutral, total = 0;
  };
  // Weights, factors and total of a row; of the row before it each block is written meanwhile.
  template <bool Logarithm> static void weigh_long(LongRow& row, const LongRow* before) {
    float block_total[LongRow::most_blocks];
    std::size_t blocks = 0;
    for (std::size_t first = 0; first < row.count; first += row.step, ++blocks) {
      if (before != nullptr) finish_block<Logarithm>(*before, blocks, true);
      const std::size_t some = std::min(row.step, row.count - first), next = first + row.step < row.count ? first + row.step : first;
      row.factor[blocks] = reduce_row<LargestStep>(row.from + first, some);
      block_total[blocks] = weigh<!Logarithm>(row.from + first, row.weights + first, some, subtrahend(row.factor[blocks]), row.from + next);
      row.largest = std::max(row.largest, row.factor[blocks]);
    }
    for (std::size_t block = 0; block < blocks; ++block) {
      // Of a row of -inf only the total is 0, and every result 0 / 0.
      row.factor[block] = row.factor[block] == row.largest ? 1.0f : std::exp(row.factor[block] - row.largest);
      row.total += row.factor[block] * block_total[block];
    }
  }
  template <bool Logarithm> static void finish_block(const LongRow& row, std::size_t block, bool streams) {
    const std::size_t first = block * row.step, some = std::min(row.step, row.count - first);
    if constexpr (Logarithm) finish(Shift{row.largest, std::log(row.total)}, row.from + first, row.to + first, some, streams);
    else finish(Factor{row.factor[block] / row.total}, row.weights + first, row.to + first, some, streams);
  }
  // Results of long rows past the caches: memory is written while it is read.
  template <bool Logarithm> static void stream_long_rows(const SoftmaxPlan& plan, std::size_t begin, std::size_t end) {
    const bool direct_in = plan.in.is_float && plan.in.column_stride == 1;
    float* const rooms = cpu::scratch(cpu::ScratchUse::row, 2 * plan.length);
    cpu::Odometer<2> at(plan.outer, 0, begin);
    LongRow row[2];
    for (std::size_t i = begin; i < end; ++i, at.advance()) {
      const char* in = plan.in.at(at.offset(1));
      float* const room = rooms + i % 2 * plan.length;
      if (!direct_in) plan.in.load(in, plan.in.column_stride, plan.length, room);
      row[i % 2] = LongRow(direct_in ? reinterpret_cast<const float*>(in) : room, room, reinterpret_cast<float*>(plan.out.at(at.offset(0))), plan.length);
      weigh_long<Logarithm>(row[i % 2], i == begin ? nullptr : &row[(i + 1) % 2]);
    }
    const LongRow& last = row[(end + 1) % 2];
    for (std::size_t block = 0; block * last.step < last.count; ++block) finish_block<Logarithm>(last, block, true);
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

  // Over an axis that is not the contiguous one, the lanes of vectors are neighbouring rows: a group of them is copied
  // together, whole cache lines at each step along the axis, and maximum, total and quotient are element by element.
  static constexpr std::size_t most_side_by_side = 256;
  // As many rows as 512 KiB hold, half of a large L2 cache, but at least two cache lines at each step.
  static std::size_t group_rows(const SoftmaxPlan& plan) {
    return std::clamp<std::size_t>((std::size_t{1} << 17) / plan.length / 32 * 32, std::max<std::size_t>(32, hn::Lanes(FloatTag{})), most_side_by_side);
  }
  static bool is_sideways(const SoftmaxPlan& plan) {
    return plan.outer.rank != 0 && plan.length <= 8192 && plan.length > 1 && plan.out.column_stride != 1 && plan.outer.stride[0][plan.outer.rank - 1] == 1;
  }
  static std::size_t groups(const SoftmaxPlan& plan) { return (plan.outer.extent[plan.outer.rank - 1] - 1) / group_rows(plan) + 1; }

  static void run_sideways(const void* context, std::size_t begin, std::size_t end) {
    const SoftmaxPlan& plan = *static_cast<const SoftmaxPlan*>(context);
    const std::size_t lanes = hn::Lanes(FloatTag{}), last = plan.outer.rank - 1, side_by_side = std::min(group_rows(plan), plan.outer.extent[last]);
    const std::size_t width = (side_by_side + lanes - 1) / lanes * lanes;
    float* const staged = cpu::scratch(cpu::ScratchUse::row, width * plan.length);
    // Lanes without a row compute on zeros.
    if (side_by_side < width) std::fill_n(staged, width * plan.length, 0.0f);
    for (std::size_t i = begin; i < end; ++i) {
      const cpu::Odometer<2> at(plan.outer, 1, i / groups(plan));
      const std::size_t first = i % groups(plan) * side_by_side, rows = std::min(side_by_side, plan.outer.extent[last] - first);
      cpu::Source in = plan.in.moved(at.offset(1) + static_cast<std::ptrdiff_t>(first) * plan.outer.stride[1][last]);
      in.row_stride = in.column_stride;
      in.column_stride = plan.outer.stride[1][last];
      Packing<Compiled>::copy(in, plan.length, rows, staged, width);
      const std::size_t some = (rows + lanes - 1) / lanes * lanes;
      char* out = plan.out.at(at.offset(0) + static_cast<std::ptrdiff_t>(first));
      const std::ptrdiff_t step = plan.out.column_stride * static_cast<std::ptrdiff_t>(plan.out.element_size);
      float* const direct = plan.out.is_float && some == rows ? reinterpret_cast<float*>(out) : nullptr;
      plan.logarithm ? columns<true>(staged, width, plan.length, some, direct, plan.out.column_stride)
                     : columns<false>(staged, width, plan.length, some, direct, plan.out.column_stride);
      for (std::size_t j = 0; direct == nullptr && j < plan.length; ++j)
        plan.out.store(staged + j * width, out + static_cast<std::ptrdiff_t>(j) * step, 1, rows);
    }
  }

  // softmax of x[i], x[i + step], … for each i < width, whole vectors; to `to`, its elements to_step apart, or in place where that is null.
  template <bool Logarithm> static void columns(float* x, std::size_t step, std::size_t count, std::size_t width, float* to, std::ptrdiff_t to_step) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    HWY_ALIGN float largest[most_side_by_side], total[most_side_by_side];
    std::copy_n(x, width, largest);
    for (std::size_t j = 1; j < count; ++j)
      for (std::size_t i = 0; i < width; i += lanes) hn::Store(hn::Max(hn::Load(d, largest + i), hn::LoadU(d, x + j * step + i)), d, largest + i);
    std::fill_n(total, width, 0.0f);
    const auto nothing = hn::Set(d, LargestStep::neutral);
    for (std::size_t j = 0; j < count; ++j)
      for (std::size_t i = 0; i < width; i += lanes) {
        // As in subtrahend().
        const auto most = hn::Load(d, largest + i), shift = hn::IfThenElseZero(hn::Gt(most, nothing), most);
        const auto weight = exp_of_negative(d, hn::Sub(hn::LoadU(d, x + j * step + i), shift));
        if constexpr (!Logarithm) hn::StoreU(weight, d, x + j * step + i);
        hn::Store(hn::Add(hn::Load(d, total + i), weight), d, total + i);
      }
    for (std::size_t i = 0; i < width; i += lanes) {
      const auto sum = hn::Load(d, total + i);
      hn::Store(Logarithm ? vector_log(d, sum) : hn::Div(hn::Set(d, 1.0f), sum), d, total + i);
    }
    for (std::size_t j = 0; j < count; ++j)
      for (std::size_t i = 0; i < width; i += lanes) {
        const auto value = hn::LoadU(d, x + j * step + i), other = hn::Load(d, total + i);
        const auto result = Logarithm ? hn::Sub(hn::Sub(value, hn::Load(d, largest + i)), other) : hn::Mul(value, other);
        hn::StoreU(result, d, to == nullptr ? x + j * step + i : to + static_cast<std::ptrdiff_t>(j) * to_step + static_cast<std::ptrdiff_t>(i));
      }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
