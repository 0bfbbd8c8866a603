#include "cotenant/vulkan/device_statistics.hpp"

#include "test_device.hpp"

using namespace cotenant;

TEST_CASE("a device tells what its tensors take and what its kernels took") {
  const test::Checked gpu;
  const GpuMemoryUsage before = gpu->gpu_memory_usage();
  const auto x = test::to_device(*gpu, std::vector<float>(1000, 1.f));
  const GpuMemoryUsage with = gpu->gpu_memory_usage();
  CHECK(with.tensors == before.tensors + 1);
  CHECK(with.in_use >= before.in_use + 4000);
  CHECK(with.reserved >= with.in_use);
  CHECK(with.peak >= with.in_use);
  CHECK(gpu->kernel_statistics().kernels == 0);
  const auto y = empty<float>({1000}, *gpu);
  test::twice_plus_one(*gpu, x, y);
  CHECK(test::to_host(y)[999] == 3.f);
  CHECK(gpu->kernel_statistics().kernels == 1);
}
