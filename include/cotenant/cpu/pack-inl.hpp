// Packing: blocks of a matrix of any element type and strides as floats in the order in which the product reads them.
#if defined(COTENANT_CPU_PACK_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_PACK_INL_HPP
#undef COTENANT_CPU_PACK_INL_HPP
#else
#define COTENANT_CPU_PACK_INL_HPP
#endif
#include <algorithm>
#include <cstddef>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cotenant/cpu/tile-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// Whether vectors are whole blocks of four floats, of a number known at compile time: what the transposition works on.
#if HWY_TARGET == HWY_SCALAR || (defined(HWY_HAVE_SCALABLE) && HWY_HAVE_SCALABLE) || HWY_TARGET == HWY_RVV
#define COTENANT_BLOCKS_OF_FOUR 0
#else
#define COTENANT_BLOCKS_OF_FOUR 1
#endif

#if COTENANT_BLOCKS_OF_FOUR
// Four floats from each of Lanes / 4 places `step` apart, in order.
template <class D> HWY_INLINE hn::Vec<D> load_blocks(D d, const float* from, std::size_t step) {
  if constexpr (hn::MaxLanes(D()) <= 4) return hn::LoadU(d, from);
  else {
    const hn::Half<D> half;
    return hn::Combine(d, load_blocks(half, from + hn::MaxLanes(D()) / 8 * step, step), load_blocks(half, from, step));
  }
}

// to[k * to_step + n] = from[n * from_step + k] for k < 4, n < Lanes. Vector i holds in its block b four values of row
// 4 b + i, so a transposition inside the blocks is all that is left: eight shuffles for 4 * Lanes elements.
HWY_INLINE void transpose_four(const float* from, std::size_t from_step, float* to, std::size_t to_step) {
  const FloatTag d;
  const hn::Repartition<double, FloatTag> pair;
  const auto row0 = load_blocks(d, from, 4 * from_step), row1 = load_blocks(d, from + from_step, 4 * from_step);
  const auto row2 = load_blocks(d, from + 2 * from_step, 4 * from_step), row3 = load_blocks(d, from + 3 * from_step, 4 * from_step);
  const auto low01 = hn::BitCast(pair, hn::InterleaveLower(d, row0, row1)), low23 = hn::BitCast(pair, hn::InterleaveLower(d, row2, row3));
  const auto high01 = hn::BitCast(pair, hn::InterleaveUpper(d, row0, row1)), high23 = hn::BitCast(pair, hn::InterleaveUpper(d, row2, row3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pair, low01, low23)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pair, low01, low23)), d, to + to_step);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pair, high01, high23)), d, to + 2 * to_step);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pair, high01, high23)), d, to + 3 * to_step);
}
#endif

template <std::int64_t Compiled> struct Packing {
  // to[k * to_step + n] = from[n * from_step + k] for k < depth, n < width.
  static void transpose(const float* from, std::size_t from_step, std::size_t width, std::size_t depth, float* to, std::size_t to_step) {
    std::size_t n = 0;
#if COTENANT_BLOCKS_OF_FOUR
    const FloatTag d;
    for (; n + hn::Lanes(d) <= width; n += hn::Lanes(d)) {
      std::size_t k = 0;
      for (; k + 4 <= depth; k += 4) transpose_four(from + n * from_step + k, from_step, to + k * to_step + n, to_step);
      for (; k < depth; ++k)
        for (std::size_t i = n; i < n + hn::Lanes(d); ++i) to[k * to_step + i] = from[i * from_step + k];
    }
#endif
    for (; n < width; ++n)
      for (std::size_t k = 0; k < depth; ++k) to[k * to_step + n] = from[n * from_step + k];
  }

  // to[row * to_step + column] = from(row, column), in floats.
  static void copy(const cpu::Source& from, std::size_t rows, std::size_t columns, float* to, std::size_t to_step) {
    if (from.column_stride == 1 || from.row_stride != 1 || rows == 1) {
      // Rows of contiguous floats: a loop costs less than a call, and asking for the next but one row hides what a jump to
      // another page costs.
      if (from.is_float && from.column_stride == 1) {
        const FloatTag d;
        for (std::size_t row = 0; row < rows; ++row) {
          const float* source = reinterpret_cast<const float*>(from.at(static_cast<std::ptrdiff_t>(row) * from.row_stride));
          const float* ahead = reinterpret_cast<const float*>(from.at(static_cast<std::ptrdiff_t>(std::min(row + 2, rows - 1)) * from.row_stride));
          float* target = to + row * to_step;
          std::size_t column = 0;
          for (; column + hn::Lanes(d) <= columns; column += hn::Lanes(d)) {
            hwy::Prefetch(ahead + column);
            hn::StoreU(hn::LoadU(d, source + column), d, target + column);
          }
          for (; column < columns; ++column) target[column] = source[column];
        }
        return;
      }
      for (std::size_t row = 0; row < rows; ++row)
        from.load(from.at(static_cast<std::ptrdiff_t>(row) * from.row_stride), from.column_stride, columns, to + row * to_step);
      return;
    }
    // The rows are the contiguous direction: read it so, and transpose. Floats are transposed where they lie.
    if (from.is_float && from.column_stride > 0) {
      transpose(reinterpret_cast<const float*>(from.data), static_cast<std::size_t>(from.column_stride), columns, rows, to, to_step);
      return;
    }
    constexpr std::size_t width = 32, depth = 64;  // 8 KiB
    HWY_ALIGN float block[width * depth];
    for (std::size_t column = 0; column < columns; column += width)
      for (std::size_t row = 0; row < rows; row += depth) {
        const std::size_t some_columns = std::min(width, columns - column), some_rows = std::min(depth, rows - row);
        for (std::size_t i = 0; i < some_columns; ++i)
          from.load(from.at(static_cast<std::ptrdiff_t>(row) + static_cast<std::ptrdiff_t>(column + i) * from.column_stride), 1, some_rows, block + i * depth);
        transpose(block, depth, some_columns, some_rows, to + row * to_step + column, to_step);
      }
  }
};
#undef COTENANT_BLOCKS_OF_FOUR

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
