#include "cotenant/vulkan/copy_threads.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "../error_text.hpp"
#include "cotenant/core/error.hpp"

namespace vk = cotenant::vulkan;

TEST_CASE("every piece is taken once, by any number of threads, again and again") {
  vk::CopyThreads threads;
  for (const std::size_t count : {0u, 1u, 5u, 1000u, 3u, 1000u}) {
    std::vector<std::atomic<int>> taken(count);
    threads.for_each(count, [&](std::size_t i) { ++taken[i]; });
    CHECK(std::all_of(taken.begin(), taken.end(), [](const std::atomic<int>& times) { return times == 1; }));
  }
}

TEST_CASE("there are no more threads than pieces, and at least one where there is a piece") {
  CHECK(vk::CopyThreads::sharing(0) == 0);
  CHECK(vk::CopyThreads::sharing(1) == 1);
  CHECK(vk::CopyThreads::sharing(1000) >= 1);
  CHECK(vk::CopyThreads::sharing(1000) <= 16);
}

TEST_CASE("the threads of one copy serve the next") {
  vk::CopyThreads threads;
  std::mutex mutex;
  std::set<std::thread::id> seen;
  for (int round = 0; round < 20; ++round)
    threads.for_each(100, [&](std::size_t) {
      const std::lock_guard lock(mutex);
      seen.insert(std::this_thread::get_id());
    });
  CHECK(seen.count(std::this_thread::get_id()) == 1);
  CHECK(seen.size() <= vk::CopyThreads::sharing(100));
}

TEST_CASE("several copies at a time share the threads, and each ends with its own pieces") {
  vk::CopyThreads threads;
  std::atomic<int> taken{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        std::atomic<int> mine{0};
        threads.for_each(20, [&](std::size_t) { ++mine; });
        taken += mine;
      }
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(taken == 4 * 50 * 20);
}

TEST_CASE("the first error reaches the caller once the others are done, no more pieces are begun, and the next copy is well") {
  constexpr std::size_t many = std::size_t{1} << 40;  // nobody comes to the end
  vk::CopyThreads threads;
  for (int round = 0; round < 2; ++round) {
    std::atomic<std::size_t> begun{0};
    const std::string text = cotenant::test::message([&] {
      threads.for_each(many, [&](std::size_t i) {
        ++begun;
        if (i == 3) cotenant::raise<cotenant::OutOfMemory>("piece three");
      });
    });
    CHECK(cotenant::test::has(text, "piece three"));
    CHECK(begun >= 4);
    CHECK(begun < many);
  }
  std::atomic<int> taken{0};
  threads.for_each(7, [&](std::size_t) { ++taken; });
  CHECK(taken == 7);
}
