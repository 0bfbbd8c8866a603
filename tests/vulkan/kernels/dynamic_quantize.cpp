#include "cotenant/vulkan/kernels/dynamic_quantize.hpp"

#include <cstdint>
#include <vector>

#include "../test_device.hpp"
#include "cotenant/vulkan.hpp"

using namespace cotenant;

TEST_CASE("a tensor's range is found in parts, rows have their own") {
  for (const bool descriptors : {false, true}) {
    const test::Checked gpu(test::checked_options(descriptors));
    std::vector<float> values(100000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 100) / 100;
    values[54321] = -254;
    const auto x = test::to_device(gpu, values).reshape({4, 25000});
    const auto whole = quantize<std::int8_t>(x);
    CHECK(test::to_host(whole.scale)[0] == 2);
    CHECK(whole.values.copy_to<Heap>().view()(2, 4321) == -127);
    const auto rows = quantize<std::uint8_t>(x, per_row);
    const auto scale = test::to_host(rows.scale);
    const auto zero = rows.zero_point.copy_to<Heap>();
    CHECK(scale[0] == 0.99f / 255);
    CHECK(scale[2] == (0.99f + 254) / 255);
    CHECK(zero.view()(0, 0) == 0);
    CHECK(zero.view()(2, 0) == 254);
  }
}

TEST_CASE("a range of zeros has scale 1, pairs hold both their values") {
  const test::Checked gpu;
  const auto nothing = quantize<i4x2>(test::to_device(gpu, std::vector<float>(8, 0)));
  CHECK(test::to_host(nothing.scale)[0] == 1);
  const auto pairs = quantize<i4x2>(test::to_device(gpu, {7, -7, 3, -1}));
  const auto host = pairs.values.copy_to<Heap>();
  CHECK(host.view()(0) == i4x2(7, -7));
  CHECK(host.view()(1) == i4x2(3, -1));
}
