// run_map(): walks the operands of an element-wise operation in tiles, on all cores; the CPU target only supplies the loop over a row.
#ifndef COTENANT_CPU_MAP_HPP
#define COTENANT_CPU_MAP_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cotenant/cpu/caches.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/cpu/tile.hpp"

namespace cotenant::cpu {

// data[0][i] = expression(data[1][i & mask[1]], …) for i < columns, elements of the row's own types. An operand with mask 0
// holds one element, `lanes` times over. `streams`: data[0], aligned to a vector, goes past the caches.
using MapRow = void (*)(const void* expression, char* const* data, const std::size_t* mask, std::size_t columns, bool streams);

// Count operands, the output first.
template <std::size_t Count> struct MapPlan {
  MapRow row;
  const void* expression;
  std::size_t lanes;                             // of the target
  std::array<char*, Count> data;                 // where the element with all indices 0 lies; only data[0] is written
  std::array<std::size_t, Count> element_size;
  bool streams;
  Iteration<Count> iteration;
  std::size_t tile_rows, tile_columns, row_tiles, column_tiles;
};

namespace detail {
// `count` elements of `size` bytes, the steps in bytes.
inline void copy_elements(const char* from, std::ptrdiff_t from_step, char* to, std::ptrdiff_t to_step, std::size_t size, std::size_t count) {
  auto run = [=](auto constant) mutable {
    for (std::size_t i = 0; i < count; ++i, from += from_step, to += to_step) std::memcpy(to, from, decltype(constant)::value);
  };
  if (size == 4) run(std::integral_constant<std::size_t, 4>{});
  else if (size == 2) run(std::integral_constant<std::size_t, 2>{});
  else if (size == 1) run(std::integral_constant<std::size_t, 1>{});
  else run(std::integral_constant<std::size_t, 8>{});
}

// The number of elements where all operands lie row-major without gaps, else 0.
template <std::size_t Count> std::size_t dense_count(const Shape& shape, const std::array<const Strides*, Count>& strides) {
  std::size_t count = 1;
  for (std::size_t axis = shape.rank(); axis-- > 0;) {
    if (shape[axis] == 1) continue;
    for (const Strides* operand : strides)
      if ((*operand)[axis] != static_cast<std::ptrdiff_t>(count)) return 0;
    count *= shape[axis];
  }
  return count;
}

// rows x columns elements, columns at most staged_columns where any operand has steps: those pass through buffers, a row at a time.
template <std::size_t Count> [[gnu::noinline]] void map_tile(const MapPlan<Count>& plan, std::array<char*, Count> data, std::size_t rows, std::size_t columns) {
  const std::size_t last = plan.iteration.rank - 1;
  alignas(64) char buffer[Count][staged_columns * sizeof(std::int64_t)];
  std::array<char*, Count> from;
  std::array<std::size_t, Count> mask;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t i = 0; i < Count; ++i) {
      const auto size = static_cast<std::ptrdiff_t>(plan.element_size[i]), step = plan.iteration.stride[i][last] * size,
                 row_step = plan.iteration.stride[i][last - 1] * size;
      mask[i] = step == 0 ? 0 : ~std::size_t{0};
      from[i] = data[i];
      if (step != size) {
        from[i] = buffer[i];
        if (i != 0 && (row == 0 || row_step != 0)) copy_elements(data[i], step, buffer[i], size, plan.element_size[i], step == 0 ? plan.lanes : columns);
      }
    }
    mask[0] = ~std::size_t{0};
    plan.row(plan.expression, from.data(), mask.data(), columns, plan.streams);
    for (std::size_t i = 0; i < Count; ++i) {
      const auto size = static_cast<std::ptrdiff_t>(plan.element_size[i]);
      if (i == 0 && from[0] != data[0]) copy_elements(buffer[0], size, data[0], plan.iteration.stride[0][last] * size, plan.element_size[0], columns);
      data[i] += plan.iteration.stride[i][last - 1] * size;
    }
  }
}

