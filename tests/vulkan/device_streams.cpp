#include "cotenant/vulkan/device_streams.hpp"

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

TEST_CASE("launches beyond the device's limits and with another device's tensors never reach the driver") {
  const Checked gpu, other;
  const auto x = cotenant::empty<float>({4}, *gpu), y = cotenant::empty<float>({4}, *gpu), far = cotenant::empty<float>({4}, *other);
  const auto emit = [](const vk::Target&) -> std::vector<std::uint32_t> { cotenant::raise<cotenant::InvalidArgument>("nobody asked for this kernel"); };
  const std::array good{vk::whole(x.block(), vk::Access::read)};
  const std::array bad{vk::whole(far.block(), vk::Access::read)};
  CHECK(has(message([&] {
              gpu->device().launch(*gpu->shared_stream(), {"k", good, {}, {0xffffffff, 1, 1}}, emit);
            }),
            "invalid_argument: the kernel 'k' was launched with 4294967295 workgroups"));
  CHECK(has(message([&] { gpu->device().launch(*gpu->shared_stream(), {"k", bad, {}, {1, 1, 1}}, emit); }), "lies on another device, '"));
  gpu->device().launch(*gpu->shared_stream(), {"k", good, {}, {1, 0, 1}}, emit);  // nothing to do
  CHECK(has(message([&] { gpu->device().launch(*gpu->shared_stream(), {"k", good, {}, {1, 1, 1}}, emit); }), "nobody asked"));
  twice_plus_one(*gpu, x, y);
}

TEST_CASE("a range beyond what one descriptor reaches is an error that says what to do, before anything reaches the driver") {
  const Checked gpu(checked_options(true)), by_address;
  const auto x = cotenant::empty<float>({4}, *gpu), y = cotenant::empty<float>({4}, *by_address);
  const auto emit = [](const vk::Target&) -> std::vector<std::uint32_t> { cotenant::raise<cotenant::InvalidArgument>("nobody asked for this kernel"); };
  const std::size_t limit = gpu->capabilities().max_storage_buffer_range;
  const auto launch = [&](const Vulkan& on, const auto& tensor, std::size_t bytes) {
    const std::array wide{vk::BufferArgument{tensor.block().get(), tensor.block()->data(), bytes, vk::Access::read}};
    return message([&] { on.device().launch(*on.shared_stream(), {"k", wide, {}, {1, 1, 1}}, emit); });
  };
  const std::string text = launch(*gpu, x, limit);
  CHECK(has(text, "unsupported: the kernel 'k' reads or writes " + std::to_string(limit) + " bytes"));
  CHECK(has(text, "Addressing::pointers"));
  CHECK(has(launch(*gpu, x, limit / 2), "nobody asked"));
  CHECK(has(launch(*by_address, y, limit), "nobody asked"));
}

TEST_CASE("more buffers than descriptors may reach in one kernel are an error that says what to do") {
  auto options = checked_options(true);
  options.pretend = [](vk::Capabilities& device) { device.max_storage_buffers = 2; };
  const Checked gpu(options);
  const auto x = to_device(*gpu, std::vector<float>(8, 1.f)), y = cotenant::empty<float>({8}, *gpu);
  twice_plus_one(*gpu, x, y);
  CHECK(to_host(y)[7] == 3.f);
  const std::array three{vk::whole(x.block(), vk::Access::read), vk::whole(x.block(), vk::Access::read), vk::whole(y.block(), vk::Access::write)};
  const auto emit = [](const vk::Target&) -> std::vector<std::uint32_t> { cotenant::raise<cotenant::InvalidArgument>("nobody asked for this kernel"); };
  const std::string text = message([&] { gpu->device().launch(*gpu->shared_stream(), {"k", three, {}, {1, 1, 1}}, emit); });
  CHECK(has(text, "unsupported: the kernel 'k' reaches 3 buffers through descriptors"));
  CHECK(has(text, "binds at most 2: open the device with Addressing::pointers"));
}
