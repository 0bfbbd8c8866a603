// Rows of any element type to floats and back, with the vectors of one CPU target.
#if defined(COTENANT_CPU_LOAD_STORE_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_LOAD_STORE_INL_HPP
#undef COTENANT_CPU_LOAD_STORE_INL_HPP
#else
#define COTENANT_CPU_LOAD_STORE_INL_HPP
#endif
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cotenant/core/convert.hpp"
#include "cotenant/cpu/tile.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;

// Hardware conversion between binary16 and binary32, rounding to nearest even; Highway's emulation on the other x86
// targets of its version 1.0.3 truncates instead.
#if (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2 && !defined(HWY_DISABLE_F16C)) || HWY_TARGET == HWY_NEON
#define COTENANT_HARDWARE_F16 1
#else
#define COTENANT_HARDWARE_F16 0
#endif

// Lanes(d) elements as floats. Reads exactly that many.
HWY_INLINE FloatVector load_vector(FloatTag d, const float* from) { return hn::LoadU(d, from); }
HWY_INLINE FloatVector load_vector(FloatTag d, const bf16* from) {
  const hn::Rebind<std::uint16_t, FloatTag> narrow;
  const hn::Rebind<std::uint32_t, FloatTag> wide;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(wide, hn::LoadU(narrow, &from->bits))));
}
HWY_INLINE FloatVector load_vector(FloatTag d, const f16* from) {
  const hn::Rebind<std::uint16_t, FloatTag> narrow;
#if COTENANT_HARDWARE_F16
  const hn::Rebind<hwy::float16_t, FloatTag> half;
  return hn::PromoteTo(d, hn::BitCast(half, hn::LoadU(narrow, &from->bits)));
#else
  // The exponent's bias grows from 15 to 127: times 2^112, which also makes subnormals normal. What was infinity or
  // NaN is now 2^16 or more and gets the largest exponent.
  const hn::Rebind<std::uint32_t, FloatTag> wide;
  const auto bits = hn::PromoteTo(wide, hn::LoadU(narrow, &from->bits));
  const auto magnitude = hn::Mul(hn::BitCast(d, hn::ShiftLeft<13>(hn::And(bits, hn::Set(wide, 0x7FFFu)))), hn::Set(d, 0x1p112f));
  const auto infinite = hn::Ge(magnitude, hn::Set(d, 65536.0f));
  const auto exponent = hn::IfThenElseZero(infinite, hn::BitCast(d, hn::Set(wide, 0x7F800000u)));
  const auto sign = hn::BitCast(d, hn::ShiftLeft<16>(hn::And(bits, hn::Set(wide, 0x8000u))));
  return hn::Or(hn::Or(magnitude, exponent), sign);
#endif
}
template <class T> requires(std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t>) HWY_INLINE FloatVector load_vector(FloatTag d, const T* from) {
  const hn::Rebind<T, FloatTag> narrow;
  const hn::Rebind<std::int32_t, FloatTag> wide;
  return hn::ConvertTo(d, hn::PromoteTo(wide, hn::LoadU(narrow, from)));
}
template <class T> requires std::same_as<T, bool> HWY_INLINE FloatVector load_vector(FloatTag d, const T* from) {
  return load_vector(d, reinterpret_cast<const std::uint8_t*>(from));
}
HWY_INLINE FloatVector load_vector(FloatTag d, const std::int32_t* from) {
  return hn::ConvertTo(d, hn::LoadU(hn::RebindToSigned<FloatTag>{}, from));
}
HWY_INLINE FloatVector load_vector(FloatTag d, const std::int64_t* from) {
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = static_cast<float>(from[i]);
  return hn::Load(d, lanes);
}

