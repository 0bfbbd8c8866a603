#include "cotenant/vulkan/kernels/quantize.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

#include "../test_device.hpp"
#include "cotenant/vulkan.hpp"

using namespace cotenant;

TEST_CASE("quantise rounds ties of the quotient to even, by fours and one by one") {
  const test::Checked gpu;
  for (const std::size_t count : {4096u, 509u}) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = 0.05f * static_cast<float>(i % 509) - 12.7f;
    const auto x = test::to_device(gpu, values);
    const float scale = 0.1f;
    const auto q = quantize<std::int8_t>(x, test::to_device(gpu, {scale})).copy_to<Heap>();
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < count; ++i) wrong += static_cast<float>(q.view()(i)) != std::nearbyint(values[i] / scale);
    CHECK(wrong == 0);
  }
}

TEST_CASE("quantised rows come back with their own scales and zero points") {
  const test::Checked gpu;
  const auto values = from({std::uint8_t{0}, std::uint8_t{10}, std::uint8_t{255}, std::uint8_t{7}}, {2, 2}).copy_to(*gpu);
  const auto scale = test::to_device(gpu, {0.5f, 2.f}).reshape({2, 1});
  const auto zero = from({std::uint8_t{10}, std::uint8_t{5}}, {2, 1}).copy_to(*gpu);
  CHECK(test::to_host(dequantize(values, scale, zero)) == std::vector<float>{-5, 0, 500, 4});
  const auto narrow = requantize<std::int8_t>(values, scale, zero, test::to_device(gpu, {1.f})).copy_to<Heap>();
  const std::vector<int> expected{-5, 0, 127, 4};
  for (std::size_t i = 0; i < 4; ++i) CHECK(narrow.view().data()[i] == expected[i]);
}
