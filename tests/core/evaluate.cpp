// evaluate and apply: the scalar meaning of every function, at its edges; every backend is held to these.
#include "cotenant/core/evaluate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <tuple>
#include <utility>

#include "arguments.hpp"
#include "special_numbers.hpp"

namespace {

namespace expr = cotenant::expr;
namespace op = cotenant::expr::op;
using expr::apply;
using expr::evaluate;

using cotenant::test::infinity, cotenant::test::not_a_number;
using cotenant::test::x, cotenant::test::y;

// A number that counts how often it is read.
struct Counted {
  int* reads;
  float value;
  operator float() const {
    ++*reads;
    return value;
  }
};

}  // namespace

TEST_CASE_TEMPLATE("functions of one float are std's", C, float, double) {
  for (const C value : {C(-100), C(-3.75), C(-1), C(-0.5), C(-1e-6), C(0), C(1e-6), C(0.25), C(1), C(2.5), C(20), C(87)}) {
    CAPTURE(value);
    CHECK(apply(op::Negate{}, value) == -value);
    CHECK(apply(op::Abs{}, value) == std::fabs(value));
    CHECK(apply(op::Exp{}, value) == std::exp(value));
    CHECK(apply(op::Tanh{}, value) == std::tanh(value));
    CHECK(apply(op::Erf{}, value) == std::erf(value));
    CHECK(apply(op::Floor{}, value) == std::floor(value));
    CHECK(apply(op::Ceil{}, value) == std::ceil(value));
    CHECK(apply(op::Relu{}, value) == std::fmax(value, C(0)));
    CHECK(apply(op::Sigmoid{}, value) == doctest::Approx(static_cast<double>(1 / (1 + std::exp(-static_cast<long double>(value))))));
    if (value >= 0) CHECK(apply(op::Sqrt{}, value) == std::sqrt(value));
    if (value > 0) {
      CHECK(apply(op::Log{}, value) == std::log(value));
      CHECK(apply(op::Rsqrt{}, value) * std::sqrt(value) == doctest::Approx(1));
    }
    if (value != 0) CHECK(apply(op::Reciprocal{}, value) * value == doctest::Approx(1));
  }
}

TEST_CASE_TEMPLATE("values known by hand", C, float, double) {
  CHECK(apply(op::Exp{}, C(0)) == 1);
  CHECK(apply(op::Log{}, C(1)) == 0);
  CHECK(apply(op::Sqrt{}, C(9)) == 3);
  CHECK(apply(op::Rsqrt{}, C(16)) == C(0.25));
  CHECK(apply(op::Reciprocal{}, C(-8)) == C(-0.125));
  CHECK(apply(op::Sigmoid{}, C(0)) == C(0.5));
  CHECK(apply(op::Floor{}, C(-1.5)) == -2);
  CHECK(apply(op::Ceil{}, C(-1.5)) == -1);
  CHECK(apply(op::Add{}, C(1.5), C(2)) == C(3.5));
  CHECK(apply(op::Subtract{}, C(1.5), C(2)) == C(-0.5));
  CHECK(apply(op::Multiply{}, C(1.5), C(-2)) == -3);
  CHECK(apply(op::Divide{}, C(1), C(-4)) == C(-0.25));
  CHECK(apply(op::Power{}, C(2), C(10)) == 1024);
  CHECK(apply(op::Power{}, C(0), C(0)) == 1);
  CHECK(apply(op::Power{}, C(4), C(-0.5)) == C(0.5));
  // gelu(1) = 0.8413447460685429, the normal distribution's value at 1.
  CHECK(apply(op::Gelu{}, C(1)) == doctest::Approx(0.8413447460685429));
  CHECK(apply(op::Gelu{}, C(-1)) == doctest::Approx(-0.15865525393145707));
  CHECK(apply(op::GeluTanh{}, C(1)) == doctest::Approx(0.8411919906082768));
  CHECK(apply(op::Silu{}, C(1)) == doctest::Approx(0.7310585786300049));
}