template <std::size_t Count> void map_tiles(const void* context, std::size_t begin, std::size_t end) {
  const auto& plan = *static_cast<const MapPlan<Count>*>(context);
  const std::size_t rank = plan.iteration.rank, per_outer = plan.row_tiles * plan.column_tiles;
  Odometer<Count> outer(plan.iteration, 2, begin / per_outer);
  std::size_t row_tile = begin % per_outer / plan.column_tiles, column_tile = begin % plan.column_tiles;
  for (std::size_t tile = begin; tile < end; ++tile) {
    const std::size_t row = row_tile * plan.tile_rows, column = column_tile * plan.tile_columns;
    std::array<char*, Count> data = plan.data;
    for (std::size_t i = 0; i < Count; ++i)
      data[i] += (outer.offset(i) + static_cast<std::ptrdiff_t>(row) * plan.iteration.stride[i][rank - 2] +
                  static_cast<std::ptrdiff_t>(column) * plan.iteration.stride[i][rank - 1]) * static_cast<std::ptrdiff_t>(plan.element_size[i]);
    map_tile(plan, data, std::min(plan.tile_rows, plan.iteration.extent[rank - 2] - row),
             std::min(plan.tile_columns, plan.iteration.extent[rank - 1] - column));
    if (++column_tile != plan.column_tiles) continue;
    column_tile = 0;
    if (++row_tile != plan.row_tiles) continue;
    row_tile = 0;
    outer.advance();
  }
}

// Everything but the few thousand elements at most that lie densely.
template <std::size_t Count> [[gnu::noinline]] void map_any(MapPlan<Count>& plan, const Shape& shape, const std::array<const Strides*, Count>& strides) {
  plan.iteration = coalesce<Count>(shape, strides, 2);
  const std::size_t rows = plan.iteration.rank - 2, columns = plan.iteration.rank - 1;
  bool direct = true;
  for (std::size_t i = 0; i < Count; ++i) {
    const std::ptrdiff_t stride = plan.iteration.stride[i][columns];
    direct = direct && (stride == 1 || (stride == 0 && i != 0));
  }
  // Without copies a tile only bounds the unit of work: 16 KiB per operand, half of a small L1 cache for two.
  plan.tile_columns = std::min(plan.iteration.extent[columns], direct ? 8 * staged_columns : staged_columns);
  plan.tile_rows = std::min(plan.iteration.extent[rows], std::max<std::size_t>(1, 8 * staged_columns / plan.tile_columns));
  plan.column_tiles = (plan.iteration.extent[columns] - 1) / plan.tile_columns + 1;
  plan.row_tiles = (plan.iteration.extent[rows] - 1) / plan.tile_rows + 1;
  // A result larger than the caches would be read into them only to be overwritten. Tiles begin at whole vectors.
  const std::size_t vector = plan.lanes * sizeof(float);
  plan.streams = plan.element_size[0] == sizeof(float) && rows == 0 && plan.iteration.extent[rows] == 1 && plan.iteration.stride[0][columns] == 1 &&
                 reinterpret_cast<std::uintptr_t>(plan.data[0]) % vector == 0 && plan.iteration.extent[columns] > caches().level3 / (2 * sizeof(float));
  // About 0.2 ns per element and operand where the caches hold them.
  parallel_for(plan.iteration.outer_count(2) * plan.row_tiles * plan.column_tiles, 0.2 * static_cast<double>(Count * plan.tile_rows * plan.tile_columns),
               &map_tiles<Count>, &plan);
}
}  // namespace detail

// The operation on operands of one shape, of which repeated axes have stride 0.
template <std::size_t Count> void run_map(MapPlan<Count>& plan, const Shape& shape, const std::array<const Strides*, Count>& strides) {
  const std::size_t dense = detail::dense_count(shape, strides);
  if (dense != 0 && dense <= 8 * staged_columns) {
    std::array<std::size_t, Count> mask;
    mask.fill(~std::size_t{0});
    plan.row(plan.expression, plan.data.data(), mask.data(), dense, false);
  } else if (element_count(shape) != 0) detail::map_any(plan, shape, strides);
}

}  // namespace cotenant::cpu

#endif
