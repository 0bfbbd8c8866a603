#include "cotenant/vulkan/timestamps.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"
#include "test_device.hpp"

TEST_CASE("the device's clock runs forward, and more work takes it longer than none") {
  const cotenant::test::Checked gpu;
  const auto x = cotenant::empty<float>({100000}, *gpu), y = cotenant::empty<float>({100000}, *gpu);
  cotenant::vulkan::Timestamps times(*gpu->shared_stream(), 3);
  for (int round = 0; round < 2; ++round) {
    times.mark(0);
    for (int i = 0; i < 20; ++i) cotenant::test::twice_plus_one(*gpu, x, y);
    times.mark(1);
    times.mark(2);
    CHECK(times.seconds(0, 1) > 0);
    CHECK(times.seconds(1, 2) >= 0);
    CHECK(times.seconds(0, 2) >= times.seconds(0, 1));
  }
}

TEST_CASE("a device without a clock says so") {
  auto options = cotenant::test::checked_options();
  options.pretend = [](cotenant::vulkan::Capabilities& device) { device.timestamp_period = 0; };
  const cotenant::test::Checked gpu(options);
  const std::string text = cotenant::test::message([&] { cotenant::vulkan::Timestamps(*gpu->shared_stream(), 2); });
  CHECK(cotenant::test::has(text, "unsupported"));
  CHECK(cotenant::test::has(text, "has no timestamps"));
}
