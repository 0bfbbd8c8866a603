// convert: every pair of element types is defined for every value, also for those that do not fit.
#include "cotenant/core/convert.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "special_numbers.hpp"

using namespace cotenant;
using test::infinity, test::not_a_number;

namespace {

template <class To, class From> void check_float_to_integer() {
  using Limits = std::numeric_limits<To>;
  const auto from = [](double value) { return convert<To>(static_cast<From>(value)); };
  CHECK(from(0) == 0);
  CHECK(from(-0.0) == 0);
  CHECK(from(1.9) == 1);
  CHECK(from(100.999) == 100);
  CHECK(from(-0.9) == 0);
  CHECK(from(-1.9) == (Limits::is_signed ? To(-1) : To(0)));
  CHECK(from(1e-45) == 0);
  // Both ends.
  CHECK(convert<To>(std::numeric_limits<From>::infinity()) == Limits::max());
  CHECK(convert<To>(-std::numeric_limits<From>::infinity()) == Limits::min());
  CHECK(convert<To>(std::numeric_limits<From>::max()) == Limits::max());
  CHECK(convert<To>(std::numeric_limits<From>::lowest()) == Limits::min());
  CHECK(convert<To>(std::numeric_limits<From>::quiet_NaN()) == 0);
  CHECK(convert<To>(-std::numeric_limits<From>::quiet_NaN()) == 0);
  CHECK(convert<To>(std::numeric_limits<From>::signaling_NaN()) == 0);
  // The first value beyond the largest integer, exact in From, and the last one before it.
  const From beyond = static_cast<From>(std::ldexp(1.0, Limits::digits));
  CHECK(convert<To>(beyond) == Limits::max());
  const From below = std::nextafter(beyond, From(0));
  CHECK(convert<To>(below) == static_cast<To>(below));
  CHECK(static_cast<From>(convert<To>(below)) <= below);
  const From lowest = static_cast<From>(Limits::min());
  CHECK(convert<To>(lowest) == Limits::min());
  CHECK(convert<To>(std::nextafter(lowest, -std::numeric_limits<From>::infinity())) == Limits::min());
}

template <class To> void check_half_to_integer() {
  CHECK(convert<To>(f16(2.75f)) == 2);
  CHECK(convert<To>(bf16(2.75f)) == 2);
  CHECK(convert<To>(f16(-0.5f)) == 0);
  CHECK(convert<To>(f16(infinity<float>)) == std::numeric_limits<To>::max());
  CHECK(convert<To>(bf16(-infinity<float>)) == std::numeric_limits<To>::min());
  CHECK(convert<To>(f16(not_a_number<float>)) == 0);
  CHECK(convert<To>(bf16(not_a_number<float>)) == 0);
  CHECK(convert<To>(bf16(1e38f)) == std::numeric_limits<To>::max());
}

}  // namespace

TEST_CASE_TEMPLATE("float to integer truncates, saturates and gives 0 for NaN", To, std::int8_t, std::uint8_t, std::int32_t, std::int64_t) {
  check_float_to_integer<To, float>();
  check_float_to_integer<To, double>();
  check_half_to_integer<To>();
}

TEST_CASE("the ends of each integer type, written out") {
  CHECK(convert<std::int8_t>(127.9f) == 127);
  CHECK(convert<std::int8_t>(128.0f) == 127);
  CHECK(convert<std::int8_t>(-128.9f) == -128);
  CHECK(convert<std::int8_t>(-127.9f) == -127);
  CHECK(convert<std::uint8_t>(255.9f) == 255);
  CHECK(convert<std::uint8_t>(256.0f) == 255);
  CHECK(convert<std::uint8_t>(-1.0f) == 0);
  CHECK(convert<std::int32_t>(2147483520.0f) == 2147483520);  // the largest float below 2^31
  CHECK(convert<std::int32_t>(2147483648.0f) == INT32_MAX);
  CHECK(convert<std::int32_t>(2147483646.9) == 2147483646);
  CHECK(convert<std::int32_t>(2147483647.5) == 2147483647);
  CHECK(convert<std::int32_t>(-2147483648.5) == INT32_MIN);
  CHECK(convert<std::int64_t>(9223371487098961920.0f) == 9223371487098961920);  // 2^63 - 2^39
  CHECK(convert<std::int64_t>(9223372036854775808.0f) == INT64_MAX);
  CHECK(convert<std::int64_t>(-9223372036854775808.0f) == INT64_MIN);
  static_assert(convert<std::int8_t>(300.f) == 127 && convert<std::uint8_t>(-3.f) == 0 && convert<std::int32_t>(-2.5f) == -2);  // constexpr
}

TEST_CASE("integer to a narrower integer keeps the low bits") {
  CHECK(convert<std::uint8_t>(std::int32_t{300}) == 44);
  CHECK(convert<std::uint8_t>(std::int32_t{-1}) == 255);
  CHECK(convert<std::int8_t>(std::int32_t{200}) == -56);
  CHECK(convert<std::int8_t>(std::uint8_t{200}) == -56);
  CHECK(convert<std::uint8_t>(std::int8_t{-56}) == 200);
  CHECK(convert<std::int32_t>((std::int64_t{1} << 32) + 5) == 5);
  CHECK(convert<std::int32_t>(INT64_MIN) == 0);
  CHECK(convert<std::int32_t>(INT64_MAX) == -1);
  CHECK(convert<std::int8_t>(INT32_MIN) == 0);
  // Wider keeps the value.
  CHECK(convert<std::int64_t>(std::int8_t{-128}) == -128);
  CHECK(convert<std::int32_t>(std::uint8_t{255}) == 255);
}

