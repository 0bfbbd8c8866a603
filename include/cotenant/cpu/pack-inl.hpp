// Packing: blocks of a matrix of any element type and strides, in the order and the lanes in which the product reads them.
#if defined(COTENANT_CPU_PACK_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_PACK_INL_HPP
#undef COTENANT_CPU_PACK_INL_HPP
#else
#define COTENANT_CPU_PACK_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

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
// Four lanes from each of Lanes / 4 places `step` bytes apart, in order.
template <class D> HWY_INLINE hn::Vec<D> load_blocks(D d, const char* from, std::ptrdiff_t step) {
  if constexpr (hn::MaxLanes(D()) <= 4) return hn::LoadU(d, reinterpret_cast<const float*>(from));
  else {
    const hn::Half<D> half;
    return hn::Combine(d, load_blocks(half, from + static_cast<std::ptrdiff_t>(hn::MaxLanes(D()) / 8) * step, step), load_blocks(half, from, step));
  }
}

// to[k * to_step + n] = the lane at from + n * from_step + 4 k bytes, for k < 4, n < Lanes. Vector i holds in its block b four
// lanes of row 4 b + i, so a transposition inside the blocks is all that is left: eight shuffles for 4 * Lanes elements.
HWY_INLINE void transpose_four(const char* from, std::ptrdiff_t from_step, float* to, std::size_t to_step) {
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
  // to[k * to_step + n] = the lane at from + n * from_step + 4 k bytes, for k < depth, n < width.
  static void transpose(const char* from, std::ptrdiff_t from_step, std::size_t width, std::size_t depth, float* to, std::size_t to_step) {
    const auto row = [=](std::size_t n) { return from + static_cast<std::ptrdiff_t>(n) * from_step; };
    std::size_t n = 0;
#if COTENANT_BLOCKS_OF_FOUR
    const FloatTag d;
    const std::size_t fours = depth / 4 * 4;
    for (; n + hn::Lanes(d) <= width; n += hn::Lanes(d)) {
      for (std::size_t k = 0; k < fours; k += 4) transpose_four(row(n) + 4 * k, from_step, to + k * to_step + n, to_step);
      for (std::size_t k = fours; k < depth; ++k)
        for (std::size_t i = n; i < n + hn::Lanes(d); ++i) std::memcpy(to + k * to_step + i, row(i) + 4 * k, 4);
    }
#endif
    for (; n < width; ++n)
      for (std::size_t k = 0; k < depth; ++k) std::memcpy(to + k * to_step + n, row(n) + 4 * k, 4);
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
          if (column == columns) continue;
          // The last vector overlaps the one before it: what lies behind the row is not read.
          if (columns > hn::Lanes(d))
            hn::StoreU(hn::LoadU(d, source + columns - hn::Lanes(d)), d, target + columns - hn::Lanes(d));
          else
            std::copy_n(source, columns, target);
        }
        return;
      }
      for (std::size_t row = 0; row < rows; ++row)
        from.load(from.at(static_cast<std::ptrdiff_t>(row) * from.row_stride), from.column_stride, columns, to + row * to_step);
      return;
    }
    // The rows are the contiguous direction: read it so, and transpose. Floats are transposed where they lie.
    if (from.is_float) {
      transpose(from.data, from.column_stride * static_cast<std::ptrdiff_t>(sizeof(float)), columns, rows, to, to_step);
      return;
    }
    constexpr std::size_t width = 32, depth = 64;  // 8 KiB
    HWY_ALIGN float block[width * depth];
    for (std::size_t column = 0; column < columns; column += width)
      for (std::size_t row = 0; row < rows; row += depth) {
        const std::size_t some_columns = std::min(width, columns - column), some_rows = std::min(depth, rows - row);
        for (std::size_t i = 0; i < some_columns; ++i)
          from.load(from.at(static_cast<std::ptrdiff_t>(row) + static_cast<std::ptrdiff_t>(column + i) * from.column_stride), 1, some_rows, block + i * depth);
        transpose(reinterpret_cast<const char*>(block), depth * sizeof(float), some_columns, some_rows, to + row * to_step + column, to_step);
      }
  }
};
#undef COTENANT_BLOCKS_OF_FOUR

