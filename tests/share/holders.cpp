// Who holds what: leases that end by name, models that go, and what a refusal says of them.
#include "cotenant/share/holders.hpp"

#include <doctest/doctest.h>

#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace share_tests;

TEST_CASE("leases end by name: those without an object first, then the oldest") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp(), {.producer = "a"});  // holds one without an object
  auto first = manager.get<float>("x", "a"), second = manager.get<float>("x", "a");
  CHECK(manager.release("x", "a"));
  CHECK(first.held());
  CHECK(manager.release("x", "a"));
  CHECK_FALSE(first.held());
  CHECK(second.held());
  CHECK(manager.release("x", "a"));
  CHECK_FALSE(manager.release("x", "a"));
  CHECK_FALSE(manager.release("x", "nobody"));
  CHECK_FALSE(manager.release("nothing", "a"));
  CHECK(first->view()(3) == 3.0f);  // the object keeps the bytes all the same
}

TEST_CASE("a model that goes lets go of everything, once") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp(), {.producer = "a"});
  manager.register_tensor("y", ramp(), {.producer = "a", .consumers = {"b"}});
  const auto lease = manager.get<float>("y", "b");
  CHECK(manager.release_model("a") == 2);
  CHECK(manager.release_model("a") == 0);
  CHECK(manager.can_be_freed("x"));
  CHECK_FALSE(manager.can_be_freed("y"));
  CHECK(manager.stats().total_models == 1);
}

TEST_CASE("a refusal names the largest blocks and why they stay") {
  ct::TensorSharingManager manager{{.max_memory = 3 * page_bytes}};
  const auto pages = [](std::size_t count) { return ct::full<float>({count * page_bytes / sizeof(float)}, 1.0f); };
  manager.register_tensor("large", pages(2), {.producer = "a"});
  const auto again = manager.get<float>("large", "a");
  manager.register_tensor("small", pages(1));
  manager.pin("small");
  const std::string said = message_of<ct::BudgetExceeded>([&] { manager.register_tensor("more", pages(1)); });
  CHECK(has(said, "'large' 8.0 KiB (leased by a ×2), 'small' 4.0 KiB (pinned)"));
}
