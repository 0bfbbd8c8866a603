// quantize and dequantize on one CPU target: walks any layout in rows.
#if defined(COTENANT_CPU_QUANTIZE_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_QUANTIZE_INL_HPP
#undef COTENANT_CPU_QUANTIZE_INL_HPP
#else
#define COTENANT_CPU_QUANTIZE_INL_HPP
#endif
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cotenant/cpu/caches.hpp"
#include "cotenant/cpu/int4-inl.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/quantize_row-inl.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/quantize.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// Numbers and quantised values over the same indices, with their parameters. Operands of an iteration: quantised values,
// numbers, scale, zero point. 4-bit values are counted in halves of a byte.
struct QuantizePlan {
  cpu::Source numbers;          // quantize: the input
  cpu::Sink results;            // dequantize: the output
  cpu::Source scale, zero;      // zero.data is null where it is 0
  const void* values = nullptr; // quantised
  std::int32_t low = 0, high = 0;
  bool streams = false;         // the result goes past the caches
  cpu::Iteration<4> iteration;
  std::size_t tile_rows = 1, tile_columns = 1, row_tiles = 1, column_tiles = 1;
};

template <std::int64_t Compiled> struct Quantizing {
  template <class In, class Q> static void quantize(const QuantizeArguments<In, Q>& a) {
    if (a.out.view.size() == 0) return;
    QuantizePlan plan = make_plan(a.in.view, a.out.view, a.scale, a.zero_point);
    plan.low = a.low;
    plan.high = a.high;
    plan.streams = !std::is_same_v<Q, i4x2> && plan.iteration.stride[0][plan.iteration.rank - 1] == 1 &&
                   cpu::exceeds_caches(a.out.view.size() * (sizeof(In) + sizeof(Q)));
    run_tiles(plan, plan.numbers.is_float, &quantize_tiles<Q>);
  }

  template <class Q, class Out> static void dequantize(const DequantizeArguments<Q, Out>& a) {
    if (a.out.view.size() == 0) return;
    QuantizePlan plan = make_plan(a.out.view, a.in.view, a.scale, a.zero_point);
    plan.results = Rows<Compiled>::sink(a.out.view.data(), 0, plan.numbers.column_stride);
    plan.streams = plan.results.is_float && plan.results.column_stride == 1 && cpu::exceeds_caches(a.out.view.size() * (sizeof(Out) + sizeof(Q)));
    run_tiles(plan, plan.results.is_float, &dequantize_tiles<Q>);
  }

 protected:
  // Strides in values: of i4x2 in halves of a byte, so that the pair is an axis like another.
  template <class Q> static Strides value_strides(const View<Q>& view) {
    Strides strides = view.strides();
    if constexpr (std::is_same_v<std::remove_const_t<Q>, i4x2>) {
      for (std::size_t axis = 0; axis < strides.rank(); ++axis) strides[axis] *= 2;
      strides[strides.rank() - 1] = 1;
    }
    return strides;
  }
  template <class N, class Q, class Zero>
  static QuantizePlan make_plan(const View<N>& numbers, const View<Q>& values, const Operand<const float>& scale, const Operand<Zero>& zero) {
    QuantizePlan plan;
    const Strides strides = value_strides(values), none = Strides::filled(values.rank(), 0);
    plan.iteration = cpu::coalesce<4>(values.shape(), {&strides, &numbers.strides(), &scale.view.strides(), zero.block ? &zero.view.strides() : &none}, 2);
    const std::size_t last = plan.iteration.rank - 1;
    plan.numbers = Rows<Compiled>::source(static_cast<const std::remove_const_t<N>*>(numbers.data()), 0, plan.iteration.stride[1][last]);
    plan.values = values.data();
    plan.scale = Rows<Compiled>::source(scale.view.data(), 0, plan.iteration.stride[2][last]);
    plan.zero = Rows<Compiled>::source(zero.block ? zero.view.data() : nullptr, 0, plan.iteration.stride[3][last]);
    return plan;
  }
  static void run_tiles(QuantizePlan& plan, bool is_float, cpu::RangeTask task) {
    const auto& iteration = plan.iteration;
    const std::size_t rows = iteration.rank - 2, columns = iteration.rank - 1;
    // A tile of 4096 elements bounds the unit of work; with conversion its rows pass through buffers.
    const bool direct = is_float && plan.numbers.column_stride == 1 && iteration.stride[0][columns] == 1 && plan.scale.column_stride == 0 &&
                        plan.zero.column_stride == 0;
    plan.tile_columns = std::min(iteration.extent[columns], direct ? 8 * cpu::staged_columns : cpu::staged_columns);
    plan.tile_rows = std::min(iteration.extent[rows], std::max<std::size_t>(1, 8 * cpu::staged_columns / plan.tile_columns));
    plan.column_tiles = (iteration.extent[columns] - 1) / plan.tile_columns + 1;
    plan.row_tiles = (iteration.extent[rows] - 1) / plan.tile_rows + 1;
    const std::size_t tiles = iteration.outer_count(2) * plan.row_tiles * plan.column_tiles;
    cpu::parallel_for(tiles, 0.1 * static_cast<double>(plan.tile_rows * plan.tile_columns), task, &plan);
  }

  // Calls row(offsets of the four operands, columns) for each row of the tiles [begin, end). `first_row` says that parameters
  // which do not change from row to row may have to be read.
  template <class F> static void each_row(const QuantizePlan& plan, std::size_t begin, std::size_t end, const F& row) {
    const auto& iteration = plan.iteration;
    const std::size_t rank = iteration.rank, per_outer = plan.row_tiles * plan.column_tiles;
    for (std::size_t tile = begin; tile < end; ++tile) {
      const cpu::Odometer<4> outer(iteration, 2, tile / per_outer);
      const std::size_t first_row = tile % per_outer / plan.column_tiles * plan.tile_rows, column = tile % plan.column_tiles * plan.tile_columns;
      const std::size_t rows = std::min(plan.tile_rows, iteration.extent[rank - 2] - first_row), columns = std::min(plan.tile_columns,
          iteration.extent[rank - 1] - column);
      std::array<std::ptrdiff_t, 4> at{};
      for (std::size_t i = 0; i < 4; ++i)
        at[i] = outer.offset(i) + static_cast<std::ptrdiff_t>(first_row) * iteration.stride[i][rank - 2] +
                static_cast<std::ptrdiff_t>(column) * iteration.stride[i][rank - 1];
      for (std::size_t r = 0; r < rows; ++r) {
        row(at, columns, r == 0);
        for (std::size_t i = 0; i < 4; ++i) at[i] += iteration.stride[i][rank - 2];
      }
    }
  }
  // The parameters of a row of up to staged_columns columns, each an array where it changes along the row.
  struct Parameters {
    HWY_ALIGN float scale[cpu::staged_columns];
    HWY_ALIGN float zero[cpu::staged_columns];
    bool each = false;
    void read(const QuantizePlan& plan, const std::array<std::ptrdiff_t, 4>& at, std::size_t columns, bool first) {
      each = plan.scale.column_stride != 0 || plan.zero.column_stride != 0;
      const auto& strides = plan.iteration.stride;
      const std::size_t rows = plan.iteration.rank - 2, count = each ? columns : 1;
      if (first || strides[2][rows] != 0) plan.scale.load(plan.scale.at(at[2]), plan.scale.column_stride, count, scale);
      if (!first && strides[3][rows] == 0) return;
      if (plan.zero.data == nullptr) std::fill_n(zero, count, 0.0f);
      else plan.zero.load(plan.zero.at(at[3]), plan.zero.column_stride, count, zero);
    }
  };

  // Where a row's quantised values are, or a buffer for them; 4-bit values always pass through one.
  template <class Q> static const quantized_value<Q>* fetch(const void* values, std::ptrdiff_t at, std::ptrdiff_t stride, std::size_t count,
                                                            quantized_value<Q>* buffer) {
    if constexpr (std::is_same_v<Q, i4x2>) {
      const auto* pairs = static_cast<const i4x2*>(values);
      if (stride == 1) Int4Pairs<Compiled>::unpack(pairs + at / 2, count / 2, buffer);
      else
        for (std::size_t i = 0; i < count; ++i) {
          const std::ptrdiff_t place = at + static_cast<std::ptrdiff_t>(i) * stride;
          const i4x2 pair = pairs[place >> 1];
          buffer[i] = static_cast<std::int8_t>((place & 1) == 0 ? pair.low() : pair.high());
        }
      return buffer;
    } else {
      const Q* from = static_cast<const Q*>(values) + at;
      if (stride == 1) return from;
      for (std::size_t i = 0; i < count; ++i) buffer[i] = from[static_cast<std::ptrdiff_t>(i) * stride];
      return buffer;
    }
  }
  template <class Q> static void put(const quantized_value<Q>* buffer, void* values, std::ptrdiff_t at, std::ptrdiff_t stride, std::size_t count) {
    if constexpr (std::is_same_v<Q, i4x2>) {
      auto* pairs = static_cast<i4x2*>(values);
      if (stride == 1) return Int4Pairs<Compiled>::pack(buffer, count / 2, pairs + at / 2);
      for (std::size_t i = 0; i < count; ++i) {
        const std::ptrdiff_t place = at + static_cast<std::ptrdiff_t>(i) * stride;
        i4x2& pair = pairs[place >> 1];
        pair = (place & 1) == 0 ? i4x2(buffer[i], pair.high()) : i4x2(pair.low(), buffer[i]);
      }
    } else {
      Q* to = static_cast<Q*>(values) + at;
      for (std::size_t i = 0; i < count; ++i) to[static_cast<std::ptrdiff_t>(i) * stride] = buffer[i];
    }
  }

  template <class Q> static void quantize_tiles(const void* context, std::size_t begin, std::size_t end) {
    const QuantizePlan& plan = *static_cast<const QuantizePlan*>(context);
    const std::ptrdiff_t stride = plan.iteration.stride[0][plan.iteration.rank - 1];
    const bool direct = plan.numbers.is_float && plan.numbers.column_stride == 1;
    HWY_ALIGN float staged[cpu::staged_columns];
    HWY_ALIGN quantized_value<Q> buffer[8 * cpu::staged_columns];
    Parameters parameters;
    each_row(plan, begin, end, [&](const std::array<std::ptrdiff_t, 4>& at, std::size_t columns, bool first) {
      const char* from = plan.numbers.at(at[1]);
      if (!direct) plan.numbers.load(from, plan.numbers.column_stride, columns, staged);
      const float* x = direct ? reinterpret_cast<const float*>(from) : staged;
      parameters.read(plan, at, columns, first);
      const bool in_place = stride == 1 && !std::is_same_v<Q, i4x2> && !plan.streams;
      auto* to = in_place ? static_cast<quantized_value<Q>*>(const_cast<void*>(plan.values)) + at[0] : buffer;
      if (parameters.each) QuantizeRows<Compiled>::quantize_each(x, columns, parameters.scale, parameters.zero, plan.low, plan.high, to);
      else QuantizeRows<Compiled>::quantize(x, columns, RowQuantizer(parameters.scale[0], static_cast<std::int32_t>(parameters.zero[0]), plan.low,
          plan.high), to, plan.streams);
      if (plan.streams) Rows<Compiled>::stream(buffer, static_cast<quantized_value<Q>*>(const_cast<void*>(plan.values)) + at[0], columns);
      else if (!in_place) put<Q>(buffer, const_cast<void*>(plan.values), at[0], stride, columns);
    });
    if (plan.streams) hwy::FlushStream();
  }

  template <class Q> static void dequantize_tiles(const void* context, std::size_t begin, std::size_t end) {
    const QuantizePlan& plan = *static_cast<const QuantizePlan*>(context);
    const std::ptrdiff_t stride = plan.iteration.stride[0][plan.iteration.rank - 1];
    const bool direct = plan.results.is_float && plan.results.column_stride == 1;
    HWY_ALIGN float staged[cpu::staged_columns];
    HWY_ALIGN quantized_value<Q> buffer[8 * cpu::staged_columns];
    Parameters parameters;
    each_row(plan, begin, end, [&](const std::array<std::ptrdiff_t, 4>& at, std::size_t columns, bool first) {
      char* to = plan.results.at(at[1]);
      const auto* q = fetch<Q>(plan.values, at[0], stride, columns, buffer);
      float* y = direct ? reinterpret_cast<float*>(to) : staged;
      parameters.read(plan, at, columns, first);
      if (parameters.each) QuantizeRows<Compiled>::dequantize_each(q, columns, parameters.scale, parameters.zero, y);
      else if (plan.streams && reinterpret_cast<std::uintptr_t>(y) % (hn::Lanes(FloatTag{}) * sizeof(float)) == 0)
        QuantizeRows<Compiled>::template dequantize<true>(q, columns, parameters.scale[0], parameters.zero[0], y);
      else QuantizeRows<Compiled>::dequantize(q, columns, parameters.scale[0], parameters.zero[0], y);
      if (!direct) plan.results.store(staged, to, plan.results.column_stride, columns);
    });
    if (plan.streams) hwy::FlushStream();
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
