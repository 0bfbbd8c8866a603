// Rows of floats: sums, extrema and what softmax and the norms are made of; no element outside the row is read.
#if defined(COTENANT_CPU_ROW_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_ROW_INL_HPP
#undef COTENANT_CPU_ROW_INL_HPP
#else
#define COTENANT_CPU_ROW_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <limits>

#include <hwy/highway.h>

#include "cotenant/cpu/replay-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// Whether masked loads and stores leave the bytes outside alone, and are one instruction.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
#define COTENANT_MASKED_MEMORY 1
#else
#define COTENANT_MASKED_MEMORY 0
#endif
// The first `count` floats at `from`, fewer than the lanes, with `fill` in the lanes behind them.
HWY_INLINE FloatVector load_partial(FloatTag d, const float* from, std::size_t count, float fill) {
#if COTENANT_MASKED_MEMORY
  const auto mask = hn::FirstN(d, count);
  return hn::IfThenElse(mask, hn::MaskedLoad(mask, d, from), hn::Set(d, fill));
#else
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(hn::Set(d, fill), d, lanes);
  for (std::size_t i = 0; i < count; ++i) lanes[i] = from[i];
  return hn::Load(d, lanes);
#endif
}
HWY_INLINE void store_partial(FloatTag d, FloatVector value, std::size_t count, float* to) {
#if COTENANT_MASKED_MEMORY
  hn::BlendedStore(value, hn::FirstN(d, count), d, to);
#else
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)] = {};
  hn::Store(value, d, lanes);
  for (std::size_t i = 0; i < count; ++i) to[i] = lanes[i];
#endif
}
#undef COTENANT_MASKED_MEMORY

// What a reduction does to vectors: the value that changes nothing, and the step. NaN stays.
HWY_INLINE float sum_of_lanes(FloatTag d, FloatVector x) { return hn::GetLane(hn::SumOfLanes(d, x)); }
// Highway's extrema leave open what NaN gives.
HWY_INLINE bool has_nan(FloatTag d, FloatVector x) { return !hn::AllTrue(d, hn::Eq(x, x)); }
HWY_INLINE float maximum_of_lanes(FloatTag d, FloatVector x) {
  return has_nan(d, x) ? std::numeric_limits<float>::quiet_NaN() : hn::GetLane(hn::MaxOfLanes(d, x));
}
HWY_INLINE float minimum_of_lanes(FloatTag d, FloatVector x) {
  return has_nan(d, x) ? std::numeric_limits<float>::quiet_NaN() : hn::GetLane(hn::MinOfLanes(d, x));
}

struct SumStep {
  static constexpr float neutral = 0;
  static HWY_INLINE FloatVector step(FloatTag, FloatVector total, FloatVector x) { return hn::Add(total, x); }
  static HWY_INLINE FloatVector join(FloatTag, FloatVector a, FloatVector b) { return hn::Add(a, b); }
  static HWY_INLINE float lanes(FloatTag d, FloatVector x) { return sum_of_lanes(d, x); }
};
struct MaximumStep {
  static constexpr float neutral = -std::numeric_limits<float>::infinity();
  static HWY_INLINE FloatVector step(FloatTag d, FloatVector total, FloatVector x) { return apply(d, expr::op::Maximum{}, total, x); }
  static HWY_INLINE FloatVector join(FloatTag d, FloatVector a, FloatVector b) { return apply(d, expr::op::Maximum{}, a, b); }
  static HWY_INLINE float lanes(FloatTag d, FloatVector x) { return maximum_of_lanes(d, x); }
};
struct MinimumStep {
  static constexpr float neutral = std::numeric_limits<float>::infinity();
  static HWY_INLINE FloatVector step(FloatTag d, FloatVector total, FloatVector x) { return apply(d, expr::op::Minimum{}, total, x); }
  static HWY_INLINE FloatVector join(FloatTag d, FloatVector a, FloatVector b) { return apply(d, expr::op::Minimum{}, a, b); }
  static HWY_INLINE float lanes(FloatTag d, FloatVector x) { return minimum_of_lanes(d, x); }
};
struct AbsMaximumStep {
  static constexpr float neutral = 0;
  static HWY_INLINE FloatVector step(FloatTag d, FloatVector total, FloatVector x) { return apply(d, expr::op::Maximum{}, total, hn::Abs(x)); }
  static HWY_INLINE FloatVector join(FloatTag d, FloatVector a, FloatVector b) { return apply(d, expr::op::Maximum{}, a, b); }
  static HWY_INLINE float lanes(FloatTag d, FloatVector x) { return maximum_of_lanes(d, x); }
};
// The largest number, for softmax: what NaN gives is open, since the row's sum shows it anyway.
struct LargestStep {
  static constexpr float neutral = -std::numeric_limits<float>::infinity();
  static HWY_INLINE FloatVector step(FloatTag, FloatVector total, FloatVector x) { return hn::Max(total, x); }
  static HWY_INLINE FloatVector join(FloatTag, FloatVector a, FloatVector b) { return hn::Max(a, b); }
  static HWY_INLINE float lanes(FloatTag d, FloatVector x) { return hn::GetLane(hn::MaxOfLanes(d, x)); }
};
// Deviations from a known mean, squared and summed.
struct SquareStep {
  static constexpr float neutral = 0;
  static HWY_INLINE FloatVector step(FloatTag, FloatVector total, FloatVector x) { return hn::MulAdd(x, x, total); }
  static HWY_INLINE FloatVector join(FloatTag, FloatVector a, FloatVector b) { return hn::Add(a, b); }
  static HWY_INLINE float lanes(FloatTag d, FloatVector x) { return sum_of_lanes(d, x); }
};

