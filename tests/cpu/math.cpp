// The CPU backend's functions against double, over all of float's range, on every target of this machine.
// Vectors of 128 bits too, which are not compiled unless asked for.
#if !defined(COTENANT_STATIC_DISPATCH) && !defined(HWY_DISABLED_TARGETS)
#define HWY_DISABLED_TARGETS HWY_SSSE3
#endif
#include <cotenant/cpu/cpu.hpp>
#include <cotenant/ops/map.hpp>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "every_target.hpp"

namespace cotenant::test {
namespace {

float from_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Distance from the exact value in units of the last place of the float nearest to it.
double units(float have, double exact) {
  if (std::isnan(exact)) return std::isnan(have) ? 0 : 1e9;
  const float nearest = static_cast<float>(exact);
  if (std::isinf(nearest))
    return have == nearest ? 0 : std::isinf(have) || std::isnan(have) ? 1e9 : std::abs(static_cast<double>(have) - std::numeric_limits<float>::max()) / 0x1p104;
  if (std::isnan(have) || std::isinf(have)) return 1e9;
  int exponent = 0;
  std::frexp(nearest, &exponent);
  return std::abs(static_cast<double>(have) - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

// Floats of every sign and exponent, specials included; a step that is coprime to 2^32 visits all kinds of fractions.
std::vector<float> all_kinds_of_floats() {
  using Limits = std::numeric_limits<float>;
  std::vector<float> values{0.f, -0.f, 1.f, -1.f, Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), Limits::denorm_min(), -Limits::denorm_min(),
                            Limits::max(), Limits::lowest()};
  std::uint32_t bits = 0;
  for (int i = 0; i < 100'000; ++i) values.push_back(from_bits(bits += 2'654'435'769u));
  // Where the functions are neither 0 nor 1.
  for (int i = -60'000; i <= 60'000; ++i) values.push_back(static_cast<float>(i) * 0.0019f);
  return values;
}

// Targets without fused multiply-add lose about another unit in the argument reduction.
double allowance() {
  const std::string target = Cpu::target_name();
  return target == "SSE4" || target == "SSSE3" || target == "SSE2" || target == "EMU128" || target == "SCALAR" ? 1 : 0;
}

template <class Function, class Exact> void check(const char* name, double bound, const std::vector<float>& values, Function function, Exact exact) {
  const auto x = from(values, {values.size()});
  std::vector<double> expected;
  for (const float value : values) expected.push_back(exact(static_cast<double>(value)));
  on_every_target([&] {
    const auto y = map(function, x);
    double worst = 0;
    float at = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double error = units(y.view()(i), expected[i]);
      if (error > worst) worst = error, at = values[i];
    }
    INFO(std::string(name) << " on " << std::string(Cpu::target_name()) << " is " << worst << " ULP off at " << at);
    CHECK(worst <= bound + (bound < 1 ? 0 : allowance()));
  });
}

// Every COTENANT_ULP_STEP-th of the 2^32 floats, of which 1 takes some minutes. The bounds were measured with 11.
std::uint32_t step() {
  const char* given = std::getenv("COTENANT_ULP_STEP");
  const long value = given == nullptr ? 0 : std::strtol(given, nullptr, 10);
  return value > 0 ? static_cast<std::uint32_t>(value) : 9973;
}

template <class F> void for_floats(F f) {
  f(all_kinds_of_floats());
  std::vector<float> values;
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += step()) {
    values.push_back(from_bits(static_cast<std::uint32_t>(bits)));
    if (values.size() == std::size_t{1} << 20) f(values), values.clear();
  }
  if (!values.empty()) f(values);
}

constexpr double infinity = std::numeric_limits<double>::infinity();
// Written so that double loses nothing where the result is small.
double logistic(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double times(double x, double factor) { return x == -infinity ? 0 : x * factor; }

TEST_CASE("functions of one operand are within their documented error") {
  for_floats([](const std::vector<float>& values) {
    check("exp", 1.1, values, [](auto x) { return exp(x); }, [](double x) { return std::exp(x); });
    check("log", 1, values, [](auto x) { return log(x); }, [](double x) { return std::log(x); });
    check("tanh", 2, values, [](auto x) { return tanh(x); }, [](double x) { return std::tanh(x); });
    check("erf", 2, values, [](auto x) { return erf(x); }, [](double x) { return std::erf(x); });
    check("sigmoid", 2, values, [](auto x) { return sigmoid(x); }, logistic);
    check("silu", 3.5, values, [](auto x) { return silu(x); }, [](double x) { return times(x, logistic(x)); });
    check("gelu", 4, values, [](auto x) { return gelu(x); }, [](double x) { return times(x, 0.5 * std::erfc(-x * 0.70710678118654752440)); });
    check("gelu_tanh", 4, values, [](auto x) { return gelu_tanh(x); }, [](double x) { return times(x, logistic(2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x))); });
    check("sqrt", 0.5, values, [](auto x) { return sqrt(x); }, [](double x) { return std::sqrt(x); });
    check("rsqrt", 1.5, values, [](auto x) { return rsqrt(x); }, [](double x) { return 1 / std::sqrt(x); });
  });
}

