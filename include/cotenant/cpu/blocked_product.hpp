// multiply_blocks(): the blocked product around a target's tile: panels, blocks of k and rows, packing, any finish per tile.
#ifndef COTENANT_CPU_BLOCKED_PRODUCT_HPP
#define COTENANT_CPU_BLOCKED_PRODUCT_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cotenant/cpu/caches.hpp"
#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/packed.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/threads.hpp"

namespace cotenant::cpu {

namespace detail {
inline Panels panels_of(const GemmProblem& problem) { return {problem.columns, problem.kernel->lanes}; }

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

// Hardly any last cache is smaller: products whose left operand fits need not ask.
inline constexpr std::size_t least_level3 = std::size_t{2} << 20;

// Rows of sums that are finished together: 3 KiB of them, which L1 holds beside a panel of bytes.
inline constexpr std::size_t finished_rows = 16;

// Some rows by some panels.
struct BlockedProduct {
  // The left operand: lane l of row r is at data + r * row + l * sizeof(float) bytes.
  struct Left {
    const char* data;
    std::ptrdiff_t row;
  };

  const GemmProblem& problem;
  const GemmKernel& kernel;
  const Panels panels;
  const DepthBlocks blocks;
  const std::size_t widest;
  std::size_t first_row = 0, last_row = 0, first_panel = 0, last_panel = 0;
  bool keeps_panels = false, is_packed = false, by_depth = false;
  float* packed = nullptr;
  float* sums = nullptr;  // those that are not the output itself wait here between the blocks of k
  float* tile = nullptr;  // sums that have no other place

  // A right operand that L1 holds with all that lies between its rows is read where it lies.
  const bool right_is_near;

  explicit BlockedProduct(const GemmProblem& p)
      : problem(p), kernel(*p.kernel), panels(panels_of(p)), blocks(p.depth, kernel.per_lane), widest(tile_vectors * kernel.lanes),
        right_is_near(p.packed_right == nullptr && has_rows_of_lanes() && p.right.row_stride >= 0 &&
                      p.depth * static_cast<std::size_t>(p.right.row_stride) <= (std::size_t{32} << 10) / sizeof(float)) {}
  bool has_rows_of_lanes() const { return kernel.per_lane == 1 && problem.right.is_float && problem.right.column_stride == 1; }

  void reserve(std::size_t columns_of_sums) {
    const bool keeps = keeps_panels && problem.packed_right == nullptr;
    if (problem.packed_right == nullptr)
      packed = scratch(ScratchUse::packed_right, keeps ? blocks.lanes * own_columns() : std::min(blocks.step, blocks.lanes) * widest);
    if (problem.direct == nullptr && blocks.count > 1) sums = scratch(ScratchUse::accumulators, (last_row - first_row) * columns_of_sums);
    else if (problem.direct == nullptr || panels.padded_columns() != problem.columns)
      tile = scratch(ScratchUse::tile, (finished_rows + kernel.tile_rows) * widest);
  }
  std::size_t own_columns() const { return panels.first_column(last_panel) - panels.first_column(first_panel); }
  // The sums of a panel are finished before the next is begun: L2 holds them.
  void panel_by_panel() {
    reserve(widest);
    const Left left = left_lanes(0, blocks.lanes);
    for (std::size_t panel = first_panel; panel < last_panel; ++panel)
      for (std::size_t block = 0; block < blocks.count; ++block)
        multiply_panel({left.data + blocks.first(block) * sizeof(float), left.row}, panel, block, sums, panels.vectors(panel) * kernel.lanes);
  }
  // One block of k of the left operand for all panels: L2 holds it.
  void depth_by_depth() {
    const std::size_t columns = own_columns(), first_column = panels.first_column(first_panel);
    reserve(columns);
    for (std::size_t block = 0; block < blocks.count; ++block) {
      const Left left = left_lanes(blocks.first(block), blocks.size(block));
      for (std::size_t panel = first_panel; panel < last_panel; ++panel)
        multiply_panel(left, panel, block, sums == nullptr ? nullptr : sums + (panels.first_column(panel) - first_column), columns);
    }
  }

  // Rows whose neighbours along k lie side by side are read where they lie; others are packed into such rows first.
  Left left_lanes(std::size_t first_lane, std::size_t lanes) {
    const std::size_t rows = last_row - first_row, first = std::min(first_lane * kernel.per_lane, problem.depth);
    const Source from = problem.left.moved(static_cast<std::ptrdiff_t>(first_row) * problem.left.row_stride +
                                           static_cast<std::ptrdiff_t>(first) * problem.left.column_stride);
    const bool same_element = kernel.per_lane == 1 ? from.is_float : from.element_size * kernel.per_lane == sizeof(float);
    const std::ptrdiff_t row_bytes = from.row_stride * static_cast<std::ptrdiff_t>(from.element_size);
    // What is to stay in L2 would have few of its sets if the rows are a multiple of 2 KiB apart: it is better copied. (Where all of the
    // left operand is read for each panel the copy is 4 % at 512^3, and gains nothing.)
    const bool conflicts = by_depth && row_bytes % 2048 == 0 && rows * lanes * sizeof(float) > least_level3 / 16 && own_columns() >= 8 * widest;
    if (same_element && from.column_stride == 1 && problem.left_flip == 0 && problem.depth % kernel.per_lane == 0 && !conflicts) return {from.data, row_bytes};
    // Whole cache lines, not a multiple of 2 KiB.
    const std::size_t stride = lanes / 16 * 16 + 32;
    float* const to = scratch(ScratchUse::packed_left, rows * stride);
    kernel.pack_left(from, rows, std::min(lanes * kernel.per_lane, problem.depth - first), problem.left_flip, to, stride);
    return {reinterpret_cast<const char*>(to), static_cast<std::ptrdiff_t>(stride * sizeof(float))};
  }

