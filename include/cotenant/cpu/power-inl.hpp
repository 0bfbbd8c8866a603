// log and pow on vectors of floats: within 1 unit in the last place, with the special values of IEEE 754.
#if defined(COTENANT_CPU_POWER_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_POWER_INL_HPP
#undef COTENANT_CPU_POWER_INL_HPP
#else
#define COTENANT_CPU_POWER_INL_HPP
#endif
#include <cmath>
#include <cstddef>
#include <limits>

#include <hwy/highway.h>

#include "cotenant/cpu/math-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

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

// Whether vector_pow can compute in vectors of double, two for each vector of float.
#if HWY_HAVE_FLOAT64 && HWY_TARGET != HWY_SCALAR
#define COTENANT_VECTOR_DOUBLE 1
#else
#define COTENANT_VECTOR_DOUBLE 0
#endif

#if COTENANT_VECTOR_DOUBLE
template <class D> HWY_INLINE hn::Vec<D> double_polynomial(D d, hn::Vec<D>, double last) { return hn::Set(d, last); }
template <class D, class... More> HWY_INLINE hn::Vec<D> double_polynomial(D d, hn::Vec<D> x, double first, More... more) {
  return hn::MulAdd(x, double_polynomial(d, x, more...), hn::Set(d, first));
}

// base^exponent for base >= 0: 2^(exponent * log2(base)). In double, so that the product has the 34 bits it needs.
template <class Half> HWY_INLINE hn::Vec<Half> positive_power(Half half, hn::Vec<Half> base, hn::Vec<Half> exponent) {
  const hn::Rebind<double, Half> d;
  const hn::RebindToSigned<decltype(d)> integer;
  const auto x = hn::PromoteTo(d, base), one = hn::Set(d, 1.0);
  // x = 2^n m, m in [sqrt(1/2), sqrt 2): subtracting sqrt(1/2)'s bits makes the exponent field count from there.
  const auto bits = hn::BitCast(integer, x);
  const auto n = hn::ShiftRight<52>(hn::Sub(bits, hn::Set(integer, 0x3FE6A09E667F3BCD)));
  const auto m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<52>(n)));
  // ln m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.172: seven terms of the series leave 2e-12.
  const auto s = hn::Div(hn::Sub(m, one), hn::Add(m, one));
  const auto series = double_polynomial(d, hn::Mul(s, s), 1.0, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13);
  auto logarithm = hn::MulAdd(hn::Mul(s, series), hn::Set(d, 2.8853900817779268), hn::ConvertTo(d, n));  // 2 / ln 2
  const double infinity = std::numeric_limits<double>::infinity();
  logarithm = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Set(d, -infinity), hn::IfThenElse(hn::Eq(x, hn::Set(d, infinity)), x, logarithm));
  // Beyond 200 a float has long become 0 or infinity.
  const auto power = hn::Max(hn::Min(hn::Mul(hn::PromoteTo(d, exponent), logarithm), hn::Set(d, 200.0)), hn::Set(d, -200.0));
  const auto shift = hn::Set(d, 0x1.8p52 + 1023.0);
  const auto shifted = hn::Add(power, shift);
  // exp(r) for |r| <= ln 2 / 2: ten terms leave 7e-12.
  const auto r = hn::Mul(hn::Sub(power, hn::Sub(shifted, shift)), hn::Set(d, 0.69314718055994531));
  const auto value = double_polynomial(d, r, 1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880);
  return hn::DemoteTo(half, hn::Mul(value, hn::BitCast(d, hn::ShiftLeft<52>(hn::BitCast(integer, shifted)))));
}
#endif

// Within 1 ULP. 1 where the exponent is 0 or the base 1, even beside NaN; NaN for a negative number to a power that is no
// integer; the sign of the base where the exponent is an odd integer.
HWY_INLINE FloatVector vector_pow(FloatTag d, FloatVector base, FloatVector exponent) {
#if COTENANT_VECTOR_DOUBLE
  const auto zero = hn::Zero(d), one = constant(d, 1.0f), infinity = constant(d, std::numeric_limits<float>::infinity());
  const auto size = hn::Abs(base);
  const hn::Half<FloatTag> half;
  auto result = hn::Combine(d, positive_power(half, hn::UpperHalf(half, size), hn::UpperHalf(half, exponent)),
                            positive_power(half, hn::LowerHalf(half, size), hn::LowerHalf(half, exponent)));
  const auto halved = hn::Mul(exponent, constant(d, 0.5f));
  const auto integer = hn::Eq(hn::Floor(exponent), exponent), even = hn::Eq(hn::Floor(halved), halved);
  result = hn::IfThenElse(hn::AndNot(even, integer), hn::CopySignToAbs(result, base), result);
  const auto negative = hn::And(hn::Lt(base, zero), hn::Lt(size, infinity));
  result = hn::IfThenElse(hn::AndNot(integer, negative), constant(d, std::numeric_limits<float>::quiet_NaN()), result);
  result = keep_nan(base, keep_nan(exponent, result));
  const auto unit = hn::And(hn::Eq(size, one), hn::Eq(hn::Abs(exponent), infinity));
  return hn::IfThenElse(hn::Or(hn::Or(hn::Eq(exponent, zero), hn::Eq(base, one)), unit), one, result);
#else
  HWY_ALIGN float values[HWY_MAX_BYTES / sizeof(float)], exponents[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(base, d, values);
  hn::Store(exponent, d, exponents);
  for (std::size_t lane = 0; lane < hn::Lanes(d); ++lane) values[lane] = std::pow(values[lane], exponents[lane]);
  return hn::Load(d, values);
#endif
}
#undef COTENANT_VECTOR_DOUBLE

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
