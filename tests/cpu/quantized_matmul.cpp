// Batches that are rows of one product; what no kernel takes is dequantised.
#include <cotenant/cpu/cpu.hpp>

#include <doctest/doctest.h>

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

}  // namespace cotenant::test
