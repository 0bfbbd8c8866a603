// The registry under many threads: counts, bytes and lifetimes stay right. Meant to be run under ThreadSanitizer too.
#include "cotenant/share/registry.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cotenant/share/manager.hpp"

namespace ct = cotenant;

namespace {

// A small generator of our own: the same sequence on every platform (Knuth's MMIX multiplier).
struct Random {
  std::uint64_t state;
  std::size_t below(std::size_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(state >> 33) % bound;
  }
};

template <class F> void on_threads(std::size_t count, F f) {
  std::vector<std::thread> threads;
  for (std::size_t index = 0; index < count; ++index) threads.emplace_back([&f, index] { f(index); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("sixteen threads use every function at once") {
  constexpr std::size_t thread_count = 16, rounds = 400, tensor_count = 8;
  // Each tensor is one page whose every element is its number, so reading freed or mixed-up bytes shows.
  std::atomic<std::size_t> living{0}, wrong{0}, over{0};
  constexpr std::size_t budget = 6 * 4096;  // fewer than the tensors: registering must free
  ct::TensorSharingManager manager{{.max_memory = budget, .grace_period = std::chrono::nanoseconds(0), .record_timeline = true, .timeline_events = 64}};
  const auto make = [&](std::size_t number) {
    living.fetch_add(1);
    auto* values = new std::vector<float>(1024, static_cast<float>(number));
    return ct::borrow(std::span<float>(*values), {1024}, [values, &living] {
      std::fill(values->begin(), values->end(), -1.0f);
      delete values;
      living.fetch_sub(1);
    });
  };
  on_threads(thread_count, [&](std::size_t thread) {
    Random random{thread + 1};
    const std::string model = "model" + std::to_string(thread % 5);  // several threads act for one model
    std::vector<ct::Lease<float, ct::Borrowed>> leases;
    for (std::size_t round = 0; round < rounds; ++round) {
      const std::size_t number = random.below(tensor_count);
      const std::string name = "tensor" + std::to_string(number);
      switch (random.below(12)) {
        case 0:
        case 1:
          try {
            const auto tensor = manager.register_tensor(name, make(number), {.producer = random.below(4) == 0 ? model : ""});
            if (tensor.view()(0) != static_cast<float>(number)) ++wrong;
          } catch (const ct::BudgetExceeded&) {
          }
          break;
        case 2:
        case 3:
        case 4:
          if (auto lease = manager.try_get<float, ct::Borrowed>(name, model)) leases.push_back(std::move(*lease));
          break;
        case 5:
          try {
            leases.push_back(manager.create_view<float, ct::Borrowed>(name, "view" + std::to_string(number), {512}, {512}, model));
          } catch (const ct::NotFound&) {
          } catch (const ct::AlreadyRegistered&) {  // the view of a tensor that has been replaced since
          } catch (const ct::BudgetExceeded&) {
          }
          break;
        case 6:
          manager.release(name, model);
          break;
        case 7:
          if (random.below(8) == 0) manager.release_model(model);
          break;
        case 8:
          manager.optimize_memory();
          break;
        case 9: {
          const auto stats = manager.stats();
          if (stats.true_bytes > budget) ++over;
          std::size_t extra = 0;
          for (const auto& [key, tensor] : stats.tensors) extra += tensor.extra_bytes;
          if (extra != stats.true_bytes) ++over;
          break;
        }
        case 10:
          manager.share(name, model, {"model" + std::to_string(random.below(5))});
          if (random.below(2) == 0) manager.pin(name);
          manager.unpin(name);
          break;
        case 11:
          if (!leases.empty()) leases.erase(leases.begin() + static_cast<std::ptrdiff_t>(random.below(leases.size())));
          static_cast<void>(manager.can_be_freed(name));
          if (random.below(4) == 0) static_cast<void>(manager.optimization_recommendations());
          break;
      }
      for (const auto& lease : leases) {
        const float expected = static_cast<float>(lease.name().back() - '0');
        if (lease->view()(0) != expected || lease->view()(static_cast<std::ptrdiff_t>(lease->size()) - 1) != expected) ++wrong;
        if (lease.held() && !manager.contains(lease.name())) {
          // Only a release of the model by another thread may have taken it since.
          if (lease.held()) ++wrong;
        }
      }
      if (leases.size() > 8) leases.clear();
    }
  });
  CHECK(wrong == 0);
  CHECK(over == 0);
  for (int model = 0; model < 5; ++model) manager.release_model("model" + std::to_string(model));
  for (const auto& [name, tensor] : manager.tensor_memory_usage()) {
    CHECK(tensor.leases == 0);
    CHECK(tensor.can_be_freed);
  }
  const auto stats = manager.stats();
  CHECK(stats.saved_bytes == 0);
  CHECK(stats.total_models == 0);
  CHECK(stats.peak_bytes <= budget);
  CHECK(manager.optimize_memory().current_bytes == 0);
  CHECK(manager.stats().total_tensors == 0);
  CHECK(living == 0);
}

TEST_CASE("many threads lease one tensor for one model: the count is exact") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ct::zeros<float>({16}));
  constexpr std::size_t thread_count = 8, rounds = 2000;
  on_threads(thread_count, [&](std::size_t) {
    for (std::size_t round = 0; round < rounds; ++round) {
      auto lease = manager.get<float>("x", "m");
      auto again = lease.again();
      auto moved = std::move(again);
    }
  });
  CHECK(manager.stats().hits == thread_count * rounds);
  CHECK(manager.tensor_memory_usage().at("x").leases == 0);
  CHECK_FALSE(manager.release("x", "m"));
  CHECK(manager.can_be_freed("x"));
}

TEST_CASE("releasing by name and by object at the same time ends each lease once") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ct::zeros<float>({16}));
  constexpr std::size_t thread_count = 8, rounds = 1000;
  std::atomic<std::size_t> ended{0};
  on_threads(thread_count, [&](std::size_t) {
    for (std::size_t round = 0; round < rounds; ++round) {
      auto lease = manager.get<float>("x", "m");
      if (manager.release("x", "m")) ++ended;
      if (lease.release()) ++ended;
    }
  });
  CHECK(ended == thread_count * rounds);
  CHECK(manager.tensor_memory_usage().at("x").leases == 0);
}