// The floats of a vector as Lanes(d) elements, as convert<T>() defines it.
HWY_INLINE void store_vector(FloatTag d, FloatVector value, float* to) { hn::StoreU(value, d, to); }
HWY_INLINE void store_vector(FloatTag d, FloatVector value, bf16* to) {
  const hn::Rebind<std::uint16_t, FloatTag> narrow;
  const hn::Rebind<std::uint32_t, FloatTag> wide;
  const hn::Rebind<std::int32_t, FloatTag> integer;
  // Adding 0x7FFF, plus 1 where the kept part is odd, carries into it exactly when rounding to nearest even goes up.
  const auto bits = hn::BitCast(wide, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(wide, 1u));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(wide, 0x7FFFu))));
  const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(wide, 0x40u));
  const auto number = hn::RebindMask(wide, hn::Eq(value, value));
  static_cast<void>(d);
  hn::StoreU(hn::DemoteTo(narrow, hn::BitCast(integer, hn::IfThenElse(number, rounded, quiet))), narrow, &to->bits);
}
HWY_INLINE void store_vector(FloatTag d, FloatVector value, f16* to) {
  const hn::Rebind<std::uint16_t, FloatTag> narrow;
#if COTENANT_HARDWARE_F16
  const hn::Rebind<hwy::float16_t, FloatTag> half;
  static_cast<void>(d);
  hn::StoreU(hn::BitCast(narrow, hn::DemoteTo(half, value)), narrow, &to->bits);
#else
  // The steps of f16(float) in core/element.hpp, all branches at once.
  const hn::Rebind<std::uint32_t, FloatTag> wide;
  const hn::Rebind<std::int32_t, FloatTag> integer;
  const auto bits = hn::BitCast(wide, value);
  const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(wide, 0x8000u));
  const auto magnitude = hn::And(bits, hn::Set(wide, 0x7FFFFFFFu));
  const auto size = hn::BitCast(d, magnitude);
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(wide, 1u));
  const auto normal = hn::ShiftRight<13>(hn::Sub(hn::Add(magnitude, hn::Add(odd, hn::Set(wide, 0xFFFu))), hn::Set(wide, 0x38000000u)));
  const auto subnormal = hn::Sub(hn::BitCast(wide, hn::Add(size, hn::Set(d, 0.5f))), hn::Set(wide, 0x3F000000u));
  const auto quiet = hn::Or(hn::Set(wide, 0x7E00u), hn::And(hn::ShiftRight<13>(magnitude), hn::Set(wide, 0x3FFu)));
  auto result = hn::IfThenElse(hn::RebindMask(wide, hn::Lt(size, hn::Set(d, 0x1p-14f))), subnormal, normal);
  result = hn::IfThenElse(hn::RebindMask(wide, hn::Ge(size, hn::Set(d, 65520.0f))), hn::Set(wide, 0x7C00u), result);
  result = hn::IfThenElse(hn::RebindMask(wide, hn::Eq(value, value)), result, quiet);
  hn::StoreU(hn::DemoteTo(narrow, hn::BitCast(integer, hn::Or(result, sign))), narrow, &to->bits);
#endif
}
template <class T> requires(std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t>) HWY_INLINE void store_vector(FloatTag d, FloatVector value, T* to) {
  const hn::Rebind<T, FloatTag> narrow;
  const hn::Rebind<std::int32_t, FloatTag> integer;
  const auto number = hn::IfThenElseZero(hn::Eq(value, value), value);
  const auto inside =
      hn::Min(hn::Max(number, hn::Set(d, static_cast<float>(std::numeric_limits<T>::min()))), hn::Set(d, static_cast<float>(std::numeric_limits<T>::max())));
  hn::StoreU(hn::DemoteTo(narrow, hn::ConvertTo(integer, inside)), narrow, to);
}
template <class T> requires std::same_as<T, bool> HWY_INLINE void store_vector(FloatTag d, FloatVector value, T* to) {
  const hn::Rebind<std::uint8_t, FloatTag> narrow;
  const hn::RebindToSigned<FloatTag> integer;
  const auto zero = hn::RebindMask(integer, hn::Eq(value, hn::Zero(d)));
  hn::StoreU(hn::DemoteTo(narrow, hn::IfThenZeroElse(zero, hn::Set(integer, 1))), narrow, reinterpret_cast<std::uint8_t*>(to));
}
HWY_INLINE void store_vector(FloatTag d, FloatVector value, std::int32_t* to) {
  const hn::RebindToSigned<FloatTag> integer;
  const auto number = hn::IfThenElseZero(hn::Eq(value, value), value);
  // The largest float below 2^31, for the conversion; what lies beyond gets the largest integer afterwards.
  const auto inside = hn::Max(hn::Min(number, hn::Set(d, 2147483520.0f)), hn::Set(d, -2147483648.0f));
  const auto beyond = hn::RebindMask(integer, hn::Ge(number, hn::Set(d, 2147483648.0f)));
  hn::StoreU(hn::IfThenElse(beyond, hn::Set(integer, std::numeric_limits<std::int32_t>::max()), hn::ConvertTo(integer, inside)), integer, to);
}
HWY_INLINE void store_vector(FloatTag d, FloatVector value, std::int64_t* to) {
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(value, d, lanes);
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) to[i] = convert<std::int64_t>(lanes[i]);
}
#undef COTENANT_HARDWARE_F16

