#include "cotenant/vulkan/kernels/norm.hpp"

#include <cmath>
#include <vector>

#include "../test_device.hpp"
#include "cotenant/vulkan.hpp"

using namespace cotenant;

TEST_CASE("layer_norm gives rows mean 0 and variance 1, however far they are from 0") {
  const test::Checked gpu;
  for (const std::size_t length : {12u, 768u, 3000u, 50000u}) {
    const std::size_t rows = 3;
    std::vector<float> values(rows * length);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = 1000 + static_cast<float>(i * 7 % 11);
    const auto x = test::to_device(gpu, values).reshape({rows, length});
    const auto scale = test::to_device(gpu, std::vector<float>(length, 1)), bias = test::to_device(gpu, std::vector<float>(length, 0));
    const auto y = test::to_host(layer_norm(x, scale, bias, 0.f));
    for (std::size_t r = 0; r < rows; ++r) {
      double mean = 0, square = 0;
      for (std::size_t i = 0; i < length; ++i) mean += y[r * length + i], square += static_cast<double>(y[r * length + i]) * y[r * length + i];
      CHECK(mean / static_cast<double>(length) == doctest::Approx(0).epsilon(1e-4));
      CHECK(square / static_cast<double>(length) == doctest::Approx(1).epsilon(1e-4));
    }
  }
}

TEST_CASE("a long rms_norm whose sum takes its own input's place") {
  const test::Checked gpu;
  const std::size_t length = 40000;  // longer than registers hold: every pass reads x + residual again
  const auto x = test::to_device(gpu, std::vector<float>(length, 1)).reshape({1, length}),
             residual = test::to_device(gpu, std::vector<float>(length, 2)).reshape({1, length});
  const auto scale = test::to_device(gpu, std::vector<float>(length, 5));
  rms_norm_into(residual, x, scale, 0.f, residual, x);
  const auto sum = test::to_host(x), out = test::to_host(residual);
  for (std::size_t i = 0; i < length; i += 999) {
    CHECK(sum[i] == 3);
    CHECK(out[i] == doctest::Approx(5));
  }
}