// Operands of a leaf that holds PerLane neighbours along k in a lane; the last lane is filled up with zeros.
template <std::int64_t Compiled, std::size_t PerLane> struct LanePacking {
  using Bits = std::conditional_t<PerLane == 2, std::uint16_t, std::uint8_t>;  // an element's, where a lane has several

  // to[lane * width + column] = the lane of the rows (k) [lane * PerLane, …) of column `column`; 0 for columns [columns, width).
  static void right(const cpu::Source& from, std::size_t depth, std::size_t columns, float* to, std::size_t width) {
    const std::size_t lanes = (depth + PerLane - 1) / PerLane;
    // Only the last vector has columns that are not there.
    const FloatTag d;
    if (columns < width)
      for (std::size_t lane = 0; lane < lanes; ++lane) hn::StoreU(hn::Zero(d), d, to + (lane + 1) * width - hn::Lanes(d));
    if constexpr (PerLane == 1) Packing<Compiled>::copy(from, depth, columns, to, width);
    else {
      const std::size_t whole = depth / PerLane;
      if (from.row_stride == 1)
        Packing<Compiled>::transpose(from.data, from.column_stride * static_cast<std::ptrdiff_t>(sizeof(Bits)), columns, whole, to, width);
      else if (from.column_stride == 1) interleave(from, whole, columns, to, width);
      else
        for (std::size_t lane = 0; lane < whole; ++lane) gather(from, lane * PerLane, PerLane, columns, to + lane * width);
      if (whole < lanes) gather(from, whole * PerLane, depth - whole * PerLane, columns, to + whole * width);
    }
  }

  // to[row * to_step + lane] = the lane of the columns (k) [lane * PerLane, …) of row `row`, each byte with `flip` flipped.
  static void left(const cpu::Source& from, std::size_t rows, std::size_t depth, std::uint8_t flip, float* to, std::size_t to_step) {
    if constexpr (PerLane == 1) {
      static_cast<void>(flip);
      Packing<Compiled>::copy(from, rows, depth, to, to_step);
    } else if (depth != 0) {  // no elements may have no address
      const std::size_t lanes = (depth + PerLane - 1) / PerLane;
      const cpu::Source columns{from.data, from.element_size, from.column_stride, from.row_stride, nullptr, false};
      for (std::size_t row = 0; row < rows; ++row) {
        float* const target = to + row * to_step;
        const char* const source = from.at(static_cast<std::ptrdiff_t>(row) * from.row_stride);
        if (from.column_stride == 1) {
          if (depth % PerLane != 0) std::memset(target + lanes - 1, 0, sizeof(float));
          std::memcpy(target, source, depth * sizeof(Bits));
        } else {
          for (std::size_t lane = 0; lane < lanes; ++lane)
            gather(columns.moved(static_cast<std::ptrdiff_t>(row) * from.row_stride), lane * PerLane, std::min(PerLane, depth - lane * PerLane), 1,
                   target + lane);
        }
        if (flip != 0) flip_bytes(target, lanes, flip);
      }
    }
  }

 private:
  // The rows [first, first + count) of each column, in one lane per column.
  static void gather(const cpu::Source& from, std::size_t first, std::size_t count, std::size_t columns, float* to) {
    for (std::size_t column = 0; column < columns; ++column) {
      Bits elements[PerLane] = {};
      for (std::size_t i = 0; i < count; ++i)
        std::memcpy(&elements[i], from.at(static_cast<std::ptrdiff_t>(first + i) * from.row_stride + static_cast<std::ptrdiff_t>(column) * from.column_stride),
                    sizeof(Bits));
      std::memcpy(to + column, elements, sizeof(float));
    }
  }
  // Rows of contiguous elements: those of PerLane rows are put side by side, the first in the lowest bits.
  static void interleave(const cpu::Source& from, std::size_t lanes, std::size_t columns, float* to, std::size_t width) {
    const FloatTag d;
    const hn::RebindToUnsigned<FloatTag> wide;
    const hn::Rebind<Bits, FloatTag> narrow;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const cpu::Source rows = from.moved(static_cast<std::ptrdiff_t>(lane * PerLane) * from.row_stride);
      const auto load = [&](std::size_t row, std::size_t column) {
        const char* const at = rows.at(static_cast<std::ptrdiff_t>(row) * rows.row_stride + static_cast<std::ptrdiff_t>(column));
        return hn::PromoteTo(wide, hn::LoadU(narrow, reinterpret_cast<const Bits*>(at)));
      };
      std::size_t column = 0;
      for (; column + hn::Lanes(d) <= columns; column += hn::Lanes(d)) {
        auto bits = hn::Or(load(0, column), hn::ShiftLeft<32 / PerLane>(load(1, column)));
        if constexpr (PerLane == 4) bits = hn::Or(bits, hn::Or(hn::ShiftLeft<16>(load(2, column)), hn::ShiftLeft<24>(load(3, column))));
        hn::StoreU(hn::BitCast(d, bits), d, to + lane * width + column);
      }
      if (column < columns) gather(rows.moved(static_cast<std::ptrdiff_t>(column)), 0, PerLane, columns - column, to + lane * width + column);
    }
  }
  static void flip_bytes(float* lanes, std::size_t count, std::uint8_t flip) {
    const FloatTag d;
    const hn::RebindToUnsigned<FloatTag> integer;
    const std::uint32_t each = flip * 0x01010101u;
    std::size_t i = 0;
    for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d))
      hn::StoreU(hn::BitCast(d, hn::Xor(hn::BitCast(integer, hn::LoadU(d, lanes + i)), hn::Set(integer, each))), d, lanes + i);
    for (; i < count; ++i) {
      std::uint32_t bits;
      std::memcpy(&bits, lanes + i, sizeof bits);
      bits ^= each;
      std::memcpy(lanes + i, &bits, sizeof bits);
    }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
