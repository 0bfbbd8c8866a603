// The sweeper: it works by itself, ends when asked, and a manager's frees what nobody keeps.
#include "cotenant/share/sweeper.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace std::chrono_literals;

TEST_CASE("a sweeper calls its function again and again, whatever that throws") {
  std::atomic<int> calls{0};
  {
    ct::detail::Sweeper sweeper(1ms, [&] {
      ++calls;
      throw std::runtime_error("nobody hears this");
    });
    while (calls < 3) std::this_thread::sleep_for(1ms);
  }
  const int ended = calls;
  std::this_thread::sleep_for(5ms);
  CHECK(calls == ended);
  { ct::detail::Sweeper sleeping(24h, [] { FAIL("too early"); }); }  // its end does not wait for the interval
}

TEST_CASE("a manager with a sweep interval frees by itself") {
  ct::TensorSharingManager manager{{.sweep_interval = 1ms}};
  manager.register_tensor("kept", share_tests::ramp(), {.producer = "m"});
  manager.register_tensor("idle", share_tests::ramp());
  while (manager.contains("idle")) std::this_thread::sleep_for(1ms);
  CHECK(manager.contains("kept"));
}
