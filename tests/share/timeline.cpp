// The timeline: what is recorded, what is forgotten, unions of ranges.
#include "cotenant/share/timeline.hpp"

#include <doctest/doctest.h>

#include <chrono>

#include <map>
#include <string>

#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace std::chrono_literals;
using namespace share_tests;

TEST_CASE("the timeline follows who holds what") {
  FakeClock clock;
  ct::TensorSharingManager manager{{.clock = clock, .record_timeline = true, .timeline_events = 6}};
  CHECK(ct::TensorSharingManager().timeline().empty());
  manager.register_tensor("x", ct::zeros<float>({1024}), {.producer = "a"});
  clock.advance(1s);
  auto lease = manager.get<float>("x", "b");
  auto again = manager.get<float>("x", "b");  // no change of who holds what
  clock.advance(1s);
  auto view = manager.create_view<float>("x", "v", {0}, {512}, "b");  // inside what b holds
  clock.advance(1s);
  auto samples = manager.timeline();
  REQUIRE(samples.size() == 5);
  CHECK(samples[4].seconds == doctest::Approx(3));  // now
  CHECK(samples[4].model_bytes == samples[3].model_bytes);
  CHECK(samples[0].true_bytes == 4096);
  CHECK(samples[0].model_bytes.empty());
  CHECK(samples[1].model_bytes == std::map<std::string, std::size_t>{{"a", 4096}});
  CHECK(samples[2].seconds == doctest::Approx(1));
  CHECK(samples[3].model_bytes == std::map<std::string, std::size_t>{{"a", 4096}, {"b", 4096}});
  lease.release();
  again.release();
  manager.release_model("a");
  samples = manager.timeline();
  REQUIRE(samples.size() == 6);  // two models ended now
  CHECK(samples.back().model_bytes == std::map<std::string, std::size_t>{{"b", 2048}});
  CHECK(samples.back().seconds == doctest::Approx(3));
  view.release();
  CHECK(manager.optimize_memory().freed_bytes == 4096);
  samples = manager.timeline();
  REQUIRE(samples.size() == 7);  // one for what was forgotten, six kept
  CHECK(samples.front().true_bytes == 4096);
  CHECK(samples.front().model_bytes == std::map<std::string, std::size_t>{{"a", 4096}});
  CHECK(samples.back().true_bytes == 0);
  CHECK(samples.back().model_bytes.empty());
}

TEST_CASE("unions of ranges count overlapping bytes once") {
  const int a = 0, b = 0;
  CHECK(ct::detail::union_bytes({}) == 0);
  CHECK(ct::detail::union_bytes({{&a, 0, 10}}) == 10);
  CHECK(ct::detail::union_bytes({{&a, 5, 10}, {&a, 0, 6}, {&a, 20, 21}}) == 11);
  CHECK(ct::detail::union_bytes({{&a, 0, 10}, {&b, 0, 10}, {&a, 2, 3}}) == 20);
  CHECK(ct::detail::union_bytes({{&a, 4, 4}, {&b, 7, 7}}) == 0);
}

TEST_CASE("the default clock does not run backwards") {
  const ct::detail::Clock clock({});
  const auto first = clock.now();
  CHECK(clock.now() >= first);
  const auto real = std::chrono::steady_clock::now();
  CHECK(clock.now() - real < std::chrono::seconds(10));  // the same epoch
  CHECK(real - first < std::chrono::seconds(10));
}
