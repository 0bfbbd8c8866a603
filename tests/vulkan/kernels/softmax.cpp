#include "cotenant/vulkan/kernels/softmax.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

#include "../test_device.hpp"
#include "cotenant/vulkan.hpp"

using namespace cotenant;

namespace {
// Element (row, i) of rows whose softmax is known: exp(i / 8) over a geometric series.
float value(std::size_t i) { return static_cast<float>(i % 16) / 8; }
void check_rows(const Vulkan& gpu, std::size_t rows, std::size_t length) {
  std::vector<float> values(rows * length);
  double total = 0;
  for (std::size_t i = 0; i < length; ++i) total += std::exp(static_cast<double>(value(i)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(i % length);
  const auto x = test::to_device(gpu, values).reshape({rows, length});
  const auto y = test::to_host(softmax(x)), z = test::to_host(log_softmax(x));
  double worst = 0, worst_log = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double expected = static_cast<double>(values[i]) - std::log(total);
    worst = std::max(worst, std::abs(static_cast<double>(y[i]) / std::exp(expected) - 1));
    worst_log = std::max(worst_log, std::abs(static_cast<double>(z[i]) - expected));
  }
  CHECK(worst < 2e-6);
  CHECK(worst_log < 4e-6);
}
}  // namespace

TEST_CASE("softmax of rows that threads, subgroups and workgroups keep, and of rows that are read twice") {
  for (const bool descriptors : {false, true}) {
    const test::Checked gpu(test::checked_options(descriptors));
    check_rows(gpu, 70, 9);
    check_rows(gpu, 3, 200);
    check_rows(gpu, 1100, 64);
    check_rows(gpu, 2, 4096);
    check_rows(gpu, 1, 70001);
  }
}

TEST_CASE("softmax in place along columns") {
  const test::Checked gpu;
  const std::size_t rows = 5, columns = 40;
  std::vector<float> values(rows * columns);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(i / columns * 3);
  const auto x = test::to_device(gpu, values).reshape({rows, columns});
  softmax_into(x, x, 0);
  const auto y = test::to_host(x);
  double total = 0;
  for (std::size_t r = 0; r < rows; ++r) total += std::exp(static_cast<double>(value(r * 3)));
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == doctest::Approx(std::exp(static_cast<double>(value(i / columns * 3))) / total).epsilon(1e-6));
}
