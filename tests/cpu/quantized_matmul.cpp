// Batches that are rows of one product; what no kernel takes is dequantised.
#include <cotenant/cpu/cpu.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <limits>

namespace cotenant::test {

namespace {
template <class A, class B> auto arguments_of(const SharedTensor<A>& a, const SharedTensor<B>& b, const SharedTensor<float>& scale, const SharedTensor<float>& out) {
  return QuantizedMatmulArguments<A, B, float, expr::Identity>{input(a), input(b), {}, input(scale), {}, {}, {}, {}, output(out)};
}
}  // namespace

TEST_CASE("batch axes become rows where the weights are one matrix and everything else follows on") {
  const auto a = zeros<float>({2, 3, 5, 8});
  const auto b = zeros<std::int8_t>({8, 4}).broadcast_to({2, 3, 8, 4});
  const auto scale = zeros<float>({1, 4}).broadcast_to({2, 3, 1, 4});
  CHECK(cpu::rows_together(arguments_of(a, b, scale, zeros<float>({2, 3, 5, 4}))).out.shape() == Shape{30, 4});
  // A step between the matrices of the output, or weights of their own, keep an axis.
  const auto apart = zeros<float>({2, 3, 6, 4}).slice(2, 0, 5);
  CHECK(cpu::rows_together(arguments_of(a, b, scale, apart)).out.shape() == Shape{2, 3, 5, 4});
  const auto own = zeros<std::int8_t>({2, 1, 8, 4}).broadcast_to({2, 3, 8, 4});
  CHECK(cpu::rows_together(arguments_of(a, own, scale, zeros<float>({2, 3, 5, 4}))).out.shape() == Shape{2, 15, 4});
}

TEST_CASE("integers with scales along k are multiplied as floats") {
  const Quantized<std::int8_t, Heap> a{full<std::int8_t>({2, 4}, 3), from({1.f, 10.f}, {1, 2}), {}}, b{full<std::int8_t>({4, 2}, 1), from({2.f, 3.f}, {2, 1}), {}};
  CHECK(matmul(a, b).view()(1, 1) == 3 * 2 * (1 * 2 + 10 * 3));
}

TEST_CASE("few rows by 4-bit weights are as exact as sums of floats, whatever the sizes of the numbers, and infinity stays") {
  const std::size_t k = 352, n = 7;
  auto weights = empty<float>({n, k}), x = empty<float>({3, k});
  unsigned seed = 1;
  const auto random = [&] { return static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608.f - 1.f; };
  for (float& w : weights.mutable_view().span()) w = random();
  // From subnormal numbers to large ones, and a row of zeros.
  for (std::size_t i = 0; i < k; ++i)
    x.mutable_view()(0, i) = std::ldexp(random(), static_cast<int>(i % 11) * 24 - 140), x.mutable_view()(1, i) = 0, x.mutable_view()(2, i) = random();
  for (const std::size_t block : {std::size_t{32}, k}) {
    const auto packed = quantize<i4x2>(weights, per_block(block));
    const auto values = dequantize(packed);
    const auto product = matmul(x, packed.transpose());
    const auto alone = matmul(x.slice(0, 2, 3), packed.transpose());  // all of one size
    for (std::size_t row = 0; row < 3; ++row)
      for (std::size_t column = 0; column < n; ++column) {
        double sum = 0, size = 0;
        for (std::size_t i = 0; i < k; ++i) {
          const double term = static_cast<double>(x.view()(row, i)) * static_cast<double>(values.view()(column, i));
          sum += term, size += std::abs(term);
        }
        CHECK(std::abs(static_cast<double>(product.view()(row, column)) - sum) <= 1e-6 * size);
        if (row == 2) CHECK(std::abs(static_cast<double>(alone.view()(std::size_t{0}, column)) - sum) <= 1e-6 * size);
      }
    // Beside a number that nothing is multiplied with, however large, the others count in full.
    for (const float size : {1e4f, 1e30f}) {
      auto lonely = map([](auto v) { return v; }, x);
      std::size_t at = 0;
      while (values.view()(0, at) != 0) ++at;
      lonely.mutable_view()(2, at) = size;
      CHECK(matmul(lonely.slice(0, 2, 3), packed.transpose()).view()(0, 0) == doctest::Approx(static_cast<double>(product.view()(2, 0))).epsilon(1e-5));
    }
    auto large = map([](auto v) { return v; }, x);
    large.mutable_view()(2, 5) = std::numeric_limits<float>::infinity();
    const auto infinite = matmul(large, packed.transpose());
    for (std::size_t column = 0; column < n; ++column) {
      CHECK(infinite.view()(0, column) == doctest::Approx(static_cast<double>(product.view()(0, column))));
      const float weight = values.view()(column, 5), result = infinite.view()(2, column);
      CHECK((weight == 0 ? result != result : result == weight * std::numeric_limits<float>::infinity()));
    }
  }
}

}  // namespace cotenant::test