TEST_CASE_TEMPLATE("round goes to the nearest, ties to even", C, float, double) {
  const std::pair<double, double> cases[] = {{0.5, 0}, {1.5, 2}, {2.5, 2}, {-0.5, 0}, {-1.5, -2}, {-2.5, -2}, {2.4999, 2}, {2.5001, 3}, {8388609, 8388609}};
  for (const auto& [in, out] : cases) CHECK(apply(op::Round{}, static_cast<C>(in)) == static_cast<C>(out));
  CHECK(std::signbit(apply(op::Round{}, C(-0.25))));
}

TEST_CASE_TEMPLATE("the gelus and silu at the ends", C, float, double) {
  C (*const functions[])(C) = {+[](C value) { return apply(op::Gelu{}, value); }, +[](C value) { return apply(op::GeluTanh{}, value); },
                               +[](C value) { return apply(op::Silu{}, value); }};
  for (const auto function : functions) {
    CHECK(function(infinity<C>) == infinity<C>);
    CHECK(function(-infinity<C>) == 0);  // the limit, not -inf * 0
    CHECK(std::isnan(function(not_a_number<C>)));
    CHECK(function(C(0)) == 0);
    // Large, but finite: x³ and exp overflow on the way.
    const C large = std::numeric_limits<C>::max() / 4;
    CHECK(function(large) == large);
    CHECK(function(-large) == 0);
  }
  CHECK(apply(op::Sigmoid{}, infinity<C>) == 1);
  CHECK(apply(op::Sigmoid{}, -infinity<C>) == 0);
  CHECK(apply(op::Sigmoid{}, C(-100000)) == 0);
  // The negative tail keeps its digits: 1 + erf(-7.07) would be 0 in float and lose most digits in double.
  const double tail_tolerance = std::numeric_limits<C>::digits > 24 ? 1e-12 : 1e-4;
  CHECK(static_cast<double>(apply(op::Gelu{}, C(-10))) / -7.619853024160527e-23 == doctest::Approx(1).epsilon(tail_tolerance));
  // Against the formulas in more digits.
  for (double number = -6; number <= 6; number += 0.37) {
    const C value = static_cast<C>(number);
    const long double v = value, cubic = std::sqrt(2 / 3.14159265358979323846L) * (v + 0.044715L * v * v * v);
    constexpr double tolerance = static_cast<double>(std::numeric_limits<C>::epsilon()) * 16;
    const auto about = [](long double expected) { return doctest::Approx(static_cast<double>(expected)).epsilon(tolerance); };
    CAPTURE(number);
    CHECK(static_cast<double>(apply(op::Gelu{}, value)) == about(v / 2 * (1 + std::erf(v / std::sqrt(2.0L)))));
    CHECK(static_cast<double>(apply(op::GeluTanh{}, value)) == about(v / 2 * (1 + std::tanh(cubic))));
    CHECK(static_cast<double>(apply(op::Silu{}, value)) == about(v / (1 + std::exp(-v))));
  }
}

TEST_CASE_TEMPLATE("outside a function's domain", C, float, double) {
  CHECK(std::isnan(apply(op::Sqrt{}, C(-1))));
  CHECK(std::isnan(apply(op::Log{}, C(-1))));
  CHECK(apply(op::Log{}, C(0)) == -infinity<C>);
  CHECK(apply(op::Rsqrt{}, C(0)) == infinity<C>);
  CHECK(apply(op::Rsqrt{}, infinity<C>) == 0);
  CHECK(apply(op::Reciprocal{}, C(0)) == infinity<C>);
  CHECK(apply(op::Reciprocal{}, C(-0.0)) == -infinity<C>);
  CHECK(apply(op::Divide{}, C(1), C(-0.0)) == -infinity<C>);
  CHECK(std::isnan(apply(op::Divide{}, C(0), C(0))));
  CHECK(std::isnan(apply(op::Power{}, C(-8), C(0.5))));
  CHECK(apply(op::Exp{}, C(1000)) == infinity<C>);
  CHECK(apply(op::Exp{}, C(-1000)) == 0);
  CHECK(apply(op::Tanh{}, -infinity<C>) == -1);
  CHECK(apply(op::Erf{}, infinity<C>) == 1);
  CHECK(std::isnan(apply(op::Relu{}, not_a_number<C>)));
  CHECK(apply(op::Relu{}, -infinity<C>) == 0);
  CHECK(std::signbit(apply(op::Negate{}, C(0))));
  CHECK_FALSE(std::signbit(apply(op::Abs{}, C(-0.0))));
}

