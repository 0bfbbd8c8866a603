// map on one CPU target: every element-wise operation, quantisation included.
#if defined(COTENANT_CPU_MAP_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_MAP_INL_HPP
#undef COTENANT_CPU_MAP_INL_HPP
#else
#define COTENANT_CPU_MAP_INL_HPP
#endif
#include <algorithm>
#include <array>
#include <cstddef>
#include <tuple>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/cpu/tile-inl.hpp"
#include "cotenant/ops/map.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::int64_t Compiled> struct Maps {
  // out = expression(in...), all of one shape, computed in float.
  template <class E, class Out, class... In, std::size_t... I>
  static void map(const E& expression, const View<Out>& out, const std::tuple<Operand<const In>...>& in, std::index_sequence<I...>) {
    if (out.size() == 0) return;
    Plan<E, sizeof...(In)> plan{expression, {}, {}, {}, 0, 0, 0, 0};
    plan.iteration = cpu::coalesce<sizeof...(In) + 1>(out.shape(), {&out.strides(), &std::get<I>(in).view.strides()...}, 2);
    const auto& iteration = plan.iteration;
    const std::size_t rows = iteration.rank - 2, columns = iteration.rank - 1;
    plan.out = Rows<Compiled>::sink(out.data(), iteration.stride[0][rows], iteration.stride[0][columns]);
    ((plan.in[I] = Rows<Compiled>::source(std::get<I>(in).view.data(), iteration.stride[I + 1][rows], iteration.stride[I + 1][columns])), ...);

    bool direct = plan.out.is_float && plan.out.column_stride == 1;
    for (const cpu::Source& source : plan.in) direct = direct && source.column_stride == (source.is_float ? source.column_stride & 1 : 0);
    // Without conversion a tile only bounds the unit of work: 16 KiB per operand, half of a small L1 cache for two.
    plan.tile_columns = std::min(iteration.extent[columns], direct ? 8 * cpu::staged_columns : cpu::staged_columns);
    plan.tile_rows = std::min(iteration.extent[rows], std::max<std::size_t>(1, 8 * cpu::staged_columns / plan.tile_columns));
    plan.column_tiles = (iteration.extent[columns] - 1) / plan.tile_columns + 1;
    plan.row_tiles = (iteration.extent[rows] - 1) / plan.tile_rows + 1;
    const std::size_t tiles = iteration.outer_count(2) * plan.row_tiles * plan.column_tiles;
    // About 0.3 ns per element and operand where the caches hold them.
    cpu::parallel_for(tiles, 0.3 * static_cast<double>((sizeof...(In) + 1) * plan.tile_rows * plan.tile_columns), &run<E, sizeof...(In)>, &plan);
  }

 private:
  template <class E, std::size_t Count> struct Plan {
    const E& expression;
    cpu::Sink out;
    std::array<cpu::Source, Count> in;
    cpu::Iteration<Count + 1> iteration;
    std::size_t tile_rows, tile_columns, row_tiles, column_tiles;
  };

  template <class E, std::size_t Count> static void run(const void* context, std::size_t begin, std::size_t end) {
    const auto& plan = *static_cast<const Plan<E, Count>*>(context);
    const std::size_t rank = plan.iteration.rank, per_outer = plan.row_tiles * plan.column_tiles;
    cpu::Odometer<Count + 1> outer(plan.iteration, 2, begin / per_outer);
    std::size_t row_tile = begin % per_outer / plan.column_tiles, column_tile = begin % plan.column_tiles;
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t row = row_tile * plan.tile_rows, column = column_tile * plan.tile_columns;
      const auto moved = [&](const auto& operand, std::size_t index) {
        return operand.moved(outer.offset(index) + static_cast<std::ptrdiff_t>(row) * operand.row_stride +
                             static_cast<std::ptrdiff_t>(column) * operand.column_stride);
      };
      cpu::Source in[Count];
      for (std::size_t operand = 0; operand < Count; ++operand) in[operand] = moved(plan.in[operand], operand + 1);
      Tiles<Compiled>::template tile<E, Count>(plan.expression, in, moved(plan.out, 0), std::min(plan.tile_rows, plan.iteration.extent[rank - 2] - row),
                                               std::min(plan.tile_columns, plan.iteration.extent[rank - 1] - column));
      if (++column_tile != plan.column_tiles) continue;
      column_tile = 0;
      if (++row_tile != plan.row_tiles) continue;
      row_tile = 0;
      outer.advance();
    }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
