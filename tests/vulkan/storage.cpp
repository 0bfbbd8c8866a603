#include "cotenant/vulkan/storage.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"
#include "test_device.hpp"

using namespace cotenant::test;
using cotenant::empty;
using cotenant::Vulkan;

TEST_CASE("a device's tensors are counted to the byte, views once") {
  const Checked gpu;
  CHECK(gpu->gpu_memory_usage().in_use == 0);
  {
    const auto x = empty<float>({1000}, *gpu);
    const auto view = x.slice(0, 10, 20);
    CHECK(x.block()->bytes() == 4096);
    CHECK(gpu->gpu_memory_usage().in_use == 4096);
    CHECK(gpu->gpu_memory_usage().tensors == 1);
    CHECK(gpu->gpu_memory_usage().driver_budget > 0);
  }
  CHECK(gpu->gpu_memory_usage().in_use == 0);
  CHECK(gpu->gpu_memory_usage().peak == 4096);
  CHECK(gpu->gpu_memory_usage().reserved > 0);
  CHECK(gpu->optimize_memory() > 0);
  CHECK(gpu->gpu_memory_usage().reserved == 0);
}

TEST_CASE("a limit on a device's memory is kept, and work that is done makes room") {
  auto options = checked_options();
  options.max_memory = 100 << 10;
  const Checked gpu(options);
  for (int i = 0; i < 50; ++i) {
    const auto x = empty<float>({5000}, *gpu), y = empty<float>({5000}, *gpu);
    twice_plus_one(*gpu, x, y);
  }
  const auto x = empty<float>({20000}, *gpu);
  CHECK(has(message([&] { static_cast<void>(empty<float>({20000}, *gpu)); }), "out_of_memory"));
}

TEST_CASE("this machine's devices are reported, and asking for one that is not there is an error") {
  REQUIRE(!Vulkan::devices().empty());
  CHECK(Vulkan::available());
  CHECK(!Vulkan().capabilities().name.empty());
  CHECK(Vulkan() == Vulkan());
  cotenant::VulkanOptions options;
  options.device = "a device that nobody has";
  CHECK(has(message([&] { static_cast<void>(Vulkan::open(options)); }), "not_found"));
}

TEST_CASE("two devices of one process have nothing in common") {
  const Checked a, b;
  const auto x = to_device(*a, {1, 2}), y = to_device(*b, {3, 4});
  CHECK(a->gpu_memory_usage().tensors == 1);
  CHECK(to_host(x)[0] == 1.f);
  CHECK(to_host(y)[0] == 3.f);
  CHECK(has(message([&] { twice_plus_one(*a, x, y); }), "invalid_argument"));
}

TEST_CASE("the memory that queued work of a lost device kept is given back") {
  auto options = checked_options();
  options.faults = std::make_shared<cotenant::vulkan::Faults>();
  const Checked gpu(options);
  {
    const auto x = to_device(*gpu, {1, 2}), y = empty<float>({2}, *gpu);
    options.faults->fail(cotenant::vulkan::Step::submit, VK_ERROR_DEVICE_LOST);
    CHECK(has(message([&] { twice_plus_one(*gpu, x, y), gpu->synchronize(); }), "device_lost"));
  }
  CHECK(gpu->gpu_memory_usage().in_use > 0);
  CHECK(gpu->optimize_memory() > 0);
  CHECK(gpu->gpu_memory_usage().in_use == 0);
  CHECK_NOTHROW(gpu->dispose());
}
