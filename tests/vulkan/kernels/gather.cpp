#include "cotenant/vulkan/kernels/gather.hpp"

#include <cstdint>
#include <vector>

#include "../test_device.hpp"
#include "cotenant/vulkan.hpp"

using namespace cotenant;

TEST_CASE("gather counts from the end and clamps what is outside the table") {
  for (const bool descriptors : {false, true}) {
    const test::Checked gpu(test::checked_options(descriptors));
    for (const std::size_t width : {8u, 3u}) {
      std::vector<float> values(5 * width);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i / width);
      const auto table = test::to_device(gpu, values).reshape({5, width});
      const auto indices = from({0, 4, -1, -5, 99, -99, 2147483647, -2147483647 - 1}, {8}).copy_to(*gpu);
      const auto rows = test::to_host(gather(table, indices));
      const std::vector<float> expected{0, 4, 4, 0, 4, 0, 4, 0};
      for (std::size_t i = 0; i < rows.size(); ++i) CHECK(rows[i] == expected[i / width]);
    }
  }
}

TEST_CASE("64-bit indices beyond 32 bits are clamped too") {
  const test::Checked gpu;
  if (!gpu->capabilities().shader_int64) return;
  const auto table = test::to_device(gpu, {1, 2, 3});
  const auto indices = from({std::int64_t{1} << 32, -(std::int64_t{1} << 33), std::int64_t{-2}}, {3}).copy_to(*gpu);
  CHECK(test::to_host(gather(table, indices)) == std::vector<float>{3, 1, 2});
}
