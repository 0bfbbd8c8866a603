// matmul's front door: shapes, vectors, batches, epilogues, result elements, and what it refuses.
#include <cotenant/ops/matmul.hpp>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("matmul names both shapes and the dimensions that differ") {
  const auto a = blank<float>({2, 3}), b = blank<float>({4, 5});
  const auto message = message_of<ShapeError>([&] { matmul(a, b); });
  CHECK(has(message, "[2, 3]"));
  CHECK(has(message, "[4, 5]"));
  CHECK(has(message, "transpose()"));
  CHECK_THROWS_AS(matmul(blank<float>({2, 2, 3}), blank<float>({3, 3, 4})), ShapeError);
  CHECK_THROWS_AS(matmul(blank<float>({}), a), ShapeError);
  CHECK_THROWS_AS(matmul_into(blank<float>({2, 2}), a, blank<float>({3, 5})), ShapeError);
  CHECK_THROWS_AS(matmul(SharedTensor<float, ReferenceHeap>{}, a), InvalidArgument);
}

TEST_CASE("a vector is a row on the left and a column on the right, and its axis does not appear in the result") {
  const auto a = tensor({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  CHECK(list(matmul(a, tensor({1.f, 0.f, -1.f}, {3}))) == Values{-2, -2});
  CHECK(list(matmul(tensor({1.f, -1.f}, {2}), a)) == Values{-3, -3, -3});
  CHECK(matmul(tensor({1.f, 2.f}, {2}), tensor({1.f, 2.f}, {2})).shape() == Shape{});
  // Also with batches: [4, 2, 3] · [3] is [4, 2].
  CHECK(matmul(a.unsqueeze(0).broadcast_to({4, 2, 3}), tensor({1.f, 1.f, 1.f}, {3})).shape() == Shape{4, 2});
}

TEST_CASE("batch axes broadcast without a copy") {
  const auto a = blank<float>({5, 1, 2, 3}), b = blank<float>({4, 3, 6});
  CHECK(matmul(a, b).shape() == Shape{5, 4, 2, 6});
}

TEST_CASE("row, column and element-wise operands of an epilogue are told apart by their shapes alone") {
  const auto a = tensor({1.f, 0.f, 0.f, 1.f}, {2, 2}), b = tensor({1.f, 2.f, 3.f, 4.f}, {2, 2});
  const auto add = [](auto acc, auto x) { return acc + x; };
  CHECK(list(matmul(a, b, add, tensor({10.f, 20.f}, {2}))) == Values{11, 22, 13, 24});
  CHECK(list(matmul(a, b, add, tensor({10.f, 20.f}, {2, 1}))) == Values{11, 12, 23, 24});
  CHECK(list(matmul(a, b, add, b)) == Values{2, 4, 6, 8});
  CHECK_THROWS_AS(matmul(a, b, add, blank<float>({3})), ShapeError);
}

TEST_CASE("an epilogue operand may be the output itself: accumulation in place, through a strided view") {
  const auto out = tensor({100.f, 0.f, 200.f, 0.f}, {2, 2});
  const auto column = out.slice(1, 0, 1);
  matmul_into(column, tensor({1.f, 2.f}, {2, 1}), tensor({3.f}, {1, 1}), [](auto acc, auto old) { return acc + old; }, column);
  CHECK(list(out) == Values{103, 0, 206, 0});
}

TEST_CASE("without inner elements a product is zero, and the epilogue still runs") {
  const auto a = blank<float>({2, 0}), b = blank<float>({0, 2});
  CHECK(list(matmul(a, b, [](auto acc) { return acc + 1.f; })) == Values{1, 1, 1, 1});
}

TEST_CASE("result elements: the operands' own, float for mixtures, or the one named") {
  const auto h = blank<f16>({1, 1});
  const auto f = blank<float>({1, 1});
  static_assert(std::same_as<decltype(matmul(h, h))::element_type, f16>);
  static_assert(std::same_as<decltype(matmul(h, f))::element_type, float>);
  static_assert(std::same_as<decltype(matmul<bf16>(h, f))::element_type, bf16>);
  CHECK(matmul(h, f).size() == 1);
}

}  // namespace cotenant::test
