// Block and BlockRef: counting, publishing, adoption, work that is still pending.
#include "cotenant/share/block.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "cotenant/storage/borrowed.hpp"
#include "cotenant/storage/heap.hpp"
#include "cotenant/storage/mapped.hpp"

namespace ct = cotenant;
using ct::Block;
using ct::BlockRef;

TEST_CASE("references are counted and the last one frees") {
  int freed = 0;
  char byte = 0;
  BlockRef first = Block::adopt(ct::Borrowed{[&] { ++freed; }}, {&byte, 1});
  CHECK(first->references() == 1);
  {
    BlockRef second = first;
    CHECK(first->references() == 2);
    CHECK(first == second);
    BlockRef third = std::move(second);
    CHECK(first->references() == 2);
    CHECK_FALSE(second);
    const BlockRef& self = third;
    third = self;
    CHECK(first->references() == 2);
    second = std::move(third);
    CHECK(first->references() == 2);
  }
  CHECK(first->references() == 1);
  CHECK(freed == 0);
  first = BlockRef();
  CHECK(freed == 1);
}

TEST_CASE_TEMPLATE("an assigned reference frees at once what it held, in a template too", T, char) {
  int freed = 0;
  T byte = 0;
  const auto fresh = [&] { return Block::adopt(ct::Borrowed{[&] { ++freed; }}, {&byte, 1}); };
  BlockRef reference = fresh(), other = fresh();
  reference = {};
  CHECK_FALSE(reference);
  CHECK(freed == 1);
  reference = fresh();
  reference = std::move(other);
  CHECK(freed == 2);
  reference = BlockRef();
  CHECK(freed == 3);
}

TEST_CASE("a block is counted as everything else is") {
  static_assert(std::is_same_v<BlockRef, ct::Ref<Block>> && std::is_base_of_v<ct::Counted, Block>);
  static_assert(sizeof(BlockRef) == sizeof(void*));
  const BlockRef block = Block::allocate(ct::Heap(), 1);
  const BlockRef again(block.get());
  CHECK(block.use_count() == 2);
}

TEST_CASE("a block knows its storage") {
  const BlockRef heap = Block::allocate(ct::Heap(), 100);
  CHECK(heap->bytes() == 128);
  CHECK(heap->storage_name() == "heap");
  CHECK(heap->host_accessible());
  char byte = 0;
  bool called = false;
  const BlockRef borrowed = Block::adopt(ct::Borrowed{[&] { called = true; }}, {&byte, 1});
  CHECK(heap->storage_identity() != borrowed->storage_identity());
  CHECK(heap->storage_identity() == Block::allocate(ct::Heap(), 1)->storage_identity());
  borrowed->storage<ct::Borrowed>().deleter();
  CHECK(called);
}

TEST_CASE("publishing is for good, and read-only storage is always published") {
  const BlockRef block = Block::allocate(ct::Heap(), 1);
  CHECK_FALSE(block->published());
  block->publish();
  CHECK(block->published());
  CHECK(Block::adopt(ct::Mapped(), {})->published());
}

TEST_CASE("waiting happens once, and again after a failure") {
  struct Work final : ct::Completion {
    int waits = 0;
    bool fails = true;
    void wait() override {
      ++waits;
      if (std::exchange(fails, false)) throw std::runtime_error("the device was lost");
    }
  };
  const auto work = ct::make_ref<Work>();
  const BlockRef block = Block::allocate(ct::Heap(), 1);
  block->wait();
  block->set_pending(work);
  CHECK_THROWS_AS(block->wait(), std::runtime_error);
  block->wait();
  block->wait();
  CHECK(work->waits == 2);
}

TEST_CASE("many threads copy and drop references") {
  std::atomic<int> freed{0};
  char byte = 0;
  BlockRef block = Block::adopt(ct::Borrowed{[&] { ++freed; }}, {&byte, 1});
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread)
    threads.emplace_back([block] {
      for (int round = 0; round < 2000; ++round) {
        BlockRef copy = block;
        BlockRef other = std::move(copy);
      }
    });
  block = BlockRef();
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  CHECK(freed == 1);
}