TEST_CASE_TEMPLATE("minimum and maximum pass NaN on from either side", C, float, double) {
  CHECK(apply(op::Minimum{}, C(1), C(2)) == 1);
  CHECK(apply(op::Minimum{}, C(2), C(1)) == 1);
  CHECK(apply(op::Maximum{}, C(1), C(2)) == 2);
  CHECK(apply(op::Maximum{}, C(2), C(1)) == 2);
  CHECK(apply(op::Maximum{}, -infinity<C>, std::numeric_limits<C>::lowest()) == std::numeric_limits<C>::lowest());
  for (const C other : {C(0), C(-5), infinity<C>, -infinity<C>, not_a_number<C>}) {
    CHECK(std::isnan(apply(op::Minimum{}, not_a_number<C>, other)));
    CHECK(std::isnan(apply(op::Minimum{}, other, not_a_number<C>)));
    CHECK(std::isnan(apply(op::Maximum{}, not_a_number<C>, other)));
    CHECK(std::isnan(apply(op::Maximum{}, other, not_a_number<C>)));
  }
  CHECK(std::isnan(evaluate<C>(clamp(x, -1, 1), std::tuple{not_a_number<C>})));
}

TEST_CASE_TEMPLATE("comparisons give 1 or 0 in the compute type", C, float, double, std::int32_t, std::int64_t) {
  for (const C a : {C(1), C(2)})
    for (const C b : {C(1), C(2)}) {
      CHECK(apply(op::Equal{}, a, b) == (a == b ? C(1) : C(0)));
      CHECK(apply(op::NotEqual{}, a, b) == (a != b ? C(1) : C(0)));
      CHECK(apply(op::Less{}, a, b) == (a < b ? C(1) : C(0)));
      CHECK(apply(op::LessEqual{}, a, b) == (a <= b ? C(1) : C(0)));
      CHECK(apply(op::Greater{}, a, b) == (a > b ? C(1) : C(0)));
      CHECK(apply(op::GreaterEqual{}, a, b) == (a >= b ? C(1) : C(0)));
    }
}

TEST_CASE_TEMPLATE("with NaN only != holds", C, float, double) {
  for (const C other : {C(0), infinity<C>, not_a_number<C>})
    for (const bool swapped : {false, true}) {
      const C a = swapped ? other : not_a_number<C>, b = swapped ? not_a_number<C> : other;
      CHECK(apply(op::NotEqual{}, a, b) == 1);
      CHECK(apply(op::Equal{}, a, b) == 0);
      CHECK(apply(op::Less{}, a, b) == 0);
      CHECK(apply(op::LessEqual{}, a, b) == 0);
      CHECK(apply(op::Greater{}, a, b) == 0);
      CHECK(apply(op::GreaterEqual{}, a, b) == 0);
    }
  CHECK(apply(op::Equal{}, C(0), C(-0.0)) == 1);
}

