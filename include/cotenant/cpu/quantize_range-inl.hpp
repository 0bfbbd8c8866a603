// quantize with ranges found in the data, on one CPU target: a range is found, and quantised while it is in the cache.
#if defined(COTENANT_CPU_QUANTIZE_RANGE_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_QUANTIZE_RANGE_INL_HPP
#undef COTENANT_CPU_QUANTIZE_RANGE_INL_HPP
#else
#define COTENANT_CPU_QUANTIZE_RANGE_INL_HPP
#endif
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <hwy/highway.h>

#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/quantize-inl.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/quantize.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// Dynamic: the axes that share a range, and the others.
struct RangePlan {
  cpu::Source numbers;
  void* values = nullptr;
  float* scale = nullptr;
  std::uint8_t* zero = nullptr;
  cpu::Iteration<4> kept;    // values, numbers, scale, zero point
  cpu::Iteration<2> ranged;  // values, numbers
  std::size_t ranged_count = 0;
  std::size_t parts = 1;                // along_parts: pieces that a range is cut into, found by as many tasks
  float* found = nullptr;               // the least and the greatest of each piece
};

template <std::int64_t Compiled> struct RangeQuantizing : Quantizing<Compiled> {
  template <class In, class Q> static void dynamic_quantize(const DynamicQuantizeArguments<In, Q>& a) {
    constexpr bool affine = std::is_same_v<Q, std::uint8_t>;
    RangePlan plan;
    const Strides values = Base::value_strides(a.values.view);
    Shape kept, ranged;
    Strides kept_strides[4], ranged_strides[2];
    for (std::size_t axis = 0; axis < a.in.view.rank(); ++axis) {
      const bool keeps = a.scale.view.stride(axis) != 0;
      (keeps ? kept : ranged).append(a.in.shape()[axis]);
      (keeps ? kept_strides[0] : ranged_strides[0]).append(values[axis]);
      (keeps ? kept_strides[1] : ranged_strides[1]).append(a.in.view.stride(axis));
      if (!keeps) continue;
      kept_strides[2].append(a.scale.view.stride(axis));
      kept_strides[3].append(affine ? a.zero_point.view.stride(axis) : 0);
    }
    if (element_count(kept) == 0) return;
    plan.kept = cpu::coalesce<4>(kept, {&kept_strides[0], &kept_strides[1], &kept_strides[2], &kept_strides[3]}, 1);
    plan.ranged = cpu::coalesce<2>(ranged, {&ranged_strides[0], &ranged_strides[1]}, 1);
    plan.ranged_count = element_count(ranged);
    plan.numbers = Rows<Compiled>::source(a.in.view.data(), 0, plan.ranged.stride[1][plan.ranged.rank - 1]);
    plan.values = a.values.view.data();
    plan.scale = a.scale.view.data();
    if constexpr (affine) plan.zero = a.zero_point.view.data();
    const std::size_t kept_count = plan.kept.outer_count(0), kept_last = plan.kept.rank - 1;
    // Two passes, the second over what is in the cache: about 0.15 ns per element.
    const double nanoseconds = 0.15 * static_cast<double>(plan.ranged_count + 8);
    // Both halves of a byte are written by one thread: where they belong to two ranges, those are found side by side.
    const bool splits_pairs = std::is_same_v<Q, i4x2> && plan.kept.stride[0][kept_last] == 1;
    const bool across = splits_pairs || (plan.kept.stride[1][kept_last] == 1 && plan.numbers.column_stride != 1 && plan.kept.extent[kept_last] >= 4);
    const double whole = nanoseconds * static_cast<double>(kept_count);
    const bool few = !across && whole > 4 * cpu::minimum_nanoseconds_per_task && kept_count < 4 * cpu::thread_count();
    if (!across && !few) {
      cpu::parallel_for(kept_count, nanoseconds, &along<Q>, &plan);
      return;
    }
    if (across) {
      plan.numbers.column_stride = plan.kept.stride[1][kept_last];
      const std::size_t blocks = (plan.kept.extent[kept_last] - 1) / block_columns + 1;
      cpu::parallel_for(plan.kept.outer_count(1) * blocks, nanoseconds * static_cast<double>(std::min(block_columns, plan.kept.extent[kept_last])),
                        &across_ranges<Q>, &plan);
    } else {
      plan.parts = std::min(plan.ranged_count, 4 * cpu::thread_count());
      plan.found = cpu::scratch(cpu::ScratchUse::shared_rows, 2 * plan.parts * kept_count);
      cpu::parallel_for(plan.parts * kept_count, nanoseconds / static_cast<double>(plan.parts), &along_parts, &plan);
      join_parts<Q>(plan);
    }
    const auto constant = []<class T>(const Operand<T>& operand) { return Operand<const T>{operand.view, operand.block}; };
    QuantizeArguments<In, Q> rest{a.in, constant(a.scale), {}, affine ? 0 : -quantized_highest<Q>, quantized_highest<Q>, a.values};
    if constexpr (affine) rest.zero_point = constant(a.zero_point);
    Base::quantize(rest);
  }

 private:
  using Base = Quantizing<Compiled>;
  static constexpr std::size_t block_columns = 256;  // ranges that are found side by side

  // What a range gives; see DynamicQuantizeArguments.
  template <class Q> static RowQuantizer found_parameters(const RangePlan& plan, float low, float high, std::ptrdiff_t scale_at, std::ptrdiff_t zero_at) {
    constexpr bool affine = std::is_same_v<Q, std::uint8_t>;
    const float extent = affine ? high - low : std::max(-low, high);
    const float scale = extent > 0 ? extent / (affine ? 255.0f : static_cast<float>(quantized_highest<Q>)) : 1.0f;
    plan.scale[scale_at] = scale;
    std::int32_t zero = 0;
    if constexpr (affine) {
      const float place = -low / scale;
      zero = place == place ? static_cast<std::int32_t>(std::nearbyint(std::clamp(place, 0.0f, 255.0f))) : 0;
      plan.zero[zero_at] = static_cast<std::uint8_t>(zero);
    }
    return RowQuantizer(scale, zero, affine ? 0 : -quantized_highest<Q>, quantized_highest<Q>);
  }
  // Calls f(offset of the values, numbers as floats, count) for the columns of one range, at most 4096 at a time, from its part
  // `part` of `parts`.
  template <class F> static void each_piece(const RangePlan& plan, std::ptrdiff_t values, std::ptrdiff_t numbers, std::size_t part, std::size_t parts,
      const F& f) {
    const bool direct = plan.numbers.is_float && plan.numbers.column_stride == 1;
    const std::size_t last = plan.ranged.rank - 1, columns = plan.ranged.extent[last], most = direct ? 8 * cpu::staged_columns : cpu::staged_columns;
    const std::size_t begin = plan.ranged_count / parts * part + std::min(part, plan.ranged_count % parts);
    const std::size_t end = begin + plan.ranged_count / parts + (part < plan.ranged_count % parts);
    if (begin == end) return;
    HWY_ALIGN float staged[cpu::staged_columns];
    cpu::Odometer<2> row(plan.ranged, 1, begin / columns);
    std::size_t column = begin % columns;
    for (std::size_t at = begin; at < end;) {
      const std::size_t count = std::min({most, columns - column, end - at});
      const auto step = static_cast<std::ptrdiff_t>(column);
      const char* from = plan.numbers.at(numbers + row.offset(1) + step * plan.numbers.column_stride);
      if (!direct) plan.numbers.load(from, plan.numbers.column_stride, count, staged);
      f(values + row.offset(0) + step * plan.ranged.stride[0][last], direct ? reinterpret_cast<const float*>(from) : staged, count);
      at += count;
      column += count;
      if (column != columns) continue;
      column = 0;
      row.advance();
    }
  }

  template <class Q> static void along(const void* context, std::size_t begin, std::size_t end) {
    const RangePlan& plan = *static_cast<const RangePlan*>(context);
    const std::ptrdiff_t stride = plan.ranged.stride[0][plan.ranged.rank - 1];
    HWY_ALIGN quantized_value<Q> buffer[8 * cpu::staged_columns];
    cpu::Odometer<4> kept(plan.kept, 0, begin);
    for (std::size_t i = begin; i < end; ++i, kept.advance()) {
      float low = 0, high = 0;
      each_piece(plan, kept.offset(0), kept.offset(1), 0, 1, [&](std::ptrdiff_t, const float* x, std::size_t count) { QuantizeRows<Compiled>::extend(x,
          count, low, high); });
      const RowQuantizer row = found_parameters<Q>(plan, low, high, kept.offset(2), kept.offset(3));
      each_piece(plan, kept.offset(0), kept.offset(1), 0, 1, [&](std::ptrdiff_t at, const float* x, std::size_t count) {
        const bool in_place = stride == 1 && !std::is_same_v<Q, i4x2>;
        QuantizeRows<Compiled>::quantize(x, count, row, in_place ? static_cast<quantized_value<Q>*>(plan.values) + at : buffer);
        if (!in_place) Base::template put<Q>(buffer, plan.values, at, stride, count);
      });
    }
  }

  static void along_parts(const void* context, std::size_t begin, std::size_t end) {
    const RangePlan& plan = *static_cast<const RangePlan*>(context);
    for (std::size_t i = begin; i < end; ++i) {
      const cpu::Odometer<4> kept(plan.kept, 0, i / plan.parts);
      float low = 0, high = 0;
      each_piece(plan, kept.offset(0), kept.offset(1), i % plan.parts, plan.parts,
                 [&](std::ptrdiff_t, const float* x, std::size_t count) { QuantizeRows<Compiled>::extend(x, count, low, high); });
      plan.found[2 * i] = low;
      plan.found[2 * i + 1] = high;
    }
  }
  template <class Q> static void join_parts(const RangePlan& plan) {
    cpu::Odometer<4> kept(plan.kept, 0, 0);
    for (std::size_t i = 0; i < plan.kept.outer_count(0); ++i, kept.advance()) {
      float low = 0, high = 0;
      for (std::size_t part = i * plan.parts; part < (i + 1) * plan.parts; ++part) {
        low = std::min(low, plan.found[2 * part]);
        high = std::max(high, plan.found[2 * part + 1]);
      }
      found_parameters<Q>(plan, low, high, kept.offset(2), kept.offset(3));
    }
  }

  template <class Q> static void across_ranges(const void* context, std::size_t begin, std::size_t end) {
    const RangePlan& plan = *static_cast<const RangePlan*>(context);
    const std::size_t last = plan.kept.rank - 1, extent = plan.kept.extent[last], blocks = (extent - 1) / block_columns + 1;
    const bool direct = plan.numbers.is_float && plan.numbers.column_stride == 1;
    HWY_ALIGN float low[block_columns], high[block_columns], staged[block_columns];
    for (std::size_t i = begin; i < end; ++i) {
      const cpu::Odometer<4> kept(plan.kept, 1, i / blocks);
      const std::size_t first = i % blocks * block_columns, columns = std::min(block_columns, extent - first);
      const auto start = static_cast<std::ptrdiff_t>(first);
      std::fill_n(low, columns, 0.0f);
      std::fill_n(high, columns, 0.0f);
      cpu::Odometer<2> row(plan.ranged, 0, 0);
      for (std::size_t r = 0; r < plan.ranged_count; ++r, row.advance()) {
        const char* from = plan.numbers.at(kept.offset(1) + start * plan.numbers.column_stride + row.offset(1));
        if (!direct) plan.numbers.load(from, plan.numbers.column_stride, columns, staged);
        QuantizeRows<Compiled>::extend_each(direct ? reinterpret_cast<const float*>(from) : staged, columns, low, high);
      }
      for (std::size_t column = 0; column < columns; ++column) {
        const std::ptrdiff_t n = start + static_cast<std::ptrdiff_t>(column);
        found_parameters<Q>(plan, low[column], high[column], kept.offset(2) + n * plan.kept.stride[2][last], kept.offset(3) + n * plan.kept.stride[3][last]);
      }
    }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
