// Lease: moving, renewing, being ended by name, outliving names and managers.
#include "cotenant/share/lease.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <utility>
#include <vector>

#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace share_tests;

TEST_CASE("a lease that was ended by name ends nobody else's") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp());
  const auto leases = [&] { return manager.tensor_memory_usage().at("x").leases; };
  SUBCASE("release") {
    std::optional old = manager.get<float>("x", "m");
    CHECK(manager.release("x", "m"));
    const auto fresh = manager.get<float>("x", "m");
    old.reset();
    CHECK(leases() == 1);
    CHECK(fresh.held());
  }
  SUBCASE("release_model") {
    std::optional old = manager.get<float>("x", "m");
    CHECK(manager.release_model("m") == 1);
    CHECK(manager.release_model("m") == 0);
    const auto fresh = manager.get<float>("x", "m");
    old.reset();
    CHECK(leases() == 1);
    CHECK(fresh.held());
  }
  SUBCASE("the oldest goes first, in any order of destruction") {
    auto a = manager.get<float>("x", "m");
    auto b = manager.get<float>("x", "m");
    CHECK(manager.release("x", "m"));
    CHECK_FALSE(a.held());
    CHECK(b.held());
    auto c = manager.get<float>("x", "m");
    CHECK(leases() == 2);
    c.release();
    CHECK(leases() == 1);
    CHECK(b.held());
    a.release();
    CHECK(leases() == 1);
    b.release();
    CHECK(leases() == 0);
  }
  SUBCASE("a producer's lease without an object goes before one with an object") {
    manager.register_tensor("x", ramp(), {.producer = "m"});
    const auto a = manager.get<float>("x", "m");
    CHECK(leases() == 2);
    CHECK(manager.release("x", "m"));
    CHECK(a.held());
  }
}

TEST_CASE("leases move and renew") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp());
  manager.register_tensor("y", ramp());
  const auto leases = [&](const char* name) { return manager.tensor_memory_usage().at(name).leases; };
  std::vector<ct::Lease<float>> many;
  for (int i = 0; i < 100; ++i) many.push_back(manager.get<float>("x", "m"));  // moves while it grows
  CHECK(leases("x") == 100);
  for (const auto& lease : many) CHECK(lease.held());
  auto moved = std::move(many[50]);
  CHECK(leases("x") == 100);
  CHECK_FALSE(many[50]);
  moved = manager.get<float>("y", "m");
  CHECK(leases("x") == 99);
  CHECK(leases("y") == 1);
  auto& self = moved;
  moved = std::move(self);
  CHECK(leases("y") == 1);
  many.clear();
  CHECK(leases("x") == 0);
  {
    auto again = moved.again();
    CHECK(again.held());
    CHECK(again->block() == moved->block());
    CHECK(leases("y") == 2);
  }
  CHECK(leases("y") == 1);
  manager.release("y", "m");
  CHECK_FALSE(moved.again());
  CHECK_FALSE(ct::Lease<float>().again());
  CHECK(leases("y") == 0);
  // A moved lease that was ended by name stays ended.
  auto ended = std::move(moved);
  CHECK(ended);
  CHECK_FALSE(ended.held());
}

TEST_CASE("a Lease object that was ended by name still keeps the bytes") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp());
  auto lease = manager.get<float>("x", "m");
  manager.release_model("m");
  CHECK(manager.stats().total_models == 0);
  CHECK_FALSE(manager.can_be_freed("x"));
  CHECK(manager.optimize_memory().freed_tensors == 0);
  CHECK(manager.forget("x"));
  CHECK(lease->view()(7) == 7.0f);
  manager.register_tensor("x", ct::zeros<float>({16}));
  CHECK(manager.get<float>("x", "m")->view()(7) == 0.0f);
  CHECK(lease->view()(7) == 7.0f);
  lease.release();
  CHECK(manager.can_be_freed("x"));
}

TEST_CASE("leases and tensors outlive the manager") {
  ct::Lease<float> lease, ended;
  ct::SharedTensor<float> tensor;
  std::optional<ct::TensorSharingManager> manager(std::in_place);
  manager->register_tensor("x", ramp(), {.producer = "m"});
  lease = manager->get<float>("x", "m");
  ended = manager->get<float>("x", "n");
  manager->release_model("n");
  tensor = *manager->get<float>("x", "m");
  manager.reset();
  CHECK(lease->view()(9) == 9.0f);
  CHECK(lease.held());
  CHECK(lease.name() == "x");
  auto more = lease.again();
  auto moved = std::move(lease);
  CHECK(moved.release());
  CHECK_FALSE(ended.release());
  CHECK(more->view()(9) == 9.0f);
  CHECK(tensor.use_count() == 2);  // and the one that `more` keeps
  CHECK(more.release());
  CHECK(tensor.use_count() == 1);
}