TEST_CASE("one of many threads that register a name wins and all get its tensor") {
  for (int round = 0; round < 20; ++round) {
    ct::TensorSharingManager manager;
    std::vector<ct::SharedTensor<float>> tensors(8);
    on_threads(tensors.size(), [&](std::size_t thread) { tensors[thread] = manager.register_tensor("x", ct::full<float>({16}, static_cast<float>(thread)), {.producer = "m"}); });
    for (const auto& tensor : tensors) CHECK(tensor.block() == tensors[0].block());
    CHECK(manager.tensor_memory_usage().at("x").leases == 1);
  }
}

TEST_CASE("leases end on other threads while the manager is destroyed") {
  for (int round = 0; round < 50; ++round) {
    std::optional<ct::TensorSharingManager> manager(std::in_place);
    manager->register_tensor("x", ct::full<float>({16}, 3.0f), {.producer = "a"});
    std::vector<ct::Lease<float>> leases;
    for (int i = 0; i < 8; ++i) leases.push_back(manager->get<float>("x", "m" + std::to_string(i % 3)));
    std::atomic<std::size_t> right{0};
    std::vector<std::thread> threads;
    for (auto& lease : leases)
      threads.emplace_back([&right, held = std::move(lease)]() mutable {
        if (held->view()(15) == 3.0f) ++right;
        held.release();
      });
    manager.reset();
    for (std::thread& thread : threads) thread.join();
    CHECK(right == 8);
  }
}
