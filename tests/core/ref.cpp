// Counted handles: one object for all of them, destroyed once as what it was made as.
#include "cotenant/core/ref.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <new>
#include <thread>
#include <utility>
#include <vector>

namespace ct = cotenant;

namespace {
struct Base : ct::Counted {
  int number = 3;
};
struct Leaf final : Base {
  explicit Leaf(std::atomic<int>& count) : alive(count) { ++alive; }
  ~Leaf() { --alive; }
  std::atomic<int>& alive;
};
// There is never memory for one.
struct Unmade final : ct::Counted {
  explicit Unmade(std::vector<int>&& numbers) : taken(std::move(numbers)) {}
  static void* operator new(std::size_t, const std::nothrow_t&) noexcept { return nullptr; }
  static void operator delete(void*) noexcept {}
  std::vector<int> taken;
};
}  // namespace

TEST_CASE("an object goes with the last handle, as what it was made as") {
  std::atomic<int> alive{0};
  ct::Ref<const Base> base;
  CHECK(base == nullptr);
  CHECK(base.use_count() == 0);
  {
    const ct::Ref<Leaf> leaf = ct::make_ref<Leaf>(alive);
    base = leaf;
    CHECK(base.get() == leaf.get());
    CHECK(leaf.use_count() == 2);
    CHECK(base.as<const Leaf>() == ct::Ref<const Leaf>(leaf));
    CHECK(leaf.use_count() == 2);
  }
  CHECK(alive == 1);
  CHECK(base);
  CHECK(base->number == 3);
  CHECK((*base).number == 3);
  base = nullptr;
  CHECK(alive == 0);
}

TEST_CASE("moving keeps the count, assigning to itself the object, and a detached one is the caller's") {
  std::atomic<int> alive{0};
  ct::Ref<Leaf> first = ct::make_ref<Leaf>(alive), second = std::move(first);
  CHECK(first == nullptr);
  CHECK(second.use_count() == 1);
  ct::Ref<Leaf>& same = second;
  second = same;
  second = std::move(same);
  CHECK(second.use_count() == 1);
  Leaf* const raw = second.detach();
  CHECK(second == nullptr);
  CHECK(alive == 1);
  second = ct::Ref<Leaf>::attach(raw);
  CHECK(second.use_count() == 1);
  second = ct::make_ref<Leaf>(alive);
  CHECK(alive == 1);
}

TEST_CASE("a pointer to what is counted gives another handle, and the count is the object's") {
  std::atomic<int> alive{0};
  const ct::Ref<Leaf> leaf = ct::try_make_ref<Leaf>(alive);
  const ct::Ref<Base> again(leaf.get());
  CHECK(leaf->references() == 2);
  CHECK(again.use_count() == 2);
  CHECK_FALSE(ct::Ref<Leaf>::first(nullptr));
  CHECK(alive == 1);
}

TEST_CASE("where there is no memory the arguments are left as they were") {
  std::vector<int> numbers{1, 2, 3};
  CHECK(ct::try_make_ref<Unmade>(std::move(numbers)) == nullptr);
  CHECK(numbers.size() == 3);
}

TEST_CASE("threads share one count") {
  std::atomic<int> alive{0};
  ct::Ref<const Base> shared = ct::make_ref<Leaf>(alive);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([mine = shared] {
      for (int i = 0; i < 1000; ++i) ct::Ref<const Base> copy = mine, another = std::move(copy);
    });
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  CHECK(shared.use_count() == 1);
  shared = {};
  CHECK(alive == 0);
}
