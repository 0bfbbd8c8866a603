// run_softmax(): softmax and its logarithm over rows or neighbouring rows side by side; the CPU target only supplies the loops over vectors.
#ifndef COTENANT_CPU_SOFTMAX_HPP
#define COTENANT_CPU_SOFTMAX_HPP
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <hwy/cache_control.h>

#include "cotenant/core/layout.hpp"
#include "cotenant/cpu/caches.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/cpu/tile.hpp"

namespace cotenant::cpu {

// A row of floats that is computed at once, its elements less than a block.
struct SoftmaxRow {
  const float* from = nullptr;
  float* weights = nullptr;  // exp(from - largest)
  float* to = nullptr;       // may be either
  char* out = nullptr;       // where it goes in the end
  float largest = 0, total = 0;
};

// Results that go past the caches: to[i] = exp(from[i] - first) * second; of the logarithm (from[i] - first) - second.
struct SoftmaxResults {
  const float* from = nullptr;
  float* to = nullptr;
  float first = 0, second = 0;
};

// The loops of one CPU target, over rows of floats.
struct SoftmaxKernel {
  std::size_t lanes;  // of a vector
  // Softmax of `count` rows, step by step, so that their chains of maximum, exp, total and quotient overlap. Prefetches from[ahead + i].
  void (*short_rows)(SoftmaxRow* row, std::size_t count, std::size_t length, std::ptrdiff_t ahead, bool logarithm, bool streams);
  // The parts of it.
  float (*largest)(const float* from, std::size_t count);
  // The sum of exp(from[i] - shift), nothing above 0; where `to` is not null, to[i] is that. Prefetches next[i], which may lie anywhere.
  float (*weigh)(const float* from, float* to, std::size_t count, float shift, const float* next);
  // to[i] = from[i] * factor
  void (*scale)(const float* from, float* to, std::size_t count, float factor);
  // to[i] = (from[i] - first) - second
  void (*lower)(const float* from, float* to, std::size_t count, float first, float second);
  // The sum of exp(from[i] - shift), which need not be below 1, and the largest from[i]; unless null, as many of another row's results are
  // written meanwhile. Prefetches what lies behind.
  float (*weigh_and_write)(const float* from, std::size_t count, float shift, float* largest, const SoftmaxResults* other, bool logarithm);
  void (*write)(const SoftmaxResults& results, std::size_t count, bool logarithm);
  // Softmax, or its logarithm, of x[i], x[i + step], … for each i < width, whole vectors; to `to`, its elements to_step apart, or in
  // place where that is null. width is at most most_side_by_side.
  void (*columns)(float* x, std::size_t step, std::size_t count, std::size_t width, bool logarithm, float* to, std::ptrdiff_t to_step);
  // to[row * to_step + column] = from(row, column), in floats.
  void (*copy)(const Source& from, std::size_t rows, std::size_t columns, float* to, std::size_t to_step);

