// Heap: alignment, padding, recycling, and requests that cannot be met.
#include "cotenant/storage/heap.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <thread>
#include <vector>

namespace ct = cotenant;
using ct::HeapCache;

namespace {
constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
}

TEST_CASE("padding is little, aligned, and steady") {
  CHECK(HeapCache::padded(0) == 64);
  CHECK(HeapCache::padded(1) == 64);
  CHECK(HeapCache::padded(64) == 64);
  CHECK(HeapCache::padded(65) == 128);
  CHECK(HeapCache::padded(4095) == 4096);
  CHECK(HeapCache::padded(4096) == 4096);
  CHECK(HeapCache::padded(4097) == 8192);
  CHECK(HeapCache::padded(65536) == 65536);
  CHECK(HeapCache::padded(65537) == 65536 + 8192);
  std::size_t last = 0;
  std::set<std::size_t> sizes;
  for (std::size_t bytes = 1; bytes < (std::size_t{1} << 22); bytes += 97) {
    const std::size_t padded = HeapCache::padded(bytes);
    REQUIRE(padded >= bytes);
    REQUIRE(padded >= last);
    REQUIRE(HeapCache::padded(padded) == padded);  // else a freed block would not fit its own size class
    if (bytes >= HeapCache::page) {
      REQUIRE(padded % HeapCache::page == 0);
      sizes.insert(padded);
    }
    if (bytes >= 8 * HeapCache::page) REQUIRE(padded - bytes <= bytes / 8 + 1);
    last = padded;
  }
  CHECK(sizes.size() < 8 * 10 + 2);  // eight sizes per power of two
}

TEST_CASE("what no address can count is an error, not a small allocation") {
  CHECK_THROWS_AS(HeapCache::padded(most), ct::OutOfMemory);
  CHECK_THROWS_AS(HeapCache::padded(most - 4096), ct::OutOfMemory);
  HeapCache cache;
  CHECK_THROWS_WITH_AS(cache.allocate(most), doctest::Contains("more than an address can count"), ct::OutOfMemory);
}

TEST_CASE("allocations are aligned and usable to their end") {
  HeapCache cache;
  for (std::size_t bytes : {0, 1, 100, 4095, 4096, 5000, 100000}) {
    const ct::Allocation allocation = cache.allocate(bytes);
    REQUIRE(allocation.data != nullptr);
    CHECK(allocation.bytes == HeapCache::padded(bytes));
    CHECK(reinterpret_cast<std::uintptr_t>(allocation.data) % (allocation.bytes >= HeapCache::page ? HeapCache::page : HeapCache::alignment) == 0);
    std::memset(allocation.data, 1, allocation.bytes);
    cache.deallocate(allocation);
  }
  cache.trim();
}

TEST_CASE("large blocks are recycled up to the limit, and trimmed") {
  HeapCache cache;
  cache.set_limit(3 * 8192);
  const ct::Allocation first = cache.allocate(8000);
  CHECK(cache.idle_bytes() == 0);
  cache.deallocate(first);
  CHECK(cache.idle_bytes() == 8192);
  const ct::Allocation again = cache.allocate(5000);  // the same size class
  CHECK(again.data == first.data);
  CHECK(cache.idle_bytes() == 0);
  const ct::Allocation other = cache.allocate(20000);
  CHECK(other.data != first.data);
  cache.deallocate(again);
  cache.deallocate(other);  // 8192 + 20480 is above the limit
  CHECK(cache.idle_bytes() == 8192);
  CHECK(cache.trim() == 8192);
  CHECK(cache.idle_bytes() == 0);
  CHECK(cache.trim() == 0);
  cache.set_limit(0);
  cache.deallocate(cache.allocate(8000));
  CHECK(cache.idle_bytes() == 0);
}

TEST_CASE("small blocks are not kept") {
  HeapCache cache;
  cache.set_limit(most);
  cache.deallocate(cache.allocate(100));
  CHECK(cache.idle_bytes() == 0);
}

#if defined(__linux__) && !COTENANT_ADDRESS_SANITIZER
TEST_CASE("blocks that hold a huge page begin at one, and all of them goes back") {
  const auto mapped_pages = [] {  // of this process: the first number of statm
    std::ifstream file("/proc/self/statm");
    std::size_t pages = 0;
    file >> pages;
    return pages;
  };
  HeapCache cache;
  cache.set_limit(0);
  constexpr std::size_t huge = std::size_t{2} << 20, padded = huge + (huge >> 3);
  const std::size_t before = mapped_pages();
  ct::Allocation blocks[16];
  for (ct::Allocation& block : blocks) {
    block = cache.allocate(huge + 1);
    CHECK(block.bytes == padded);
    CHECK(reinterpret_cast<std::uintptr_t>(block.data) % huge == 0);
    std::memset(block.data, 1, block.bytes);
  }
  // The room that the beginnings were sought in is not kept: it would be nearly as much again.
  CHECK(mapped_pages() - before < 16 * (padded + huge / 4) / HeapCache::page);
  for (const ct::Allocation& block : blocks) cache.deallocate(block);
  CHECK(mapped_pages() < before + 8 * padded / HeapCache::page);
}
#endif

TEST_CASE("many threads") {
  HeapCache cache;
  cache.set_limit(std::size_t{1} << 20);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread)
    threads.emplace_back([&cache, thread] {
      for (int round = 0; round < 500; ++round) {
        const ct::Allocation allocation = cache.allocate(4096u << (round % 4));
        std::memset(allocation.data, thread, allocation.bytes);
        const auto* bytes = static_cast<const unsigned char*>(allocation.data);
        if (bytes[0] != thread || bytes[allocation.bytes - 1] != thread) std::abort();
        if (round % 100 == 99) cache.trim();
        cache.deallocate(allocation);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(cache.idle_bytes() <= std::size_t{1} << 20);
  cache.trim();
}

TEST_CASE("Heap is an allocating storage on the shared cache") {
  static_assert(ct::AllocatingStorage<ct::Heap> && ct::Heap::host_accessible && ct::Heap::writable);
  CHECK(ct::Heap::name() == "heap");
  ct::Heap heap;
  const ct::Allocation allocation = heap.allocate(10);
  CHECK(allocation.bytes == 64);
  heap.deallocate(allocation);
  CHECK(&ct::heap_cache() == &ct::heap_cache());
}
