// What comes and goes: the budget, freeing, grace periods, deleters.
#include "cotenant/share/registry_changes.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace std::chrono_literals;
using namespace share_tests;

TEST_CASE("a grant keeps a tensor for the grace period after the last release") {
  FakeClock clock;
  ct::TensorSharingManager manager{{.grace_period = 30s, .clock = clock}};
  manager.register_tensor("x", ramp(), {.producer = "a"});
  REQUIRE(manager.share("x", "a", {"b", "c"}));
  CHECK_FALSE(manager.can_be_freed("x"));  // a's lease
  clock.advance(100s);
  CHECK(manager.release("x", "a"));
  CHECK_FALSE(manager.can_be_freed("x"));
  clock.advance(30s - 1ns);
  CHECK_FALSE(manager.can_be_freed("x"));
  CHECK(manager.optimize_memory().freed_tensors == 0);
  SUBCASE("and then goes") {
    clock.advance(1ns);
    CHECK(manager.can_be_freed("x"));
    CHECK(manager.optimize_memory().freed_tensors == 1);
    CHECK_FALSE(manager.contains("x"));
  }
  SUBCASE("a lease starts it anew") {
    manager.get<float>("x", "b").release();
    clock.advance(29s);
    CHECK_FALSE(manager.can_be_freed("x"));
    clock.advance(1s);
    CHECK(manager.can_be_freed("x"));
  }
  SUBCASE("so does another grant") {
    CHECK(manager.share("x", "a", {"d"}).granted == 1);
    clock.advance(29s);
    CHECK_FALSE(manager.can_be_freed("x"));
    clock.advance(1s);
    CHECK(manager.can_be_freed("x"));
  }
  SUBCASE("release_model keeps the time of the last release, and withdraws the model's own grants") {
    const auto lease = manager.get<float>("x", "b");
    clock.advance(60s);
    CHECK(manager.release_model("b") == 1);
    CHECK(manager.tensor_memory_usage().at("x").grants == std::vector<std::string>{"c"});
    CHECK_FALSE(manager.can_be_freed("x"));
  }
  SUBCASE("a tensor without grants waits for nobody") {
    CHECK(manager.release_model("b") == 0);
    CHECK(manager.release_model("c") == 0);
    CHECK(manager.can_be_freed("x"));
  }
}

TEST_CASE("a grant that was never leased is fresh from the registration") {
  FakeClock clock;
  ct::TensorSharingManager manager{{.clock = clock}};
  manager.register_tensor("x", ramp(), {.consumers = {"b"}});
  clock.advance(29s);
  CHECK_FALSE(manager.can_be_freed("x"));
  clock.advance(1s);
  CHECK(manager.can_be_freed("x"));
}

TEST_CASE("optimize_memory frees what nothing keeps") {
  ct::TensorSharingManager manager;
  manager.register_tensor("free", ct::zeros<float>({1024}));
  manager.register_tensor("leased", ct::zeros<float>({1024}), {.producer = "a"});
  manager.register_tensor("pinned", ct::zeros<float>({1024}), {.pinned = true});
  manager.register_tensor("granted", ct::zeros<float>({1024}), {.consumers = {"b"}});
  const auto handle = manager.register_tensor("outside", ct::zeros<float>({1024}));
  CHECK(manager.can_be_freed("free"));
  CHECK_FALSE(manager.can_be_freed("outside"));  // a handle keeps the bytes: forgetting the name would free nothing
  const auto result = manager.optimize_memory();
  CHECK(result.initial_bytes == 5 * 4096);
  CHECK(result.current_bytes == 4 * 4096);
  CHECK(result.freed_bytes == 4096);
  CHECK(result.freed_tensors == 1);
  CHECK(result.freed_names == std::vector<std::string>{"free"});
  CHECK(result.percentage == doctest::Approx(20));
  CHECK(result.remaining_tensors == 4);
  CHECK(ct::heap_cache().idle_bytes() == 0);
  CHECK(manager.optimize_memory().freed_bytes == 0);
  ct::TensorSharingManager nothing;
  CHECK(nothing.optimize_memory().percentage == 0);
}

