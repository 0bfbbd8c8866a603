#include "cotenant/vulkan/kernels/map.hpp"

#include <cmath>

#include "../test_device.hpp"
#include "cotenant/vulkan/backend.hpp"

using namespace cotenant;

namespace {
template <class T> SharedTensor<T, Vulkan> put(const Vulkan& gpu, const std::vector<T>& values, const Shape& shape) {
  const auto host = from(values, shape);
  auto result = empty<T>(shape, gpu);
  vulkan::upload(*gpu.shared_stream(), host.view(), result.block().get(), result.block()->data());
  return result;
}
std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 1000) / 64 - 5;
  return values;
}
}  // namespace

TEST_CASE("map: long stretches, their last elements, and one element for all") {
  const test::Checked gpu;
  for (const std::size_t count : {std::size_t{1}, std::size_t{1023}, std::size_t{1024}, std::size_t{300007}, (std::size_t{1} << 20) + 5}) {
    const auto values = ramp(count);
    const auto x = put(*gpu, values, {count}), scale = put<float>(*gpu, {3.f}, {1});
    const auto y = test::to_host(map([](auto a, auto s) { return relu(a * s + 1.f); }, x, scale));
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < count; ++i) wrong += y[i] == std::max(values[i] * 3 + 1, 0.f) ? 0 : 1;
    CHECK(wrong == 0);
  }
}

TEST_CASE("map: rows and columns for all rows and columns") {
  for (const bool descriptors : {false, true}) {
    const test::Checked gpu(test::checked_options(descriptors));
    const std::size_t rows = 37, columns = 96;
    const auto values = ramp(rows * columns), row = ramp(columns), column = ramp(rows);
    const auto x = put(*gpu, values, {rows, columns}), r = put(*gpu, row, {columns}), c = put(*gpu, column, {rows, 1});
    const auto y = test::to_host(map([](auto a, auto b, auto d) { return a * b - d; }, x, r, c));
    const auto turned = test::to_host(map([](auto a, auto b) { return a - b; }, x.transpose(), c.reshape({rows})));
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) {
        const float product = values[i * columns + j] * row[j];
        wrong += y[i * columns + j] == product - column[i] ? 0 : 1;
        wrong += turned[j * rows + i] == values[i * columns + j] - column[i] ? 0 : 1;
      }
    CHECK(wrong == 0);
  }
}

TEST_CASE("map: one kernel for all literals; a new expression is a new kernel") {
  const test::Checked gpu;
  const auto x = put(*gpu, ramp(64), {64});
  const auto scaled = [&](float by) { return test::to_host(map([by](auto a) { return a * by; }, x)); };
  CHECK(scaled(2)[10] == 2 * ramp(64)[10]);
  const std::size_t before = gpu->kernel_statistics().kernels;
  CHECK(scaled(5)[10] == 5 * ramp(64)[10]);
  CHECK(gpu->kernel_statistics().kernels == before);
  static_cast<void>(map([](auto a) { return a + 1.f; }, x));
  CHECK(gpu->kernel_statistics().kernels == before + 1);
}

TEST_CASE("map: in place, and results of no elements") {
  const test::Checked gpu;
  const auto x = put(*gpu, ramp(500), {500});
  map_into(x, [](auto a) { return a + 1.f; }, x);
  CHECK(test::to_host(x)[7] == ramp(500)[7] + 1);
  CHECK(map([](auto a) { return a + 1.f; }, empty<float>({0, 3}, *gpu)).size() == 0);
}
