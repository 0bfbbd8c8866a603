#include "cotenant/vulkan/copy_threads.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"
#include "cotenant/core/error.hpp"

namespace vk = cotenant::vulkan;

TEST_CASE("every piece is taken once, by any number of threads") {
  for (const std::size_t threads : {1u, 2u, 7u, 20u})
    for (const std::size_t count : {0u, 1u, 5u, 1000u}) {
      std::vector<std::atomic<int>> taken(count);
      vk::for_each_piece(count, threads, [&](std::size_t i) { ++taken[i]; });
      CHECK(std::all_of(taken.begin(), taken.end(), [](const std::atomic<int>& times) { return times == 1; }));
    }
}

TEST_CASE("there are no more threads than pieces, and at least one where there is a piece") {
  CHECK(vk::copy_threads(0) == 0);
  CHECK(vk::copy_threads(1) == 1);
  CHECK(vk::copy_threads(1000) >= 1);
  CHECK(vk::copy_threads(1000) <= 16);
}

TEST_CASE("the first error reaches the caller once the others are done, and no more pieces are begun") {
  constexpr std::size_t many = std::size_t{1} << 40;  // nobody comes to the end
  for (const std::size_t threads : {1u, 4u}) {
    std::atomic<std::size_t> begun{0};
    const std::string text = cotenant::test::message([&] {
      vk::for_each_piece(many, threads, [&](std::size_t i) {
        ++begun;
        if (i == 3) cotenant::raise<cotenant::OutOfMemory>("piece three");
      });
    });
    CHECK(cotenant::test::has(text, "piece three"));
    CHECK(begun >= 4);
    CHECK(begun < many);
  }
}