TEST_CASE("to bool is whether it differs from 0") {
  CHECK(convert<bool>(0.5f));
  CHECK(convert<bool>(-0.25));
  CHECK(convert<bool>(not_a_number<float>));
  CHECK(convert<bool>(std::numeric_limits<float>::denorm_min()));
  CHECK_FALSE(convert<bool>(0.0f));
  CHECK_FALSE(convert<bool>(-0.0f));
  CHECK(convert<bool>(f16(-6e-8f)));  // its smallest subnormal
  CHECK_FALSE(convert<bool>(f16(-0.0f)));
  CHECK(convert<bool>(bf16(1e-40f)));
  CHECK_FALSE(convert<bool>(bf16()));
  CHECK(convert<bool>(std::int32_t{256}));  // not the low bits
  CHECK(convert<bool>(INT64_MIN));
  CHECK_FALSE(convert<bool>(std::uint8_t{0}));
}

TEST_CASE("from bool is 1 or 0") {
  CHECK(convert<float>(true) == 1.0f);
  CHECK(convert<std::int8_t>(true) == 1);
  CHECK(convert<std::int64_t>(false) == 0);
  CHECK(convert<f16>(true).bits == 0x3C00);
  CHECK(convert<bf16>(true).bits == 0x3F80);
  CHECK(convert<bool>(true));
}

TEST_CASE("to f16 and bf16 rounds to nearest, ties to even") {
  CHECK(static_cast<float>(convert<f16>(2049.0f)) == 2048.0f);
  CHECK(static_cast<float>(convert<f16>(2051.0f)) == 2052.0f);
  CHECK(static_cast<float>(convert<f16>(std::nextafter(2049.0f, 3000.0f))) == 2050.0f);
  CHECK(static_cast<float>(convert<f16>(std::int32_t{2049})) == 2048.0f);
  CHECK(static_cast<float>(convert<f16>(std::int64_t{-2051})) == -2052.0f);
  CHECK(static_cast<float>(convert<f16>(65519.0f)) == 65504.0f);
  CHECK(static_cast<float>(convert<f16>(65520.0f)) == infinity<float>);
  CHECK(static_cast<float>(convert<f16>(std::int32_t{-65536})) == -infinity<float>);
  CHECK(static_cast<float>(convert<f16>(INT64_MAX)) == infinity<float>);

  CHECK(static_cast<float>(convert<bf16>(257.0f)) == 256.0f);
  CHECK(static_cast<float>(convert<bf16>(259.0f)) == 260.0f);
  CHECK(static_cast<float>(convert<bf16>(std::nextafter(257.0f, 300.0f))) == 258.0f);
  CHECK(static_cast<float>(convert<bf16>(std::int32_t{-257})) == -256.0f);
  CHECK(static_cast<float>(convert<bf16>(std::numeric_limits<float>::max())) == infinity<float>);
  CHECK(static_cast<float>(convert<bf16>(std::uint8_t{255})) == 255.0f);  // exact

  CHECK(std::isnan(static_cast<float>(convert<f16>(not_a_number<float>))));
  CHECK(std::isnan(static_cast<float>(convert<bf16>(not_a_number<float>))));
}

TEST_CASE("between the two half types and float") {
  CHECK(convert<float>(f16(0.5f)) == 0.5f);
  CHECK(convert<float>(bf16(-3.0f)) == -3.0f);
  CHECK(convert<double>(f16(65504.0f)) == 65504.0);
  CHECK(static_cast<float>(convert<f16>(bf16(1e30f))) == infinity<float>);
  CHECK(static_cast<float>(convert<bf16>(f16(257.0f))) == 256.0f);
  CHECK(convert<f16>(bf16(-0.0f)).bits == 0x8000);
  // The same type is the same bits, a signalling NaN included.
  f16 signalling;
  signalling.bits = 0x7C01;
  CHECK(convert<f16>(signalling).bits == 0x7C01);
  // Integers that float cannot hold round to even.
  CHECK(convert<float>(std::int32_t{16777217}) == 16777216.0f);
  CHECK(convert<float>(std::int32_t{16777219}) == 16777220.0f);
  CHECK(convert<float>(INT64_MIN) == -9223372036854775808.0f);
}

TEST_CASE("the compute type holds every operand") {
  static_assert(std::is_same_v<compute_type<float>, float> && std::is_same_v<compute_type<f16>, float> && std::is_same_v<compute_type<bf16, bf16>, float>);
  static_assert(std::is_same_v<compute_type<std::int8_t, f16>, float> && std::is_same_v<compute_type<bf16, std::int64_t>, float>);
  static_assert(std::is_same_v<compute_type<bool>, std::int32_t> && std::is_same_v<compute_type<std::int8_t, std::uint8_t>, std::int32_t>);
  static_assert(std::is_same_v<compute_type<std::int32_t, std::int64_t>, std::int64_t> && std::is_same_v<compute_type<std::int64_t, bool>, std::int64_t>);
  const auto largest = [](auto value) { return convert<compute_type<decltype(value)>>(value) == value; };
  CHECK(largest(std::uint8_t{255}));
  CHECK(largest(INT32_MIN));
  CHECK(largest(INT64_MIN));
}
