// Dot products inside 32-bit lanes: two bf16, or four u8 with four i8; and lookups by lane. The only raw x86 intrinsics of the library.
#if defined(COTENANT_CPU_X86_DOT_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_X86_DOT_INL_HPP
#undef COTENANT_CPU_X86_DOT_INL_HPP
#else
#define COTENANT_CPU_X86_DOT_INL_HPP
#endif
#include <cstdint>
#include <cstring>

#include <hwy/highway.h>
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

#include "cotenant/cpu/load_store-inl.hpp"

// Highway 1.0.3 has no target with AVX512-BF16 or AVX512-VNNI, nor an op for them. A function marked COTENANT_DOT_CODE is
// compiled for AVX3 and both extensions; helpers of plain AVX3 may be inlined into it, and it may be called (not inlined)
// from plain AVX3. It must only run where Dots says so, unless it uses none of the two: compilers do not put these
// instructions where nobody asked for dot products.
#undef COTENANT_DOT_CODE
#undef COTENANT_X86_DOT
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3 && HWY_MAX_BYTES == 64
#define COTENANT_X86_DOT 1
#define COTENANT_DOT_CODE __attribute__((target(HWY_TARGET_STR ",avx512bf16,avx512vnni")))
#else
#define COTENANT_X86_DOT 0
#define COTENANT_DOT_CODE
#endif

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// What this machine can do beyond the CPU target.
template <std::int64_t Compiled> struct Dots {
#if COTENANT_X86_DOT
  static bool has_bf16() { return __builtin_cpu_supports("avx512bf16"); }
  static bool has_u8_i8() { return __builtin_cpu_supports("avx512vnni"); }
#else
  static bool has_bf16() { return false; }
  static bool has_u8_i8() { return false; }
#endif
};

#if COTENANT_X86_DOT
// Each lane of left and right holds two bf16: sum + left0 * right0 + left1 * right1, in floats, rounded twice. The
// instruction takes subnormal inputs for 0 and gives 0 for subnormal results.
HWY_INLINE COTENANT_DOT_CODE FloatVector dot_bf16(FloatVector sum, FloatVector left, FloatVector right) {
  using Pairs [[gnu::vector_size(64)]] = short;
  return FloatVector{_mm512_dpbf16_ps(sum.raw, (__m512bh)((Pairs)(left.raw)), (__m512bh)((Pairs)(right.raw)))};
}
// Each lane holds two bf16, the first in its lower half, rounded to the nearest.
HWY_INLINE COTENANT_DOT_CODE FloatVector pair_of_bf16(FloatVector first, FloatVector second) {
  // All of the first, then all of the second: `order` puts them side by side.
  alignas(64) static constexpr std::uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                          8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512bh apart = _mm512_cvtne2ps_pbh(second.raw, first.raw);
  return FloatVector{_mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(~__mmask32{0}, _mm512_load_si512(order), (__m512i)apart))};
}
// Each lane of left holds four u8, of right four i8, of sum an i32: sum + the four products, exactly.
HWY_INLINE COTENANT_DOT_CODE FloatVector dot_u8_i8(FloatVector sum, FloatVector left, FloatVector right) {
  return FloatVector{_mm512_castsi512_ps(_mm512_dpbusd_epi32(_mm512_castps_si512(sum.raw), _mm512_castps_si512(left.raw), _mm512_castps_si512(right.raw)))};
}
// x, which stays in a register: the compiler cannot take it from memory again.
HWY_INLINE COTENANT_DOT_CODE FloatVector held(FloatVector x) {
  __asm__("" : "+v"(x.raw));
  return x;
}
// result[i] = table[index[i] % 16]: the instruction looks at no other bits. Highway's op would check the indices in debug builds,
// with a function of libhwy that programs of one target need not link.
// The masked form, because g++ 12 takes its own header's undefined vector in the other one for ours.
HWY_INLINE FloatVector lookup_lanes(FloatVector table, hn::Vec<hn::RebindToSigned<FloatTag>> index) {
  return FloatVector{_mm512_maskz_permutexvar_ps(static_cast<__mmask16>(0xFFFF), index.raw, table.raw)};
}
// result[i] = table[index[i] % 32].
HWY_INLINE FloatVector lookup_lanes(const float* table, hn::Vec<hn::RebindToSigned<FloatTag>> index) {
  return FloatVector{_mm512_permutex2var_ps(_mm512_load_ps(table), index.raw, _mm512_load_ps(table + 16))};
}
HWY_INLINE hn::Vec<hn::RebindToSigned<FloatTag>> lookup_lanes(const std::uint32_t* table, hn::Vec<hn::RebindToSigned<FloatTag>> index) {
  return hn::Vec<hn::RebindToSigned<FloatTag>>{_mm512_permutex2var_epi32(_mm512_load_si512(table), index.raw, _mm512_load_si512(table + 16))};
}
#endif

// The same on any target: a bf16 is the upper half of a float.
HWY_INLINE FloatVector dot_bf16_anywhere(FloatVector sum, FloatVector left, FloatVector right) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> bits;
  const auto upper = hn::Set(bits, 0xFFFF0000u);
  const auto a = hn::BitCast(bits, left), b = hn::BitCast(bits, right);
  sum = hn::MulAdd(hn::BitCast(d, hn::ShiftLeft<16>(a)), hn::BitCast(d, hn::ShiftLeft<16>(b)), sum);
  return hn::MulAdd(hn::BitCast(d, hn::And(a, upper)), hn::BitCast(d, hn::And(b, upper)), sum);
}
// The product of a u8 and an i8 fits an i16, and two of those are added in each lane.
HWY_INLINE FloatVector dot_u8_i8_anywhere(FloatVector sum, FloatVector left, FloatVector right) {
  const FloatTag d;
#if HWY_TARGET == HWY_SCALAR  // a vector is one lane, which has no narrower ones
  const float lanes[] = {hn::GetLane(left), hn::GetLane(right), hn::GetLane(sum)};
  std::uint8_t a[4];
  std::int8_t b[4];
  std::int32_t total;
  std::memcpy(a, &lanes[0], 4);
  std::memcpy(b, &lanes[1], 4);
  std::memcpy(&total, &lanes[2], 4);
  for (int i = 0; i < 4; ++i) total += a[i] * b[i];
  return hn::BitCast(d, hn::Set(hn::RebindToSigned<FloatTag>(), total));
#else
  const hn::Repartition<std::int16_t, FloatTag> narrow;
  const hn::Repartition<std::uint16_t, FloatTag> narrow_bits;
  const hn::Repartition<std::int32_t, FloatTag> wide;
  const auto a = hn::BitCast(narrow_bits, left);
  const auto b = hn::BitCast(narrow, right);
  const auto even_a = hn::BitCast(narrow, hn::And(a, hn::Set(narrow_bits, std::uint16_t{0xFF}))), odd_a = hn::BitCast(narrow, hn::ShiftRight<8>(a));
  const auto even_b = hn::ShiftRight<8>(hn::ShiftLeft<8>(b)), odd_b = hn::ShiftRight<8>(b);
  const auto even = hn::BitCast(wide, hn::Mul(even_a, even_b)), odd = hn::BitCast(wide, hn::Mul(odd_a, odd_b));
  const auto low = hn::Add(hn::ShiftRight<16>(hn::ShiftLeft<16>(even)), hn::ShiftRight<16>(hn::ShiftLeft<16>(odd)));
  const auto high = hn::Add(hn::ShiftRight<16>(even), hn::ShiftRight<16>(odd));
  return hn::BitCast(d, hn::Add(hn::BitCast(wide, sum), hn::Add(low, high)));
#endif
}

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
