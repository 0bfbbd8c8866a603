// exp on vectors of floats, within 1.1 units in the last place, and what other functions are made of: polynomials, powers of two.
#if defined(COTENANT_CPU_EXP_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_EXP_INL_HPP
#undef COTENANT_CPU_EXP_INL_HPP
#else
#define COTENANT_CPU_EXP_INL_HPP
#endif
#include <cstddef>
#include <cstdint>
#include <limits>

#include <hwy/highway.h>

#include "cotenant/cpu/function_tables.hpp"
#include "cotenant/cpu/load_store-inl.hpp"
#include "cotenant/cpu/x86_dot-inl.hpp"

// Polynomials: minimax in the stated relative weight, fitted in double (Lawson's iteration on Chebyshev nodes), then rounded.
// Errors are the largest over all floats on a target with fused multiply-add, against double; without it, 1 ULP more.
// Sums of products are paired (Estrin) rather than chained (Horner): a core has some ten vectors of a loop in flight, and
// a chain of thirty steps would outlast them.
HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// first + x * (second + x * (…)), Horner's rule.
HWY_INLINE FloatVector polynomial(FloatTag d, FloatVector, float last) { return hn::Set(d, last); }
template <class... More> HWY_INLINE FloatVector polynomial(FloatTag d, FloatVector x, float first, More... more) {
  return hn::MulAdd(x, polynomial(d, x, more...), hn::Set(d, first));
}
// a + b x.
HWY_INLINE FloatVector line(FloatTag d, FloatVector x, float a, float b) { return hn::MulAdd(x, hn::Set(d, b), hn::Set(d, a)); }

HWY_INLINE FloatVector constant(FloatTag d, float value) { return hn::Set(d, value); }
// `value` where x is a number, x (a NaN) where it is none: minima and maxima may have dropped it on the way.
HWY_INLINE FloatVector keep_nan(FloatVector x, FloatVector value) { return hn::IfThenElse(hn::Eq(x, x), value, x); }

// Adding 1.5 * 2^23 to a small number leaves its nearest integer n in the low bits of the sum, ties to even.
inline constexpr float rounding_shift = 0x1.8p23f;
// 0 with n in the exponent's place, for n as rounding_shift left it: added to the bits of a float it multiplies by 2^n.
HWY_INLINE hn::Vec<hn::RebindToSigned<FloatTag>> exponent_bits(FloatVector shifted) {
  return hn::ShiftLeft<23>(hn::BitCast(hn::RebindToSigned<FloatTag>{}, shifted));
}
// x * 2^n; both and their product normal.
HWY_INLINE FloatVector times_power_of_two(FloatTag d, FloatVector x, hn::Vec<hn::RebindToSigned<FloatTag>> exponent) {
  return hn::BitCast(d, hn::Add(hn::BitCast(hn::RebindToSigned<FloatTag>{}, x), exponent));
}

// ln 2 in two parts (Cody and Waite): n * 355/512 is exact.
inline constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f, log2_e = 1.44269504f;

// (exp(r) - 1 - r) / r^2 for |r| <= 0.36; relative error of exp 4e-9.
HWY_INLINE FloatVector exp_curvature(FloatTag d, FloatVector r, FloatVector square) {
  const auto high = hn::MulAdd(square, constant(d, 0.00138088455f), line(d, r, 0.0416686684f, 0.00837149564f));
  return hn::MulAdd(square, high, line(d, r, 0.499999911f, 0.166664973f));
}
// exp(r) - 1.
HWY_INLINE FloatVector exp_minus_1(FloatTag d, FloatVector r) {
  const auto square = hn::Mul(r, r);
  return hn::MulAdd(square, exp_curvature(d, r, square), r);
}

// exp(r) for |r| <= 0.36, as above.
HWY_INLINE FloatVector short_exp(FloatTag d, FloatVector r) { return hn::Add(exp_minus_1(d, r), constant(d, 1.0f)); }

// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2.
HWY_INLINE FloatVector exp_anywhere(FloatTag d, FloatVector x) {
  const hn::RebindToSigned<FloatTag> integer;
  const auto shifted = hn::MulAdd(x, constant(d, log2_e), constant(d, rounding_shift));
  const auto n = hn::Sub(shifted, constant(d, rounding_shift));
  const auto r = hn::NegMulAdd(n, constant(d, ln2_low), hn::NegMulAdd(n, constant(d, ln2_high), x));
  const auto scaled = times_power_of_two(d, short_exp(d, r), exponent_bits(shifted));
  // Ten steps of thirty are for results outside float's normal range, which are rare: a branch that is nearly never taken.
  if (HWY_LIKELY(hn::AllTrue(d, hn::Lt(hn::Abs(x), constant(d, 86.0f))))) return scaled;
  // From n = -126 on the result may be subnormal: it is made 2^64 too large at first, so that it rounds once.
  const auto raised = hn::Mul(times_power_of_two(d, scaled, hn::Set(integer, 64 << 23)), constant(d, 0x1p-64f));
  const auto value = hn::IfThenElse(hn::Lt(x, constant(d, -86.0f)), raised, scaled);
  // 0 below -104. n = 128 occurs with exp(r) < 1 only, so that what is finite is normal: up to the largest float with a finite exp.
  const auto small = hn::IfThenZeroElse(hn::Lt(x, constant(d, -104.0f)), value);
  return hn::IfThenElse(hn::Le(x, constant(d, 0x1.62e42ep6f)), small, hn::Add(x, constant(d, std::numeric_limits<float>::infinity())));
}

#if COTENANT_X86_DOT
// `value`, or where the table ended the function's formula; that is rare.
template <class Anywhere> HWY_INLINE FloatVector or_beyond(FloatTag d, FloatVector x, FloatVector value, hn::Mask<FloatTag> beyond, const Anywhere& anywhere) {
  if (HWY_LIKELY(hn::AllFalse(d, beyond))) return value;
  return hn::IfThenElse(beyond, anywhere(d, x), value);
}

// 2^(n/32) for n as rounding_shift left it.
HWY_INLINE FloatVector power_of_steps(FloatTag d, FloatVector shifted) {
  const auto n = hn::BitCast(hn::RebindToSigned<FloatTag>{}, shifted);
  return hn::BitCast(d, hn::Add(lookup_lanes(cpu::exp_table.bits, n), hn::ShiftLeft<18>(n)));
}
#endif

// Within 1.1 ULP. With a table exp(x) = 2^(n/32) 2^(r/32), n = round(32 x / ln 2), |r| <= 1/2: a third of the multiplications less.
HWY_INLINE FloatVector vector_exp(FloatTag d, FloatVector x) {
#if COTENANT_X86_DOT
  const auto steps = constant(d, 46.16624f), shifted = hn::MulAdd(x, steps, constant(d, rounding_shift));
  const auto n = hn::Sub(shifted, constant(d, rounding_shift));
  const auto r = hn::MulAdd(x, constant(d, 6.1630817e-07f), hn::MulSub(x, steps, n));
  // (2^(r/32) - 1) / r; relative error of the power 1e-10.
  const auto growth = polynomial(d, r, 0.02166085f, 0.00023459808f, 1.6935992e-06f);
  const auto power = power_of_steps(d, shifted);
  const auto value = hn::MulAdd(hn::Mul(r, growth), power, power);
  return or_beyond(d, x, value, hn::Not(hn::Lt(hn::Abs(x), constant(d, 86.0f))), exp_anywhere);
#else
  return exp_anywhere(d, x);
#endif
}

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
