// Copying elements between any two layouts of one shape.
#ifndef COTENANT_CPU_COPY_HPP
#define COTENANT_CPU_COPY_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cotenant/core/view.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/threads.hpp"

namespace cotenant::cpu {

namespace detail {
// Copying moves bits, so that elements of one size share one function.
template <std::size_t Size> struct BitsOf;
template <> struct BitsOf<1> { using type = std::uint8_t; };
template <> struct BitsOf<2> { using type = std::uint16_t; };
template <> struct BitsOf<4> { using type = std::uint32_t; };
template <> struct BitsOf<8> { using type = std::uint64_t; };

struct CopyPlan {
  const char* in = nullptr;
  char* out = nullptr;
  Iteration<2> iteration;  // out, in
  std::size_t tile_rows = 0, tile_columns = 0, row_tiles = 0, column_tiles = 0;
};

template <class Bits> void copy_tiles(const void* context, std::size_t begin, std::size_t end) {
  const CopyPlan& plan = *static_cast<const CopyPlan*>(context);
  const std::size_t rank = plan.iteration.rank, per_outer = plan.row_tiles * plan.column_tiles;
  const std::ptrdiff_t out_row = plan.iteration.stride[0][rank - 2], out_column = plan.iteration.stride[0][rank - 1];
  const std::ptrdiff_t in_row = plan.iteration.stride[1][rank - 2], in_column = plan.iteration.stride[1][rank - 1];
  for (std::size_t i = begin; i < end; ++i) {
    const Odometer<2> outer(plan.iteration, 2, i / per_outer);
    const std::size_t row = i % per_outer / plan.column_tiles * plan.tile_rows, column = i % plan.column_tiles * plan.tile_columns;
    const std::size_t rows = std::min(plan.tile_rows, plan.iteration.extent[rank - 2] - row),
                      columns = std::min(plan.tile_columns, plan.iteration.extent[rank - 1] - column);
    const auto r = static_cast<std::ptrdiff_t>(row), c = static_cast<std::ptrdiff_t>(column);
    constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(Bits));
    const char* from = plan.in + (outer.offset(1) + r * in_row + c * in_column) * size;
    char* to = plan.out + (outer.offset(0) + r * out_row + c * out_column) * size;
    for (std::size_t y = 0; y < rows; ++y, from += in_row * size, to += out_row * size) {
      if (in_column == 1 && out_column == 1) {
        std::memcpy(to, from, columns * sizeof(Bits));
        continue;
      }
      const char* source = from;
      char* target = to;
      for (std::size_t x = 0; x < columns; ++x, source += in_column * size, target += out_column * size) std::memcpy(target, source, sizeof(Bits));
    }
  }
}
}  // namespace detail

// out = in, bit for bit; the two do not overlap.
template <class T> void copy(const View<const T>& in, const View<T>& out) {
  if (out.size() == 0) return;
  detail::CopyPlan plan{
      reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()), coalesce<2>(out.shape(), {&out.strides(), &in.strides()}, 2), 0, 0, 0, 0};
  const std::size_t rows = plan.iteration.rank - 2, columns = plan.iteration.rank - 1;
  const bool contiguous = plan.iteration.stride[0][columns] == 1 && plan.iteration.stride[1][columns] == 1;
  // Where one side's rows are the other's columns, square tiles of 16 cache lines and 16 rows stay in the L1 cache.
  plan.tile_columns = std::min(plan.iteration.extent[columns], contiguous ? std::size_t{65536} : std::size_t{64});
  plan.tile_rows = std::min(plan.iteration.extent[rows], contiguous ? std::max<std::size_t>(1, 65536 / plan.tile_columns) : std::size_t{64});
  plan.column_tiles = (plan.iteration.extent[columns] - 1) / plan.tile_columns + 1;
  plan.row_tiles = (plan.iteration.extent[rows] - 1) / plan.tile_rows + 1;
  const double nanoseconds = (contiguous ? 0.1 : 1.0) * static_cast<double>(plan.tile_rows * plan.tile_columns);
  parallel_for(plan.iteration.outer_count(2) * plan.row_tiles * plan.column_tiles, nanoseconds, &detail::copy_tiles<typename detail::BitsOf<sizeof(T)>::type>,
               &plan);
}

}  // namespace cotenant::cpu

#endif
