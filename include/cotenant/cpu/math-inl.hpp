// tanh, erf, sigmoid, gelu … on vectors of floats, within a few units in the last place (ULP).
#if defined(COTENANT_CPU_MATH_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_MATH_INL_HPP
#undef COTENANT_CPU_MATH_INL_HPP
#else
#define COTENANT_CPU_MATH_INL_HPP
#endif
#include <cstddef>

#include <hwy/highway.h>

#include "cotenant/cpu/exp-inl.hpp"
#include "cotenant/cpu/function_tables.hpp"
#include "cotenant/cpu/load_store-inl.hpp"
#include "cotenant/cpu/x86_dot-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// 2^64 exp(-size) for size in [0, 110]: normal throughout.
HWY_INLINE FloatVector raised_exp_of_minus(FloatTag d, FloatVector size) {
  const auto shifted = hn::NegMulAdd(size, constant(d, log2_e), constant(d, rounding_shift + 64.0f));
  const auto n = hn::Sub(shifted, constant(d, rounding_shift + 64.0f));
  const auto r = hn::NegMulAdd(n, constant(d, ln2_low), hn::NegMulSub(n, constant(d, ln2_high), size));
  return times_power_of_two(d, short_exp(d, r), exponent_bits(shifted));
}

// numerator / (high + low), |low| at most half a unit of high's last place; inverse is 1 / high to three bits. The remainder
// of the division, which is exact, makes up for its rounding and for low: within 0.6 ULP.
HWY_INLINE FloatVector quotient(FloatTag d, FloatVector numerator, FloatVector high, FloatVector low, FloatVector inverse) {
#if HWY_NATIVE_FMA
  static_cast<void>(d);
  const auto first = hn::Div(numerator, high);
  const auto rest = hn::NegMulAdd(first, low, hn::NegMulAdd(first, high, numerator));
  return hn::MulAdd(rest, inverse, first);
#else
  static_cast<void>(d), static_cast<void>(low), static_cast<void>(inverse);
  return hn::Div(numerator, high);
#endif
}

#if COTENANT_X86_DOT
// The function of a table at |x|, where the table ends beyond it; NaN stays.
template <std::size_t Terms, bool PlusRest> HWY_INLINE FloatVector table_value(FloatTag d, FloatVector x, const cpu::FunctionTable<Terms, PlusRest>& table) {
  // Min gives its second operand where either is NaN.
  const auto size = hn::Min(constant(d, table.end()), hn::Abs(x));
  const auto shifted = hn::MulAdd(size, constant(d, 1 / table.width), constant(d, rounding_shift));
  const auto interval = hn::BitCast(hn::RebindToSigned<FloatTag>{}, shifted);
  const auto rest = hn::NegMulAdd(hn::Sub(shifted, constant(d, rounding_shift)), constant(d, table.width), size);
  auto value = lookup_lanes(table.terms[5], interval);
  if constexpr (Terms > 6) value = hn::MulAdd(rest, lookup_lanes(table.terms[6], interval), value);
  value = hn::MulAdd(rest, value, lookup_lanes(table.terms[4], interval));
  value = hn::MulAdd(rest, value, lookup_lanes(table.terms[3], interval));
  value = hn::MulAdd(rest, value, lookup_lanes(table.terms[2], interval));
  value = hn::MulAdd(rest, value, lookup_lanes(table.terms[1], interval));
  const auto first = lookup_lanes(table.terms[0], interval);
  return hn::MulAdd(rest, value, PlusRest ? hn::Add(first, rest) : first);
}
#endif