// Whether load_vector and store_vector are worth it for T; 64-bit integers go element by element.
template <class T> inline constexpr bool is_vectorised = !std::same_as<T, std::int64_t>;

// The rows of one element type. Compiled is part of the name so that translation units built for different targets never share one.
// An operation that writes past the caches asks for what it reads this far ahead: four pages, whose ends stop what the CPU asks for by
// itself. Rates with 0, 4, 8, 16 and 32 KiB: softmax of 512 x 32000 4.1, 4.9, 5.6, 5.6, 5.5 Gelement/s, f32 to i8 6.1, 6.8, 7.3, 7.5, 7.5,
// exp 5.0, 5.5, 5.6, 5.6, 5.7.
inline constexpr std::size_t bytes_ahead = std::size_t{16} << 10;
// There need not be anything that far behind an operand's end: the address is made of numbers, which may be any.
HWY_INLINE void ask_ahead(const void* at) { hwy::Prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(at) + bytes_ahead)); }

template <std::int64_t Compiled> struct Rows {
  template <class T> static void load(const void* from, std::ptrdiff_t stride, std::size_t count, float* to) {
    const T* elements = static_cast<const T*>(from);
    std::size_t i = 0;
    if (stride == 1) {
      if constexpr (std::same_as<T, float>) {
        std::memcpy(to, elements, count * sizeof(float));
        return;
      } else if constexpr (is_vectorised<T>) {
        const FloatTag d;
        for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) hn::StoreU(load_vector(d, elements + i), d, to + i);
      }
    }
    for (; i < count; ++i) to[i] = convert<float>(elements[static_cast<std::ptrdiff_t>(i) * stride]);
  }
  template <class T> static void store(const float* from, void* to, std::ptrdiff_t stride, std::size_t count) {
    T* elements = static_cast<T*>(to);
    std::size_t i = 0;
    if (stride == 1) {
      if constexpr (std::same_as<T, float>) {
        std::memcpy(elements, from, count * sizeof(float));
        return;
      } else if constexpr (is_vectorised<T>) {
        const FloatTag d;
        for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) store_vector(d, hn::LoadU(d, from + i), elements + i);
      }
    }
    for (; i < count; ++i) elements[static_cast<std::ptrdiff_t>(i) * stride] = convert<T>(from[i]);
  }

  // Bytes to a result that no cache will hold: past the caches, which would read the lines first. hwy::FlushStream() after the last.
  static void stream(const void* from, void* to, std::size_t bytes) {
    const FloatTag d;
    const std::size_t vector = hn::Lanes(d) * sizeof(float), line = vector < 64 ? 64 : vector;
    const char* source = static_cast<const char*>(from);
    char* target = static_cast<char*>(to);
    const std::size_t before = (line - reinterpret_cast<std::uintptr_t>(to) % line) % line;
    std::size_t i = before < bytes ? before : bytes;
    std::memcpy(target, source, i);
    for (; i + vector <= bytes; i += vector) hn::Stream(hn::LoadU(d, reinterpret_cast<const float*>(source + i)), d, reinterpret_cast<float*>(target + i));
    std::memcpy(target + i, source + i, bytes - i);
  }

  template <class T> static cpu::Source source(const T* data, std::ptrdiff_t row_stride, std::ptrdiff_t column_stride) {
    return {reinterpret_cast<const char*>(data), sizeof(T), row_stride, column_stride, &load<T>, std::same_as<T, float>};
  }
  template <class T> static cpu::Sink sink(T* data, std::ptrdiff_t row_stride, std::ptrdiff_t column_stride) {
    return {reinterpret_cast<char*>(data), sizeof(T), row_stride, column_stride, &store<T>, std::same_as<T, float>};
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
