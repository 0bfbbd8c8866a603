// Write leases as the registry sees them: turns, versions, budgets, and what becomes of leases and artefacts of the old version.
#include "cotenant/share/writing.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cotenant/share/derive.hpp"
#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace std::chrono_literals;
using namespace share_tests;

TEST_CASE("writers take turns in the order they came") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ct::zeros<float>({16}));
  constexpr int writers = 6;
  std::vector<int> order;
  std::vector<std::thread> threads;
  {
    auto first = manager.write<float>("x", "first");
    for (int i = 0; i < writers; ++i) {
      threads.emplace_back([&, i] {
        auto write = manager.write<float>("x", "w" + std::to_string(i));
        order.push_back(i);  // exclusive: no lock needed
        write.view()(0) += 1;
      });
      std::this_thread::sleep_for(20ms);  // long enough to be queued, also on a busy machine; the order is what is tested
    }
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(order.size() == writers);
  CHECK(manager.get<float>("x", "m")->view()(0) == static_cast<float>(writers));
  CHECK(manager.tensor_memory_usage().at("x").version == writers + 2);
}

TEST_CASE("waiting for a writer ends with a typed error, and the turn is given on") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp());
  auto write = manager.write<float>("x", "slow");
  std::string message;
  std::thread other([&] { message = message_of<ct::TimedOut>([&] { static_cast<void>(manager.write<float>("x", "other", 5ms)); }); });
  other.join();
  CHECK(has(message, "'slow' is writing it"));
  CHECK(has(message, "5 ms"));
  CHECK(has(message_of<ct::InvalidArgument>([&] { static_cast<void>(manager.write<float>("x", "slow")); }), "already"));
  CHECK(write.in_place());
  CHECK(has(message_of<ct::InvalidArgument>([&] { static_cast<void>(manager.get<float>("x", "slow")); }), "by this thread"));
  CHECK_FALSE(manager.forget("x"));
  CHECK(manager.tensor_memory_usage().at("x").writer == "slow");
  CHECK(manager.optimize_memory().freed_tensors == 0);
  write.commit();
  CHECK(manager.write<float>("x", "other", 0ms).version() == 3);
  CHECK(manager.tensor_memory_usage().at("x").writer.empty());
}

TEST_CASE("bad requests to write") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp());
  manager.register_tensor("repeated", ct::full<float>({1}, 2).broadcast_to({4}));
  CHECK_THROWS_AS(static_cast<void>(manager.write<float>("nothing", "m")), ct::NotFound);
  CHECK_THROWS_AS(static_cast<void>(manager.write<std::int32_t>("x", "m")), ct::TypeError);
  CHECK_THROWS_AS(static_cast<void>(manager.write<float>("x", "")), ct::InvalidArgument);
  CHECK(has(message_of<ct::ReadOnly>([&] { static_cast<void>(manager.write<float>("repeated", "m")); }), "repeats"));
  CHECK(manager.write<float>("x", "m").version() == 2);  // none of them left a turn behind
  CHECK(manager.write<float>("x", "m").version() == 3);
}

namespace {
struct Sum;
}

TEST_CASE("artefacts of an old version are never served for the new one") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp());
  const auto sum = [&](const auto& tensor) {
    return ct::derive<Sum>(tensor, [&] {
      float total = 0;
      for (float value : as_tensor(tensor).view().span()) total += value;
      return ct::full<float>({1}, total);
    }).view()(0);
  };
  {
    const auto lease = manager.get<float>("x", "reader");
    CHECK(sum(lease) == 120.0f);
    CHECK(manager.stats().derived_bytes > 0);
    auto copied = manager.write<float>("x", "writer");
    CHECK_FALSE(copied.in_place());
    copied.view()(0) = 100;
    CHECK(sum(lease) == 120.0f);  // the version that it holds
    copied.commit();
    CHECK(sum(lease) == 120.0f);
    CHECK(sum(manager.get<float>("x", "reader")) == 220.0f);
  }
  CHECK(sum(manager.get<float>("x", "reader")) == 220.0f);
  {
    auto in_place = manager.write<float>("x", "writer");
    CHECK(in_place.in_place());
    in_place.view()(0) = 200;
  }
  CHECK(sum(manager.get<float>("x", "reader")) == 320.0f);
}