// Within 2 ULP. With m = 1 - exp(-2 |x|), which does not cancel in 1 - 2^n - 2^n (exp(r) - 1), it is m / (2 - m).
HWY_INLINE FloatVector vector_tanh(FloatTag d, FloatVector x) {
#if COTENANT_X86_DOT
  return hn::CopySignToAbs(table_value(d, x, cpu::tanh_table), x);
#else
  const auto one = constant(d, 1.0f), two = constant(d, 2.0f), shift = constant(d, rounding_shift + 127.0f);
  const auto size = hn::Abs(x);
  const auto twice = hn::Min(hn::Add(size, size), constant(d, 20.0f));  // tanh(10) is 1
  const auto shifted = hn::NegMulAdd(twice, constant(d, log2_e), shift);
  const auto n = hn::Sub(shifted, shift);
  const auto power = hn::BitCast(d, exponent_bits(shifted));
  const auto r = hn::NegMulAdd(n, constant(d, ln2_low), hn::NegMulSub(n, constant(d, ln2_high), twice));
  const auto m = hn::NegMulAdd(power, exp_minus_1(d, r), hn::Sub(one, power));
  const auto below = hn::Sub(two, m), rest = hn::Sub(hn::Sub(two, below), m);
  return keep_nan(x, hn::CopySignToAbs(quotient(d, m, below, rest, line(d, m, 0.5f, 0.5f)), x));
#endif
}

// Within 2 ULP. |x| < 0.95: x + x P(x^2); else 1 - exp(-S(|x|)), S fitted to -log(erfc), 1 from |x| = 4 on.
HWY_INLINE FloatVector vector_erf(FloatTag d, FloatVector x) {
#if COTENANT_X86_DOT
  return hn::CopySignToAbs(table_value(d, x, cpu::erf_table), x);
#else
  const auto size = hn::Abs(x), square = hn::Mul(x, x), one = constant(d, 1.0f);
  const auto p = polynomial(d, square, 0.128379166f, -0.376126319f, 0.112836726f, -0.0268581044f, 0.00519779697f, -0.000810596393f, 8.2154198e-05f);
  const auto small = hn::MulAdd(x, p, x);
  const auto t = hn::Min(size, constant(d, 4.0f));
  const auto s = polynomial(d, t, -0.00016920513f, 1.12948835f, 0.633400857f, 0.108220384f, -0.0250806157f, 0.0041562547f, -0.000431393564f, 2.08286183e-05f);
  const auto large = hn::Sub(one, hn::Mul(raised_exp_of_minus(d, s), constant(d, 0x1p-64f)));
  return keep_nan(x, hn::IfThenElse(hn::Lt(size, constant(d, 0.95f)), small, hn::CopySignToAbs(large, x)));
#endif
}

// Within 2 ULP, subnormal results included. With E = exp(|x|) = 2^n + 2^n (exp(r) - 1) it is 1 / (1 + E) where x < 0, else
// 1 - 1 / (1 + E).
HWY_INLINE FloatVector sigmoid_anywhere(FloatTag d, FloatVector x) {
  const auto one = constant(d, 1.0f), shift = constant(d, rounding_shift + 127.0f);
  const auto size = hn::Abs(x);
  const auto usual = hn::Lt(size, constant(d, 86.0f));
  const auto shifted = hn::MulAdd(size, constant(d, log2_e), shift);
  const auto n = hn::Sub(shifted, shift);
  const auto power = hn::BitCast(d, exponent_bits(shifted));
  const auto r = hn::NegMulAdd(n, constant(d, ln2_low), hn::NegMulAdd(n, constant(d, ln2_high), size));
  const auto inverse = hn::Div(one, hn::Add(hn::MulAdd(power, exp_minus_1(d, r), one), power));
  const auto negative = hn::Lt(x, hn::Zero(d));
  const auto value = hn::IfThenElse(negative, inverse, hn::Sub(one, inverse));
  if (HWY_LIKELY(hn::AllTrue(d, usual))) return value;
  const auto tail = hn::Mul(raised_exp_of_minus(d, hn::Min(size, constant(d, 105.0f))), constant(d, 0x1p-64f));
  return keep_nan(x, hn::IfThenElse(usual, value, hn::IfThenElse(negative, tail, one)));
}
HWY_INLINE FloatVector vector_sigmoid(FloatTag d, FloatVector x) {
#if COTENANT_X86_DOT
  const auto lower = table_value(d, x, cpu::sigmoid_table);
  const auto value = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), lower, hn::Sub(constant(d, 1.0f), lower));
  return or_beyond(d, x, value, hn::Lt(constant(d, cpu::sigmoid_table.end()), hn::Abs(x)), sigmoid_anywhere);
