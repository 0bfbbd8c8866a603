// multiply_blocks(): the blocked product around a target's tile: panels, blocks of k and rows, packing, any finish per tile.
#ifndef COTENANT_CPU_BLOCKED_PRODUCT_HPP
#define COTENANT_CPU_BLOCKED_PRODUCT_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "cotenant/cpu/caches.hpp"
#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/packed_panels.hpp"
#include "cotenant/cpu/scratch.hpp"

namespace cotenant::cpu {

namespace detail {
// Hardly any last cache is smaller: products whose left operand fits need not ask.
inline constexpr std::size_t least_level3 = std::size_t{2} << 20;

// Some rows by some panels.
struct BlockedProduct {
  // The left operand: lane l of row r is at data + r * row + l * sizeof(float) bytes.
  struct Left {
    const char* data;
    std::ptrdiff_t row;
  };
  // A panel by a block of k, and where it lies packed, or will.
  struct Place {
    std::size_t panel, block, column;
    float* packed;
  };

  const GemmProblem& problem;
  const GemmKernel& kernel;
  const Panels panels;
  const DepthBlocks blocks;
  const std::size_t widest;
  // That are finished together: two tiles or more, 3 KiB of sums, which L1 holds beside a panel of bytes.
  const std::size_t finished_rows;
  std::size_t first_row = 0, last_row = 0, first_panel = 0, last_panel = 0;
  bool keeps_panels = false, is_packed = false, by_depth = false;
  float* packed = nullptr;
  float* sums = nullptr;  // those that are not the output itself wait here between the blocks of k
  float* tile = nullptr;  // sums that have no other place

  // A right operand that L2 holds with all that lies between its rows is read where it lies, and one of which it holds a panel beside the left
  // operand: 768 x 768 for up to 80 rows is 3 to 25 % faster so.
  const bool right_is_near;

  explicit BlockedProduct(const GemmProblem& p)
      : problem(p), kernel(*p.kernel), panels(panels_of(p)), blocks(p.depth, kernel.per_lane), widest(kernel.tile_vectors * kernel.lanes),
        finished_rows(std::max<std::size_t>(16 / kernel.tile_rows, 1) * kernel.tile_rows),
        right_is_near(p.packed_right == nullptr && has_rows_of_lanes() && is_near()) {}
  bool is_near() const {
    const std::size_t row = static_cast<std::size_t>(problem.right.row_stride) * sizeof(float), level2 = caches().level2;
    if (problem.depth * row <= level2 / 4 * 3) return true;
    // Rows whose distance has a large divisor in common with a way of the cache lie in few of its sets: of `used` bytes. Usual are 16 ways.
    const std::size_t way = level2 / 16, panel_row = widest * sizeof(float), used = std::min(way, way / std::gcd(row, way) * panel_row);
    return std::min(blocks.step, blocks.lanes) * panel_row * (way / used) + problem.rows * problem.depth * sizeof(float) <= level2;
  }
  bool has_rows_of_lanes() const { return kernel.per_lane == 1 && problem.right.is_float && problem.right.column_stride == 1 && problem.right.row_stride >= 0; }
  std::size_t own_columns() const { return panels.first_column(last_panel) - panels.first_column(first_panel); }