TEST_CASE_TEMPLATE("integers are exact and wrap", C, std::int32_t, std::int64_t) {
  using Limits = std::numeric_limits<C>;
  CHECK(apply(op::Negate{}, C(5)) == -5);
  CHECK(apply(op::Negate{}, Limits::max()) == -Limits::max());
  CHECK(apply(op::Negate{}, Limits::min()) == Limits::min());
  CHECK(apply(op::Abs{}, C(-5)) == 5);
  CHECK(apply(op::Abs{}, C(5)) == 5);
  CHECK(apply(op::Abs{}, Limits::min()) == Limits::min());
  CHECK(apply(op::Relu{}, C(-5)) == 0);
  CHECK(apply(op::Relu{}, Limits::max()) == Limits::max());
  CHECK(apply(op::Add{}, Limits::max(), C(1)) == Limits::min());
  CHECK(apply(op::Add{}, Limits::min(), Limits::min()) == 0);
  CHECK(apply(op::Subtract{}, Limits::min(), C(1)) == Limits::max());
  CHECK(apply(op::Subtract{}, C(0), Limits::min()) == Limits::min());
  CHECK(apply(op::Multiply{}, Limits::max(), C(2)) == -2);
  CHECK(apply(op::Multiply{}, Limits::min(), C(-1)) == Limits::min());
  CHECK(apply(op::Multiply{}, C(-7), C(6)) == -42);
  CHECK(apply(op::Multiply{}, C(1) << (Limits::digits / 2 + 1), C(1) << (Limits::digits / 2 + 1)) == 0);
  CHECK(apply(op::Minimum{}, Limits::min(), Limits::max()) == Limits::min());
  CHECK(apply(op::Maximum{}, Limits::min(), Limits::max()) == Limits::max());
  // Beyond float's and double's digits.
  CHECK(apply(op::Less{}, Limits::max() - 1, Limits::max()) == 1);
  CHECK(apply(op::Equal{}, Limits::max() - 1, Limits::max()) == 0);
}

TEST_CASE("an expression is evaluated step by step in the compute type") {
  CHECK(evaluate<float>(x, std::tuple{3.5f, 4.f}) == 3.5f);
  CHECK(evaluate<float>(y, std::tuple{3.5f, 4.f}) == 4.f);
  CHECK(evaluate<float>((x - y) * 2 + 1 / y, std::tuple{3.f, 4.f}) == -1.75f);
  CHECK(evaluate<std::int64_t>(x * y, std::tuple{INT64_C(3000000000), INT64_C(2)}) == 6000000000);
  CHECK(evaluate<std::int32_t>(x * y + 1, std::tuple{65536, 65536}) == 1);
  // Inputs are brought to the compute type first: 2^24 + 1 is no float.
  CHECK(evaluate<float>(x + y, std::tuple{16777217, 0}) == 16777216.f);
  CHECK(evaluate<double>(x + y, std::tuple{16777217, 0.5f}) == 16777217.5);
  // Each step rounds to the compute type: 1e8 + 1 is 1e8 in float.
  CHECK(evaluate<float>((x + 1) - x, std::tuple{1e8f}) == 0.f);
  CHECK(evaluate<double>((x + 1) - x, std::tuple{1e8}) == 1.0);
}

TEST_CASE("literals are converted to the compute type") {
  CHECK(evaluate<float>(x + 0.1, std::tuple{0.f}) == 0.1f);
  CHECK(evaluate<double>(x + 0.1, std::tuple{0.0}) == 0.1);
  CHECK(evaluate<std::int32_t>(x * 2.9, std::tuple{10}) == 20);
  CHECK(evaluate<std::int32_t>(x + 1e20, std::tuple{0}) == INT32_MAX);
  CHECK(evaluate<std::int32_t>(x + std::nan(""), std::tuple{7}) == 7);
  CHECK(evaluate<float>(x + true, std::tuple{1.f}) == 2.f);
  CHECK(evaluate<float>(expr::record<1>([](auto) { return 42; }), std::tuple{1.f}) == 42.f);
}

