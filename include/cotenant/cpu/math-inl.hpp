// exp, log, tanh, erf, sigmoid, gelu … on vectors of floats, within a few units in the last place (ULP), no table, no branch.
#if defined(COTENANT_CPU_MATH_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_MATH_INL_HPP
#undef COTENANT_CPU_MATH_INL_HPP
#else
#define COTENANT_CPU_MATH_INL_HPP
#endif
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <hwy/highway.h>

#include "cotenant/cpu/load_store-inl.hpp"

// Polynomials: minimax in the stated relative weight, fitted in double (Lawson's iteration on Chebyshev nodes), then rounded.
// Errors below are the largest seen over all floats, or over some millions, on a target with fused multiply-add.
HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// first + x * (second + x * (…)), Horner's rule.
HWY_INLINE FloatVector polynomial(FloatTag d, FloatVector, float last) { return hn::Set(d, last); }
template <class... More> HWY_INLINE FloatVector polynomial(FloatTag d, FloatVector x, float first, More... more) {
  return hn::MulAdd(x, polynomial(d, x, more...), hn::Set(d, first));
}

HWY_INLINE FloatVector constant(FloatTag d, float value) { return hn::Set(d, value); }
// `value` where x is a number, x (a NaN) where it is none: minima and maxima may have dropped it on the way.
HWY_INLINE FloatVector keep_nan(FloatVector x, FloatVector value) { return hn::IfThenElse(hn::Eq(x, x), value, x); }
// 2^n for n in [-126, 127].
HWY_INLINE FloatVector power_of_two(FloatTag d, hn::Vec<hn::RebindToSigned<FloatTag>> n) {
  const hn::RebindToSigned<FloatTag> integer;
  return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(n, hn::Set(integer, 127))));
}

// factor * exp(high + low), |low| small beside high; high + low in [-112, 89]: below -104 exp is 0, above 88.8 infinity.
// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2 (Cody and Waite: ln 2 in two parts, n * 355/512 is exact).
// 2^n is applied in two halves, so that results round once into the subnormal range and overflow to infinity.
HWY_INLINE FloatVector scaled_exp(FloatTag d, FloatVector high, FloatVector low, FloatVector factor) {
  const hn::RebindToSigned<FloatTag> integer;
  const auto n = hn::NearestInt(hn::Mul(hn::Add(high, low), constant(d, 1.44269504f)));
  const auto whole = hn::ConvertTo(d, n);
  auto r = hn::NegMulAdd(whole, constant(d, 0.693359375f), high);
  r = hn::Add(hn::NegMulAdd(whole, constant(d, -2.12194440e-4f), r), low);
  // (exp(r) - 1 - r) / r^2 on |r| <= 0.36, relative error of exp 4e-9.
  const auto tail = polynomial(d, r, 0.499999911f, 0.166664973f, 0.0416686684f, 0.00837149564f, 0.00138088455f);
  const auto value = hn::Add(hn::MulAdd(hn::Mul(r, r), tail, r), constant(d, 1.0f));
  const auto half = hn::ShiftRight<1>(n);
  static_cast<void>(integer);
  return hn::Mul(hn::Mul(hn::Mul(value, factor), power_of_two(d, half)), power_of_two(d, hn::Sub(n, half)));
}
HWY_INLINE FloatVector clamp_to_exp_range(FloatTag d, FloatVector x) { return hn::Max(hn::Min(x, constant(d, 89.0f)), constant(d, -104.0f)); }

// Within 1 ULP.
HWY_INLINE FloatVector vector_exp(FloatTag d, FloatVector x) {
  return keep_nan(x, scaled_exp(d, clamp_to_exp_range(d, x), hn::Zero(d), constant(d, 1.0f)));
}

// exp for the rows of softmax: x <= 0, or NaN, which the row's sum then carries. Below -87.3 results are 0, not subnormal:
// beside the row's largest term, which is 1, they do not count.
HWY_INLINE FloatVector vector_exp_of_negative(FloatTag d, FloatVector x) {
  const hn::RebindToSigned<FloatTag> integer;
  const auto inside = hn::Max(x, constant(d, -88.0f));
  const auto n = hn::NearestInt(hn::Mul(inside, constant(d, 1.44269504f)));
  const auto whole = hn::ConvertTo(d, n);
  auto r = hn::NegMulAdd(whole, constant(d, 0.693359375f), inside);
  r = hn::NegMulAdd(whole, constant(d, -2.12194440e-4f), r);
  const auto tail = polynomial(d, r, 0.499999911f, 0.166664973f, 0.0416686684f, 0.00837149564f, 0.00138088455f);
  const auto value = hn::Add(hn::MulAdd(hn::Mul(r, r), tail, r), constant(d, 1.0f));
  const auto result = hn::Mul(value, hn::BitCast(d, hn::ShiftLeft<23>(hn::Max(hn::Add(n, hn::Set(integer, 127)), hn::Zero(integer)))));
  return hn::IfThenElse(hn::Lt(x, constant(d, -87.3f)), hn::Zero(d), keep_nan(x, result));
}

