#include "cotenant/vulkan/kernels/reduce.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "../test_device.hpp"
#include "cotenant/vulkan.hpp"

using namespace cotenant;

TEST_CASE("a long reduction is shared out among groups") {
  for (const bool descriptors : {false, true}) {
    const test::Checked gpu(test::checked_options(descriptors));
    std::vector<float> values(200000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 7) - 3;
    values[123456] = -50;
    const auto x = test::to_device(gpu, values);
    CHECK(test::to_host(reduce_sum(x))[0] == std::accumulate(values.begin(), values.end(), 0.f));
    CHECK(test::to_host(reduce_mean(x))[0] == doctest::Approx(std::accumulate(values.begin(), values.end(), 0.) / 200000));
    CHECK(test::to_host(reduce_max(x))[0] == 3);
    CHECK(test::to_host(reduce_min(x))[0] == -50);
    CHECK(test::to_host(reduce<reduction::AbsMaximum>(x))[0] == 50);
    // Few columns, many rows.
    const auto columns = test::to_host(reduce_max(x.reshape({10000, 20}), {.axes = {0}}));
    CHECK(columns == std::vector<float>(20, 3));
  }
}

TEST_CASE("NaN is every extremum, through every part of a long row") {
  const test::Checked gpu;
  std::vector<float> values(100000, 1);
  for (const float nan : {std::nanf(""), -std::nanf("")}) {
    values[77777] = nan;
    const auto x = test::to_device(gpu, values);
    CHECK(std::isnan(test::to_host(reduce_max(x))[0]));
    CHECK(std::isnan(test::to_host(reduce_min(x))[0]));
    CHECK(std::isnan(test::to_host(reduce<reduction::AbsMaximum>(x))[0]));
    CHECK(std::isnan(test::to_host(reduce_sum(x))[0]));
  }
}

TEST_CASE("integers are exact, 64 bits too") {
  const test::Checked gpu;
  if (!gpu->capabilities().shader_int64) return;
  std::vector<std::int64_t> values(70000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = (std::int64_t{1} << 40) + static_cast<std::int64_t>(i);
  values[5] = std::numeric_limits<std::int64_t>::lowest() + 1;
  const auto x = from(values, {values.size()}).copy_to(*gpu);
  const auto read = [](const auto& tensor) { return tensor.template copy_to<Heap>().view()(); };
  CHECK(read(reduce_sum(x)) == std::accumulate(values.begin(), values.end(), std::int64_t{0}));
  CHECK(read(reduce_max(x)) == (std::int64_t{1} << 40) + 69999);
  CHECK(read(reduce_min(x)) == std::numeric_limits<std::int64_t>::lowest() + 1);
}

TEST_CASE("reductions over nothing") {
  const test::Checked gpu;
  const auto x = empty<float>({3, 0}, *gpu);
  CHECK(test::to_host(reduce_sum(x, {.axes = {1}})) == std::vector<float>(3, 0));
  CHECK(test::to_host(reduce_max(x, {.axes = {1}})) == std::vector<float>(3, -std::numeric_limits<float>::infinity()));
  CHECK(std::isnan(test::to_host(reduce_mean(x, {.axes = {1}}))[2]));
  const auto bytes = empty<std::uint8_t>({0}, *gpu);
  CHECK(reduce_max(bytes).copy_to<Heap>().view()() == 0);
  CHECK(reduce_min(bytes).copy_to<Heap>().view()() == 255);
}
