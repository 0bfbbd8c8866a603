// pow of f32 within a unit of the last place or two, in double where the device has it, else in pairs of floats.
#ifndef COTENANT_VULKAN_SPIRV_POWER_HPP
#define COTENANT_VULKAN_SPIRV_POWER_HPP
#include <cstdint>

#include "cotenant/vulkan/spirv_math.hpp"

namespace cotenant::vulkan::spirv {

namespace inner {
// ln m = 2 artanh(s) = 2 s (1 + s^2 / 3 + s^4 / 5 + …), s = (m - 1) / (m + 1); m in [sqrt(1/2), sqrt 2), |s| < 0.172.
inline constexpr double two_by_ln2 = 2.8853900817779268;

// Beyond 200 a float has long become 0 or infinity.
inline Value bounded_by_200(Value power) { return select(power > 200, 200, select(power < -200, -200, power)); }
// value * 2^integer, in two halves: each is a normal number.
[[gnu::cold]] inline Value times_two_to_the(Value integer, Value value) {
  const Value whole_power = convert(shaped_as(integer.type, integer.module().i32()), integer), half = whole_power >> 1;
  const auto power_of_two = [](Value k) { return from_bits((k + 127) << 23); };
  return convert(integer.type, value) * power_of_two(half) * power_of_two(whole_power - half);
}
// (2^whole m)^exponent in double.
[[gnu::cold]] inline Value power_in_double(Value mantissa, Value whole_number, Value exponent) {
  const Type wide = shaped_as(mantissa.type, mantissa.module().floating(64));
  const Value m = convert(wide, mantissa), whole = convert(wide, whole_number);
  const Value s = (m - 1) / (m + 1), square = s * s;
  Value series = constant_like(s, 1.0 / 13);  // seven terms leave 2e-12
  for (int term = 11; term > 0; term -= 2) series = series * square + constant_like(s, 1.0 / term);
  const Value logarithm = s * series * two_by_ln2 + whole;
  const Value bounded = bounded_by_200(convert(wide, exponent) * logarithm);
  const Value integer = round(convert(mantissa.type, bounded));
  // exp(r) for |r| <= ln 2 / 2: ten terms leave 7e-12.
  const Value r = (bounded - convert(wide, integer)) * 0.69314718055994531;
  Value value = constant_like(r, 1.0 / 362880);
  for (double factorial = 40320, term = 8; term >= 0; factorial /= term, --term) {
    value = value * r + constant_like(r, 1.0 / factorial);
    if (term == 0) break;
  }
  return times_two_to_the(integer, value);
}

// A number as the sum of two floats, of which the second is less than a unit of the first's last place: 48 bits.
struct FloatPair {
  Value high, low;
};
inline FloatPair pair_of(Value like, double number) {
  const auto high = static_cast<float>(number);
  return {constant_like(like, high), constant_like(like, static_cast<float>(number - static_cast<double>(high)))};
}
// a + b exactly, where a is 0 or b's exponent no larger (Dekker).
[[gnu::cold]] inline FloatPair exact_sum(Value a, Value b) {
  const Value sum = no_contraction(a + b);
  return {sum, no_contraction(b - no_contraction(sum - a))};
}
[[gnu::cold]] inline FloatPair exact_product(Value a, Value b) {
  const Value product = no_contraction(a * b);
  return {product, product_rest(a, b, product)};
}
[[gnu::cold]] inline FloatPair product_of(FloatPair a, FloatPair b) {
  const FloatPair product = exact_product(a.high, b.high);
  return exact_sum(product.high, product.low + fma(a.high, b.low, a.low * b.high));
}
// The same in pairs: an error of 2^-36 in the logarithm is multiplied by at most 128 until it is one of the result.
[[gnu::cold]] inline Value power_in_pairs(Value m, Value whole_number, Value exponent) {
  const Value over = no_contraction(m - 1.f);
  const FloatPair under = exact_sum(constant_like(m, 1.f), m);
  const Value quotient = over / under.high;
  const FloatPair back = exact_product(quotient, under.high);
  const Value left = no_contraction(no_contraction(no_contraction(over - back.high) - back.low) - no_contraction(quotient * under.low));
  const FloatPair s = exact_sum(quotient, left / under.high), square = product_of(s, s);
  // s^2 / 3 is below 2^-6, so that it needs 30 bits; what follows is below 2^-12.
  const FloatPair third = product_of(square, pair_of(m, 1.0 / 3));
  const Value further = square.high * square.high * polynomial(square.high, 1.f / 5, 1.f / 7, 1.f / 9, 1.f / 11, 1.f / 13);
  const FloatPair terms = exact_sum(third.high, further), series = exact_sum(constant_like(m, 1.f), terms.high);
  const FloatPair fraction = product_of(product_of(s, {series.high, series.low + (terms.low + third.low)}), pair_of(m, two_by_ln2));
  const FloatPair logarithm = exact_sum(convert(m.type, whole_number), fraction.high), power = exact_product(exponent, logarithm.high);
  const Value bounded = bounded_by_200(power.high), integer = round(bounded);
  const Value rest = select(abs(power.high) > 200.f, 0.f, fma(exponent, logarithm.low + fraction.low, power.low));
  return times_two_to_the(integer, exp_minus_1((no_contraction(bounded - integer) + rest) * 0.693147181f) + 1.f);
}
}  // namespace inner

// base^exponent. 1 where the exponent is 0 or the base 1, even beside NaN; NaN for a negative number to a power that is no integer; the
// sign of the base where the exponent is an odd integer.
[[gnu::cold]] inline Value pow(Value base, Value exponent) {
  using namespace inner;
  // |base| = 2^n m, m in [sqrt(1/2), sqrt 2). A base of 0 or infinity gets its own result below.
  const Value size = abs(base), bits = signed_bits(raised_if_subnormal(size));
  const Value n = (bits - 0x3F3504F3) >> 23, m = from_bits(bits - (n << 23));
  const Value whole = n - select(is_subnormal_or_zero(base), constant_like(n, 149), 0);
  const Value finite = max(min(exponent, 1e30f), -1e30f);
  Value result = base.module().arithmetic.has_f64 ? power_in_double(m, whole, finite) : power_in_pairs(m, whole, finite);
  const Value zero = constant_like(base, 0.f), one = constant_like(base, 1.f), infinite = constant_like(base, infinity);
  const Value huge = magnitude(base) == 0x7F800000u, rising = signed_bits(exponent) >= 0;
  result = select(is_zero(base), select(rising, zero, infinite), select(huge, select(rising, infinite, zero), result));
  const Value unit = magnitude(base) == 0x3F800000u, endless = magnitude(exponent) == 0x7F800000u;
  const Value grows = (size > 1.f) == rising;
  result = select(endless, select(grows, infinite, zero), result);
  const Value halved = exponent * 0.5f, whole_exponent = equal(floor(exponent), exponent), odd = whole_exponent && floor(halved) != halved;
  const Value negative = signed_bits(base) < 0;
  result = select(odd && negative && !endless, negate(result), result);
  result = select(negative && !huge && !is_zero(base) && !whole_exponent, quiet_nan, result);
  result = keep_nan(base, keep_nan(exponent, result));
  return select(is_zero(exponent) || (unit && !negative) || (unit && endless), one, result);
}

}  // namespace cotenant::vulkan::spirv

#endif
