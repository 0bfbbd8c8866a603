#include "cotenant/vulkan/kernels/product_times.hpp"

#include <iterator>

#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;
using test::product_of;
using vulkan::detail::TileTimes;
using vulkan::detail::timed_tiles;

TEST_CASE("a product takes as long as the busiest multiprocessor, and a second launch where depth is shared out") {
  constexpr std::size_t multiprocessors = 132;
  for (const auto& timed : timed_tiles) {
    const std::size_t rows = timed.tile.rows * 12, columns = timed.tile.columns * 11;  // one workgroup each
    const auto time = [&](std::size_t times, std::size_t depth) {
      return TileTimes(timed, product_of(times * rows, depth, columns), multiprocessors).of(1);
    };
    CHECK(time(1, 4096) > 1.9 * time(1, 2048));
    // As many as a multiprocessor takes at a time share its latencies; one more waits for them.
    CHECK(time(timed.at_once, 4096) < static_cast<double>(timed.at_once) * time(1, 4096));
    CHECK(time(timed.at_once + 1, 4096) == time(2 * timed.at_once, 4096));
    const TileTimes few(timed, product_of(timed.tile.rows, 4096, timed.tile.columns), multiprocessors);
    CHECK(few.of(4) < few.of(1));
    CHECK(few.most_splits(few.of(1)) == 4096 / (2 * timed.tile.depth));
    CHECK(few.most_splits(1000) == 1);
    CHECK(TileTimes(timed, product_of(rows, 4096, columns), multiprocessors).most_splits(1e9) == 1);
  }
}

TEST_CASE("bytes take twice the depth in the same time, and the first tile the least shared memory") {
  const auto& timed = timed_tiles[3];
  CHECK(TileTimes(timed, product_of(512, 4096, 512, DType::i8), 132).of(1) == TileTimes(timed, product_of(512, 2048, 512), 132).of(1));
  const auto memory = [](const CooperativeTile& tile) { return tile.blocks * (tile.rows + tile.columns) * tile.depth; };
  for (const auto& other : timed_tiles) CHECK(memory(timed_tiles[0].tile) <= memory(other.tile));
}

TEST_CASE("the widest tile of single floats does most per time, where there is enough for all") {
  const MatrixProduct large = product_of(4096, 4096, 4096, DType::f32), small = product_of(256, 256, 256, DType::f32);
  const auto cost = [](const auto& choice, const MatrixProduct& product) { return vulkan::detail::cost_of(choice, product, 1, 132); };
  for (const auto& other : vulkan::detail::rated_tiles) {
    CHECK(cost(vulkan::detail::rated_tiles[0], large) <= cost(other, large));
    CHECK(cost(vulkan::detail::rated_tiles[std::size(vulkan::detail::rated_tiles) - 1], small) <= cost(other, small));
  }
}

}  // namespace
