// Element types: the 16-bit floats exhaustively against formulas of their own, packed pairs, names at run time.
#include "cotenant/core/element.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <type_traits>

namespace ct = cotenant;

namespace {

float from_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
std::uint32_t to_bits(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// A binary float of `exponent_bits` and `fraction_bits`, by the definition of IEEE 754, in double.
double decode(std::uint32_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1, top = (1 << exponent_bits) - 1;
  const int exponent = static_cast<int>(bits >> fraction_bits) & top;
  const int fraction = static_cast<int>(bits) & ((1 << fraction_bits) - 1);
  const double sign = (bits >> (exponent_bits + fraction_bits)) & 1 ? -1 : 1;
  if (exponent == top) return fraction ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
}

// Rounds to the grid of the target with std::nearbyint (ties to even): unit of the last place from the exponent.
double rounded(float value, int exponent_bits, int fraction_bits) {
  if (!std::isfinite(value) || value == 0) return value;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  int exponent;
  std::frexp(value, &exponent);  // value = m * 2^exponent, m in [1/2, 1)
  const int unit = std::max(exponent - 1, 1 - bias) - fraction_bits;
  const double result = std::ldexp(std::nearbyint(std::ldexp(static_cast<double>(value), -unit)), unit);
  const double largest = std::ldexp((2 << fraction_bits) - 1, bias - fraction_bits);
  return std::fabs(result) > largest ? std::copysign(HUGE_VAL, value) : result;
}

bool same(double a, double b) { return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b); }

// Values around every rounding boundary of the target: each of its values, the midpoints between neighbours, and the
// floats just beside both.
template <class T> void check_conversions(int exponent_bits, int fraction_bits) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    T narrow;
    narrow.bits = static_cast<std::uint16_t>(bits);
    const double value = decode(bits, exponent_bits, fraction_bits);
    REQUIRE(same(static_cast<float>(narrow), value));
    const T back(static_cast<float>(narrow));
    if (std::isnan(value)) {
      REQUIRE(std::isnan(static_cast<float>(back)));
      REQUIRE((back.bits >> 15) == (bits >> 15));
    } else {
      REQUIRE(back.bits == bits);
    }
    if (!std::isfinite(value)) continue;
    const double next = decode((bits & 0x7FFF) == 0x7FFF ? bits : bits + 1, exponent_bits, fraction_bits);
    const double beyond = std::copysign(std::ldexp(1, 1 << (exponent_bits - 1)), value);  // where infinity would be a number
    const auto middle = static_cast<float>((value + (std::isfinite(next) ? next : beyond)) / 2);
    if (!std::isfinite(middle)) continue;
    for (const float probe : {middle, std::nextafter(middle, HUGE_VALF), std::nextafter(middle, -HUGE_VALF),
                              std::nextafter(static_cast<float>(value), HUGE_VALF), std::nextafter(static_cast<float>(value), -HUGE_VALF)})
      REQUIRE(same(static_cast<float>(T(probe)), rounded(probe, exponent_bits, fraction_bits)));
  }
  std::mt19937 random(3);
  for (int round = 0; round < 500000; ++round) {
    const float probe = from_bits(static_cast<std::uint32_t>(random()));
    REQUIRE(same(static_cast<float>(T(probe)), rounded(probe, exponent_bits, fraction_bits)));
  }
}

}  // namespace

TEST_CASE("f16 is IEEE binary16") {
  check_conversions<ct::f16>(5, 10);
  CHECK(ct::f16(65504.0f).bits == 0x7BFF);
  CHECK(ct::f16(65519.996f).bits == 0x7BFF);
  CHECK(ct::f16(65520.0f).bits == 0x7C00);
  CHECK(ct::f16(-1e30f).bits == 0xFC00);
  CHECK(ct::f16(0x1p-24f).bits == 1);
  CHECK(ct::f16(0x1p-25f).bits == 0);  // the tie goes to even
  CHECK(ct::f16(0x1.000002p-25f).bits == 1);
  CHECK(ct::f16(-0.0f).bits == 0x8000);
}

