#include "cotenant/vulkan/mirror.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"
#include "cotenant/vulkan/backend.hpp"
#include "test_device.hpp"

using namespace cotenant;
using namespace cotenant::test;

TEST_CASE("bytes move only to the side that is behind, and only when it is needed") {
  const Checked gpu;
  Mirror<float> mirror(from({1.f, 2.f}, {2}), *gpu);
  CHECK(mirror.host_is_newer());
  CHECK(mirror.copies() == 0);
  mirror.synchronize(SyncDirection::to_host);
  CHECK(mirror.copies() == 0);
  CHECK(to_host(mirror.device()) == std::vector<float>{1, 2});
  CHECK(mirror.copies() == 1);
  mirror.synchronize();
  static_cast<void>(mirror.host());
  CHECK(mirror.copies() == 1);
  twice_plus_one(*gpu, mirror.device(), mirror.write_device());
  CHECK(mirror.device_is_newer());
  CHECK(mirror.host_copy().view()(1) == 2.f);
  CHECK(mirror.host().view()(1) == 5.f);
  CHECK(mirror.copies() == 2);
  mirror.write_host()(0) = 10.f;
  mirror.synchronize(SyncDirection::both);
  CHECK(mirror.copies() == 3);
  CHECK(to_host(mirror.device()) == std::vector<float>{10, 5});
}

TEST_CASE("what the host has survives the device") {
  auto options = checked_options();
  options.faults = std::make_shared<vulkan::Faults>();
  const Vulkan gpu = Vulkan::open(options);
  Mirror<float> mirror(from({1.f, 2.f}, {2}), gpu);
  twice_plus_one(gpu, mirror.device(), mirror.write_device());
  options.faults->fail(vulkan::Step::submit, VK_ERROR_DEVICE_LOST);
  CHECK(has(message([&] { static_cast<void>(mirror.host()); }), "device_lost"));
  CHECK(mirror.host_copy().view()(1) == 2.f);
  // The work goes on elsewhere from there.
  const Checked another;
  Mirror<float> again(mirror.host_copy(), *another);
  twice_plus_one(*another, again.device(), again.write_device());
  CHECK(again.host().view()(1) == 5.f);
}