TEST_CASE("select takes one side and does not look at the other") {
  CHECK(evaluate<float>(select(x > 0, log(x), -1), std::tuple{-5.f}) == -1.f);  // log(-5) is NaN
  CHECK(evaluate<float>(select(x > 0, log(x), -1), std::tuple{1.f}) == 0.f);
  // Anything but 0 is true, NaN too.
  CHECK(evaluate<float>(select(x, 1, 2), std::tuple{-0.5f}) == 1.f);
  CHECK(evaluate<float>(select(x, 1, 2), std::tuple{not_a_number<float>}) == 1.f);
  CHECK(evaluate<float>(select(x, 1, 2), std::tuple{-0.f}) == 2.f);
  CHECK(evaluate<std::int32_t>(select(x == y, x, -x), std::tuple{4, 5}) == -4);

  int reads_of_true = 0, reads_of_false = 0;
  const auto chosen = select(x, y, expr::Argument<2>{});
  CHECK(evaluate<float>(chosen, std::tuple{1.f, Counted{&reads_of_true, 10.f}, Counted{&reads_of_false, 20.f}}) == 10.f);
  CHECK(reads_of_true == 1);
  CHECK(reads_of_false == 0);
  CHECK(evaluate<float>(chosen, std::tuple{0.f, Counted{&reads_of_true, 10.f}, Counted{&reads_of_false, 20.f}}) == 20.f);
  CHECK(reads_of_true == 1);
  CHECK(reads_of_false == 1);
}

TEST_CASE("clamp keeps to its bounds") {
  const auto clamped = clamp(x, -1, 6);
  const std::pair<float, float> cases[] = {{-5.f, -1.f}, {-1.f, -1.f}, {0.5f, 0.5f}, {6.f, 6.f}, {1e30f, 6.f}, {-infinity<float>, -1.f}};
  for (const auto& [in, out] : cases) CHECK(evaluate<float>(clamped, std::tuple{in}) == out);
  CHECK(evaluate<std::int32_t>(clamped, std::tuple{7}) == 6);
}

TEST_CASE("functions made of ops: their formulas, small and large arguments, infinities and NaN") {
  const auto at = [](const auto& expression, float value) { return expr::evaluate<float>(expression, std::tuple{value}); };
  for (float value : {-100.f, -20.f, -3.5f, -1.f, -0.25f, -1e-6f, 0.f, 1e-6f, 0.5f, 2.f, 17.f, 95.f}) {
    const double v = static_cast<double>(value);
    CHECK(at(elu(x, 2.f), value) == doctest::Approx(value < 0 ? 2 * std::expm1(v) : v).epsilon(1e-6));
    CHECK(at(softplus(x), value) == doctest::Approx(value > 30 ? v : std::log1p(std::exp(v))).epsilon(1e-6));
    CHECK(at(leaky_relu(x, 0.1f), value) == (value < 0 ? value * 0.1f : value));
    CHECK(at(hard_sigmoid(x), value) == doctest::Approx(std::fmin(1, std::fmax(0, 0.2 * v + 0.5))).epsilon(1e-6));
    CHECK(at(hard_swish(x), value) == doctest::Approx(v * std::fmin(6, std::fmax(0, v + 3)) / 6).epsilon(1e-6));
    CHECK(at(softsign(x), value) == doctest::Approx(v / (1 + std::fabs(v))).epsilon(1e-6));
    CHECK(at(sign(x), value) == static_cast<float>((value > 0) - (value < 0)));
  }
  CHECK(at(softplus(x), -90.f) > 0);
  CHECK(at(elu(x), -infinity<float>) == -1);
  CHECK(at(softplus(x), -infinity<float>) == 0);
  CHECK(at(softplus(x), infinity<float>) == infinity<float>);
  CHECK(std::isnan(at(elu(x), not_a_number<float>)));
  CHECK(std::isnan(at(softplus(x), not_a_number<float>)));
  CHECK(std::isnan(at(sign(x), not_a_number<float>)));
  for (float a : {0.f, 2.f})
    for (float b : {0.f, -1.f}) {
      const auto both = [&](const auto& expression) { return expr::evaluate<float>(expression, std::tuple{a, b}) != 0; };
      CHECK(both(logical_and(x, y)) == (a != 0 && b != 0));
      CHECK(both(logical_or(x, y)) == (a != 0 || b != 0));
      CHECK(both(logical_xor(x, y)) == ((a != 0) != (b != 0)));
      CHECK(both(!x) == (a == 0));
    }
  static_assert(expr::is_condition<decltype(logical_and(x, y))> && expr::is_condition<decltype(!x)>);
}