TEST_CASE("bf16 is the upper half of binary32") {
  check_conversions<ct::bf16>(8, 7);
  CHECK(ct::bf16(1.0f).bits == 0x3F80);
  CHECK(ct::bf16(std::numeric_limits<float>::max()).bits == 0x7F80);
  CHECK(ct::bf16(-std::numeric_limits<float>::infinity()).bits == 0xFF80);
}

TEST_CASE("NaN stays NaN, also when only dropped bits told it from infinity") {
  const float signalling = from_bits(0x7F800001u);
  CHECK(std::isnan(static_cast<float>(ct::f16(signalling))));
  CHECK(std::isnan(static_cast<float>(ct::bf16(signalling))));
  CHECK((ct::bf16(from_bits(0xFF800001u)).bits & 0x8000) != 0);
  CHECK((ct::f16(signalling).bits & 0x0200) != 0);  // quiet
  CHECK_FALSE(ct::f16(signalling) == ct::f16(signalling));
  CHECK(ct::f16(0.0f) == ct::f16(-0.0f));
  CHECK(ct::bf16(2.0f) == ct::bf16(2.0f));
  CHECK(to_bits(static_cast<float>(ct::bf16(1.5f))) == 0x3FC00000u);
}

TEST_CASE("conversions work in constant expressions") {
  static_assert(static_cast<float>(ct::f16(0.5f)) == 0.5f);
  static_assert(static_cast<float>(ct::bf16(-3.0f)) == -3.0f);
  static_assert(static_cast<float>(ct::f16(0x1p-24f)) == 0x1p-24f);
  CHECK(true);
}

TEST_CASE("a pair of i4 holds every combination") {
  for (int low = -8; low < 8; ++low)
    for (int high = -8; high < 8; ++high) {
      const ct::i4x2 pair(low, high);
      REQUIRE(pair.low() == low);
      REQUIRE(pair.high() == high);
      REQUIRE(pair.bits == ((low & 15) | ((high & 15) << 4)));
    }
  CHECK(ct::i4x2(1, 2) == ct::i4x2(17, 2));  // higher bits are dropped
}

TEST_CASE("names and sizes at run time agree with the types") {
  const auto check = [](auto identity, ct::DType dtype, const char* name) {
    using T = typename decltype(identity)::type;
    CHECK(ct::dtype_of<T> == dtype);
    CHECK(ct::size_of(dtype) == sizeof(T));
    CHECK(to_string(dtype) == name);
    const bool reached = ct::with_element(dtype, [](auto found) { return std::is_same_v<typename decltype(found)::type, T>; });
    CHECK(reached);
  };
  check(std::type_identity<float>{}, ct::DType::f32, "f32");
  check(std::type_identity<ct::f16>{}, ct::DType::f16, "f16");
  check(std::type_identity<ct::bf16>{}, ct::DType::bf16, "bf16");
  check(std::type_identity<std::int8_t>{}, ct::DType::i8, "i8");
  check(std::type_identity<std::uint8_t>{}, ct::DType::u8, "u8");
  check(std::type_identity<std::int32_t>{}, ct::DType::i32, "i32");
  check(std::type_identity<std::int64_t>{}, ct::DType::i64, "i64");
  check(std::type_identity<bool>{}, ct::DType::boolean, "bool");
  check(std::type_identity<ct::i4x2>{}, ct::DType::i4x2, "i4x2");
  CHECK_THROWS_AS(ct::with_element(static_cast<ct::DType>(200), [](auto) {}), ct::InvalidArgument);
  static_assert(!ct::Element<double> && !ct::Element<const float> && !ct::Element<char> && !ct::Element<int*>);
  static_assert(ct::FloatElement<ct::f16> && !ct::FloatElement<std::int8_t>);
  static_assert(ct::ScalarElement<bool> && !ct::ScalarElement<ct::i4x2>);
}