  // Where the panel is that multiply_panel reads or packs, and in which the next one is to be found.
  const float* packed_panel(std::size_t panel, std::size_t block) const {
    const std::size_t first = blocks.first(block), size = blocks.size(block), column = panels.first_column(panel);
    if (problem.packed_right != nullptr) return problem.packed_right + first * panels.padded_columns() + size * column;
    return keeps_panels ? packed + first * own_columns() + size * (column - panels.first_column(first_panel)) : packed;
  }
  struct Next {
    const char* data;
    std::ptrdiff_t lane, tile;  // bytes from lane to lane and from tile to tile
    std::size_t tiles = 3;      // that ask for it, a cache line per lane each
  };
  Next next_panel(std::size_t panel, std::size_t block) const {
    const std::size_t first = blocks.first(block);
    const auto tile_bytes = static_cast<std::ptrdiff_t>(64 * blocks.size(block));
    if (panel + 1 >= last_panel) return {nullptr, 0, 0};
    if (is_packed) return {reinterpret_cast<const char*>(packed_panel(panel + 1, block)), 64, tile_bytes};
    const Source& right = problem.right;
    const auto n = static_cast<std::ptrdiff_t>(panels.first_column(panel + 1));
    if (right.column_stride == 1) {
      const char* const at = right.at(static_cast<std::ptrdiff_t>(first * kernel.per_lane) * right.row_stride + n);
      const std::ptrdiff_t lane = right.row_stride * static_cast<std::ptrdiff_t>(right.element_size * kernel.per_lane);
      // Rows that begin anywhere lie in four lines.
      return {at, lane, 64, reinterpret_cast<std::uintptr_t>(at) % 64 == 0 && lane % 64 == 0 ? std::size_t{3} : std::size_t{4}};
    }
    if (right.row_stride == 1) return {right.at(n * right.column_stride) + 3 * 64 * first, 64, tile_bytes};
    return {nullptr, 0, 0};
  }

