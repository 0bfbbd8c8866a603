// Events: what is recorded, what the ring forgets, and the callback.
#include "cotenant/share/events.hpp"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "cotenant/share/manager.hpp"
#include "memory_spill.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace share_tests;
using Kind = ct::EventKind;

TEST_CASE("the ring keeps the last events, the counts all") {
  ct::detail::EventLog log(3, {});
  for (std::size_t i = 0; i < 5; ++i) log.record(Kind::lease, "t" + std::to_string(i), "m", 10);
  const auto events = log.events();
  REQUIRE(events.size() == 3);
  CHECK(events[0].tensor == "t2");
  CHECK(events[2].tensor == "t4");
  CHECK(events[2].seconds >= events[0].seconds);
  CHECK(log.counts()[Kind::lease] == 5);
  CHECK(log.counts().bytes[static_cast<std::size_t>(Kind::lease)] == 50);
  CHECK(log.counts()[Kind::spill] == 0);
  CHECK(std::string(ct::to_string(Kind::write)) == "write");
  CHECK(std::string(ct::to_string(static_cast<Kind>(99))) == "unknown");
}

TEST_CASE("a manager tells what happens to its tensors") {
  std::vector<std::string> heard;
  ct::TensorSharingManager* self = nullptr;
  ct::TensorSharingManager manager{{.spill = std::make_shared<MemorySpill>(), .on_event = [&](const ct::Event& event) {
                                      heard.push_back(std::string(to_string(event.kind)) + " " + event.tensor + " " + event.model);
                                      static_cast<void>(self->stats());  // outside of every lock
                                      if (event.kind == Kind::evict) static_cast<void>(self->contains(event.tensor));
                                    }}};
  self = &manager;
  manager.register_tensor("x", ramp(), {.producer = "p"});
  {
    auto lease = manager.get<float>("x", "m");
    const auto again = lease.again();
  }
  manager.release("x", "p");
  manager.optimize_memory();
  { const auto lease = manager.get<float>("x", "m"); }
  { const auto write = manager.write<float>("x", "w"); }
  manager.forget("x");
  static_cast<void>(manager.try_get<float>("x", "m"));
  std::vector<std::string> recorded;
  for (const ct::Event& event : manager.events()) recorded.push_back(std::string(to_string(event.kind)) + " " + event.tensor + " " + event.model);
  const std::vector<std::string> expected{"registered x p", "lease x p", "lease x m", "lease x m", "release x m", "release x m", "release x p", "spill x ",
                                          "evict x ",       "reload x ", "lease x m", "release x m", "write x w",  "forgotten x "};
  CHECK(recorded == expected);
  CHECK(heard == expected);
  CHECK(ct::TensorSharingManager().events().empty());
}

TEST_CASE("many threads record; each event is heard once and threads are told apart") {
  std::size_t heard = 0;
  ct::detail::EventLog log(16, [&](const ct::Event&) { ++heard; });  // one at a time: no lock needed
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        log.record(Kind::lease, "x", "m", 1);
        log.deliver();
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(heard == 2000);
  CHECK(log.counts()[Kind::lease] == 2000);
}
