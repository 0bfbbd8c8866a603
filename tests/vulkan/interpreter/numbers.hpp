// Numbers in the interpreter's registers: 64 bits each, of which a type takes the lower ones.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_NUMBERS_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_NUMBERS_HPP
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "cotenant/core/element.hpp"
#include "program.hpp"

namespace cotenant::test::interpreter {

// What SPIR-V leaves undefined (a quotient by 0, a shift by more bits than there are, a float beyond the integers) is this: whoever uses it
// has a result that no reference has.
inline constexpr std::uint64_t undefined_bits = 0xA5C3'96E1'5A3C'69D7;

template <class T> struct Plain {
  using Value = T;
  static T value(std::uint64_t bits) {
    if constexpr (std::is_same_v<T, float>) return cotenant::detail::bit_cast<float>(static_cast<std::uint32_t>(bits));
    else if constexpr (std::is_same_v<T, double>) return cotenant::detail::bit_cast<double>(bits);
    else return static_cast<T>(bits);
  }
  static std::uint64_t bits(T value) {
    if constexpr (std::is_same_v<T, float>) return cotenant::detail::bit_cast<std::uint32_t>(value);
    else if constexpr (std::is_same_v<T, double>) return cotenant::detail::bit_cast<std::uint64_t>(value);
    else return static_cast<std::make_unsigned_t<T>>(value);
  }
};
// Sixteen bits compute as f32 and round: for sums, products and quotients that is the correctly rounded result.
template <class Element> struct Rounded {
  using Value = float;
  static float value(std::uint64_t bits) {
    Element element;
    element.bits = static_cast<std::uint16_t>(bits);
    return static_cast<float>(element);
  }
  static std::uint64_t bits(float value) { return Element(value).bits; }
};

// f(Plain<float>{}) and so on, as the type says.
template <class F> void with_float(const Type& scalar, F f) {
  if (scalar.kind == Kind::bfloat16) f(Rounded<bf16>{});
  else if (scalar.kind != Kind::floating) fault("an instruction of floats has other operands");
  else if (scalar.bits == 16) f(Rounded<f16>{});
  else if (scalar.bits == 32) f(Plain<float>{});
  else f(Plain<double>{});
}
template <class F> void with_integer(const Type& scalar, bool is_signed, F f) {
  switch (scalar.bits) {
    case 8: return is_signed ? f(Plain<std::int8_t>{}) : f(Plain<std::uint8_t>{});
    case 16: return is_signed ? f(Plain<std::int16_t>{}) : f(Plain<std::uint16_t>{});
    case 32: return is_signed ? f(Plain<std::int32_t>{}) : f(Plain<std::uint32_t>{});
    default: return is_signed ? f(Plain<std::int64_t>{}) : f(Plain<std::uint64_t>{});
  }
}

template <class To, class From> To to_integer(From value) {
  // The first number above To's is a power of two: every float type has it. NaN is on neither side.
  const From above = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * 2;
  const From below = static_cast<From>(std::numeric_limits<To>::min());
  if (!(value < above) || !(value > below - 1 || value == below)) return static_cast<To>(undefined_bits);
  return static_cast<To>(value);
}

}  // namespace cotenant::test::interpreter

#endif