  // One panel by one block of k, for all rows; `panel_sums`, where not null, are its sums, `sums_row` from row to row.
  void multiply_panel(const Left& left, std::size_t panel, std::size_t block, float* panel_sums, std::size_t panel_sums_row) {
    const std::size_t rows = last_row - first_row, column = panels.first_column(panel), vectors = panels.vectors(panel), width = vectors * kernel.lanes;
    const std::size_t some = std::min(width, problem.columns - column);
    const auto n = static_cast<std::ptrdiff_t>(column);
    const bool begins = block == 0, ends = block + 1 == blocks.count;
    const auto in_place = [&] {
      return reinterpret_cast<const float*>(problem.right.at(static_cast<std::ptrdiff_t>(blocks.first(block)) * problem.right.row_stride + n));
    };
    const bool stays = right_is_near && some == width;
    const float* const right = stays ? in_place() : packed_panel(panel, block);
    const bool packs = !is_packed && !stays && some == widest && rows >= kernel.tile_rows && has_rows_of_lanes();
    if (!is_packed && !packs && !stays) pack_panel(problem, panels, blocks, panel, block, const_cast<float*>(right));
    Next next = next_panel(panel, block);
    const std::size_t tile_rows = kernel.tile_rows;
    const auto multiply = kernel.multiply;
    TileStep step;
    step.lanes = blocks.size(block);
    step.add = !begins;
    step.sums_are_far = by_depth;
    const bool output_is_direct = problem.direct != nullptr;
    std::size_t unfinished = 0;  // the first row that waits for finish()
    for (std::size_t row = 0; row < rows;) {
      const std::size_t height = kernel.tile_height(rows - row, vectors), used = std::min(height, rows - row);
      float* to = tile;  // null where another place follows
      auto to_row = static_cast<std::ptrdiff_t>(width);
      float* const output = problem.direct == nullptr ? nullptr : problem.direct + static_cast<std::ptrdiff_t>(first_row + row) * problem.direct_stride + n;
      if (output != nullptr && some == width) {
        to = output;
        to_row = problem.direct_stride;
      } else if (panel_sums != nullptr) {
        to = panel_sums + row * panel_sums_row;
        to_row = static_cast<std::ptrdiff_t>(panel_sums_row);
      } else if (output != nullptr && !begins) {
        for (std::size_t i = 0; i < used; ++i) std::copy_n(output + static_cast<std::ptrdiff_t>(i) * problem.direct_stride, some, tile + i * width);
      } else if (!output_is_direct) {
        to = tile + (row - unfinished) * width;
      }
      const char* const left_row = left.data + static_cast<std::ptrdiff_t>(row) * left.row;
      const char* left_at = left_row;
      float* sums_at = to;
      for (std::size_t i = 0; i < height; ++i) {
        step.left[i] = left_at;
        step.sums[i] = sums_at;
        if (i + 1 >= used) continue;  // the last one again
        left_at += left.row;
        sums_at += to_row;
      }
      const bool reads = packs && row == 0;
      step.right = reads ? in_place() : right;
      step.right_lane = reads || stays ? problem.right.row_stride : static_cast<std::ptrdiff_t>(width);
      step.packed = const_cast<float*>(right);
      // The next panel comes into L2 while the first tiles of this one are computed: a cache line per lane and tile.
      const bool ahead = next.data != nullptr && row < next.tiles * tile_rows;
      step.next_right = ahead ? next.data : left_row;  // not null: looking for a page that is not there takes long
      step.next_right_lane = ahead ? next.lane : 0;
      if (ahead) next.data += next.tile;
      if (ends && problem.result != nullptr) {
        const char* at = problem.result + static_cast<std::ptrdiff_t>(first_row + row) * problem.result_row + n * problem.result_column;
        const std::ptrdiff_t bytes = static_cast<std::ptrdiff_t>(some) * problem.result_column;
        for (std::size_t i = 0; i < used; ++i, at += problem.result_row)
          for (std::ptrdiff_t byte = 0; byte < bytes; byte += 64) __builtin_prefetch(at + byte, 1);
      }
      multiply(height, vectors, reads ? Reading::packs : ahead ? Reading::ahead : Reading::plain, step);
      if (output != nullptr && some < width) {
        for (std::size_t i = 0; i < used; ++i) std::copy_n(tile + i * width, some, output + static_cast<std::ptrdiff_t>(i) * problem.direct_stride);
      }
      row += used;
      if (output_is_direct || !ends) continue;
      // Several tiles at once: a call for each costs 4 % at a depth of 384.
      if (row - unfinished < finished_rows && row < rows) continue;
      problem.finish(problem.context, problem.batch, to - static_cast<std::ptrdiff_t>(row - used - unfinished) * to_row, to_row, first_row + unfinished,
                     column, row - unfinished, some);
      unfinished = row;
    }
  }
};
}  // namespace detail

// All sums of the rows [first_row, last_row) and panels [first_panel, last_panel), finished.
inline void multiply_blocks(const GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel, std::size_t last_panel) {
  detail::BlockedProduct job(problem);
  const DepthBlocks& blocks = job.blocks;
  const std::size_t rows = last_row - first_row;
  // The left operand's rows are read once per panel, at 32 bytes per 12 cycles, which the last cache delivers, as far as it
  // holds them: an eighth of it, since others share it. Of a larger operand, half of L2 keeps a part (some rows by a block
  // of k) that all panels are multiplied with in turn.
  std::size_t rows_at_once = rows;
  const std::size_t left_bytes = rows * blocks.lanes * sizeof(float);
  const bool by_panel = left_bytes <= detail::least_level3 / 8 || left_bytes <= caches().level3 / 8;
  const std::size_t tile_rows = problem.kernel->tile_rows;
  if (!by_panel) rows_at_once = std::max<std::size_t>(caches().level2 / 2 / (blocks.step * sizeof(float)), 64) / tile_rows * tile_rows;
  // Panels that are packed here are kept for the other rows, as many as a part of the last cache holds.
  std::size_t panels_at_once = last_panel - first_panel;
  if (problem.packed_right == nullptr && rows_at_once < rows)
    panels_at_once =
        std::min(panels_at_once, std::max<std::size_t>(caches().level3 / 2 / (std::max<std::size_t>(blocks.lanes, 1) * job.widest * sizeof(float)), 1));
  job.by_depth = !by_panel;
  for (std::size_t panel = first_panel; panel < last_panel; panel += panels_at_once) {
    job.first_panel = panel;
    job.last_panel = std::min(last_panel, panel + panels_at_once);
    job.keeps_panels = rows_at_once < rows;
    for (std::size_t row = first_row; row < last_row; row += rows_at_once) {
      job.first_row = row;
      job.last_row = std::min(last_row, row + rows_at_once);
      job.is_packed = problem.packed_right != nullptr || row > first_row;
      by_panel ? job.panel_by_panel() : job.depth_by_depth();
    }
  }
}

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
    parallel_for(panels.count(), static_cast<double>(blocks.lanes * tile_vectors * problem.kernel->lanes) / 4, &detail::pack_panels, &task);
  });
}

}  // namespace cotenant::cpu

#endif