TEST_CASE("the budget is never exceeded") {
  FakeClock clock;
  ct::TensorSharingManager manager{{.max_memory = 4 * 4096, .clock = clock}};
  const auto page = [] { return ct::zeros<float>({1024}); };
  manager.register_tensor("a", page(), {.producer = "m"});
  manager.register_tensor("b", page(), {.pinned = true});
  manager.register_tensor("c", page());
  clock.advance(10s);
  manager.register_tensor("d", page());
  CHECK(manager.stats().true_bytes == 4 * 4096);
  SUBCASE("what can be freed is freed first, the longest idle before the others") {
    manager.register_tensor("e", page(), {.producer = "n"});
    CHECK_FALSE(manager.contains("c"));
    CHECK(manager.contains("d"));
    CHECK(manager.stats().true_bytes == 4 * 4096);
    CHECK(manager.stats().peak_bytes == 4 * 4096);
    manager.register_tensor("f", page(), {.producer = "o"});
    const std::string message = message_of<ct::BudgetExceeded>([&] { manager.register_tensor("g", page()); });
    CHECK(has(message, "'g'"));
    CHECK(has(message, "16.0 KiB of 16.0 KiB"));
    CHECK(has(message, "leased by m"));
    CHECK(has(message, "pinned"));
    for (const char* name : {"a", "b", "e", "f"}) CHECK(manager.contains(name));
    CHECK_FALSE(manager.contains("g"));
  }
  SUBCASE("where even that is too little, nothing is lost") {
    CHECK_THROWS_AS(manager.register_tensor("big", ct::zeros<float>({3 * 1024})), ct::BudgetExceeded);
    for (const char* name : {"a", "b", "c", "d"}) CHECK(manager.contains(name));
    CHECK(manager.get<float>("c", "m").held());  // and can be leased again
    CHECK_THROWS_AS(manager.register_tensor("huge", ct::zeros<float>({100 * 1024})), ct::BudgetExceeded);
  }
  SUBCASE("a tensor that was refused is still private") {
    auto mine = ct::zeros<float>({4 * 1024});
    CHECK_THROWS_AS(manager.register_tensor("mine", mine), ct::BudgetExceeded);
    CHECK_NOTHROW(mine.mutable_view());
  }
  SUBCASE("views and existing names need no room") {
    const auto view = manager.create_view<float>("a", "half", {0}, {512}, "m");
    CHECK_NOTHROW(manager.register_tensor("a", page()));
    CHECK(manager.stats().true_bytes == 4 * 4096);
  }
  SUBCASE("the message names grants and handles") {
    manager.share("a", "m", {"x"});
    manager.release("a", "m");
    const auto handle = manager.get<float>("d", "tmp")->slice(0, 0, 1);
    const std::string message = message_of<ct::BudgetExceeded>([&] { manager.register_tensor("big", ct::zeros<float>({2 * 1024})); });
    CHECK(has(message, "granted to 1 model and fresh"));
    CHECK(has(message, "outside the manager"));
    CHECK(has(message, "can be freed"));
  }
}

TEST_CASE("deleters run outside of every lock and may call the manager") {
  std::vector<float> memory(16, 1.0f);
  int deleted = 0;
  std::optional<ct::TensorSharingManager> manager(std::in_place, ct::ManagerOptions{.max_memory = 64});
  const auto deleter = [&] {
    ++deleted;
    CHECK(manager->stats().total_tensors == 0);
    CHECK_FALSE(manager->contains("x"));
    CHECK(manager->release_model("nobody") == 0);
  };
  const auto put = [&] { manager->register_tensor("x", ct::borrow(std::span<float>(memory), {16}, deleter)); };
  put();
  CHECK(manager->optimize_memory().freed_tensors == 1);
  CHECK(deleted == 1);
  put();
  CHECK(manager->forget("x"));
  CHECK(deleted == 2);
  put();
  auto lease = manager->get<float, ct::Borrowed>("x", "m");
  manager->release_model("m");
  CHECK(manager->forget("x"));
  CHECK(deleted == 2);
  lease.release();
  CHECK(deleted == 3);
  // Room made for another tensor: that one is registered before the old one's deleter runs.
  manager->register_tensor("y", ct::borrow(std::span<float>(memory), {16}, [&] {
    ++deleted;
    CHECK(manager->contains("z"));
  }));
  manager->register_tensor("z", ct::zeros<float>({16}));
  CHECK(deleted == 4);
}
