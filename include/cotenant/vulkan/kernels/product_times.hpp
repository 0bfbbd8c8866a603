// What products take by each tile, as far as choices need it: measured once on an H100.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_TIMES_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_TIMES_HPP
#include <algorithm>
#include <cstddef>

#include "cotenant/vulkan/kernels/matrix_product.hpp"
#include "cotenant/vulkan/kernels/product_cooperative.hpp"
#include "cotenant/vulkan/kernels/product_simt.hpp"

namespace cotenant::vulkan::detail {

// A tile, and the rate of an H100's multiprocessor with two workgroups of it, as a part of the first one's.
struct RatedTile {
  SimtTile tile;
  double rate;
};
inline constexpr RatedTile rated_tiles[] = {
    {{8, 16, 4, 2, 16, true}, 1}, {{8, 16, 2, 2, 16, true}, 0.95}, {{8, 8, 2, 2, 32, true, 2}, 0.87}, {{8, 8, 1, 1, 32, true, 2}, 0.55}};
// How many multiply-adds a multiprocessor could do at the first tile's rate while the product takes `splits` parts of depth by this
// tile. The rates are those that an H100 reached by each tile in sweeps of products of 128 to 4096; they rank choices, they do not predict times.
inline double cost_of(const RatedTile& choice, const MatrixProduct& product, std::size_t splits, std::size_t multiprocessors) {
  const TileExtent extent = choice.tile.extent();
  const auto parts = [](std::size_t whole, std::size_t part) { return (whole + part - 1) / part; };
  const std::size_t tiles = parts(product.rows, extent.rows) * parts(product.columns, extent.columns) * product.batches() * splits;
  // Workgroups of the multiprocessor that has the most; the last of an odd number is alone, and half as fast.
  const std::size_t most = parts(tiles, multiprocessors);
  const double rounds = static_cast<double>(most) + (most % 2 != 0 ? 0.5 : 0);
  // Beginning and end of a tile cost as much as 64 steps.
  const double steps = static_cast<double>(parts(product.depth, splits) + 64);
  const double sums = rounds * extent.rows * extent.columns * steps / choice.rate;
  if (splits == 1) return sums;
  // The parts' sums are written, read and written as one, 9 multiply-adds per byte; the second launch takes 6 us.
  const double elements = static_cast<double>(product.rows * product.columns * product.batches());
  return sums + 1e6 + 4 * 9 * static_cast<double>(2 * splits + 1) * elements / static_cast<double>(multiprocessors);
}

// A tile on matrices of halves, and how long an H100's multiprocessor takes for 64 steps of depth with one workgroup of it alone and with as
// many as it takes at a time, in ns. Measured with 132 to 528 workgroups; those that were the fastest in any of 36 products of 32 to 8192,
// behind the one that takes the least shared memory.
struct TimedTile {
  CooperativeTile tile;
  double alone, together;
  std::size_t at_once;
};
inline constexpr TimedTile timed_tiles[] = {
    {{32, 64, 64, 16, 32, 16, 16, 16, 32, true}, 291, 944, 4}, {{32, 32, 128, 16, 16, 16, 16, 16, 32, true, 2}, 160, 450, 3},
    {{32, 64, 64, 16, 32, 16, 16, 16, 32, true, 2}, 265, 890, 4}, {{64, 64, 64, 32, 32, 16, 16, 16, 32, true, 2}, 343, 928, 3},
    {{64, 96, 64, 32, 48, 16, 16, 16, 32, true, 2}, 450, 820, 2}, {{96, 64, 64, 48, 32, 16, 16, 16, 32, true, 2}, 448, 810, 2},
    {{64, 128, 64, 32, 64, 16, 16, 16, 32, true}, 608, 1000, 2}, {{96, 96, 64, 48, 48}, 690, 1110, 2}, {{128, 96, 64, 64, 48}, 870, 1320, 2},
    {{128, 128, 32, 64, 64, 16, 16, 16, 32, true, 2}, 1250, 1480, 2}, {{128, 128, 64, 64, 64}, 1080, 1550, 2}};
// The same tile for elements of a size: as many bytes of depth.
constexpr CooperativeTile for_elements(CooperativeTile tile, std::size_t bytes) {
  if (bytes == 1) tile.depth *= 2, tile.k *= 2;
  return tile;
}

// What products take by a tile, in ns beside what every product takes: within an eighth of what 25 products of 32 to 2048 rows, with right
// sides that no cache holds, took by 17 tiles with depth in 1 to 12 parts. For choices, no prediction.
class TileTimes {
 public:
  TileTimes(const TimedTile& choice, const MatrixProduct& product, std::size_t multiprocessors)
      : choice_(choice), multiprocessors_(multiprocessors), depth_(product.depth), elements_(product.rows * product.columns * product.batches()),
        tile_(for_elements(choice.tile, size_of(product.a().type))),
        tiles_(parts(product.rows, tile_.rows) * parts(product.columns, tile_.columns) * product.batches()) {}

  const CooperativeTile& tile() const { return tile_; }
  // How many parts there may be: of two blocks at least, where multiprocessors have nothing to do and the whole takes longer than any parts.
  std::size_t most_splits(double whole) const {
    return tiles_ < multiprocessors_ && whole > 2 * shortest_block() + joining(2) ? depth_ / (2 * tile_.depth) : 1;
  }
  double of(std::size_t splits) const {
    const std::size_t blocks = parts(parts(depth_, splits), tile_.depth);
    const std::size_t workgroups = splits == 1 ? tiles_ : tiles_ * parts(depth_, blocks * tile_.depth);
    const std::size_t most = std::max<std::size_t>(parts(workgroups, multiprocessors_), 1);  // of the busiest multiprocessor
    double block = choice_.together;
    if (most > choice_.at_once) block *= static_cast<double>(parts(most, choice_.at_once));
    else block += (choice_.alone - choice_.together) * static_cast<double>(choice_.at_once - most) / static_cast<double>(choice_.at_once - 1);
    const double time = std::max(block * choice_.tile.depth / 64, shortest_block()) * static_cast<double>(blocks);
    return splits == 1 ? time : time + joining(splits);
  }

 private:
  static std::size_t parts(std::size_t whole, std::size_t part) { return (whole + part - 1) / part; }
  // A workgroup waits for memory at each block, less where the next one but one is asked for already.
  double shortest_block() const { return tile_.blocks == 2 ? 640 : 800; }
  // A second launch, and the parts' sums: written, read and written as one at 2.5 TB/s.
  double joining(std::size_t splits) const {
    return 2000 + 4 * 0.0004 * static_cast<double>((2 * splits + 1) * elements_);
  }

  const TimedTile& choice_;
  std::size_t multiprocessors_, depth_, elements_;
  CooperativeTile tile_;
  std::size_t tiles_;
};

}  // namespace cotenant::vulkan::detail

#endif
