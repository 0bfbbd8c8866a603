// Element types: what a tensor may hold, and DType, their name at run time.
#ifndef COTENANT_CORE_ELEMENT_HPP
#define COTENANT_CORE_ELEMENT_HPP
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

#include "cotenant/core/error.hpp"

namespace cotenant {

namespace detail {
// std::bit_cast is missing from libc++ 13 (Emscripten 3.1); the builtin is in every compiler we support.
template <class To, class From> constexpr To bit_cast(const From& from) { return __builtin_bit_cast(To, from); }
}  // namespace detail

// bfloat16: the upper half of an IEEE binary32. A storage type: arithmetic happens in float.
struct bf16 {
  std::uint16_t bits = 0;

  constexpr bf16() = default;
  // Rounds to nearest, ties to even; NaN stays NaN (made quiet).
  explicit constexpr bf16(float value) {
    const auto wide = detail::bit_cast<std::uint32_t>(value);
    if ((wide & 0x7FFFFFFFu) > 0x7F800000u) bits = static_cast<std::uint16_t>((wide >> 16) | 0x40u);
    else bits = static_cast<std::uint16_t>((wide + 0x7FFFu + ((wide >> 16) & 1u)) >> 16);
  }
  explicit constexpr operator float() const {
    return detail::bit_cast<float>(static_cast<std::uint32_t>(static_cast<std::uint32_t>(bits) << 16));
  }
  friend constexpr bool operator==(bf16 a, bf16 b) { return static_cast<float>(a) == static_cast<float>(b); }
};

// IEEE binary16. A storage type: arithmetic happens in float.
struct f16 {
  std::uint16_t bits = 0;

  constexpr f16() = default;
  // Rounds to nearest, ties to even; overflows to infinity; NaN stays NaN (made quiet).
  explicit constexpr f16(float value) {
    const auto wide = detail::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (wide >> 16) & 0x8000u;
    std::uint32_t magnitude = wide & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) bits = static_cast<std::uint16_t>(sign | 0x7E00u | ((magnitude >> 13) & 0x3FFu));
    else if (magnitude >= 0x477FF000u) bits = static_cast<std::uint16_t>(sign | 0x7C00u);  // ≥ 65520 rounds to infinity
    else if (magnitude < 0x38800000u) {  // below 2^-14: subnormal, unit 2^-24
      // Adding 0.5 puts that unit at the last bit of the sum's significand (ulp(0.5) = 2^-24): the FPU rounds.
      const float sum = detail::bit_cast<float>(magnitude) + 0.5f;
      bits = static_cast<std::uint16_t>(sign | (detail::bit_cast<std::uint32_t>(sum) - 0x3F000000u));
    } else {
      magnitude += 0xFFFu + ((magnitude >> 13) & 1u);
      bits = static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u) >> 13));  // exponent bias 127 -> 15
    }
  }
  explicit constexpr operator float() const {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    const std::uint32_t exponent = (bits >> 10) & 0x1Fu, fraction = bits & 0x3FFu;
    if (exponent == 0) {
      const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
      return sign ? -magnitude : magnitude;
    }
    const std::uint32_t wide = exponent == 31 ? 0x7F800000u | (fraction << 13) : ((exponent + 112) << 23) | (fraction << 13);
    return detail::bit_cast<float>(sign | wide);
  }
  friend constexpr bool operator==(f16 a, f16 b) { return static_cast<float>(a) == static_cast<float>(b); }
};

// Two signed 4-bit integers in one byte, the low nibble first (WebNN's and ONNX's order).
// A tensor of i4x2 has as many elements as bytes: its last axis counts pairs.
struct i4x2 {
  std::uint8_t bits = 0;

  constexpr i4x2() = default;
  // Both in [-8, 7]; higher bits are dropped.
  constexpr i4x2(int low, int high) : bits(static_cast<std::uint8_t>((low & 15) | ((high & 15) << 4))) {}
  constexpr int low() const { return ((bits & 15) ^ 8) - 8; }
  constexpr int high() const { return ((bits >> 4) ^ 8) - 8; }
  friend constexpr bool operator==(i4x2 a, i4x2 b) { return a.bits == b.bits; }
};

// The element type at run time.
enum class DType : std::uint8_t { f32, f16, bf16, i8, u8, i32, i64, boolean, i4x2 };
inline constexpr std::size_t dtype_count = 9;

namespace detail {
template <class T> inline constexpr int dtype_index = -1;
template <> inline constexpr int dtype_index<float> = static_cast<int>(DType::f32);
template <> inline constexpr int dtype_index<f16> = static_cast<int>(DType::f16);
template <> inline constexpr int dtype_index<bf16> = static_cast<int>(DType::bf16);
template <> inline constexpr int dtype_index<std::int8_t> = static_cast<int>(DType::i8);
template <> inline constexpr int dtype_index<std::uint8_t> = static_cast<int>(DType::u8);
template <> inline constexpr int dtype_index<std::int32_t> = static_cast<int>(DType::i32);
template <> inline constexpr int dtype_index<std::int64_t> = static_cast<int>(DType::i64);
template <> inline constexpr int dtype_index<bool> = static_cast<int>(DType::boolean);
template <> inline constexpr int dtype_index<i4x2> = static_cast<int>(DType::i4x2);
static_assert(sizeof(bool) == 1 && sizeof(i4x2) == 1 && sizeof(f16) == 2 && sizeof(bf16) == 2);
}  // namespace detail

// float, f16, bf16, int8_t, uint8_t, int32_t, int64_t, bool, i4x2; never const.
template <class T> concept Element = detail::dtype_index<T> >= 0;

template <class T> concept FloatElement = std::same_as<T, float> || std::same_as<T, f16> || std::same_as<T, bf16>;

// Elements that a scalar expression can read and write: all but the packed pair.
template <class T> concept ScalarElement = Element<T> && !std::same_as<T, i4x2>;

template <Element T> inline constexpr DType dtype_of = static_cast<DType>(detail::dtype_index<T>);

// Calls f(std::type_identity<T>{}) with the element type that dtype names.
template <class F> decltype(auto) with_element(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32: return f(std::type_identity<float>{});
    case DType::f16: return f(std::type_identity<f16>{});
    case DType::bf16: return f(std::type_identity<bf16>{});
    case DType::i8: return f(std::type_identity<std::int8_t>{});
    case DType::u8: return f(std::type_identity<std::uint8_t>{});
    case DType::i32: return f(std::type_identity<std::int32_t>{});
    case DType::i64: return f(std::type_identity<std::int64_t>{});
    case DType::boolean: return f(std::type_identity<bool>{});
    case DType::i4x2: return f(std::type_identity<i4x2>{});
  }
  raise<InvalidArgument>("no element type has the DType value " + std::to_string(static_cast<int>(dtype)));
}

// Bytes of one element.
constexpr std::size_t size_of(DType dtype) {
  constexpr std::size_t sizes[dtype_count] = {4, 2, 2, 1, 1, 4, 8, 1, 1};
  return sizes[static_cast<std::size_t>(dtype)];
}

constexpr std::string_view to_string(DType dtype) {
  constexpr std::string_view names[dtype_count] = {"f32", "f16", "bf16", "i8", "u8", "i32", "i64", "bool", "i4x2"};
  return names[static_cast<std::size_t>(dtype)];
}

}  // namespace cotenant

#endif
