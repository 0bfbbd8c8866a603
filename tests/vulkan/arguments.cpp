#include "cotenant/vulkan/arguments.hpp"

#include <doctest/doctest.h>

#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;
using cotenant::empty;

TEST_CASE("parameters beyond the push constants lie in memory of the batch") {
  for (bool descriptors : {false, true}) {
    const Checked gpu(checked_options(descriptors));
    const auto x = to_device(*gpu, {1, 2, 3, 4}), y = empty<float>({4}, *gpu);
    std::vector<std::uint32_t> scalars(60);
    for (std::uint32_t i = 0; i < 60; ++i) scalars[i] = i;
    const std::array buffers{vk::whole(x.block(), vk::Access::read), vk::whole(y.block(), vk::Access::write)};
    for (int round = 0; round < 300; ++round) {
      scalars[59] = static_cast<std::uint32_t>(round);
      gpu->device().launch(*gpu->shared_stream(), {"test: many scalars", buffers, scalars, {1, 1, 1}}, [](const vk::Target& target) {
        vk::KernelBuilder k(target, {.workgroup = 4});
        const auto in = k.buffer(k.f32()), out = k.buffer(k.f32());
        auto sum = k.scalar();
        for (int i = 1; i < 60; ++i) sum = sum + k.scalar();
        out.store(k.local_index(), in.load(k.local_index()) + convert(k.f32(), sum));
        return k.finish();
      });
    }
    CHECK(to_host(y)[3] == 4.f + 1711.f + 299.f);
  }
}