// The larger of limit and x; x where that is NaN.
HWY_INLINE FloatVector at_least(FloatVector limit, FloatVector x) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
  return hn::Max(limit, x);  // MAXPS gives its second operand where either is NaN
#else
  return hn::IfThenElse(hn::Lt(x, limit), limit, x);
#endif
}

#if COTENANT_X86_DOT
// 2^((n + rest) / 32), n as rounding_shift left it and |rest| <= 1/2. Relative error 5e-8.
HWY_INLINE FloatVector power_of_rest(FloatTag d, FloatVector rest, FloatVector shifted) {
  const auto power = power_of_steps(d, shifted);
  return hn::MulAdd(hn::Mul(rest, hn::MulAdd(rest, hn::Set(d, 0.00023459615f), hn::Set(d, 0.021661166f))), power, power);
}
// 2^(x * steps / 32), as vector_exp() does it; 0 where x * steps is -127 * 32, at least which it must be. A last bit of exp(x) is lost for x
// beyond -10, where it hardly counts: the rest of `steps` is left out.
HWY_INLINE FloatVector power_of_negative(FloatTag d, FloatVector x, FloatVector steps) {
  const auto shifted = hn::MulAdd(x, steps, hn::Set(d, rounding_shift));
  return power_of_rest(d, hn::MulSub(x, steps, hn::Sub(shifted, hn::Set(d, rounding_shift))), shifted);
}
#endif

// exp(x) for x <= 0, or NaN, which stays: what softmax takes of a score less the row's largest. Below -87.7 it is 0, not
// subnormal: beside the largest term, which is 1, that does not count. exp(x) = 2^n exp(r) as in vector_exp(); adding
// 1.5 * 2^23 + 127 rounds x / ln 2 to n, and leaves n + 127, the exponent of 2^n, in the sum's lowest bits.
// The polynomials are split in halves (Estrin): with Horner's rule the chain of additions was what took the time.
HWY_INLINE FloatVector exp_of_negative(FloatTag d, FloatVector x) {
#if COTENANT_X86_DOT
  return power_of_negative(d, at_least(hn::Set(d, -88.02969f), x), hn::Set(d, 46.16624f));
#else
  const hn::RebindToUnsigned<FloatTag> bits;
  const auto one = hn::Set(d, 1.0f), magic = hn::Set(d, 0x1.8p23f + 127.0f);
  x = at_least(hn::Set(d, -88.1f), x);
  const auto sum = hn::MulAdd(x, hn::Set(d, 1.44269504f), magic), n = hn::Sub(sum, magic);
  const auto r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x)), square = hn::Mul(r, r);
  const auto low = hn::MulAdd(r, hn::Set(d, 0.166664973f), hn::Set(d, 0.499999911f));
  const auto middle = hn::MulAdd(r, hn::Set(d, 0.00837149564f), hn::Set(d, 0.0416686684f));
  const auto tail = hn::MulAdd(hn::MulAdd(square, hn::Set(d, 0.00138088455f), middle), square, low);
  return hn::Mul(hn::MulAdd(tail, square, hn::Add(r, one)), hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(bits, sum))));
#endif
}
// 2^x for x <= 0, or NaN, which stays; the same way, 0 below -126.5. Relative error 2e-7: for softmax of scores that are
// multiples of ln 2 already.
HWY_INLINE FloatVector exp2_of_negative(FloatTag d, FloatVector x) {
  const hn::RebindToUnsigned<FloatTag> bits;
  const auto magic = hn::Set(d, 0x1.8p23f + 127.0f);
  x = at_least(hn::Set(d, -127.0f), x);
  const auto sum = hn::Add(x, magic), r = hn::Sub(x, hn::Sub(sum, magic)), square = hn::Mul(r, r);
  const auto low = hn::MulAdd(r, hn::Set(d, 0.693147004f), hn::Set(d, 1.0f)), middle = hn::MulAdd(r, hn::Set(d, 0.0555073619f), hn::Set(d, 0.240222394f));
  const auto high = hn::MulAdd(r, hn::Set(d, 0.00132644549f), hn::Set(d, 0.00967172533f));
  const auto value = hn::MulAdd(hn::MulAdd(high, square, middle), square, low);
  return hn::Mul(value, hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(bits, sum))));
}

// All x[i] - shift, reduced.
template <class Step> HWY_INLINE float reduce_row(const float* x, std::size_t count, float shift = 0) {
  const FloatTag d;
  const std::size_t lanes = hn::Lanes(d);
  const auto minus = hn::Set(d, shift);
  auto a = hn::Set(d, Step::neutral), b = a, c = a, e = a;
  std::size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    a = Step::step(d, a, hn::Sub(hn::LoadU(d, x + i), minus));
    b = Step::step(d, b, hn::Sub(hn::LoadU(d, x + i + lanes), minus));
    c = Step::step(d, c, hn::Sub(hn::LoadU(d, x + i + 2 * lanes), minus));
    e = Step::step(d, e, hn::Sub(hn::LoadU(d, x + i + 3 * lanes), minus));
  }
  for (; i + lanes <= count; i += lanes) a = Step::step(d, a, hn::Sub(hn::LoadU(d, x + i), minus));
  if (i < count) {
    // neutral + shift - shift would lose bits: the lanes behind the end are put back after the subtraction.
    const auto rest = hn::Sub(load_partial(d, x + i, count - i, shift), minus);
    const auto mask = hn::FirstN(d, count - i);
    b = Step::step(d, b, hn::IfThenElse(mask, rest, hn::Set(d, Step::neutral)));
  }
  return Step::lanes(d, Step::join(d, Step::join(d, a, b), Step::join(d, c, e)));
}

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
