#include "cotenant/vulkan/dominators.hpp"

#include <doctest/doctest.h>

#include <random>

using cotenant::vulkan::Dominators;

TEST_CASE("a choice, a loop, and a block that nothing leads to") {
  //   0 -> 1 -> 2, 3 -> 4 -> 1 or 5; 6 -> 5
  const Dominators ways({{1}, {2, 3}, {4}, {4}, {1, 5}, {}, {5}});
  for (std::size_t block = 0; block < 6; ++block) {
    CHECK(ways.reached(block));
    CHECK(ways.always_before(0, block));
    CHECK(ways.always_before(block, block));
  }
  CHECK(ways.always_before(1, 5));
  CHECK(ways.always_before(4, 5));
  CHECK_FALSE(ways.always_before(2, 4));
  CHECK_FALSE(ways.always_before(3, 4));
  CHECK_FALSE(ways.always_before(4, 1));
  CHECK_FALSE(ways.reached(6));
  CHECK_FALSE(ways.always_before(6, 5));
}

TEST_CASE("what lies on every way is what cannot be left out, for graphs made at random") {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    const std::size_t count = 2 + random() % 12;
    std::vector<std::vector<std::size_t>> next(count);
    for (auto& to : next) for (std::size_t i = random() % 3; i > 0; --i) to.push_back(random() % count);
    const Dominators ways(next);
    // Which blocks are reached without going through `without`.
    const auto reached = [&](std::size_t without) {
      std::vector<bool> seen(count);
      std::vector<std::size_t> open;
      const auto visit = [&](std::size_t block) { if (block != without && !seen[block]) seen[block] = true, open.push_back(block); };
      for (visit(0); !open.empty();) {
        const std::size_t block = open.back();
        open.pop_back();
        for (const std::size_t to : next[block]) visit(to);
      }
      return seen;
    };
    const std::vector<bool> all = reached(count);
    for (std::size_t other = 0; other < count; ++other) {
      CHECK(ways.reached(other) == all[other]);
      const std::vector<bool> rest = reached(other);
      for (std::size_t block = 0; block < count; ++block) if (all[block]) CHECK(ways.always_before(other, block) == (all[other] && !rest[block]));
    }
  }
}
