#include "cotenant/vulkan/memory_pool.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <thread>
#include <vector>

#include "../error_text.hpp"

namespace vk = cotenant::vulkan;
using cotenant::Allocation;
using cotenant::test::has;
using cotenant::test::message;

namespace {
cotenant::VulkanOptions options_of(vk::PriorityMode mode) {
  cotenant::VulkanOptions options;
  options.mode = mode;
  options.zero_copy = false;
  options.faults = std::make_shared<vk::Faults>();
  return options;
}
}  // namespace

TEST_CASE("allocations do not overlap, are counted to the byte, and all come back") {
  const auto options = options_of(vk::PriorityMode::balanced);
  vk::Driver driver(options);
  vk::MemoryPool pool(driver, options);
  std::mt19937 random(1);
  std::map<std::uintptr_t, Allocation> live;
  std::size_t bytes = 0;
  for (int round = 0; round < 3000; ++round) {
    if (live.empty() || random() % 5 < 3) {
      const std::size_t wanted = random() % 7 == 0 ? random() % 3000000 : random() % 5000;
      const Allocation one = pool.allocate(wanted);
      const auto begin = reinterpret_cast<std::uintptr_t>(one.data);
      REQUIRE(begin % vk::MemoryPool::granule == 0);
      REQUIRE(one.bytes >= wanted);
      REQUIRE(one.bytes == vk::MemoryPool::padded(wanted));
      const auto next = live.lower_bound(begin);
      if (next != live.end()) REQUIRE(begin + one.bytes <= next->first);
      if (next != live.begin()) REQUIRE(std::prev(next)->first + std::prev(next)->second.bytes <= begin);
      live[begin] = one;
      bytes += one.bytes;
    } else {
      const auto victim = std::next(live.begin(), static_cast<std::ptrdiff_t>(random() % live.size()));
      bytes -= victim->second.bytes;
      pool.deallocate(victim->second);
      live.erase(victim);
    }
    REQUIRE(pool.usage().in_use == bytes);
    REQUIRE(pool.usage().tensors == live.size());
  }
  CHECK(pool.usage().reserved >= bytes);
  for (const auto& [begin, one] : live) pool.deallocate(one);
  CHECK(pool.usage().in_use == 0);
  CHECK(pool.usage().peak > 0);
  pool.trim();
  CHECK(pool.usage().reserved == 0);
}

TEST_CASE("what is freed is whole again: small pieces become one large one") {
  const auto options = options_of(vk::PriorityMode::balanced);
  vk::Driver driver(options);
  vk::MemoryPool pool(driver, options);
  std::vector<Allocation> pieces;
  const std::size_t piece = std::size_t{1} << 20;
  pieces.push_back(pool.allocate(piece));
  const std::size_t chunk = pool.usage().reserved;
  while (pool.usage().reserved == chunk && pool.usage().in_use < chunk) pieces.push_back(pool.allocate(piece));
  for (std::size_t i = 0; i < pieces.size(); i += 2) pool.deallocate(pieces[i]);
  for (std::size_t i = 1; i < pieces.size(); i += 2) pool.deallocate(pieces[i]);
  const Allocation half = pool.allocate(chunk / 2);
  CHECK(pool.usage().reserved == chunk);
  pool.deallocate(half);
}

TEST_CASE("modes differ in what is kept for the next tensor") {
  const auto kept = [](vk::PriorityMode mode) {
    const auto options = options_of(mode);
    vk::Driver driver(options);
    vk::MemoryPool pool(driver, options);
    std::vector<Allocation> all;
    for (int i = 0; i < 3; ++i) all.push_back(pool.allocate(std::size_t{40} << 20));
    const std::size_t taken = pool.usage().reserved;
    for (const Allocation& one : all) pool.deallocate(one);
    return std::pair{taken, pool.usage().reserved};
  };
  CHECK(kept(vk::PriorityMode::memory).second == 0);
  const auto balanced = kept(vk::PriorityMode::balanced), speed = kept(vk::PriorityMode::speed);
  CHECK(balanced.second > 0);
  CHECK(balanced.second < balanced.first);
  CHECK(speed.second == speed.first);
}

TEST_CASE("no room is an error that says how much is taken, after what can be freed was freed") {
  auto options = options_of(vk::PriorityMode::balanced);
  options.max_memory = 3000;
  vk::Driver driver(options);
  vk::MemoryPool pool(driver, options);
  const Allocation held = pool.allocate(1000);
  Allocation going = pool.allocate(1000);
  int asked = 0;
  pool.set_pressure([&] {
    ++asked;
    if (going.data != nullptr) pool.deallocate(std::exchange(going, {}));
  });
  const Allocation fits = pool.allocate(1500);
  CHECK(asked == 1);
  const std::string text = message([&] { static_cast<void>(pool.allocate(1000)); });
  CHECK(asked == 2);
  CHECK(has(text, "out_of_memory"));
  CHECK(has(text, "2 tensors"));
  CHECK(has(text, "max_memory"));
  pool.deallocate(fits);
  pool.deallocate(held);
}

TEST_CASE("a driver without memory is asked once more when work has freed some") {
  const auto options = options_of(vk::PriorityMode::balanced);
  vk::Driver driver(options);
  vk::MemoryPool pool(driver, options);
  int asked = 0;
  pool.set_pressure([&] { ++asked; });
  for (const auto step : {vk::Step::create_buffer, vk::Step::allocate_memory, vk::Step::bind_memory}) {
    options.faults->fail(step, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    pool.deallocate(pool.allocate(100));
    pool.trim();
    options.faults->fail(step, VK_ERROR_OUT_OF_DEVICE_MEMORY, 0, 2);
    CHECK(has(message([&] { static_cast<void>(pool.allocate(100)); }), "out_of_memory"));
  }
  CHECK(asked == 6);
  CHECK(pool.usage().reserved == 0);
}

TEST_CASE("more than a device can hold at once is refused before the driver is asked") {
  const auto options = options_of(vk::PriorityMode::balanced);
  vk::Driver driver(options);
  vk::MemoryPool pool(driver, options);
  CHECK(has(message([&] { static_cast<void>(pool.allocate(std::size_t(-1) - 10)); }), "out_of_memory"));
  CHECK(has(message([&] { static_cast<void>(pool.allocate(std::size_t{1} << 60)); }), "out_of_memory"));
  CHECK(options.faults->calls(vk::Step::allocate_memory) == 0);
}

TEST_CASE("an address is found again with its buffer, from any thread") {
  const auto options = options_of(vk::PriorityMode::balanced);
  vk::Driver driver(options);
  vk::MemoryPool pool(driver, options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const Allocation one = pool.allocate(1000);
        const auto first = pool.find(one.data), inside = pool.find(static_cast<const char*>(one.data) + 999);
        if (first.buffer == VK_NULL_HANDLE || inside.buffer != first.buffer || inside.offset != first.offset + 999) std::abort();
        pool.deallocate(one);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(pool.usage().in_use == 0);
  CHECK(pool.find(nullptr).buffer == VK_NULL_HANDLE);
}