// Within 1 ULP. log(2^n (1 + f)) = n ln 2 + f - f^2 / 2 + f^3 R(f), 1 + f in [sqrt(1/2), sqrt 2).
HWY_INLINE FloatVector vector_log(FloatTag d, FloatVector x) {
  const hn::RebindToSigned<FloatTag> integer;
  const auto subnormal = hn::Lt(x, constant(d, 0x1p-126f));
  const auto normal = hn::IfThenElse(subnormal, hn::Mul(x, constant(d, 0x1p23f)), x);
  const auto bits = hn::BitCast(integer, normal);
  // Subtracting sqrt(1/2)'s bits makes the exponent field count from there.
  const auto above = hn::Sub(bits, hn::Set(integer, 0x3F3504F3));
  const auto n = hn::ShiftRight<23>(above);
  const auto f = hn::Sub(hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(n))), constant(d, 1.0f));
  const auto whole = hn::Sub(hn::ConvertTo(d, n), hn::IfThenElseZero(subnormal, constant(d, 23.0f)));
  const auto square = hn::Mul(f, f);
  const auto r =
      polynomial(d, f, 0.333333135f, -0.250000089f, 0.200021192f, -0.166679963f, 0.142195508f, -0.124055915f, 0.118881747f, -0.116756409f, 0.0674660131f);
  auto tail = hn::Mul(hn::Mul(square, f), r);
  tail = hn::MulAdd(whole, constant(d, -2.12194440e-4f), tail);
  tail = hn::NegMulAdd(square, constant(d, 0.5f), tail);
  auto result = hn::MulAdd(whole, constant(d, 0.693359375f), hn::Add(f, tail));
  const float infinity = std::numeric_limits<float>::infinity();
  result = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), constant(d, -infinity), result);
  result = hn::IfThenElse(hn::Eq(x, constant(d, infinity)), x, result);
  result = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), constant(d, std::numeric_limits<float>::quiet_NaN()), result);
  return keep_nan(x, result);
}

// Within 2 ULP. |x| < 0.625: x + x^3 P(x^2); else 1 - 2 / (exp(2 |x|) + 1), 1 from |x| = 10 on.
HWY_INLINE FloatVector vector_tanh(FloatTag d, FloatVector x) {
  const auto size = hn::Abs(x), square = hn::Mul(x, x), one = constant(d, 1.0f);
  const auto p = polynomial(d, square, -0.333333313f, 0.133332103f, -0.0539472029f, 0.0217029676f, -0.00818267372f, 0.00214753696f);
  const auto small = hn::MulAdd(hn::Mul(square, x), p, x);
  const auto twice = hn::Min(hn::Add(size, size), constant(d, 20.0f));
  const auto large = hn::Sub(one, hn::Div(constant(d, 2.0f), hn::Add(scaled_exp(d, twice, hn::Zero(d), one), one)));
  return keep_nan(x, hn::IfThenElse(hn::Lt(size, constant(d, 0.625f)), small, hn::CopySignToAbs(large, x)));
}

// Within 2 ULP. |x| < 0.95: x + x P(x^2); else 1 - exp(-S(|x|)), S fitted to -log(erfc), 1 from |x| = 4 on.
HWY_INLINE FloatVector vector_erf(FloatTag d, FloatVector x) {
  const auto size = hn::Abs(x), square = hn::Mul(x, x), one = constant(d, 1.0f);
  const auto p = polynomial(d, square, 0.128379166f, -0.376126319f, 0.112836726f, -0.0268581044f, 0.00519779697f, -0.000810596393f, 8.2154198e-05f);
  const auto small = hn::MulAdd(x, p, x);
  const auto t = hn::Min(size, constant(d, 4.0f));
  const auto s = polynomial(d, t, -0.00016920513f, 1.12948835f, 0.633400857f, 0.108220384f, -0.0250806157f, 0.0041562547f, -0.000431393564f, 2.08286183e-05f);
  const auto large = hn::Sub(one, scaled_exp(d, hn::Neg(s), hn::Zero(d), one));
  return keep_nan(x, hn::IfThenElse(hn::Lt(size, constant(d, 0.95f)), small, hn::CopySignToAbs(large, x)));
}

