#include "cotenant/vulkan/device.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"
#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;
using cotenant::Vulkan;

TEST_CASE("a device closes when its last handle is gone, and work that nobody waits for does not hold it") {
  std::weak_ptr<vk::Device> device;
  {
    const Vulkan gpu = Vulkan::open(checked_options());
    device = gpu.device().weak_from_this();
    const auto x = to_device(gpu, {1, 2, 3}), y = cotenant::empty<float>({3}, gpu);
    twice_plus_one(gpu, x, y);
    gpu.synchronize();
  }
  CHECK(device.expired());
}
