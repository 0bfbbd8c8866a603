// The budget under pressure: what leaves memory, in which order, and that it comes back as it was.
#include "cotenant/share/residence.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "cotenant/share/manager.hpp"
#include "cotenant/storage/mapped.hpp"
#include "memory_spill.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace std::chrono_literals;
using namespace share_tests;

namespace {

ct::SharedTensor<float> filled(float value, std::size_t pages = 1) { return ct::full<float>({pages * page_bytes / sizeof(float)}, value); }

struct Spilling {
  FakeClock clock;
  std::shared_ptr<MemorySpill> spill = std::make_shared<MemorySpill>();
  ct::TensorSharingManager manager{{.max_memory = 4 * page_bytes, .clock = clock, .spill = spill, .record_events = true}};
  bool resident(const char* name) const { return manager.tensor_memory_usage().at(name).resident; }
};

}  // namespace

TEST_CASE_FIXTURE(Spilling, "what nobody leases is spilled for room and comes back with the next lease") {
  for (int i = 0; i < 8; ++i) {
    manager.register_tensor("t" + std::to_string(i), filled(static_cast<float>(i)));
    clock.advance(1s);
    CHECK(manager.stats().true_bytes <= 4 * page_bytes);
  }
  auto stats = manager.stats();
  CHECK(stats.total_tensors == 8);
  CHECK(stats.true_bytes == 4 * page_bytes);
  CHECK(stats.away_bytes == 4 * page_bytes);
  CHECK(stats.evictions == 4);
  CHECK_FALSE(resident("t0"));
  CHECK(resident("t7"));
  CHECK(spill->last.shape == ct::Shape{1024});
  for (int round = 0; round < 3; ++round)
    for (int i = 0; i < 8; ++i) {
      const auto lease = manager.get<float>("t" + std::to_string(i), "m");
      for (std::size_t at : {0u, 511u, 1023u}) REQUIRE(lease->view()(at) == static_cast<float>(i));
      CHECK(manager.stats().true_bytes <= 4 * page_bytes);
      clock.advance(1s);
    }
  CHECK(spill->wrong == 0);
  CHECK(spill->saves == 8);  // each was written once: its bytes cannot have changed since
  CHECK(spill->loads == manager.stats().reloads);
  CHECK(manager.stats().peak_bytes == 4 * page_bytes);
  const auto counts = manager.event_counts();
  CHECK(counts[ct::EventKind::spill] == 8);
  CHECK(counts[ct::EventKind::reload] == manager.stats().reloads);
  CHECK(counts[ct::EventKind::evict] == manager.stats().evictions);
}

TEST_CASE_FIXTURE(Spilling, "names, grants, pins, views and counts survive a stay outside") {
  manager.register_tensor("x", filled(1), {.producer = "a", .consumers = {"b"}});
  { const auto view = manager.create_view<float>("x", "half", {0}, {512}, "c"); }
  manager.release("x", "a");
  clock.advance(60s);
  const auto result = manager.optimize_memory();
  CHECK(result.evicted_names == std::vector<std::string>{"half", "x"});
  CHECK(result.freed_bytes == page_bytes);
  CHECK(result.current_bytes == 0);
  CHECK(result.remaining_tensors == 1);  // the view's name is made again at no cost
  CHECK(manager.contains("x"));
  CHECK_FALSE(manager.can_be_freed("x"));  // there is nothing left to free
  CHECK(manager.tensor_memory_usage().at("x").grants == std::vector<std::string>{"b"});
  CHECK(manager.tensor_memory_usage().at("x").producer == "a");
  SUBCASE("by get") { CHECK(manager.get<float>("x", "b")->view()(1023) == 1.0f); }
  SUBCASE("by a view of it") { CHECK(manager.create_view<float>("x", "part", {1000}, {24}, "b")->view()(23) == 1.0f); }
  SUBCASE("by registering the name again") { CHECK(manager.register_tensor("x", filled(2)).view()(0) == 1.0f); }
  SUBCASE("by a write") {
    {
      auto write = manager.write<float>("x", "b");
      CHECK(write->view()(3) == 1.0f);
      CHECK(spill->count() == 0);  // what was spilled will not be true any more
      write.view()(3) = 5;
    }
    clock.advance(60s);
    CHECK(manager.optimize_memory().evicted_names.size() == 1);
    CHECK(manager.get<float>("x", "b")->view()(3) == 5.0f);
  }
  SUBCASE("or it is forgotten, and the target with it") {
    CHECK(manager.forget("x"));
    CHECK(spill->count() == 0);
    CHECK_FALSE(manager.try_get<float>("x", "b").has_value());
  }
  CHECK(spill->wrong == 0);
}

