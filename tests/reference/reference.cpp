// The oracle itself, against values worked out by hand or given in the definition of the op.
#include <doctest/doctest.h>

#include <cmath>
#include <cotenant/reference/reference.hpp>
#include <initializer_list>
#include <vector>

namespace cotenant::test {
namespace {
template <class T> SharedTensor<T, ReferenceHeap> tensor(std::initializer_list<T> values, const Shape& shape) {
  auto result = empty<T, ReferenceHeap>(shape);
  std::copy(values.begin(), values.end(), result.mutable_view().data());
  return result;
}
template <class T> std::vector<double> list(const SharedTensor<T, ReferenceHeap>& t) {
  std::vector<double> values;
  const auto row_major = t.contiguous();
  for (const T& x : row_major.view().span()) values.push_back(convert<double>(x));
  return values;
}
using Values = std::vector<double>;
}  // namespace

TEST_CASE("reference matmul: products, vectors, batches, epilogue") {
  const auto a = tensor({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  CHECK(list(matmul(a, a.transpose())) == Values{14, 32, 32, 77});
  CHECK(list(matmul(a, tensor({1.f, 0.f, -1.f}, {3}))) == Values{-2, -2});
  CHECK(list(matmul(tensor({1.f, -1.f}, {2}), a)) == Values{-3, -3, -3});
  CHECK(to_string(matmul(tensor({1.f, 2.f}, {2}), tensor({1.f, 2.f}, {2})).shape()) == "[]");
  const auto batch = a.unsqueeze(0).broadcast_to({4, 2, 3});
  CHECK(to_string(matmul(batch, a.transpose()).shape()) == "[4, 2, 2]");
  CHECK(list(matmul(a, a.transpose(), [](auto acc, auto bias) { return relu(acc - bias); }, tensor({20.f, 30.f}, {2}))) == Values{0, 2, 12, 47});
  CHECK(list(matmul(a.slice(1, 0, 0), a.transpose().slice(0, 0, 0))) == Values{0, 0, 0, 0});
}

TEST_CASE("reference softmax sums to one along its axis") {
  const auto x = tensor({0.f, std::log(3.f), 0.f, 0.f}, {2, 2});
  const auto rows = list(softmax(x));
  CHECK(rows[0] == doctest::Approx(0.25));
  CHECK(rows[1] == doctest::Approx(0.75));
  CHECK(rows[2] == doctest::Approx(0.5));
  const auto columns = list(softmax(x, 0));
  CHECK(columns[1] == doctest::Approx(0.75));
  CHECK(columns[3] == doctest::Approx(0.25));
}

TEST_CASE("reference reductions") {
  const auto x = tensor({1.f, -5.f, 3.f, 4.f, 0.f, 2.f}, {2, 3});
  CHECK(list(reduce_sum(x)) == Values{5});
  CHECK(list(reduce_sum(x, {.axes = {0}})) == Values{5, -5, 5});
  CHECK(list(reduce_max(x, {.axes = {1}, .keep_dimensions = true})) == Values{3, 4});
  CHECK(list(reduce_min(x, {.axes = {0, 1}})) == Values{-5});
  CHECK(list(reduce<reduction::AbsMaximum>(x)) == Values{5});
  CHECK(list(reduce_mean(tensor<std::int32_t>({1, 2}, {2}))) == Values{1.5});
  CHECK(std::isinf(list(reduce_max(x.slice(1, 0, 0)))[0]));
}

TEST_CASE("reference top_k keeps the order of equals and puts NaN first") {
  const auto x = tensor({1.f, 3.f, 3.f, 2.f}, {4});
  const auto best = top_k(x, 3);
  CHECK(list(best.values) == Values{3, 3, 2});
  CHECK(list(best.indices) == Values{1, 2, 3});
  CHECK(list(argmax(tensor({1.f, std::nanf(""), 9.f}, {3}))) == Values{1});
}

TEST_CASE("reference layer_norm has mean 0 and variance 1 before scale and bias") {
  const auto y = list(layer_norm(tensor({1.f, 3.f}, {1, 2}), tensor({2.f, 2.f}, {2}), tensor({10.f, 20.f}, {2}), 0.f));
  CHECK(y[0] == doctest::Approx(8));
  CHECK(y[1] == doctest::Approx(22));
}

TEST_CASE("reference gather counts from both ends and refuses what lies outside") {
  const auto table = tensor({1.f, 2.f, 3.f, 4.f}, {2, 2});
  CHECK(list(gather(table, tensor<std::int32_t>({1, -2}, {2}))) == Values{3, 4, 1, 2});
  CHECK_THROWS_AS(gather(table, tensor<std::int32_t>({2}, {1})), InvalidArgument);
  CHECK_THROWS_AS(gather(table, tensor<std::int64_t>({-3}, {1})), InvalidArgument);
}

TEST_CASE("reference quantize rounds ties to even, saturates, and comes back") {
  const auto x = tensor({0.5f, 1.5f, -2.5f, 1000.f, -1000.f}, {5});
  const auto one = tensor({1.f}, {1});
  CHECK(list(quantize<std::int8_t>(x, one)) == Values{0, 2, -2, 127, -128});
  CHECK(list(quantize<std::uint8_t>(x, one, tensor<std::uint8_t>({10}, {1}))) == Values{10, 12, 8, 255, 0});
  const auto q = quantize<std::int8_t>(tensor({-2.f, 1.f, 0.f}, {3}));
  CHECK(list(q.values) == Values{-127, 64, 0});
  CHECK(list(q.scale)[0] == doctest::Approx(2.0 / 127));
  CHECK(list(dequantize(q))[0] == doctest::Approx(-2));
  const auto u = quantize<std::uint8_t>(tensor({1.f, 3.f, 0.f, -4.f}, {2, 2}), 0);
  CHECK(list(u.zero_point) == Values{0, 255});
  CHECK(list(u.values) == Values{85, 255, 255, 0});
}
}  // namespace cotenant::test
