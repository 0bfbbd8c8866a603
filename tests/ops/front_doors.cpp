// What the front doors of ops/ refuse, and what they say: shapes, aliases, empty handles, read-only outputs.
#include <doctest/doctest.h>

#include <cotenant/cotenant.hpp>
#include <string>

namespace cotenant::test {
namespace {
// The message of the error of type E that f throws; fails the test where it throws nothing or something else.
template <class E, class F> std::string message_of(F f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  FAIL("no error was thrown");
  return {};
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
}  // namespace

TEST_CASE("matmul names both shapes and the dimensions that differ") {
  const auto a = zeros<float>({2, 3}), b = zeros<float>({4, 5});
  const auto message = message_of<ShapeError>([&] { matmul(a, b); });
  CHECK(has(message, "[2, 3]"));
  CHECK(has(message, "[4, 5]"));
  CHECK(has(message, "transpose()"));
  CHECK_THROWS_AS(matmul(zeros<float>({2, 2, 3}), zeros<float>({3, 3, 4})), ShapeError);
  CHECK_THROWS_AS(matmul(zeros<float>({}), a), ShapeError);
  CHECK_THROWS_AS(matmul_into(zeros<float>({2, 2}), a, zeros<float>({3, 5})), ShapeError);
}

TEST_CASE("an epilogue operand that does not broadcast to the result is refused") {
  const auto a = zeros<float>({2, 3}), bias = zeros<float>({3});
  CHECK_THROWS_AS(matmul(a, a.transpose(), [](auto acc, auto x) { return acc + x; }, bias), ShapeError);
}

TEST_CASE("an op on an empty handle is an error, not a crash") {
  const SharedTensor<float> nothing;
  CHECK(has(message_of<InvalidArgument>([&] { softmax(nothing); }), "empty"));
  CHECK_THROWS_AS(matmul(nothing, nothing), InvalidArgument);
  CHECK_THROWS_AS(map([](auto x) { return x; }, nothing), InvalidArgument);
  CHECK_THROWS_AS(reduce_sum(nothing), InvalidArgument);
  CHECK_THROWS_AS(quantize<std::int8_t>(nothing), InvalidArgument);
}

TEST_CASE("a result is never written where others may be reading") {
  auto out = zeros<float>({4});
  const auto x = full<float>({4}, 1.f);
  const auto twice = [](auto v) { return v * 2.f; };
  CHECK(has(message_of<ReadOnly>([&] { map_into(zeros<float>({1}).broadcast_to({4}), twice, x); }), "stride 0"));
  out.block()->publish();
  CHECK(has(message_of<ReadOnly>([&] { map_into(out, twice, x); }), "detach()"));
  out.detach();
  map_into(out, twice, x);
  CHECK(out.view()(3) == 2.f);
}

TEST_CASE("axes and counts outside the shape are refused") {
  const auto x = zeros<float>({2, 3});
  CHECK_THROWS_AS(softmax(x, 2), ShapeError);
  CHECK_THROWS_AS(softmax(x, -3), ShapeError);
  CHECK_THROWS_AS(softmax(zeros<float>({})), ShapeError);
  CHECK_THROWS_AS(reduce_sum(x, {.axes = {0, -2}}), ShapeError);
  CHECK_THROWS_AS(top_k(x, 4), ShapeError);
  CHECK_THROWS_AS(argmax(zeros<float>({2, 0})), ShapeError);
  CHECK_THROWS_AS(layer_norm(x, zeros<float>({2}), zeros<float>({3})), ShapeError);
  CHECK_THROWS_AS(layer_norm(x, zeros<float>({3}), zeros<float>({3}), -1.f), InvalidArgument);
  CHECK_THROWS_AS(gather(zeros<float>({0, 3}), zeros<std::int32_t>({1})), ShapeError);
  CHECK_THROWS_AS(gather(x, full<std::int32_t>({1}, 2)), InvalidArgument);
  CHECK_THROWS_AS(map([](auto a, auto b) { return a + b; }, x, zeros<float>({4})), ShapeError);
}

TEST_CASE("result elements: the operands' own, float for mixtures, bool for conditions, or the one named") {
  const auto f = zeros<float>({2});
  const auto h = zeros<f16>({2});
  const auto i = zeros<std::int32_t>({2});
  const auto identity = [](auto x) { return x; };
  const auto add = [](auto x, auto y) { return x + y; };
  static_assert(std::same_as<decltype(map(identity, h)), SharedTensor<f16>>);
  static_assert(std::same_as<decltype(map(add, h, i)), SharedTensor<float>>);
  static_assert(std::same_as<decltype(map(add, i, i)), SharedTensor<std::int32_t>>);
  static_assert(std::same_as<decltype(map([](auto x) { return x > 0; }, f)), SharedTensor<bool>>);
  static_assert(std::same_as<decltype(map<bf16>(add, f, h)), SharedTensor<bf16>>);
  static_assert(std::same_as<decltype(matmul(h, h)), SharedTensor<f16>>);
  static_assert(std::same_as<decltype(matmul(h, f)), SharedTensor<float>>);
  static_assert(std::same_as<decltype(reduce_mean(i)), SharedTensor<float>>);
  CHECK(map(add, h, i).size() == 2);
}

TEST_CASE("copies: contiguous keeps what is row-major, detach copies only what others hold") {
  auto x = from({1.f, 2.f, 3.f, 4.f}, {2, 2});
  CHECK(x.contiguous().block() == x.block());
  const auto columns = x.transpose();
  CHECK_FALSE(columns.contiguous().block() == x.block());
  CHECK(columns.contiguous().view()(0, 1) == 3.f);
  auto other = x;
  other.detach().mutable_view()(0, 0) = 9.f;
  CHECK(x.view()(0, 0) == 1.f);
  CHECK(other.view()(0, 0) == 9.f);
  const void* before = other.block()->data();
  other.detach();
  CHECK(other.block()->data() == before);
}

TEST_CASE("with_best_backend falls back to the CPU and passes the result on") {
  const std::string name = with_best_backend([](auto& backend) { return std::string(backend.name()); });
  CHECK(name == "cpu");
}
}  // namespace cotenant::test
