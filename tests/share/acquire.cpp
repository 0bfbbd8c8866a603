// How a lease begins: of what is away, of what is being written, of what is not there.
#include "cotenant/share/acquire.hpp"

#include <chrono>
#include <thread>

#include "cotenant/share/manager.hpp"
#include "memory_spill.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace std::chrono_literals;

TEST_CASE("a name that is not there is a miss; another type brings nothing back") {
  share_tests::FakeClock clock;
  const auto spill = std::make_shared<share_tests::MemorySpill>();
  ct::TensorSharingManager manager{{.clock = clock, .spill = spill}};
  manager.register_tensor("x", share_tests::ramp());
  clock.advance(60s);
  CHECK(manager.optimize_memory().evicted_names.size() == 1);
  CHECK_FALSE(manager.try_get<float>("y", "m").has_value());
  CHECK_THROWS_AS(static_cast<void>(manager.get<std::int64_t>("x", "m")), ct::TypeError);
  CHECK_THROWS_AS(static_cast<void>(manager.get<float, ct::Borrowed>("x", "m")), ct::TypeError);
  CHECK(spill->loads == 0);
  CHECK(manager.stats().misses == 1);
  CHECK(manager.get<float>("x", "m")->view()(3) == 3.0f);
  CHECK(spill->loads == 1);
  CHECK(manager.stats().hits == 1);
}

TEST_CASE("a lease of what is written in place begins when that has ended, whatever its form") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", share_tests::ramp());
  auto write = manager.write<float>("x", "w");
  REQUIRE(write.in_place());
  CHECK_THROWS_AS(static_cast<void>(manager.get<float>("x", "w")), ct::InvalidArgument);  // it would wait for itself
  CHECK_THROWS_AS(static_cast<void>(manager.get<ct::bf16>("x", "w")), ct::InvalidArgument);
  std::thread reader([&] {
    CHECK(manager.get<ct::bf16>("x", "r")->view()(0) == ct::bf16(9.0f));
    CHECK(manager.get<float>("x", "r")->view()(0) == 9.0f);
  });
  std::this_thread::sleep_for(5ms);
  write.view()(0) = 9;
  write.commit();
  reader.join();
}
