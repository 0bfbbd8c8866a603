// What a forked child has of its parent's devices. Ends of programs: ends.sh.
#include "cotenant/vulkan/device_ends.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"
#include "forked.hpp"
#include "test_device.hpp"

using namespace cotenant;
using namespace cotenant::test;

TEST_CASE("a forked child is told that its parent's device is not its own, waits for nothing, and destroys nothing") {
  auto device = std::make_shared<Checked>();
  Vulkan gpu = **device;
  auto x = to_device(gpu, std::vector<float>(1000, 3.f)), y = empty<float>({1000}, gpu);
  twice_plus_one(gpu, x, y);  // not waited for
  const int result = in_child([&] {
    if (!has(message([&] { twice_plus_one(gpu, x, y); }), "device_lost")) return 1;
    if (!has(message([&] { static_cast<void>(to_host(y)); }), "forked")) return 2;
    if (!has(message([&] { static_cast<void>(empty<float>({1}, gpu)); }), "device_lost")) return 3;
    if (!has(message([&] { static_cast<void>(gpu.stream("tenant")); }), "device_lost")) return 4;
    if (!has(message([&] { gpu.dispose(); }), "device_lost")) return 5;
    if (!has(message([&] { static_cast<void>(Vulkan::open(checked_options())); }), "unsupported")) return 6;
    if (!Vulkan::devices().empty()) return 7;
    x = {}, y = {};
    gpu = Vulkan(nullptr);
    // A child of the child.
    return in_child([] { return Vulkan::devices().empty() ? 8 : 9; });
  });
  CHECK(result == 8);
  CHECK(to_host(y) == std::vector<float>(1000, 7.f));
}