  static constexpr std::size_t most_side_by_side = 256;
};

// As a Source and a Sink the softmax's axis is the column.
struct SoftmaxPlan {
  const SoftmaxKernel* kernel = nullptr;
  Source in;
  Sink out;
  std::size_t length = 0;
  bool logarithm = false;
  Iteration<2> outer;    // of out, in: where the rows begin
  bool streams = false;  // results go past the caches
};

namespace detail {
// What goes from a maximum to its weights at once: a block of a long row, or several short rows. 16 KiB: with the weights and what is
// fetched ahead an L1 cache of 48 KiB. 4096 x 1024 and 512 x 32000, Gelement/s: 5.1 and 3.6 with 1024 floats, 4.9 and 4.8 with 2048,
// 6.2 and 5.4 with 4096, 5.9 and 4.8 with 8192.
inline constexpr std::size_t softmax_block = 4096, most_rows_together = 16;
inline constexpr float nothing = -std::numeric_limits<float>::infinity();

// What is subtracted from a block before exp: where it holds -inf only, its weights are exp(-inf - 0) = 0.
inline float subtrahend(float largest) { return largest > nothing ? largest : 0; }

// A row in blocks, from each of which the largest element of those before is subtracted, or its own where that is much larger: weights are put
// right when they are divided by the total. So a row that streams is read once from memory. The bits are the same whether it does, and sums do
// not depend on the number of threads.
struct LongRow {
  static constexpr std::size_t most_blocks = 64, whole_vectors = 64;  // floats: 256 bytes, the longest vector there is
  // The row's first elements, whose largest is subtracted from the first block; and how far weights may exceed 1 = exp(0) before they lose bits.
  static constexpr std::size_t of_beginning = 256;
  static constexpr float slack = 8;
  LongRow() = default;
  LongRow(const float* from_data, float* to_data, std::size_t length) : from(from_data), to(to_data), count(length) {
    step = count <= softmax_block * most_blocks ? softmax_block : (count / most_blocks / whole_vectors + 1) * whole_vectors;
  }
  const float* from = nullptr;
  float* to = nullptr;
  std::size_t count = 0, step = 1;
  float shift[most_blocks] = {}, factor[most_blocks] = {};  // of each block: what is subtracted, and what weights are multiplied with
  float largest = nothing, total = 0;

  std::size_t elements_of(std::size_t first) const { return std::min(step, count - first); }
  SoftmaxResults results(const SoftmaxPlan& plan, std::size_t first) const {
    if (plan.logarithm) return {from + first, to + first, largest, std::log(total)};
    return {from + first, to + first, subtrahend(shift[first / step]), factor[first / step] / total};
  }

  // Shifts, factors and total; weights go to `to`.
  void weigh(const SoftmaxPlan& plan) {
    weigh_blocks(plan, [&](std::size_t first, std::size_t some, float before, float* most) {
      *most = plan.kernel->largest(from + first, some);
      const std::size_t next = first + step < count ? first + step : first;
      return plan.kernel->weigh(from + first, plan.logarithm ? nullptr : to + first, some, subtrahend(shift_of(before, *most)), from + next);
    });
  }
  // The same while the results of the row before this one are written past the caches; weights are not kept. A block whose shift turns out too
  // small is read again.
  void weigh_and_write(const SoftmaxPlan& plan, const LongRow* other) {
    weigh_blocks(plan, [&](std::size_t first, std::size_t some, float before, float* most) {
      const SoftmaxResults results = other != nullptr ? other->results(plan, first) : SoftmaxResults{};
      const float sum = plan.kernel->weigh_and_write(from + first, some, subtrahend(before), most, other != nullptr ? &results : nullptr, plan.logarithm);
      const float after = shift_of(before, *most);
      return after == before ? sum : plan.kernel->weigh(from + first, nullptr, some, subtrahend(after), from + first);
    });
  }
  // Where weights were kept.
  void finish(const SoftmaxPlan& plan) const {
    for (std::size_t first = 0; first < count; first += step) {
      if (plan.logarithm) plan.kernel->lower(from + first, to + first, elements_of(first), largest, std::log(total));
      else plan.kernel->scale(to + first, to + first, elements_of(first), factor[first / step] / total);
    }
  }
  // Where they were not.
  void write(const SoftmaxPlan& plan) const {
    for (std::size_t first = 0; first < count; first += step) plan.kernel->write(results(plan, first), elements_of(first), plan.logarithm);
  }

