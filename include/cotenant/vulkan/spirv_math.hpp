// exp, log, tanh, erf, gelu … of f32 within a few units in the last place (ULP), with IEEE 754's special values, on any device.
#ifndef COTENANT_VULKAN_SPIRV_MATH_HPP
#define COTENANT_VULKAN_SPIRV_MATH_HPP
#include <cstdint>

#include "cotenant/vulkan/spirv_number.hpp"

// GLSL.std.450 allows exp an error that grows with its argument, and erf it has not. So: polynomials (the CPU backend's) and
// fused multiply-add. Each function takes an f32 or a vector of them.
namespace cotenant::vulkan::spirv {

namespace inner {
// Adding 1.5 * 2^23 to a small number leaves its nearest integer in the low bits of the sum, ties to even.
inline constexpr float rounding_shift = 0x1.8p23f;
// ln 2 in two parts (Cody and Waite): n * 355/512 is exact.
inline constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f, log2_e = 1.44269504f;

// first + x * (second + x * (…)), Horner's rule.
inline Value polynomial(Value x, float before_last, float last) { return fma(x, last, before_last); }
template <class... More> Value polynomial(Value x, float first, float second, More... more) { return fma(x, polynomial(x, second, more...), first); }

// x - shift without what a compiler may know about how x came about.
inline Value without_shift(Value shifted, float shift) { return no_contraction(shifted - shift); }
// n as rounding_shift left it in the low bits, in the exponent's place: added to the bits of a float it multiplies by 2^n.
inline Value exponent_bits(Value shifted) { return float_bits(shifted) << 23u; }
// x * 2^n; both normal.
inline Value times_power_of_two(Value x, Value exponent) { return from_bits(float_bits(x) + exponent); }
// exp(r) - 1 for |r| <= 0.36; relative error of exp 4e-9.
[[gnu::cold]] inline Value exp_minus_1(Value r) {
  const Value square = r * r;
  const Value high = fma(square, 0.00138088455f, fma(r, 0.00837149564f, 0.0416686684f));
  return fma(square, fma(square, high, fma(r, 0.166664973f, 0.499999911f)), r);
}
// What is left of x after n times ln 2.
inline Value reduced(Value n, Value x) { return fma(n, -ln2_low, fma(n, -ln2_high, x)); }
}  // namespace inner

// ---- exponentials
// Within 1.1 ULP. exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2.
[[gnu::cold]] inline Value exp(Value x) {
  using namespace inner;
  const Value shifted = fma(x, log2_e, rounding_shift);
  const Value n = without_shift(shifted, rounding_shift);
  const Value scaled = times_power_of_two(exp_minus_1(reduced(n, x)) + 1.f, exponent_bits(shifted));
  // From n = -126 on the result may be subnormal: it is made 2^64 too large at first, so that it rounds once.
  const Value raised = times_power_of_two(scaled, constant_like(float_bits(x), 64u << 23)) * 0x1p-64f;
  const Value small = select(x < -104.f, 0.f, select(x < -86.f, raised, scaled));
  // n = 128 occurs with exp(r) < 1 only: what is finite is normal, up to the largest float with a finite exp.
  return keep_nan(x, select(x <= 0x1.62e42ep6f, small, infinity));
}
namespace inner {
// 2^64 exp(-size) for size in [0, 110]: normal throughout.
[[gnu::cold]] inline Value raised_exp_of_minus(Value size) {
  const Value shifted = fma(size, -log2_e, rounding_shift + 64.f);
  const Value n = without_shift(shifted, rounding_shift + 64.f);
  return times_power_of_two(exp_minus_1(reduced(n, -size)) + 1.f, exponent_bits(shifted));
}
}  // namespace inner

// Within 1 ULP. log(2^n (1 + f)) = n ln 2 + f - f^2 / 2 + f^3 R(f), 1 + f in [sqrt(1/2), sqrt 2).
[[gnu::cold]] inline Value log(Value x) {
  using namespace inner;
  const Value subnormal = is_subnormal_or_zero(x);
  const Value bits = signed_bits(raised_if_subnormal(x));
  // Subtracting sqrt(1/2)'s bits makes the exponent field count from there.
  const Value n = (bits - 0x3F3504F3) >> 23;
  const Value f = from_bits(bits - (n << 23)) - 1.f;
  const Value whole = convert(x.type, n) - select(subnormal, constant_like(x, 149.f), 0.f);
  const Value square = f * f;
  const Value r =
      polynomial(f, 0.333333135f, -0.250000089f, 0.200021192f, -0.166679963f, 0.142195508f, -0.124055915f, 0.118881747f, -0.116756409f, 0.0674660131f);
  const Value tail = fma(square, -0.5f, fma(whole, ln2_low, square * f * r));
  const Value number = fma(whole, ln2_high, f + tail);
  const Value special = select(float_bits(x) == 0x7F800000u, x, select(signed_bits(x) < 0, quiet_nan, number));
  return keep_nan(x, select(is_zero(x), -infinity, special));
}

// ---- sigmoids
// Within 2 ULP. With m = 1 - exp(-2 |x|), which does not cancel in 1 - 2^n - 2^n (exp(r) - 1), it is m / (2 - m).
[[gnu::cold]] inline Value tanh(Value x) {
  using namespace inner;
  const Value size = abs(x), twice = min(size + size, 20.f);  // tanh(10) is 1
  const float shift = rounding_shift + 127.f;
  const Value shifted = fma(twice, -log2_e, shift);
  const Value n = without_shift(shifted, shift);
  const Value power = from_bits(exponent_bits(shifted));
  const Value m = fma(-power, exp_minus_1(reduced(n, -twice)), 1.f - power);
  const Value value = with_sign_of(x, divide(m, 2.f - m));
  return keep_nan(x, select(magnitude(x) < 0x38800000u, x, value));  // below 2^-14 x^3 / 3 is less than half a unit of x's last place
}
// Within 2 ULP, subnormal results included. With E = exp(|x|) = 2^n + 2^n (exp(r) - 1) it is 1 / (1 + E) where x < 0, else
// 1 - 1 / (1 + E).
[[gnu::cold]] inline Value sigmoid(Value x) {
  using namespace inner;
  const float shift = rounding_shift + 127.f;
  const Value size = abs(x), near = min(size, 86.f);
  const Value shifted = fma(near, log2_e, shift);
  const Value n = without_shift(shifted, shift);
  const Value power = from_bits(exponent_bits(shifted));
  const Value inverse = divide(constant_like(x, 1.f), fma(power, exp_minus_1(reduced(n, near)), 1.f) + power);
  const Value tail = raised_exp_of_minus(min(size, 105.f)) * 0x1p-64f;
  const Value negative = select(size < 86.f, inverse, tail), positive = select(size < 86.f, 1.f - inverse, 1.f);
  return keep_nan(x, select(signed_bits(x) < 0, negative, positive));
}
namespace inner {
// x where it is not negative, else -0; NaN stays, and makes every sum with it NaN. f(x) = x F(x) with F(-x) = 1 - F(x) is this minus |x| F(-|x|).
inline Value not_negative(Value x) { return select(x < 0.f, -0.f, x); }

// x * sigmoid(y), y of x's sign, size = |y| at most 110; -0 at -infinity, its limit.
[[gnu::cold]] inline Value times_sigmoid(Value x, Value size) {
  const Value raised = raised_exp_of_minus(size);
  const Value factor = divide(raised, fma(raised, 0x1p-64f, 1.f));
  return fma(factor * min(abs(x), 110.f), -0x1p-64f, not_negative(x));
}
// a * b - product, exact. Without a fused operation: the upper 12 bits of each have exact products (Dekker).
[[gnu::cold]] inline Value product_rest(Value a, Value b, Value product) {
  if (a.module().arithmetic.fuses) return fma(a, b, -product);
  const auto upper = [](Value v) { return from_bits(float_bits(v) & 0xFFFFF000u); };
  const auto exact = [](Value v) { return no_contraction(v); };
  const Value a_high = upper(a), a_low = exact(a - a_high), b_high = upper(b), b_low = exact(b - b_high);
  const Value first = exact(exact(a_high * b_high) - product);
  return exact(exact(exact(first + exact(a_high * b_low)) + exact(a_low * b_high)) + exact(a_low * b_low));
}
}  // namespace inner
// x * sigmoid(x) within 4 ULP.
inline Value silu(Value x) { return inner::times_sigmoid(x, min(abs(x), 110.f)); }

// ---- the normal distribution
// Within 2 ULP. |x| < 0.95: x + x P(x^2); else 1 - exp(-S(|x|)), S fitted to -log(erfc), 1 from |x| = 4 on.
[[gnu::cold]] inline Value erf(Value x) {
  using namespace inner;
  const Value size = abs(x), square = x * x;
  const Value small =
      fma(x, polynomial(square, 0.128379166f, -0.376126319f, 0.112836726f, -0.0268581044f, 0.00519779697f, -0.000810596393f, 8.2154198e-05f), x);
  const Value t = min(size, 4.f);
  const Value s = polynomial(t, -0.00016920513f, 1.12948835f, 0.633400857f, 0.108220384f, -0.0250806157f, 0.0041562547f, -0.000431393564f, 2.08286183e-05f);
  const Value large = fma(raised_exp_of_minus(max(s, 0.f)), -0x1p-64f, 1.f);
  Value value = select(size < 0.95f, small, with_sign_of(x, large));
  if (!x.module().arithmetic.keeps_subnormals) {
    // 2 / sqrt(pi) of a subnormal, on its bits: a product would be taken for 0.
    const Value grown = convert(shaped_as(x.type, x.module().u32()), fma(convert(x.type, magnitude(x)), 1.12837917f, 0.5f));
    value = select(is_subnormal_or_zero(x), from_bits(grown | (float_bits(x) & 0x80000000u)), value);
  }
  return keep_nan(x, value);
}
namespace inner {
// For results that are rounded to f16 or bf16. The normal distribution's tail is 2^P(t): relative error 2^-15.9 for t < 5.6 and
// 2^-12.6 up to 14.5, where only bf16 has something left: 0.03 units in the last place of either; 0 for results below 2^-122 where the device's
// Exp2 gives no subnormal numbers. A third of the instructions below.
[[gnu::cold]] inline Value gelu_of_halves(Value x) {
  const Value t = min(abs(x), 14.5f);
  const Value power = polynomial(t, -1.00002205f, -1.1510731f, -0.458629429f, -0.054059051f, 0.00869479124f, -0.00102375203f, 8.35199899e-05f, -4.41481097e-06f,
                                 1.34926083e-07f, -1.80092896e-09f);
  return fma(-t, x.module().extended(Glsl::Exp2, x.type, {power}), not_negative(x));
}
}  // namespace inner
// Within 4 ULP, negative tail included. The normal distribution's tail is Q(t) = exp(-t^2 / 2) / D(t), and D is smooth and
// grows towards sqrt(2 pi) t: a line and a small quotient of polynomials; relative error 2e-8 for t in [0, 14.6].
// gelu(x) = x - x Q(x) for x > 0, x Q(-x) else.
[[gnu::cold]] inline Value gelu(Value x) {
  using namespace inner;
  if (x.module().arithmetic.halves) return gelu_of_halves(x);
  const Value t = min(abs(x), 14.5f);  // from there on t Q(t) is below half of the smallest subnormal
  const Value square = no_contraction(t * t), square_rest = product_rest(t, t, square);
  // exp(-square / 2) = 2^n exp(r), -2 r what is left of square after n times 2 ln 2; raised by 2^64, so that it is normal.
  const float shift = rounding_shift + 127.f + 64.f;
  const Value shifted = fma(square, -log2_e / 2, shift);
  const Value n = without_shift(shifted, shift);
  const Value left = fma(n, 2 * ln2_high, square) + fma(n, 2 * ln2_low, square_rest);
  const Value exp_rest = exp_minus_1(left * -0.5f);
  const Value upper = polynomial(t, 2.997f, 1.2322135f, 0.30030712f, 0.028479949f);
  const Value lower = polynomial(t, 1.5f, 1.3005296f, 0.5380398f, 0.11767032f, 0.011637427f);
  // 1 / (line + upper / lower) in one division: it costs as much as all polynomials.
  const Value denominator = fma(fma(t, 2.50659823f, 0.002000014f), lower, upper);
  const Value scaled = t * from_bits(exponent_bits(shifted)) * lower;
  return fma(fma(exp_rest, scaled, scaled) / denominator, -0x1p-64f, not_negative(x));
}
// Within 4 ULP of x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3): 1 + tanh(u) = 2 sigmoid(2 u). exp needs 2 u to more
// digits than a float has, so it is kept in two parts.
[[gnu::cold]] inline Value gelu_tanh(Value x) {
  using namespace inner;
  const Value t = min(abs(x), 11.f);  // from 10.1 on the product is below half of the smallest subnormal
  // 2 u = t (a + b t^2), a = 2 sqrt(2 / pi) and b = 0.044715 a in two parts each.
  const auto exact = [](Value v) { return no_contraction(v); };
  const Value a = constant_like(x, 1.5957692f), b = constant_like(x, 0.071354814f);
  const Value square = exact(t * t), square_rest = product_rest(t, t, square);
  const Value cubic = exact(square * b), cubic_rest = product_rest(square, b, cubic);
  const Value sum = exact(a + cubic), back = exact(sum - a);
  const Value sum_rest =
      exact(exact(a - exact(sum - back)) + exact(cubic - back)) + (fma(square, 2.3988324e-9f, cubic_rest) + fma(square_rest, b, -4.53406803e-8f));
  const Value y = exact(t * sum), y_rest = fma(t, sum_rest, product_rest(t, sum, y));
  const Value shifted = fma(y, -log2_e, rounding_shift + 64.f);
  const Value n = without_shift(shifted, rounding_shift + 64.f);
  const Value left = fma(n, ln2_high, y) + fma(n, ln2_low, y_rest);
  const Value raised = times_power_of_two(exp_minus_1(-left) + 1.f, exponent_bits(shifted));
  return fma(raised / fma(raised, 0x1p-64f, 1.f) * t, -0x1p-64f, not_negative(x));
}

}  // namespace cotenant::vulkan::spirv

#endif
