// The spin lock, and what the recorder hears.
#include "cotenant/share/recorder.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace ct = cotenant;

TEST_CASE("a recorder that nobody asked for records nothing") {
  ct::detail::Recorder recorder{ct::detail::Clock({}), nullptr};
  CHECK_FALSE(recorder.watched());
  recorder.note(ct::EventKind::lease, "x", "m", 1);
  recorder.deliver();
  int heard = 0;
  recorder.events = std::make_unique<ct::detail::EventLog>(4, [&](const ct::Event&) { ++heard; });
  CHECK(recorder.watched());
  recorder.note(ct::EventKind::lease, "x", "m", 1);
  CHECK(heard == 0);  // not under the caller's locks
  recorder.deliver();
  CHECK(heard == 1);
}

TEST_CASE("the spin lock excludes") {
  ct::detail::SpinLock lock;
  long counter = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&] {
      for (int round = 0; round < 20000; ++round) {
        const std::lock_guard guard(lock);
        ++counter;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(counter == 80000);
}