TEST_CASE("leases of an old version stay counted until they end, by object or by name") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ct::zeros<float>({1024}), {.producer = "p", .consumers = {"c"}, .pinned = true});
  auto old = manager.get<float>("x", "r");
  auto more = manager.get<float>("x", "r");
  { auto write = manager.write<float>("x", "w"); }
  auto stats = manager.stats();
  CHECK(stats.true_bytes == 2 * 4096);
  CHECK(stats.tensors.at("x").holders == std::map<std::string, std::size_t>{{"p", 1}});  // the producer's has no object: it goes on to the new version
  CHECK(stats.tensors.at("x").grants == std::vector<std::string>{"c"});
  CHECK(stats.tensors.at("x").pinned);
  CHECK(stats.tensors.at("x").version == 2);
  CHECK(stats.tensors.at("x@1").holders == std::map<std::string, std::size_t>{{"r", 2}});
  CHECK(stats.models.at("r").leases == 2);
  CHECK(stats.hits == 2);
  CHECK(old.held());
  CHECK(old.again()->block() == old->block());  // one more of the same version
  const auto fresh = manager.get<float>("x", "r");
  CHECK_FALSE(fresh->block() == old->block());
  CHECK(manager.release("x", "r"));  // the new version's
  CHECK(manager.release("x", "r"));
  CHECK_FALSE(old.held());
  CHECK(manager.release_model("r") == 1);
  CHECK_FALSE(manager.release("x", "r"));
  CHECK(old->view()(0) == 0.0f);  // its object still keeps the bytes
  CHECK(manager.stats().true_bytes == 2 * 4096);
  old.release();
  more.release();
  CHECK(manager.optimize_memory().freed_bytes == 4096);
  CHECK(manager.stats().total_tensors == 1);
  CHECK(manager.stats().true_bytes == 4096);
}

TEST_CASE("two past versions of one number are both listed") {
  ct::TensorSharingManager manager;
  std::vector<ct::Lease<float>> held;
  for (int life = 0; life < 2; ++life) {
    manager.register_tensor("x", ct::zeros<float>({1024}));
    held.push_back(manager.get<float>("x", "r"));
    { auto write = manager.write<float>("x", "w"); }
    CHECK(manager.forget("x"));
  }
  const auto stats = manager.stats();
  CHECK(stats.true_bytes == 2 * 4096);
  CHECK(stats.tensors.at("x@1").extra_bytes == 4096);
  CHECK(stats.tensors.at("x@1'").extra_bytes == 4096);
}

TEST_CASE("a private copy needs room, and is refused before anything changes") {
  ct::TensorSharingManager manager{{.max_memory = 3 * 4096}};
  manager.register_tensor("x", ct::zeros<float>({1024}));
  manager.register_tensor("y", ct::zeros<float>({1024}), {.pinned = true});
  const auto reader = manager.get<float>("x", "r");
  {
    auto write = manager.write<float>("x", "w");
    CHECK(manager.stats().true_bytes == 3 * 4096);
    CHECK_THROWS_AS(manager.register_tensor("z", ct::zeros<float>({1024})), ct::BudgetExceeded);
    CHECK(write.discard());
  }
  CHECK(manager.stats().true_bytes == 2 * 4096);
  CHECK(manager.tensor_memory_usage().at("x").version == 1);
  manager.register_tensor("z", ct::zeros<float>({1024}), {.pinned = true});
  CHECK_THROWS_AS(static_cast<void>(manager.write<float>("x", "w")), ct::BudgetExceeded);
  CHECK(manager.tensor_memory_usage().at("x").writer.empty());
  manager.unpin("z");
  { auto write = manager.write<float>("x", "w"); }
  CHECK_FALSE(manager.contains("z"));
  CHECK(manager.tensor_memory_usage().at("x").version == 2);
}

TEST_CASE("readers and writers on many threads see whole versions only") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ct::zeros<float>({256}));
  std::atomic<std::size_t> wrong{0};
  std::vector<std::thread> threads;
  constexpr int writers = 3, rounds = 60;
  for (int writer = 0; writer < writers; ++writer)
    threads.emplace_back([&, writer] {
      for (int round = 0; round < rounds; ++round) {
        auto write = manager.write<float>("x", "w" + std::to_string(writer));
        const float next = write.view()(0) + 1;
        for (float& value : write.view().span()) value = next;
      }
    });
  for (int reader = 0; reader < 3; ++reader)
    threads.emplace_back([&, reader] {
      float last = 0;
      for (int round = 0; round < 200; ++round) {
        const auto lease = manager.get<float>("x", "r" + std::to_string(reader));
        const float first = lease->view()(0);
        for (float value : lease->view().span()) if (value != first) ++wrong;
        if (first < last) ++wrong;
        last = first;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(manager.get<float>("x", "m")->view()(255) == static_cast<float>(writers * rounds));
  CHECK(manager.tensor_memory_usage().at("x").version == writers * rounds + 1);
  static_cast<void>(manager.optimize_memory());
  CHECK(manager.stats().true_bytes == 0);
}