#else
  return sigmoid_anywhere(d, x);
#endif
}

// x where it is not negative, else -0; NaN stays. f(x) = x F(x) with F(-x) = 1 - F(x) is this minus |x| F(-|x|).
HWY_INLINE FloatVector not_negative(FloatTag d, FloatVector x) { return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), constant(d, -0.0f), x); }

// x * sigmoid(y), y of x's sign, size = |y| at most 110; -0 at -infinity, its limit.
HWY_INLINE FloatVector times_sigmoid(FloatTag d, FloatVector x, FloatVector size) {
  const auto one = constant(d, 1.0f), lower = constant(d, 0x1p-64f);
  const auto raised = raised_exp_of_minus(d, size);
  const auto factor = hn::Div(raised, hn::MulAdd(raised, lower, one));
  return hn::NegMulAdd(hn::Mul(factor, hn::Min(hn::Abs(x), constant(d, 110.0f))), lower, not_negative(d, x));
}
// Within 3.5 ULP.
HWY_INLINE FloatVector silu_anywhere(FloatTag d, FloatVector x) { return times_sigmoid(d, x, hn::Min(hn::Abs(x), constant(d, 110.0f))); }
HWY_INLINE FloatVector vector_silu(FloatTag d, FloatVector x) {
#if COTENANT_X86_DOT
  const auto value = hn::NegMulAdd(hn::Abs(x), table_value(d, x, cpu::sigmoid_table), not_negative(d, x));
  return or_beyond(d, x, value, hn::Lt(constant(d, cpu::sigmoid_table.end()), hn::Abs(x)), silu_anywhere);
#else
  return silu_anywhere(d, x);
#endif
}

// high + low = a * b.
HWY_INLINE FloatVector product_rest(FloatTag d, FloatVector a, FloatVector b, FloatVector product) {
#if HWY_NATIVE_FMA
  static_cast<void>(d);
  return hn::MulSub(a, b, product);
#else
  // The upper 12 bits of each have exact products (Dekker).
  const hn::RebindToUnsigned<FloatTag> bits;
  const auto upper = [&](FloatVector v) HWY_ATTR { return hn::BitCast(d, hn::And(hn::BitCast(bits, v), hn::Set(bits, 0xFFFFF000u))); };
  const auto a_high = upper(a), a_low = hn::Sub(a, a_high), b_high = upper(b), b_low = hn::Sub(b, b_high);
  return hn::Add(hn::Add(hn::Add(hn::Sub(hn::Mul(a_high, b_high), product), hn::Mul(a_high, b_low)), hn::Mul(a_low, b_high)), hn::Mul(a_low, b_low));
#endif
}

// Within 4 ULP, negative tail included. The normal distribution's tail is Q(t) = exp(-t^2 / 2) / D(t), and D is smooth and
// grows towards sqrt(2 pi) t: a line and a small quotient of polynomials with positive coefficients, so that few roundings
// count; relative error 2e-8 for t in [0, 14.6]. gelu(x) = x - x Q(x) for x > 0, x Q(-x) else.
HWY_INLINE FloatVector gelu_anywhere(FloatTag d, FloatVector x) {
  // From 14.5 on t Q(t) is below half of the smallest subnormal.
  const auto t = hn::Min(hn::Abs(x), constant(d, 14.5f));
  const auto square = hn::Mul(t, t), square_rest = product_rest(d, t, t, square);
  // exp(-square / 2) = 2^n exp(r), -2 r what is left of square after n times 2 ln 2; raised by 2^64, so that it is normal.
  const auto shift = constant(d, rounding_shift + 127.0f + 64.0f);
  const auto shifted = hn::NegMulAdd(square, constant(d, log2_e / 2), shift);
  const auto n = hn::Sub(shifted, shift);
  const auto left = hn::Add(hn::MulAdd(n, constant(d, 2 * ln2_high), square), hn::MulAdd(n, constant(d, 2 * ln2_low), square_rest));
  const auto exp_rest = exp_minus_1(d, hn::Mul(left, constant(d, -0.5f)));
  const auto upper = polynomial(d, t, 2.997f, 1.2322135f, 0.30030712f, 0.028479949f);
  const auto lower = polynomial(d, t, 1.5f, 1.3005296f, 0.5380398f, 0.11767032f, 0.011637427f);
  const auto denominator = hn::Add(line(d, t, 0.002000014f, 2.50659823f), hn::Div(upper, lower));
  const auto scaled = hn::Mul(t, hn::BitCast(d, exponent_bits(shifted)));
  const auto tail = hn::Div(hn::MulAdd(exp_rest, scaled, scaled), denominator);
  return hn::NegMulAdd(tail, constant(d, 0x1p-64f), not_negative(d, x));
}