// Within 2.5 ULP, subnormal results included: with e = exp(-|x|) it is 1 / (1 + e), or e / (1 + e) where x < 0.
HWY_INLINE FloatVector vector_sigmoid(FloatTag d, FloatVector x) {
  const auto one = constant(d, 1.0f);
  const auto e = scaled_exp(d, hn::Max(hn::Neg(hn::Abs(x)), constant(d, -104.0f)), hn::Zero(d), one);
  const auto numerator = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one);
  return keep_nan(x, hn::Div(numerator, hn::Add(one, e)));
}
// x * sigmoid(y), y of x's sign and growing with it; 0 at -infinity, its limit. Where y < -20, 1 + e is 1, and x goes in
// before e = exp(y) is scaled down, so that it does not meet a subnormal; x e rounds to 0 from y = -110 on.
HWY_INLINE FloatVector times_sigmoid(FloatTag d, FloatVector x, FloatVector y) {
  const auto one = constant(d, 1.0f), limit = constant(d, -110.0f);
  const auto negative = hn::Lt(y, hn::Zero(d)), tiny = hn::Lt(y, constant(d, -20.0f));
  // x e where y is far below 0, else e.
  const auto e = scaled_exp(d, hn::Max(hn::Neg(hn::Abs(y)), limit), hn::Zero(d), hn::IfThenElse(tiny, hn::Max(x, limit), one));
  const auto value = hn::Div(hn::IfThenElse(negative, hn::Mul(x, e), x), hn::Add(one, e));
  return keep_nan(x, hn::IfThenElse(tiny, e, value));
}
// Within 3 ULP.
HWY_INLINE FloatVector vector_silu(FloatTag d, FloatVector x) { return times_sigmoid(d, x, x); }

// Within 5 ULP, negative tail included. x * Phi(x); for |x| < 0.85 Phi(x) = 1/2 + x R(x^2). Beyond, the normal
// distribution's tail is Q(t) = exp(-t^2 / 2) M(t), t = |x|, and Phi(x) = 1 - Q(x) for x > 0, Q(-x) else. M is smooth:
// u times a polynomial in u, u = 1 / (1 + 0.45 t), relative error 5e-8 from t = 0.8 on.
HWY_INLINE FloatVector vector_gelu(FloatTag d, FloatVector x) {
  const hn::RebindToUnsigned<FloatTag> bits;
  const auto one = constant(d, 1.0f), half = constant(d, 0.5f);
  const auto size = hn::Abs(x), square = hn::Mul(x, x);
  const auto r = polynomial(d, square, 0.398942232f, -0.0664894357f, 0.00996753853f, -0.00117112591f, 9.57009615e-05f);
  const auto near_zero = hn::Mul(x, hn::MulAdd(x, r, half));
  // From 14.5 on the product x Q(x) is below half of the smallest subnormal.
  const auto t = hn::Min(size, constant(d, 14.5f));
  // t^2 exactly: the upper 12 bits of t have an exact square, and the rest is small.
  const auto upper = hn::BitCast(d, hn::And(hn::BitCast(bits, t), hn::Set(bits, 0xFFFFF000u)));
  const auto high = hn::Mul(hn::Mul(upper, upper), hn::Neg(half));
  const auto low = hn::Mul(hn::Mul(hn::Sub(t, upper), hn::Add(t, upper)), hn::Neg(half));
  const auto u = hn::Div(one, hn::MulAdd(t, constant(d, 0.45f), one));
  const auto m =
      hn::Mul(u, polynomial(d, u, 0.179539889f, 0.179078504f, 0.148391873f, 0.0371944457f, 0.108626798f, -0.351506084f, 0.269368023f, -0.0707459152f));
  const auto negative = hn::Lt(x, hn::Zero(d));
  // The factor x goes in before the result is scaled down, so that it does not meet a subnormal tail.
  const auto tail = scaled_exp(d, high, low, hn::Mul(m, hn::IfThenElse(negative, hn::Neg(t), one)));
  const auto far = hn::IfThenElse(negative, tail, hn::Mul(x, hn::Sub(one, tail)));
  return keep_nan(x, hn::IfThenElse(hn::Lt(size, constant(d, 0.85f)), near_zero, far));
}
// x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3): 1 + tanh(u) = 2 sigmoid(2 u). Within 2 |2 u| + 4 ULP: that is what
// rounding u does to exp.
HWY_INLINE FloatVector vector_gelu_tanh(FloatTag d, FloatVector x) {
  const auto cubic = hn::MulAdd(hn::Mul(constant(d, 0.044715f), hn::Mul(x, x)), x, x);
  return times_sigmoid(d, x, hn::Mul(constant(d, 1.59576912f), cubic));
}

// Lane by lane through the C library: pow is rare, and its special cases many.
HWY_INLINE FloatVector vector_pow(FloatTag d, FloatVector base, FloatVector exponent) {
  HWY_ALIGN float values[HWY_MAX_BYTES / sizeof(float)], exponents[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(base, d, values);
  hn::Store(exponent, d, exponents);
  for (std::size_t lane = 0; lane < hn::Lanes(d); ++lane) values[lane] = std::pow(values[lane], exponents[lane]);
  return hn::Load(d, values);
}

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