TEST_CASE_FIXTURE(Spilling, "leases, pins, handles and writers keep a tensor in memory; grants do not") {
  manager.register_tensor("leased", filled(1), {.producer = "a"});
  manager.register_tensor("pinned", filled(2), {.pinned = true});
  const auto handle = manager.register_tensor("handle", filled(3));
  manager.register_tensor("granted", filled(4), {.consumers = {"later"}});
  manager.register_tensor("new", filled(5), {.producer = "b"});
  CHECK_FALSE(resident("granted"));
  for (const char* name : {"leased", "pinned", "handle", "new"}) CHECK(resident(name));
  const std::string message = message_of<ct::BudgetExceeded>([&] { static_cast<void>(manager.get<float>("granted", "later")); });
  for (const char* part : {"'granted'", "leased by a", "pinned", "outside the manager", "16.0 KiB of 16.0 KiB"}) CHECK(has(message, part));
  CHECK(manager.stats().total_tensors == 5);
  manager.release("leased", "a");
  CHECK(manager.get<float>("granted", "later")->view()(0) == 4.0f);
}

TEST_CASE_FIXTURE(Spilling, "a full disk loses nothing") {
  for (int i = 0; i < 4; ++i) manager.register_tensor("t" + std::to_string(i), filled(static_cast<float>(i)));
  spill->full = true;
  CHECK(has(message_of<ct::IoError>([&] { manager.register_tensor("new", filled(9)); }), "full"));
  CHECK_THROWS_AS(manager.optimize_memory(), ct::IoError);
  CHECK_FALSE(manager.contains("new"));
  for (int i = 0; i < 4; ++i) CHECK(manager.get<float>("t" + std::to_string(i), "m")->view()(7) == static_cast<float>(i));
  spill->full = false;
  manager.register_tensor("new", filled(9));
  CHECK(manager.stats().total_tensors == 5);
  for (int i = 0; i < 4; ++i) {
    if (resident(("t" + std::to_string(i)).c_str())) continue;
    spill->broken = true;
    CHECK_THROWS_AS(static_cast<void>(manager.get<float>("t" + std::to_string(i), "m")), ct::IoError);
    spill->broken = false;
    CHECK(manager.get<float>("t" + std::to_string(i), "m")->view()(7) == static_cast<float>(i));
  }
  CHECK(manager.stats().true_bytes <= 4 * page_bytes);
  CHECK(spill->wrong == 0);
}

TEST_CASE_FIXTURE(Spilling, "priority and age choose the victim") {
  manager.register_tensor("dear", filled(1), {.priority = 100});
  clock.advance(5s);
  manager.register_tensor("cheap", filled(2));
  manager.register_tensor("large", filled(3, 2));
  clock.advance(1s);
  manager.register_tensor("new", filled(4), {.producer = "m"});
  CHECK(resident("dear"));
  CHECK_FALSE(resident("large"));  // the same rate by size, and a smaller part of it is latency
  manager.register_tensor("more", filled(5), {.producer = "m"});
  manager.register_tensor("most", filled(6), {.producer = "m"});
  CHECK_FALSE(resident("cheap"));
  CHECK(resident("dear"));
}

TEST_CASE("a budget for one kind of storage") {
  ct::TensorSharingManager manager{{.max_memory = 100 * page_bytes, .max_memory_of = {{"heap", 2 * page_bytes}}}};
  manager.register_tensor("a", filled(1), {.producer = "m"});
  manager.register_tensor("b", filled(2), {.producer = "m"});
  const std::string message = message_of<ct::BudgetExceeded>([&] { manager.register_tensor("c", filled(3)); });
  CHECK(has(message, "storage 'heap' has taken 8.0 KiB of its 8.0 KiB"));
  std::vector<float> memory(1024);
  manager.register_tensor("c", ct::borrow(std::span<float>(memory), {1024}));
  CHECK(manager.stats().storage_bytes == std::map<std::string, std::size_t>{{"borrowed", page_bytes}, {"heap", 2 * page_bytes}});
}

TEST_CASE("modes") {
  FakeClock clock;
  const auto spill = std::make_shared<MemorySpill>();
  ct::TensorSharingManager manager{{.clock = clock, .spill = spill}};
  manager.register_tensor("fresh", filled(1));
  manager.register_tensor("granted", filled(2), {.consumers = {"m"}});
  CHECK(manager.optimize_memory(ct::MemoryMode::speed).freed_tensors == 0);
  CHECK(manager.optimize_memory(ct::MemoryMode::balanced).freed_names == std::vector<std::string>{"fresh"});
  CHECK(manager.optimize_memory(ct::MemoryMode::memory).freed_names == std::vector<std::string>{"granted"});
  CHECK(manager.stats().true_bytes == 0);
  CHECK(manager.get<float>("fresh", "m")->view()(0) == 1.0f);
  CHECK(manager.get<float>("granted", "m")->view()(0) == 2.0f);
  clock.advance(30s);
  CHECK(manager.optimize_memory(ct::MemoryMode::speed).freed_tensors == 2);
}