// Within 4 ULP of x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3): 1 + tanh(u) = 2 sigmoid(2 u). exp needs 2 u to more
// digits than a float has, so it is kept in two parts.
HWY_INLINE FloatVector gelu_tanh_anywhere(FloatTag d, FloatVector x) {
  const auto one = constant(d, 1.0f), lower = constant(d, 0x1p-64f);
  const auto t = hn::Min(hn::Abs(x), constant(d, 11.0f));  // from 10.1 on the product is below half of the smallest subnormal
  // 2 u = t (a + b t^2), a = 2 sqrt(2 / pi) and b = 0.044715 a in two parts each.
  const auto square = hn::Mul(t, t), square_rest = product_rest(d, t, t, square);
  const auto b = constant(d, 0.071354814f), a = constant(d, 1.5957692f);
  const auto cubic = hn::Mul(square, b), cubic_rest = product_rest(d, square, b, cubic);
  const auto sum = hn::Add(a, cubic), back = hn::Sub(sum, a);
  const auto sum_rest = hn::Add(hn::Add(hn::Sub(a, hn::Sub(sum, back)), hn::Sub(cubic, back)),
                                hn::Add(hn::MulAdd(square, constant(d, 2.3988324e-9f), cubic_rest), hn::MulAdd(square_rest, b, constant(d, -4.53406803e-8f))));
  const auto y = hn::Mul(t, sum), y_rest = hn::MulAdd(t, sum_rest, product_rest(d, t, sum, y));
  const auto shifted = hn::NegMulAdd(y, constant(d, log2_e), constant(d, rounding_shift + 64.0f));
  const auto n = hn::Sub(shifted, constant(d, rounding_shift + 64.0f));
  const auto left = hn::Add(hn::MulAdd(n, constant(d, ln2_high), y), hn::MulAdd(n, constant(d, ln2_low), y_rest));
  const auto raised = times_power_of_two(d, short_exp(d, hn::Neg(left)), exponent_bits(shifted));
  const auto plus_one = hn::MulAdd(raised, lower, one);
  return hn::NegMulAdd(hn::Mul(hn::Div(raised, plus_one), t), lower, not_negative(d, x));
}

HWY_INLINE FloatVector vector_gelu(FloatTag d, FloatVector x) {
#if COTENANT_X86_DOT
  // Beyond the table's end on the positive side it is x.
  const auto value = hn::Sub(not_negative(d, x), table_value(d, x, cpu::gelu_table));
  return or_beyond(d, x, value, hn::Lt(x, constant(d, -cpu::gelu_table.end())), gelu_anywhere);
#else
  return gelu_anywhere(d, x);
#endif
}
HWY_INLINE FloatVector vector_gelu_tanh(FloatTag d, FloatVector x) {
#if COTENANT_X86_DOT
  const auto value = hn::Sub(not_negative(d, x), table_value(d, x, cpu::gelu_tanh_table));
  return or_beyond(d, x, value, hn::Lt(x, constant(d, -cpu::gelu_tanh_table.end())), gelu_tanh_anywhere);
#else
  return gelu_tanh_anywhere(d, x);
#endif
}

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