 private:
  static float shift_of(float before, float most) { return most > before + slack ? most : before; }
  // sum(first element of a block, its elements, the largest element before it, where its own goes) of its weights, by shift_of() these two.
  template <class Sum> void weigh_blocks(const SoftmaxPlan& plan, const Sum& sum) {
    float sums[most_blocks];
    largest = plan.kernel->largest(from, std::min(count, of_beginning));
    for (std::size_t first = 0; first < count; first += step) {
      float most = nothing;
      sums[first / step] = sum(first, elements_of(first), largest, &most);
      shift[first / step] = shift_of(largest, most);
      largest = std::max(largest, most);
    }
    for (std::size_t block = 0; block * step < count; ++block) {
      // Of a row of -inf only the total is 0, and every result 0 / 0.
      factor[block] = shift[block] == largest ? 1.0f : std::exp(shift[block] - largest);
      total += factor[block] * sums[block];
    }
  }
};

inline void softmax_rows(const SoftmaxPlan& plan, std::size_t begin, std::size_t end) {
  const std::size_t length = plan.length, together = std::clamp<std::size_t>(softmax_block / length, 1, most_rows_together);
  const bool direct_in = plan.in.is_float && plan.in.column_stride == 1, direct_out = plan.out.is_float && plan.out.column_stride == 1;
  float* const staged = direct_in && direct_out && !plan.streams ? nullptr : scratch(ScratchUse::row, together * length);
  Odometer<2> at(plan.outer, 0, begin);
  SoftmaxRow row[most_rows_together];
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
    if (length > softmax_block) {
      LongRow long_row(row[0].from, row[0].to, length);
      long_row.weigh(plan);
      long_row.finish(plan);
    } else {
      // The rows after these come into the cache while these are computed.
      const std::ptrdiff_t ahead = count > 1 && first + 2 * count <= end ? (row[1].from - row[0].from) * static_cast<std::ptrdiff_t>(count) : 0;
      plan.kernel->short_rows(row, count, length, ahead, plan.logarithm, plan.streams);
    }
    if (!direct_out) for (std::size_t i = 0; i < count; ++i) plan.out.store(row[i].to, row[i].out, plan.out.column_stride, length);
  }
}

// Results of long rows past the caches: vector by vector one row is read from memory while the one before it, which is in the second level
// yet, is read again and written. 512 x 32000: 5.4 to 5.9 Gelement/s, 4.3 where blocks of both take turns, and memcpy's ordinary stores 4.4.
inline void stream_long_rows(const SoftmaxPlan& plan, std::size_t begin, std::size_t end) {
  const bool direct_in = plan.in.is_float && plan.in.column_stride == 1;
  float* const rooms = direct_in ? nullptr : scratch(ScratchUse::row, 2 * plan.length);
  Odometer<2> at(plan.outer, 0, begin);
  LongRow row[2];
  for (std::size_t i = begin; i < end; ++i, at.advance()) {
    const float* from = reinterpret_cast<const float*>(plan.in.at(at.offset(1)));
    float* const to = reinterpret_cast<float*>(plan.out.at(at.offset(0)));
    if (!direct_in) {
      float* const room = rooms + i % 2 * plan.length;
      plan.in.load(from, plan.in.column_stride, plan.length, room);
      from = room;
    }
    row[i % 2] = LongRow(from, to, plan.length);
    row[i % 2].weigh_and_write(plan, i == begin ? nullptr : &row[(i + 1) % 2]);
  }
  row[(end + 1) % 2].write(plan);
}

inline void run_softmax_rows(const void* context, std::size_t begin, std::size_t end) {
  const SoftmaxPlan& plan = *static_cast<const SoftmaxPlan*>(context);
  if (plan.streams && plan.length > softmax_block) stream_long_rows(plan, begin, end);
  else softmax_rows(plan, begin, end);
  if (plan.streams) hwy::FlushStream();
}

// Over an axis that is not the contiguous one, the lanes of vectors are neighbouring rows: a group of them is copied
// together, whole cache lines at each step along the axis, and maximum, total and quotient are element by element.
inline bool is_sideways(const SoftmaxPlan& plan) {
  return plan.outer.rank != 0 && plan.length <= 8192 && plan.length > 1 && plan.out.column_stride != 1 && plan.outer.stride[0][plan.outer.rank - 1] == 1;
}
// As many rows as 512 KiB hold, half of a large L2 cache, but at least two cache lines at each step.
inline std::size_t group_rows(const SoftmaxPlan& plan) {
  const std::size_t rows = (std::size_t{1} << 17) / plan.length / 32 * 32;
  return std::clamp<std::size_t>(rows, std::max<std::size_t>(32, plan.kernel->lanes), SoftmaxKernel::most_side_by_side);
}
inline std::size_t row_groups(const SoftmaxPlan& plan) { return (plan.outer.extent[plan.outer.rank - 1] - 1) / group_rows(plan) + 1; }

inline void run_softmax_sideways(const void* context, std::size_t begin, std::size_t end) {
  const SoftmaxPlan& plan = *static_cast<const SoftmaxPlan*>(context);
  const std::size_t lanes = plan.kernel->lanes, last = plan.outer.rank - 1, side_by_side = std::min(group_rows(plan), plan.outer.extent[last]);
  const std::size_t width = (side_by_side + lanes - 1) / lanes * lanes, groups = row_groups(plan);
  float* const staged = scratch(ScratchUse::row, width * plan.length);
  // Lanes without a row compute on zeros.
  if (side_by_side < width) std::fill_n(staged, width * plan.length, 0.0f);
  for (std::size_t i = begin; i < end; ++i) {
    const Odometer<2> at(plan.outer, 1, i / groups);
    const std::size_t first = i % groups * side_by_side, rows = std::min(side_by_side, plan.outer.extent[last] - first);
    Source in = plan.in.moved(at.offset(1) + static_cast<std::ptrdiff_t>(first) * plan.outer.stride[1][last]);
    in.row_stride = in.column_stride;
    in.column_stride = plan.outer.stride[1][last];
    plan.kernel->copy(in, plan.length, rows, staged, width);
    const std::size_t some = (rows + lanes - 1) / lanes * lanes;
    char* out = plan.out.at(at.offset(0) + static_cast<std::ptrdiff_t>(first));
    const std::ptrdiff_t step = plan.out.column_stride * static_cast<std::ptrdiff_t>(plan.out.element_size);
    float* const direct = plan.out.is_float && some == rows ? reinterpret_cast<float*>(out) : nullptr;
    plan.kernel->columns(staged, width, plan.length, some, plan.logarithm, direct, plan.out.column_stride);
    for (std::size_t j = 0; direct == nullptr && j < plan.length; ++j)
      plan.out.store(staged + j * width, out + static_cast<std::ptrdiff_t>(j) * step, 1, rows);
  }
}
}  // namespace detail

