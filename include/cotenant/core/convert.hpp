// convert<To>(value): one element value as another type, defined for every input, and the type expressions compute in.
#ifndef COTENANT_CORE_CONVERT_HPP
#define COTENANT_CORE_CONVERT_HPP
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "cotenant/core/element.hpp"

namespace cotenant {

// Float to integer truncates towards zero, saturates, and gives 0 for NaN; integer to a narrower integer keeps the low
// bits; anything to bool is `!= 0`; to f16 and bf16 goes through float and
// rounds to nearest even.
template <class To, class From> constexpr To convert(From value) {
  if constexpr (std::same_as<To, From>) return value;
  else if constexpr (std::same_as<From, f16> || std::same_as<From, bf16>) return convert<To>(static_cast<float>(value));
  else if constexpr (std::same_as<To, bool>) return value != From{};
  else if constexpr (std::same_as<To, f16> || std::same_as<To, bf16>) return To(static_cast<float>(value));
  else if constexpr (std::floating_point<From> && std::integral<To>) {
    if (!(value == value)) return To{};
    // -2^(n-1) and 2^(n-1) are exact in every floating type; the largest integer may not be.
    constexpr From lowest = static_cast<From>(std::numeric_limits<To>::min());
    constexpr From beyond = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * From{2};
    if (value <= lowest) return std::numeric_limits<To>::min();
    if (value >= beyond) return std::numeric_limits<To>::max();
    return static_cast<To>(value);
  } else return static_cast<To>(value);
}

// The type an expression over these elements computes in: float as soon as one is a float type, else the narrowest
// of int32 and int64 that holds all of them.
template <class... T> struct ComputeType {
  using type = std::conditional_t<(FloatElement<T> || ...), float,
                                  std::conditional_t<(std::same_as<T, std::int64_t> || ...), std::int64_t, std::int32_t>>;
};
template <class... T> using compute_type = typename ComputeType<T...>::type;

}  // namespace cotenant

#endif
