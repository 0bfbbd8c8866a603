// The front door of products of quantised operands: parameters, packed pairs, result elements, and what it refuses.
#include <cotenant/ops/quantized_matmul.hpp>

#include "support.hpp"

namespace cotenant::test {

namespace {
using Bytes = Quantized<std::int8_t, ReferenceHeap>;
using Pairs = Quantized<i4x2, ReferenceHeap>;
const auto add = [](auto sum, auto bias) { return sum + bias; };
}  // namespace

TEST_CASE("integers times integers, with scales of rows and columns and zero points") {
  const Quantized<std::uint8_t, ReferenceHeap> a{tensor<std::uint8_t>({3, 4, 5, 6}, {2, 2}), tensor({1.f, 10.f}, {2, 1}), tensor<std::uint8_t>({2, 5}, {2, 1})};
  const Bytes b{tensor<std::int8_t>({1, 2, 3, -4}, {2, 2}), tensor({0.5f, 2.f}, {2}), {}};
  // Rows (1, 2) and (0, 1) * 10, columns (1, 3) / 2 and (2, -4) * 2.
  CHECK(list(matmul(a, b)) == Values{3.5, -12, 15, -80});
  CHECK(list(matmul(a, b, add, tensor({1.f, 2.f}, {2}))) == Values{4.5, -10, 16, -78});
  CHECK(list(matmul<std::int8_t>(a, b, [](auto sum) { return round(sum * 2.f); })) == Values{7, -24, 30, -128});
}

TEST_CASE("weights alone are quantised: per tensor, per column, per block of k; stored [N, K] they come transposed") {
  const auto x = tensor({1.f, 1.f, 1.f, 1.f}, {1, 4});
  const auto values = tensor<std::int8_t>({1, 2, 3, 4, 5, 6, 7, 8}, {2, 4});
  CHECK(list(matmul(x, Bytes{values, tensor({2.f}, {}), {}}.transpose())) == Values{20, 52});
  CHECK(list(matmul(x, Bytes{values, tensor({1.f, 10.f}, {2, 1}), {}}.transpose())) == Values{10, 260});
  CHECK(list(matmul(x, Bytes{values, tensor({1.f, 10.f, 2.f, 20.f}, {2, 2}), {}}.transpose())) == Values{73, 322});
  CHECK(list(matmul(x.select(0, 0), Bytes{values, tensor({1.f, 10.f}, {2, 1}), tensor<std::int8_t>({1, 2}, {2, 1})}.transpose())) == Values{6, 180});
}

TEST_CASE("pairs lie along k or along n, whichever fits") {
  const auto x = tensor({1.f, 10.f}, {1, 2});
  const Pairs along_k{tensor<i4x2>({i4x2(1, 2), i4x2(-3, 4)}, {2, 1}), tensor({1.f}, {}), {}};  // stored [N, K / 2]
  CHECK(list(matmul(x, along_k.transpose())) == Values{21, 37});
  const Pairs along_n{tensor<i4x2>({i4x2(1, 2), i4x2(-3, 4)}, {2, 1}), tensor({1.f}, {}), {}};  // [K, N / 2]
  CHECK(list(matmul(x, along_n)) == Values{-29, 42});
  CHECK(has(message_of<ShapeError>([&] { matmul(blank<float>({1, 3}), along_n); }), "odd"));
  CHECK_THROWS_AS(matmul(x, Pairs{blank<i4x2>({2}), tensor({1.f}, {}), {}}), ShapeError);
}

TEST_CASE("parameters that no product can use are refused") {
  const auto x = blank<float>({1, 4});
  const auto values = blank<std::int8_t>({4, 6});
  CHECK(has(message_of<ShapeError>([&] { matmul(x, Bytes{values, blank<float>({4, 3}), {}}); }), "per block of K"));
  CHECK_THROWS_AS(matmul(x, Bytes{values, blank<float>({3, 6}), {}}), ShapeError);
  CHECK_THROWS_AS(matmul(x, Bytes{values, blank<float>({1, 4, 6}), {}}), ShapeError);
  CHECK(has(message_of<ShapeError>([&] { matmul(x, Bytes{values, blank<float>({6}), blank<std::int8_t>({1})}); }), "one shape"));
  CHECK_THROWS_AS(matmul(x, Bytes{values, {}, {}}), InvalidArgument);
  CHECK(has(message_of<ShapeError>([&] { matmul(blank<float>({1, 5}), Bytes{values, blank<float>({}), {}}); }), "inner dimensions"));
  CHECK_THROWS_AS(matmul_into(blank<float>({2, 6}), x, Bytes{values, blank<float>({}), {}}), ShapeError);
}

TEST_CASE("result elements: those of the activations, float for integers, or the one named") {
  const Bytes b{blank<std::int8_t>({1, 1}), tensor({1.f}, {}), {}};
  static_assert(std::same_as<decltype(matmul(blank<bf16>({1, 1}), b))::element_type, bf16>);
  static_assert(std::same_as<decltype(matmul(b, b))::element_type, float>);
  static_assert(std::same_as<decltype(matmul<f16>(b, b))::element_type, f16>);
  CHECK(matmul(b, b).size() == 1);
}

}  // namespace cotenant::test
