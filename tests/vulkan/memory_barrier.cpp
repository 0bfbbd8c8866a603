#include "cotenant/vulkan/memory_barrier.hpp"

#include <doctest/doctest.h>

#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;

TEST_CASE("barriers of both kinds order kernels, copies and the host, on devices with and without the newer form") {
  for (const bool newer : {true, false}) {
    auto options = checked_options();
    if (!newer) options.pretend = [](vk::Capabilities& device) { device.synchronization2 = false; };
    const Checked gpu(options);
    const auto x = to_device(*gpu, std::vector<float>(1000, 1.f)), y = to_device(*gpu, std::vector<float>(1000, 0.f));
    for (int i = 0; i < 5; ++i) twice_plus_one(*gpu, i % 2 == 0 ? x : y, i % 2 == 0 ? y : x);
    CHECK(gpu->shared_stream()->barriers() >= 4);
    CHECK(to_host(y) == std::vector<float>(1000, 63.f));
  }
}