TEST_CASE("pow is within 1 ULP, and at special values what IEEE 754 says, sign included") {
  std::vector<float> bases, exponents;
  constexpr float infinite = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> special{0.f, -0.f, 1.f, -1.f, 2.f, -2.f, 3.f, -3.f, 0.5f, -0.5f, 1.5f, -1.5f, 1e-40f, -1e-40f, 3e38f, -3e38f,
                                   16777215.f, -16777215.f, 16777216.f, 8388607.5f, 1.0000001f, 0.99999994f, -149.f, 127.f, infinite, -infinite, nan};
  for (const float base : special)
    for (const float exponent : special) bases.push_back(base), exponents.push_back(exponent);
  std::uint32_t bits = 0;
  for (int i = 0; i < 100'000; ++i) {
    bits += 2'654'435'769u;
    const float any = from_bits(bits), near_one = 0.5f + static_cast<float>(bits >> 8) * 0x1.8p-24f;
    bases.push_back(i % 2 ? near_one : any);
    exponents.push_back(i % 2 ? static_cast<float>(i % 400 - 200) * 0.731f : static_cast<float>(i % 41 - 20) / static_cast<float>(1 + i % 3));
  }
  const auto base = from(bases, {bases.size()}), exponent = from(exponents, {exponents.size()});
  on_every_target([&] {
    const auto result = map([](auto x, auto y) { return pow(x, y); }, base, exponent);
    double worst = 0;
    std::size_t wrong = 0, at = 0;
    for (std::size_t i = 0; i < bases.size(); ++i) {
      const double exact = std::pow(static_cast<double>(bases[i]), static_cast<double>(exponents[i]));
      const double error = units(result.view()(i), exact);
      if (error > worst) worst = error, at = i;
      wrong += !std::isnan(exact) && std::signbit(result.view()(i)) != std::signbit(exact);
    }
    INFO("on " << std::string(Cpu::target_name()) << " " << worst << " ULP off at " << bases[at] << " ^ " << exponents[at]);
    CHECK(worst <= 1);
    CHECK(wrong == 0);
  });
}

TEST_CASE("rounding to integers is exact, ties to even") {
  std::vector<float> values = all_kinds_of_floats();
  for (float x : {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 8388607.5f, 0.49999997f}) values.push_back(x);
  check("round", 0, values, [](auto x) { return round(x); }, [](double x) { return std::nearbyint(x); });
  check("floor", 0, values, [](auto x) { return floor(x); }, [](double x) { return std::floor(x); });
  check("ceil", 0, values, [](auto x) { return ceil(x); }, [](double x) { return std::ceil(x); });
}

TEST_CASE("f16 and bf16 are read exactly and written to nearest even, in rows and in remainders") {
  std::vector<float> values = all_kinds_of_floats();
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {  // every value of both types, and the ties between neighbours
    f16 half;
    half.bits = static_cast<std::uint16_t>(bits);
    const float value = static_cast<float>(half);
    values.push_back(value);
    values.push_back(from_bits(detail::bit_cast<std::uint32_t>(value) | 0x1000u));
    values.push_back(from_bits((bits << 16) | 0x8000u));
  }
  const auto x = from(values, {values.size()});
  on_every_target([&] {
    const auto halves = cast<f16>(x);
    const auto brains = cast<bf16>(x);
    const auto back = cast<float>(halves), brain_back = cast<float>(brains);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (std::isnan(values[i])) {
        wrong += !std::isnan(back.view()(i)) || !std::isnan(brain_back.view()(i));
        continue;
      }
      wrong += halves.view()(i).bits != f16(values[i]).bits || brains.view()(i).bits != bf16(values[i]).bits;
      wrong += back.view()(i) != static_cast<float>(f16(values[i])) || brain_back.view()(i) != static_cast<float>(bf16(values[i]));
    }
    INFO("on " << std::string(Cpu::target_name()));
    CHECK(wrong == 0);
  });
}

TEST_CASE("casting to int8 and uint8 saturates, truncates, and turns NaN into 0") {
  const auto values = all_kinds_of_floats();
  const auto x = from(values, {values.size()});
  on_every_target([&] {
    const auto signed_bytes = cast<std::int8_t>(x);
    const auto bytes = cast<std::uint8_t>(x);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < values.size(); ++i) wrong += signed_bytes.view()(i) != convert<std::int8_t>(values[i]) || bytes.view()(i) != convert<std::uint8_t>(values[i]);
    INFO("on " << std::string(Cpu::target_name()));
    CHECK(wrong == 0);
  });
}

}  // namespace
}  // namespace cotenant::test