#if defined(__linux__)
namespace {
std::size_t resident_bytes() {
  std::size_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * page_bytes;
}
}  // namespace

TEST_CASE("a clean file's pages leave the process and come back from the file") {
  const auto path = std::filesystem::temp_directory_path() / ("cotenant-residence-" + std::to_string(reinterpret_cast<std::size_t>(&resident_bytes)));
  constexpr std::size_t bytes = std::size_t{16} << 20;
  {
    const std::vector<float> values(bytes / sizeof(float), 7.0f);
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(bytes));
  }
  ct::TensorSharingManager manager{{.max_memory = bytes + page_bytes}};
  manager.register_tensor("weights", ct::SharedTensor<float, ct::Mapped>(ct::Block::adopt(ct::Mapped{}, ct::Mapped::map(path)), ct::contiguous_layout({bytes / sizeof(float)})));
  std::filesystem::remove(path);  // the mapping keeps it
  const auto sum = [&] {
    const auto lease = manager.get<float, ct::Mapped>("weights", "m");
    double total = 0;
    for (float value : lease->view().span()) total += value;
    return total;
  };
  CHECK(sum() == 7.0 * bytes / sizeof(float));
  const std::size_t before = resident_bytes();
  {
    manager.register_tensor("other", filled(1, 2), {.producer = "m"});
    const std::size_t after = resident_bytes();
    CHECK(before - after > bytes * 9 / 10);
  }
  CHECK(manager.contains("weights"));
  CHECK(manager.stats().true_bytes == 2 * page_bytes);
  CHECK_THROWS_AS(static_cast<void>(manager.get<float, ct::Mapped>("weights", "m")), ct::BudgetExceeded);
  manager.release("other", "m");
  CHECK(sum() == 7.0 * bytes / sizeof(float));
  CHECK_FALSE(manager.contains("other"));  // without a spill target it could not come back
}
#endif

TEST_CASE("many threads through a budget of half of what they use: exact, and within it") {
  const auto spill = std::make_shared<MemorySpill>();
  constexpr std::size_t tensors = 16, budget = 8 * page_bytes;
  ct::TensorSharingManager manager{{.max_memory = budget, .spill = spill}};
  for (std::size_t i = 0; i < tensors; ++i) manager.register_tensor("t" + std::to_string(i), filled(static_cast<float>(i)));
  std::atomic<std::size_t> wrong{0}, refused{0};
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 6; ++thread)  // fewer than fit: there is always something to evict
    threads.emplace_back([&, thread] {
      for (std::size_t round = 0; round < 300; ++round) {
        const std::size_t i = (round * 7 + thread * 5 + round * round) % tensors;
        try {
          const auto lease = manager.get<float>("t" + std::to_string(i), "m" + std::to_string(thread));
          if (lease->view()(0) != static_cast<float>(i) || lease->view()(1023) != static_cast<float>(i)) ++wrong;
          if (round % 50 == 0 && manager.stats().true_bytes > budget) ++wrong;
        } catch (const ct::BudgetExceeded&) {
          ++refused;
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(refused == 0);
  CHECK(spill->wrong == 0);
  CHECK(manager.stats().total_tensors == tensors);
  CHECK(manager.stats().peak_bytes <= budget);
}

TEST_CASE("a budget of 60 % of the working set gives the same results, within it at every sample") {
  constexpr std::size_t tensors = 20, pages = 5;  // heap blocks of this size have no padding
  // Sums over all tensors in an order that changes, each weighted by what came before: any wrong byte shows.
  const auto run = [&](std::size_t budget, const std::shared_ptr<MemorySpill>& spill) {
    ct::TensorSharingManager manager{{.max_memory = budget, .spill = spill}};
    std::atomic<bool> end{false};
    std::atomic<std::size_t> over{0};
    const auto sample = [&] {
      const auto stats = manager.stats();
      over += stats.true_bytes > budget || stats.peak_bytes > budget;
    };
    std::thread sampler([&] { while (!end) sample(); });
    for (std::size_t i = 0; i < tensors; ++i) manager.register_tensor("t" + std::to_string(i), filled(static_cast<float>(i + 1), pages));
    double result = 0;
    for (std::size_t step = 0; step < 200; ++step) {
      const auto lease = manager.get<float>("t" + std::to_string((step * 7 + step * step) % tensors), "m");
      sample();
      for (float value : lease->view().span()) result = result * 0.999 + static_cast<double>(value);
    }
    end = true;
    sampler.join();
    CHECK(over == 0);
    CHECK((manager.stats().reloads > 0) == (budget != ct::ManagerOptions::unlimited));
    return result;
  };
  const auto spill = std::make_shared<MemorySpill>();
  CHECK(run(tensors * pages * page_bytes * 6 / 10, spill) == run(ct::ManagerOptions::unlimited, nullptr));
  CHECK(spill->wrong == 0);
}
