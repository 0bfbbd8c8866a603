// packed_panels(): the right operand of a product in the order in which tiles read it, made once for all calls with the same weights.
#ifndef COTENANT_CPU_PACKED_PANELS_HPP
#define COTENANT_CPU_PACKED_PANELS_HPP
#include <algorithm>
#include <cstddef>

#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/packed.hpp"
#include "cotenant/cpu/threads.hpp"

namespace cotenant::cpu {

namespace detail {
inline Panels panels_of(const GemmProblem& problem) { return {problem.columns, *problem.kernel}; }

// One panel by one block of k of the right operand, in the order in which tiles read it.
inline void pack_panel(const GemmProblem& problem, const Panels& panels, const DepthBlocks& blocks, std::size_t panel, std::size_t block, float* to) {
  const std::size_t per_lane = problem.kernel->per_lane, column = panels.first_column(panel), width = panels.vectors(panel) * problem.kernel->lanes,
                    first = blocks.first(block) * per_lane;
  problem.kernel->pack_right(
      problem.right.moved(static_cast<std::ptrdiff_t>(first) * problem.right.row_stride + static_cast<std::ptrdiff_t>(column) * problem.right.column_stride),
      std::min(blocks.size(block) * per_lane, problem.depth - first), std::min(width, problem.columns - column), to, width);
}

struct PackingTask {
  const GemmProblem& problem;
  float* to;
};
inline void pack_panels(const void* context, std::size_t first, std::size_t last) {
  const auto& task = *static_cast<const PackingTask*>(context);
  const Panels panels = panels_of(task.problem);
  const DepthBlocks blocks(task.problem.depth, task.problem.kernel->per_lane);
  for (std::size_t panel = first; panel < last; ++panel)
    for (std::size_t block = 0; block < blocks.count; ++block)
      pack_panel(task.problem, panels, blocks, panel, block,
                 task.to + blocks.first(block) * panels.padded_columns() + blocks.size(block) * panels.first_column(panel));
}
}  // namespace detail

// The right operand in panels for all calls with these weights, or null: see packed_right(). `block` holds the operand, which is one
// matrix for all batch entries.
inline Ref<const PackedRight> packed_panels(const GemmProblem& problem, const Block* block) {
  const std::size_t per_lane = problem.kernel->per_lane;
  if (!(per_lane == 1 ? problem.right.is_float : problem.right.element_size * per_lane == sizeof(float))) return nullptr;
  const DepthBlocks blocks(problem.depth, per_lane);
  const Panels panels = detail::panels_of(problem);
  return packed_right(problem, block, problem.kernel, blocks.lanes * panels.padded_columns(), [&](float* to) {
    const detail::PackingTask task{problem, to};
    // About 0.25 ns per lane, from memory to memory.
    parallel_for(panels.count(), static_cast<double>(blocks.lanes * problem.kernel->tile_vectors * problem.kernel->lanes) / 4, &detail::pack_panels, &task);
  });
}

}  // namespace cotenant::cpu

#endif