  // By panels: the sums of one are finished before the next is begun, L2 holds them. By depth: one block of k of the left operand for
  // all panels, L2 holds that.
  void run() {
    const std::size_t columns = by_depth ? own_columns() : widest;
    if (problem.packed_right == nullptr && !(right_is_near && panels.padded_columns() == problem.columns))
      packed = scratch(ScratchUse::packed_right, keeps_panels ? blocks.lanes * own_columns() : std::min(blocks.step, blocks.lanes) * widest);
    if (problem.direct == nullptr && blocks.count > 1) sums = scratch(ScratchUse::accumulators, (last_row - first_row) * columns);
    else if (problem.direct == nullptr || panels.padded_columns() != problem.columns) tile = scratch(ScratchUse::tile, finished_rows * widest);
    Left left = by_depth ? Left{} : left_lanes(0, blocks.lanes);
    Place now = place(first_panel, 0);
    for (std::size_t rest = (last_panel - first_panel) * blocks.count; rest > 0; --rest) {
      if (by_depth && now.panel == first_panel) left = left_lanes(blocks.first(now.block), blocks.size(now.block));
      const Left own{by_depth ? left.data : left.data + blocks.first(now.block) * sizeof(float), left.row};
      float* const own_sums = sums == nullptr || !by_depth ? sums : sums + (panels.first_column(now.panel) - panels.first_column(first_panel));
      const Place next = rest > 1 ? after(now) : now;
      multiply_panel(own, now, next, own_sums, by_depth ? columns : panels.vectors(now.panel) * kernel.lanes);
      now = next;
    }
  }
  Place after(const Place& now) const {
    const bool is_last = by_depth ? now.panel + 1 == last_panel : now.block + 1 == blocks.count;
    if (by_depth) return is_last ? place(first_panel, now.block + 1) : place(now.panel + 1, now.block);
    return is_last ? place(now.panel + 1, 0) : place(now.panel, now.block + 1);
  }
  Place place(std::size_t panel, std::size_t block) const {
    const std::size_t first = blocks.first(block), size = blocks.size(block), width = panels.vectors(panel) * kernel.lanes;
    std::size_t column = panels.first_column(panel);
    float* at = packed;
    if (problem.packed_right != nullptr) at = const_cast<float*>(problem.packed_right) + first * panels.padded_columns() + size * column;
    else if (keeps_panels && at != nullptr) at += first * own_columns() + size * (column - panels.first_column(first_panel));
    // The last panel may take whole vectors where it can: some columns of the one before are computed twice then.
    const bool is_free = right_is_near && problem.direct != nullptr && blocks.count == 1 && panel != first_panel;
    if (is_free && column + width > problem.columns) column = problem.columns - width;
    return {panel, block, column, at};
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

  // The first element of a place in the right operand.
  const char* unpacked(const Place& at) const {
    return problem.right.at(static_cast<std::ptrdiff_t>(blocks.first(at.block) * kernel.per_lane) * problem.right.row_stride +
                            static_cast<std::ptrdiff_t>(at.column) * problem.right.column_stride);
  }

  // The lines of the place that comes next, one per lane for each tile that asks.
  void ask_for(const Place& next, TileColumn& tiles) const {
    const Source& right = problem.right;
    const std::size_t width = panels.vectors(next.panel) * kernel.lanes * sizeof(float);
    tiles.next_right = is_packed ? reinterpret_cast<const char*>(next.packed) : unpacked(next);
    if (tiles.next_right == nullptr) return;  // no elements may have no address
    tiles.asking = (width + 63) / 64;
    tiles.next_right_lane = 64;
    tiles.next_right_tile = static_cast<std::ptrdiff_t>(64 * blocks.size(next.block));
    if (is_packed || right.row_stride == 1) return;
    tiles.next_right_lane = right.row_stride * static_cast<std::ptrdiff_t>(right.element_size * kernel.per_lane);
    tiles.next_right_tile = 64;
    // Rows that begin anywhere lie in one line more.
    if (reinterpret_cast<std::uintptr_t>(tiles.next_right) % 64 != 0 || tiles.next_right_lane % 64 != 0) ++tiles.asking;
    if (right.column_stride != 1) tiles.asking = 0;
  }

  // One panel by one block of k, for all rows; `panel_sums`, where not null, are its sums, `sums_row` from row to row.
  void multiply_panel(const Left& left, const Place& now, const Place& next, float* panel_sums, std::size_t panel_sums_row) {
    const std::size_t rows = last_row - first_row, column = now.column, vectors = panels.vectors(now.panel), width = vectors * kernel.lanes;
    const std::size_t some = std::min(width, problem.columns - column);
    const auto n = static_cast<std::ptrdiff_t>(column);
    const bool begins = now.block == 0, ends = now.block + 1 == blocks.count, stays = right_is_near && some == width;
    const bool packs = !is_packed && !stays && some == widest && rows >= kernel.tile_rows && has_rows_of_lanes();
    if (!is_packed && !packs && !stays) pack_panel(problem, panels, blocks, now.panel, now.block, now.packed);
    TileColumn tiles{};
    if (vectors == kernel.tile_vectors && (next.panel != now.panel || next.block != now.block)) ask_for(next, tiles);
    // The last tiles of full height ask: what was asked for earlier is pushed out of L2 by what the others read (1 to 3 % at 128 rows).
    const GemmKernel::Tiles whole = kernel.next_tiles(rows, vectors);
    const std::size_t asking = tiles.asking, first_asking = whole.rows - std::min(whole.rows / whole.height, asking) * whole.height;
    tiles.packed = now.packed;
    tiles.left_row = left.row;
    tiles.lanes = blocks.size(now.block);
    tiles.part = kernel.part(tiles.lanes);
    tiles.add = !begins;
    tiles.scales = ends && problem.scaling != nullptr;
    // Sums are in the output or wait for the other blocks of k, all of them; or for finish() or to be copied to the output, a few rows.
    float* const output = problem.direct == nullptr ? nullptr : problem.direct + static_cast<std::ptrdiff_t>(first_row) * problem.direct_stride + n;
    float* const all = output != nullptr && some == width ? output : panel_sums;
    tiles.sums_row = all == nullptr ? static_cast<std::ptrdiff_t>(width) : all == output ? problem.direct_stride : static_cast<std::ptrdiff_t>(panel_sums_row);
    // A tile of bytes is short: stores that wait for lines from behind L2 hold up the next one (6 % at 128 x 768 x 3072).
    tiles.sums_are_far = by_depth || (kernel.exact && all == output && problem.rows * problem.columns * sizeof(float) > (std::size_t{1} << 20));
    const bool finishes = ends && output == nullptr, stages = output != nullptr && all == nullptr;
    // A call of finish() for each tile would cost 4 % at a depth of 384.
    const std::size_t at_once = finishes || stages ? finished_rows : rows;
    for (std::size_t group = 0; group < rows; group += at_once) {
      const std::size_t group_rows = std::min(at_once, rows - group);
      float* const sums_of_group = all == nullptr ? tile : all + static_cast<std::ptrdiff_t>(group) * tiles.sums_row;
      float* const output_of_group = stages ? output + static_cast<std::ptrdiff_t>(group) * problem.direct_stride : nullptr;
      if (stages && !begins)
        for (std::size_t i = 0; i < group_rows; ++i)
          std::copy_n(output_of_group + static_cast<std::ptrdiff_t>(i) * problem.direct_stride, some, tile + i * width);
      if (finishes && problem.result != nullptr) ask_for_result(first_row + group, group_rows, column, some);
      for (std::size_t row = 0; row < group_rows; row += tiles.rows) {
        const std::size_t first = group + row;
        // The first tile packs.
        const bool packing = packs && first == 0, in_place = packing || stays;
        const auto [height, some_rows] = kernel.next_tiles(packing ? kernel.tile_rows : group_rows - row, vectors);
        tiles.rows = first < first_asking ? std::min(some_rows, first_asking - first) : some_rows;
        tiles.asking = first < first_asking ? 0 : asking - std::min(asking, (first - first_asking) / height);
        tiles.right = in_place ? reinterpret_cast<const float*>(unpacked(now)) : now.packed;
        tiles.right_lane = in_place ? problem.right.row_stride : static_cast<std::ptrdiff_t>(width);
        tiles.left = left.data + static_cast<std::ptrdiff_t>(first) * left.row;
        tiles.sums = sums_of_group + static_cast<std::ptrdiff_t>(row) * tiles.sums_row;
        if (tiles.scales) tiles.scaling = problem.scaling->moved(first_row + first, column);
        kernel.multiply(height, vectors, packing, tiles);
        if (first >= first_asking) tiles.next_right += static_cast<std::ptrdiff_t>((tiles.rows + height - 1) / height) * tiles.next_right_tile;
      }
      if (stages)
        for (std::size_t i = 0; i < group_rows; ++i)
          std::copy_n(tile + i * width, some, output_of_group + static_cast<std::ptrdiff_t>(i) * problem.direct_stride);
      if (finishes) problem.finish(problem.context, problem.batch, sums_of_group, tiles.sums_row, first_row + group, column, group_rows, some);
    }
  }

  // Where finished sums will be stored.
  void ask_for_result(std::size_t row, std::size_t rows, std::size_t column, std::size_t columns) const {
    const char* at = problem.result + static_cast<std::ptrdiff_t>(row) * problem.result_row + static_cast<std::ptrdiff_t>(column) * problem.result_column;
    const std::ptrdiff_t bytes = static_cast<std::ptrdiff_t>(columns) * problem.result_column;
    for (std::size_t i = 0; i < rows; ++i, at += problem.result_row)
      for (std::ptrdiff_t byte = 0; byte < bytes; byte += 64) __builtin_prefetch(at + byte, 1);
  }
};

// A small product of rows of floats whose sums are the output: nothing is packed, waits or is cut, and finding that out piece by piece
// takes 60 to 120 cycles, a seventh of 16^3, 1.4 % of 64^3. Returns whether it was one. The right operand takes at most 128 KiB, for which
// every L2 has room, the left one as much as need not be cut.
inline bool multiply_small(const GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel, std::size_t last_panel) {
  const GemmKernel& kernel = *problem.kernel;
  const Source &left = problem.left, &right = problem.right;
  if (problem.direct == nullptr || problem.packed_right != nullptr || problem.scaling != nullptr || kernel.per_lane != 1) return false;
  if (!left.is_float || left.column_stride != 1 || !right.is_float || right.column_stride != 1) return false;
  if (problem.depth == 0 || problem.depth > 256 || right.row_stride < 0 || right.row_stride > 128 || problem.columns % kernel.lanes != 0) return false;
  if ((last_row - first_row) * problem.depth * sizeof(float) > least_level3 / 8) return false;
  const Panels panels(problem.columns, kernel);
  TileColumn tiles{};
  tiles.left_row = left.row_stride * static_cast<std::ptrdiff_t>(sizeof(float));
  tiles.sums_row = problem.direct_stride;
  tiles.right_lane = right.row_stride;
  tiles.lanes = tiles.part = problem.depth;
  for (std::size_t panel = first_panel; panel < last_panel; ++panel) {
    const std::size_t column = panels.first_column(panel), vectors = panels.vectors(panel);
    tiles.right = reinterpret_cast<const float*>(right.data) + column;
    for (std::size_t row = first_row; row < last_row; row += tiles.rows) {
      const auto [height, some_rows] = kernel.next_tiles(last_row - row, vectors);
      tiles.rows = some_rows;
      tiles.left = left.data + static_cast<std::ptrdiff_t>(row) * tiles.left_row;
      tiles.sums = problem.direct + static_cast<std::ptrdiff_t>(row) * tiles.sums_row + column;
      kernel.multiply(height, vectors, false, tiles);
    }
  }
  return true;
}
}  // namespace detail

// All sums of the rows [first_row, last_row) and panels [first_panel, last_panel), finished.
inline void multiply_blocks(const GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel, std::size_t last_panel) {
  if (detail::multiply_small(problem, first_row, last_row, first_panel, last_panel)) return;
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
      job.is_packed = problem.packed_right != nullptr || (row > first_row && !job.right_is_near);
      job.run();
    }
  }
}

}  // namespace cotenant::cpu

#endif
