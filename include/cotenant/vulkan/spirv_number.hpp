// f32 by its bits and its rules: NaN, comparisons that see subnormals, quotients and roots rounded as they should be.
#ifndef COTENANT_VULKAN_SPIRV_NUMBER_HPP
#define COTENANT_VULKAN_SPIRV_NUMBER_HPP
#include <limits>

#include "cotenant/vulkan/spirv_value.hpp"

// A device may take subnormals for 0 where it compares, and its division and roots may be some units in the last place (ULP)
// off: Module::arithmetic says. Each function takes an f32 or a vector of them.
namespace cotenant::vulkan::spirv {

namespace inner {
inline constexpr float infinity = std::numeric_limits<float>::infinity(), quiet_nan = std::numeric_limits<float>::quiet_NaN();
inline Value float_bits(Value x) { return bitcast(shaped_as(x.type, x.module().u32()), x); }
inline Value signed_bits(Value x) { return bitcast(shaped_as(x.type, x.module().i32()), x); }
inline Value from_bits(Value bits) { return bitcast(shaped_as(bits.type, bits.module().f32()), bits); }
inline Value magnitude(Value x) { return float_bits(x) & 0x7FFFFFFFu; }
}  // namespace inner

inline Value is_nan(Value x) { return x.module().arithmetic.keeps_nan ? x != x : inner::magnitude(x) > 0x7F800000u; }
inline Value is_zero(Value x) { return inner::magnitude(x) == 0u; }
inline Value is_subnormal_or_zero(Value x) { return inner::magnitude(x) < 0x00800000u; }
[[gnu::cold]] inline Value abs(Value x) {
  if (!x.type->is_float()) return select(x < 0, -x, x);
  return inner::from_bits(inner::magnitude(x));
}
inline Value negate(Value x) { return x.type->is_float() ? inner::from_bits(inner::float_bits(x) ^ 0x80000000u) : -x; }
// size with the sign of x; size >= 0.
inline Value with_sign_of(Value x, Value size) { return inner::from_bits(inner::float_bits(size) | (inner::float_bits(x) & 0x80000000u)); }
// `value` where x is a number, x (a NaN) where it is none.
inline Value keep_nan(Value x, Value value) { return select(is_nan(x), x, value); }

// ---- comparisons that see subnormals
namespace inner {
// An integer that is ordered as the floats are, -0 equal to 0.
[[gnu::cold]] inline Value order(Value x) {
  const Value bits = signed_bits(x), size = bits & 0x7FFFFFFF;
  return select(bits < 0, -size, size);
}
inline Value numbers(Value a, Value b) { return !is_nan(a) && !is_nan(b); }
inline bool compares_as_is(Value x) { return !x.type->is_float() || x.type->scalar().bits != 32 || x.module().arithmetic.keeps_subnormals; }
}  // namespace inner

inline Value less(Value a, Value b) { return inner::compares_as_is(a) ? a < b : (inner::order(a) < inner::order(b)) && inner::numbers(a, b); }
inline Value less_equal(Value a, Value b) { return inner::compares_as_is(a) ? a <= b : (inner::order(a) <= inner::order(b)) && inner::numbers(a, b); }
inline Value equal(Value a, Value b) { return inner::compares_as_is(a) ? a == b : (inner::order(a) == inner::order(b)) && inner::numbers(a, b); }
inline Value not_equal(Value a, Value b) { return inner::compares_as_is(a) ? a != b : !equal(a, b); }
// NaN where one of them is NaN; any integers too.
[[gnu::cold]] inline Value minimum(Value a, Value b) {
  if (!a.type->is_float()) return select(b < a, b, a);
  return select(is_nan(a), a, select(is_nan(b), b, select(less(b, a), b, a)));
}
[[gnu::cold]] inline Value maximum(Value a, Value b) {
  if (!a.type->is_float()) return select(a < b, b, a);
  return select(is_nan(a), a, select(is_nan(b), b, select(less(a, b), b, a)));
}
// max(x, 0); NaN stays.
inline Value relu(Value x) { return select(less(x, constant_like(x, 0)), 0, x); }

// ---- division and roots
// Rounded to nearest where quotient and divisor are normal numbers.
[[gnu::cold]] inline Value divide(Value a, Value b) {
  const Value first = a / b;
  if (!a.type->is_float() || a.module().arithmetic.rounds_division) return first;
  // The remainder is exact, and its quotient makes up for the rounding of the first.
  const Value rest = fma(-first, b, a);
  const Value better = fma(rest, 1.f / b, first);
  const Value usable = inner::magnitude(better) < 0x7F800000u && inner::magnitude(first) != 0u && inner::magnitude(first) < 0x7F800000u;
  return select(usable, better, first);
}
inline Value reciprocal(Value x) { return divide(constant_like(x, 1.f), x); }

namespace inner {
// Where x is subnormal, 2^149 x as a normal number, made from its bits; else x.
[[gnu::cold]] inline Value raised_if_subnormal(Value x) { return select(is_subnormal_or_zero(x), convert(x.type, magnitude(x)), x); }
}  // namespace inner

// Within 1 ULP; NaN below 0, -0 at -0.
[[gnu::cold]] inline Value sqrt(Value x) {
  Module& module = x.module();
  const Value tiny = is_subnormal_or_zero(x);
  const Value raised = select(tiny, convert(x.type, inner::magnitude(x)) * 2.f, x);  // 2^150 x
  const Value first = module.extended(Glsl::Sqrt, x.type, {raised});
  const Value rest = fma(-first, first, raised);
  const Value better = fma(rest, 0.5f / first, first);
  const Value root = module.arithmetic.rounds_division ? first : select(inner::magnitude(better) < 0x7F800000u, better, first);
  const Value special = select(inner::magnitude(x) == 0u || inner::float_bits(x) == 0x7F800000u, x, select(inner::signed_bits(x) < 0, inner::quiet_nan, root));
  return keep_nan(x, select(tiny && inner::magnitude(x) != 0u && inner::signed_bits(x) > 0, root * 0x1p-75f, special));
}
// 1 / sqrt(x) within 2 ULP; infinity with the sign of x at 0.
[[gnu::cold]] inline Value rsqrt(Value x) {
  Module& module = x.module();
  const Value tiny = is_subnormal_or_zero(x);
  const Value raised = select(tiny, convert(x.type, inner::magnitude(x)) * 2.f, x);
  const Value first = module.extended(Glsl::InverseSqrt, x.type, {raised});
  const Value error = fma(-(raised * first), first, 1.f);
  const Value better = fma(first * 0.5f, error, first);
  const Value root = select(tiny, better * 0x1p75f, better);
  const Value special = select(inner::float_bits(x) == 0x7F800000u, 0.f, select(inner::signed_bits(x) < 0, inner::quiet_nan, root));
  return keep_nan(x, select(is_zero(x), with_sign_of(x, constant_like(x, inner::infinity)), special));
}

// ---- rounding to integers
[[gnu::cold]] inline Value floor(Value x) {
  const Value value = x.module().extended(Glsl::Floor, x.type, {x});
  const Value below_zero = is_subnormal_or_zero(x) && !is_zero(x) && inner::signed_bits(x) < 0;
  return x.module().arithmetic.keeps_subnormals ? value : select(below_zero, -1.f, value);
}
[[gnu::cold]] inline Value ceil(Value x) {
  const Value value = x.module().extended(Glsl::Ceil, x.type, {x});
  const Value above_zero = is_subnormal_or_zero(x) && inner::signed_bits(x) > 0;
  return x.module().arithmetic.keeps_subnormals ? value : select(above_zero, 1.f, value);
}
// Ties to even.
inline Value round(Value x) { return x.module().extended(Glsl::RoundEven, x.type, {x}); }

}  // namespace cotenant::vulkan::spirv

#endif