// plan.kernel, in and out (but for their row strides), length and logarithm are set; shape, of at least one element, and strides are of
// the whole operands, whose last axis is the softmax's.
inline void run_softmax(SoftmaxPlan& plan, const Shape& shape, const Strides& out, const Strides& in) {
  const std::size_t last = shape.rank() - 1;
  const Strides out_strides = out.part(0, last), in_strides = in.part(0, last);
  plan.outer = coalesce<2>(shape.part(0, last), {&out_strides, &in_strides}, 0);
  // Twice what the third level holds would not be there any more when it is read: writing past the caches saves reading
  // each line that is overwritten, a third of the traffic.
  const std::size_t size = element_count(shape);
  plan.streams =
      plan.out.is_float && plan.out.column_stride == 1 && size * sizeof(float) > (std::size_t{1} << 20) && size > caches().level3 / sizeof(float);
  // A vector takes about 8 cycles.
  const double nanoseconds = 0.15 * static_cast<double>(plan.length);
  if (detail::is_sideways(plan))
    parallel_for(plan.outer.outer_count(1) * detail::row_groups(plan), nanoseconds * static_cast<double>(detail::group_rows(plan)),
                 &detail::run_softmax_sideways, &plan);
  else parallel_for(plan.outer.outer_count(0), nanoseconds, &detail::run_softmax_rows, &plan);
}

}  // namespace cotenant::cpu

#endif
