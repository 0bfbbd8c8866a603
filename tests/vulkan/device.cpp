#include "cotenant/vulkan/device.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"
#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;
using cotenant::Vulkan;

TEST_CASE("a stream is found by its name while somebody has it") {
  const Checked gpu;
  const Vulkan first = gpu->stream("bert");
  CHECK(first == gpu->stream("bert"));
  CHECK_FALSE(first == gpu->stream("t5"));
  CHECK(&first.device() == &gpu->device());
  CHECK(first.stream_name() == "bert");
}

TEST_CASE("a device closes when its last handle is gone, and work that nobody waits for does not hold it") {
  std::weak_ptr<vk::Device> device;
  {
    const Vulkan gpu = Vulkan::open(checked_options());
    device = gpu.shared_stream()->shared_device();
    const auto x = to_device(gpu, {1, 2, 3}), y = cotenant::empty<float>({3}, gpu);
    twice_plus_one(gpu, x, y);
    gpu.synchronize();
  }
  CHECK(device.expired());
}

TEST_CASE("launches beyond the device's limits and with another device's tensors never reach the driver") {
  const Checked gpu, other;
  const auto x = cotenant::empty<float>({4}, *gpu), y = cotenant::empty<float>({4}, *gpu), far = cotenant::empty<float>({4}, *other);
  const auto emit = [](const vk::Target&) -> std::vector<std::uint32_t> { cotenant::raise<cotenant::InvalidArgument>("nobody asked for this kernel"); };
  const std::array good{vk::whole(x.block(), vk::Access::read)};
  const std::array bad{vk::whole(far.block(), vk::Access::read)};
  CHECK(has(message([&] { gpu->device().launch(*gpu->shared_stream(), {"k", good, {}, {0xffffffff, 1, 1}}, emit); }), "invalid_argument: the kernel 'k' was launched with 4294967295 workgroups"));
  CHECK(has(message([&] { gpu->device().launch(*gpu->shared_stream(), {"k", bad, {}, {1, 1, 1}}, emit); }), "does not lie on"));
  gpu->device().launch(*gpu->shared_stream(), {"k", good, {}, {1, 0, 1}}, emit);  // nothing to do
  CHECK(has(message([&] { gpu->device().launch(*gpu->shared_stream(), {"k", good, {}, {1, 1, 1}}, emit); }), "nobody asked"));
  twice_plus_one(*gpu, x, y);
}
