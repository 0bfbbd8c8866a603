// run_softmax(): rows, long rows, groups of neighbouring rows, here with loops over single elements.
#include "cotenant/cpu/softmax.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace {

using namespace cotenant;

float largest(const float* from, std::size_t count) { return *std::max_element(from, from + count); }
float weigh(const float* from, float* to, std::size_t count, float shift, const float*) {
  float total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float weight = std::exp(from[i] - shift);
    total += weight;
    if (to != nullptr) to[i] = weight;
  }
  return total;
}
void scale(const float* from, float* to, std::size_t count, float factor) {
  for (std::size_t i = 0; i < count; ++i) to[i] = from[i] * factor;
}
void lower(const float* from, float* to, std::size_t count, float first, float second) {
  for (std::size_t i = 0; i < count; ++i) to[i] = from[i] - first - second;
}
void short_rows(cpu::SoftmaxRow* row, std::size_t count, std::size_t length, std::ptrdiff_t ahead, bool logarithm, bool) {
  for (std::size_t i = 0; i < count; ++i) {
    const float most = largest(row[i].from, length), total = weigh(row[i].from, row[i].weights, length, most, row[i].from + ahead);
    if (logarithm) {
      std::vector<float> logs(length);
      for (std::size_t j = 0; j < length; ++j) logs[j] = std::log(row[i].weights[j] / total);
      std::copy(logs.begin(), logs.end(), row[i].to);
    } else scale(row[i].weights, row[i].to, length, 1 / total);
  }
}
std::size_t groups;
void columns(float* x, std::size_t step, std::size_t count, std::size_t width, bool logarithm, float* to, std::ptrdiff_t to_step) {
  ++groups;
  REQUIRE(width <= cpu::SoftmaxKernel::most_side_by_side);
  for (std::size_t i = 0; i < width; ++i) {
    float total = 0;
    for (std::size_t j = 0; j < count; ++j) total += std::exp(x[j * step + i]);
    for (std::size_t j = 0; j < count; ++j) {
      const float value = logarithm ? x[j * step + i] - std::log(total) : std::exp(x[j * step + i]) / total;
      (to == nullptr ? x[j * step + i] : to[static_cast<std::ptrdiff_t>(j) * to_step + static_cast<std::ptrdiff_t>(i)]) = value;
    }
  }
}
void copy(const cpu::Source& from, std::size_t rows, std::size_t columns_of_it, float* to, std::size_t to_step) {
  for (std::size_t row = 0; row < rows; ++row)
    from.load(from.at(static_cast<std::ptrdiff_t>(row) * from.row_stride), from.column_stride, columns_of_it, to + row * to_step);
}
std::size_t read_again;  // blocks whose weights exceed what they are compared with
void write(const cpu::SoftmaxResults& results, std::size_t count, bool logarithm) {
  for (std::size_t i = 0; i < count; ++i)
    results.to[i] = logarithm ? results.from[i] - results.first - results.second : std::exp(results.from[i] - results.first) * results.second;
}
float weigh_and_write(const float* from, std::size_t count, float shift, float* most, const cpu::SoftmaxResults* other, bool logarithm) {
  if (other != nullptr) write(*other, count, logarithm);
  *most = largest(from, count);
  read_again += *most > shift + 8;
  return weigh(from, nullptr, count, shift, from);
}
const cpu::SoftmaxKernel kernel{4, &short_rows, &largest, &weigh, &scale, &lower, &weigh_and_write, &write, &columns, &copy};

void load(const void* from, std::ptrdiff_t stride, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<const float*>(from)[static_cast<std::ptrdiff_t>(i) * stride];
}
void store(const float* from, void* to, std::ptrdiff_t stride, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) static_cast<float*>(to)[static_cast<std::ptrdiff_t>(i) * stride] = from[i];
}

// The largest error of softmax over the axis of `length` elements, in a matrix of rows x length, or of length x rows.
// Elements grow by `growth` per 1000.
double error_of(std::size_t rows, std::size_t length, bool axis_first, bool logarithm, float growth = 0) {
  std::vector<float> in(rows * length), out(in.size(), -99);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i * 37 % 101) / 20 - 2 + growth * static_cast<float>(i % length / 1000);
  const std::ptrdiff_t row_step = axis_first ? 1 : static_cast<std::ptrdiff_t>(length), step = axis_first ? static_cast<std::ptrdiff_t>(rows) : 1;
  cpu::SoftmaxPlan plan{&kernel, {reinterpret_cast<const char*>(in.data()), sizeof(float), 0, step, &load, true},
                        {reinterpret_cast<char*>(out.data()), sizeof(float), 0, step, &store, true}, length, logarithm, {}, false};
  cpu::run_softmax(plan, {rows, length}, {row_step, step}, {row_step, step});
  double error = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    const auto at = [&](std::size_t i) { return r * static_cast<std::size_t>(row_step) + i * static_cast<std::size_t>(step); };
    double total = 0;
    for (std::size_t i = 0; i < length; ++i) total += std::exp(static_cast<double>(in[at(i)]));
    for (std::size_t i = 0; i < length; ++i) {
      const double weight = std::exp(static_cast<double>(in[at(i)])) / total;
      error = std::max(error, std::abs(static_cast<double>(out[at(i)]) - (logarithm ? std::log(weight) : weight)));
    }
  }
  return error;
}

}  // namespace

TEST_CASE("rows of any length, one after another") {
  for (const bool logarithm : {false, true})
    for (const std::size_t length : {std::size_t{1}, std::size_t{7}, std::size_t{2048}, std::size_t{2049}, std::size_t{9000}, std::size_t{200'000}}) {
      CAPTURE(length);
      CHECK(error_of(3, length, false, logarithm) < (logarithm ? 1e-5 : 1e-6));
    }
  CHECK(error_of(100, 20, false, false) < 1e-6);
}

TEST_CASE("neighbouring rows side by side") {
  groups = 0;
  for (const bool logarithm : {false, true})
    for (const std::size_t rows : {std::size_t{2}, std::size_t{33}, std::size_t{700}}) {
      CAPTURE(rows);
      CHECK(error_of(rows, 50, true, logarithm) < (logarithm ? 1e-5 : 1e-6));
    }
  CHECK(groups >= 2 * 5);
}

TEST_CASE("results larger than the caches") {
  const std::size_t length = 5000, rows = cpu::caches().level3 / sizeof(float) / length + 2;
  if (rows * length > std::size_t{1} << 26) return;  // a machine with a very large cache
  CHECK(error_of(rows, length, false, false) < 1e-6);
  CHECK(error_of(rows, length, false, true) < 1e-5);
  CHECK(error_of(rows * 50, 100, false, false) < 1e-6);
  // Weights of later blocks are far above those of the first ones.
  read_again = 0;
  CHECK(error_of(rows / 2, 2 * length, false, false, 10) < 1e-6);
  CHECK(error_of(rows / 2, 2 * length, false, true, 10) < 1e-4);  // of logarithms down to -100
  CHECK(read_again >= rows);
}
