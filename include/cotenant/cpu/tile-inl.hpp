// Tiles: a recorded expression over rows of any element types and strides, one compiled loop per expression.
#if defined(COTENANT_CPU_TILE_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_TILE_INL_HPP
#undef COTENANT_CPU_TILE_INL_HPP
#else
#define COTENANT_CPU_TILE_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/replay-inl.hpp"
#include "cotenant/cpu/tile.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::int64_t Compiled> struct Tiles {
  // out = expression(in...) on rows x columns elements; out may be exactly one of the inputs. Where any operand is not a
  // row of floats, columns is at most cpu::staged_columns.
  template <class E, std::size_t Count>
  static void tile(const E& expression, const cpu::Source* in, const cpu::Sink& out, std::size_t rows, std::size_t columns) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), whole = columns / lanes * lanes;
    if (whole != 0) strip<E, Count>(expression, in, out, rows, 0, whole);
    if (whole != columns) strip<E, Count>(expression, in, out, rows, whole, columns - whole);
  }

 private:
  // The columns [first, first + columns). The last columns, fewer than the lanes, pass through buffers: nothing outside an
  // operand is ever read or written.
  template <class E, std::size_t Count>
  static void strip(const E& expression, const cpu::Source* in, const cpu::Sink& out, std::size_t rows, std::size_t first, std::size_t columns) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), padded = (columns + lanes - 1) / lanes * lanes;
    HWY_ALIGN float buffer[Count + 1][cpu::staged_columns];
    const float* from[Count];
    std::size_t mask[Count];
    bool direct[Count];
    for (std::size_t i = 0; i < Count; ++i) {
      mask[i] = in[i].column_stride == 0 ? 0 : ~std::size_t{0};
      direct[i] = in[i].is_float && in[i].column_stride == 1 && padded == columns;
      // What lies behind the last column is computed too, on zeros.
      if (!direct[i] && padded != columns) std::fill(buffer[i], buffer[i] + padded, 0.0f);
      from[i] = buffer[i];
    }
    const bool direct_out = out.is_float && out.column_stride == 1 && padded == columns;
    bool all_direct = direct_out;
    for (std::size_t i = 0; i < Count; ++i) all_direct = all_direct && (direct[i] || (in[i].is_float && in[i].row_stride == 0 && mask[i] == 0));
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t i = 0; i < Count; ++i) {
        const cpu::Source& source = in[i];
        const char* data = source.at(static_cast<std::ptrdiff_t>(row) * source.row_stride + static_cast<std::ptrdiff_t>(first) * source.column_stride);
        if (direct[i]) from[i] = reinterpret_cast<const float*>(data);
        else if (row != 0 && source.row_stride == 0) continue;  // still there
        else if (source.column_stride == 0) {
          source.load(data, 1, 1, buffer[i]);
          hn::StoreU(hn::Set(d, buffer[i][0]), d, buffer[i]);
        } else source.load(data, source.column_stride, columns, buffer[i]);
      }
      char* data = out.at(static_cast<std::ptrdiff_t>(row) * out.row_stride + static_cast<std::ptrdiff_t>(first) * out.column_stride);
      float* const to = direct_out ? reinterpret_cast<float*>(data) : buffer[Count];
      // Where nothing passes through a buffer, all rows at once: the tile of a product has rows of three vectors.
      evaluate(expression, from, mask, in, to, out.row_stride, all_direct ? rows : 1, padded, std::make_index_sequence<Count>{});
      if (all_direct) return;
      if (!direct_out) out.store(buffer[Count], data, out.column_stride, columns);
    }
  }

  // to[row * to_row + column] = expression(from...) for columns that are a multiple of the lanes. An operand that repeats one value is
  // one vector of it: its mask is 0 and keeps the position there.
  template <class E, std::size_t... I>
  static HWY_INLINE void evaluate(const E& expression, const float* const* from, const std::size_t* mask, const cpu::Source* in, float* to,
                                  std::ptrdiff_t to_row, std::size_t rows, std::size_t columns, std::index_sequence<I...>) {
    const FloatTag d;
    const float* at[] = {from[I]...};
    const std::size_t masks[] = {mask[I]...};
    const std::ptrdiff_t step[] = {in[I].row_stride...};
    for (; rows-- > 0; to += to_row, ((at[I] += step[I]), ...))
      for (std::size_t column = 0; column < columns; column += hn::Lanes(d))
        hn::StoreU(replay(d, expression, hn::LoadU(d, at[I] + (column & masks[I]))...), d, to + column);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
