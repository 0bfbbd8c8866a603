// Numbers for oracles: Real, a double with a bound of the error that float arithmetic may have made on the way to it, and Whole, an
// integer that wraps. Both have the functions of recorded expressions, so that one lambda is recorded for the library and computed here.
#ifndef COTENANT_TESTS_RANDOM_REAL_HPP
#define COTENANT_TESTS_RANDOM_REAL_HPP
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "cotenant/core/element.hpp"

namespace cotenant::test {

// Half a unit in the last place of a float near 1, and the smallest float.
inline constexpr double half_ulp = 0x1p-24, tiniest = 0x1p-149;
inline constexpr double largest_float = std::numeric_limits<float>::max(), no_number = std::numeric_limits<double>::quiet_NaN();
inline constexpr double boundless = std::numeric_limits<double>::infinity();

// The exact result is `value`; one computed in float lies within `error` of it, or anywhere where that is infinite.
struct Real {
  double value = 0, error = 0;

  Real() = default;
  template <class T>
  requires std::is_arithmetic_v<T> Real(T exact) : value(static_cast<double>(exact)) {}
  // A result whose operands' errors make it err by `carried`, before it is rounded by so many half units.
  Real(double exact, double carried, double rounding) : value(exact), error(carried) {
    if (std::isnan(carried) || std::isinf(carried)) {
      error = boundless;
    } else if (!std::isfinite(exact)) {
      error = 0;
    } else {
      if (rounding > 0) error += rounding * (std::abs(exact) + carried) * half_ulp + tiniest;
      // What overflows on one side of the error may be infinite, and anything after that.
      if (std::abs(exact) - error > largest_float * (1 + half_ulp)) *this = Real(std::copysign(boundless, exact));
      else if (std::abs(exact) + error > largest_float) error = boundless;
    }
  }
  double low() const { return std::isinf(value) ? value : value - error; }
  double high() const { return std::isinf(value) ? value : value + error; }
  bool is_anything() const { return std::isinf(error); }
};

inline Real anything() {
  Real result;
  result.error = boundless;
  return result;
}
// A function that rises or falls over [x - error, x + error], or that has its extremes at the ends or at `turn` of it; the library errs by so many half units
// itself.
template <class F> Real monotone(Real x, double half_units, F f, double turn = no_number) {
  if (x.is_anything()) return anything();
  const double at = f(x.value), low = f(x.low()), high = f(x.high());
  double carried = std::max(std::abs(low - at), std::abs(high - at));
  if (x.low() < turn && turn < x.high()) carried = std::max(carried, std::abs(f(turn) - at));
  if (x.error == 0) carried = 0;
  return Real(at, carried, half_units);
}
// A step function: exact where the error reaches no step.
template <class F> Real step(Real x, F f) {
  if (x.is_anything()) return anything();
  Real result(f(x.value));
  if (x.error > 0) result.error = std::max(std::abs(f(x.low()) - result.value), std::abs(f(x.high()) - result.value));
  return result;
}

inline Real operator-(Real x) {
  x.value = -x.value;
  return x;
}
// A sum or product, which is rounded only where a float does not hold it.
inline Real rounded(double exact, double carried) {
  return Real(exact, carried, carried == 0 && static_cast<double>(static_cast<float>(exact)) == exact ? 0 : 1);
}
inline Real operator+(Real a, Real b) { return rounded(a.value + b.value, a.error + b.error); }
inline Real operator-(Real a, Real b) { return a + -b; }
inline Real operator*(Real a, Real b) {
  if (a.is_anything() || b.is_anything()) return anything();
  // 0 times an infinity stays NaN; an error of 0 beside it adds nothing.
  const auto part = [](double x, double error) { return error == 0 ? 0 : std::abs(x) * error; };
  return rounded(a.value * b.value, part(a.value, b.error) + part(b.value, a.error) + a.error * b.error);
}
inline Real reciprocal(Real x) {
  if (x.is_anything() || (x.error > 0 && x.low() <= 0 && x.high() >= 0)) return anything();
  return monotone(x, 2, [](double v) { return 1 / v; });
}
inline Real operator/(Real a, Real b) {
  if (a.is_anything() || b.is_anything() || (b.error > 0 && b.low() <= 0 && b.high() >= 0)) return anything();
  if (a.error == 0 && b.error == 0) return Real(a.value / b.value, 0, 2);
  if (std::isinf(b.value) || std::isinf(a.value)) return Real(a.value / b.value, 0, 2);
  const double quotient = a.value / b.value, nearest = std::abs(b.value) - b.error;
  return Real(quotient, (a.error + std::abs(quotient) * b.error) / nearest, 2);
}

// Functions of the library are within 4 units in the last place.
inline constexpr double few_ulp = 8;
inline Real abs(Real x) {
  return monotone(
      x, 0, [](double v) { return std::abs(v); }, 0);
}
inline Real exp(Real x) {
  return monotone(x, few_ulp, [](double v) { return std::exp(v); });
}
inline Real log(Real x) {
  if (x.error > 0 && x.low() <= 0) return anything();
  return monotone(x, few_ulp, [](double v) { return std::log(v); });
}
inline Real sqrt(Real x) {
  if (x.error > 0 && x.low() < 0) return anything();
  return monotone(x, 2, [](double v) { return std::sqrt(v); });
}
inline Real rsqrt(Real x) {
  if (x.error > 0 && x.low() <= 0) return anything();
  return monotone(x, 4, [](double v) { return 1 / std::sqrt(v); });
}
inline Real tanh(Real x) {
  return monotone(x, few_ulp, [](double v) { return std::tanh(v); });
}
inline Real erf(Real x) {
  return monotone(x, few_ulp, [](double v) { return std::erf(v); });
}
inline Real sigmoid(Real x) {
  return monotone(x, few_ulp, [](double v) { return 1 / (1 + std::exp(-v)); });
}
// The next three fall to the left of one minimum.
inline Real gelu(Real x) {
  return monotone(
      x, few_ulp, [](double v) { return v == -boundless ? 0 : v * 0.5 * std::erfc(-v * 0.70710678118654752440); }, -0.7517916);
}
inline Real gelu_tanh(Real x) {
  return monotone(
      x, few_ulp, [](double v) { return v == -boundless ? 0 : v / (1 + std::exp(-2 * 0.79788456080286535588 * (v + 0.044715 * v * v * v))); }, -0.7524614);
}
inline Real silu(Real x) {
  return monotone(
      x, few_ulp, [](double v) { return v == -boundless ? 0 : v / (1 + std::exp(-v)); }, -1.2784645);
}
inline Real relu(Real x) {
  return monotone(x, 0, [](double v) { return v < 0 ? 0 : v; });
}
inline Real floor(Real x) {
  return step(x, [](double v) { return std::floor(v); });
}
inline Real ceil(Real x) {
  return step(x, [](double v) { return std::ceil(v); });
}
inline Real round(Real x) {
  return step(x, [](double v) { return std::nearbyint(v); });
}

// The extreme of both, and of both ends of both.
template <class F> Real extreme(Real a, Real b, F f) {
  if (a.is_anything() || b.is_anything()) return anything();
  if (std::isnan(a.value) || std::isnan(b.value)) return Real(no_number);
  Real result(f(a.value, b.value));
  if (!std::isinf(result.value)) result.error = std::max(std::abs(f(a.low(), b.low()) - result.value), std::abs(f(a.high(), b.high()) - result.value));
  return result;
}
inline Real min(Real a, Real b) {
  return extreme(a, b, [](double x, double y) { return x < y ? x : y; });
}
inline Real max(Real a, Real b) {
  return extreme(a, b, [](double x, double y) { return x > y ? x : y; });
}
inline Real clamp(Real x, Real low, Real high) { return min(max(x, low), high); }
inline Real pow(Real base, Real exponent) {
  if (base.error > 0 || exponent.error > 0) {
    if (!(base.low() > 0) || base.is_anything() || exponent.is_anything()) return anything();
    const double value = std::pow(base.value, exponent.value);
    double carried = 0;
    for (const double b : {base.low(), base.high()})
      for (const double e : {exponent.low(), exponent.high()}) carried = std::max(carried, std::abs(std::pow(b, e) - value));
    return Real(value, carried, few_ulp);
  }
  return Real(std::pow(base.value, exponent.value), 0, few_ulp);
}

// A comparison's 1 or 0; either where the operands' errors meet.
inline Real truth(Real a, Real b, bool holds) {
  if (a.is_anything() || b.is_anything()) return anything();
  Real result(holds ? 1 : 0);
  if (a.error + b.error > 0 && a.low() <= b.high() && b.low() <= a.high()) return anything();
  return result;
}
inline Real operator==(Real a, Real b) { return truth(a, b, a.value == b.value); }
inline Real operator!=(Real a, Real b) { return truth(a, b, a.value != b.value); }
inline Real operator<(Real a, Real b) { return truth(a, b, a.value < b.value); }
inline Real operator<=(Real a, Real b) { return truth(a, b, a.value <= b.value); }
inline Real operator>(Real a, Real b) { return truth(a, b, a.value > b.value); }
inline Real operator>=(Real a, Real b) { return truth(a, b, a.value >= b.value); }
inline Real select(Real condition, Real if_true, Real if_false) {
  if (condition.is_anything()) return anything();
  return condition.value != 0 ? if_true : if_false;
}

// A sum in any order, of any number of partial sums: errors of random signs grow with the root of how many terms there are.
class Sum {
 public:
  void add(Real x) {
    const bool odd = x.is_anything();
    unknown_ = unknown_ || odd;
    value_ += x.value;
    if (std::isfinite(x.value)) magnitude_ += std::abs(x.value);
    error_ += x.error;
    whole_ = whole_ && x.error == 0 && x.value == std::floor(x.value);
    ++count_;
  }
  Real result() const {
    // Partial sums may overflow.
    if (unknown_ || magnitude_ > largest_float) return std::isnan(value_) && !unknown_ ? Real(value_) : anything();
    if (!std::isfinite(value_)) return Real(value_);
    // Integers that a float holds, and all sums of some of them.
    if (whole_ && magnitude_ <= 0x1p24) return Real(value_);
    return Real(value_, error_ + (8 + 4 * std::sqrt(static_cast<double>(count_))) * half_ulp * magnitude_, 1);
  }

 private:
  double value_ = 0, magnitude_ = 0, error_ = 0;
  std::size_t count_ = 0;
  bool unknown_ = false, whole_ = true;
};

// An int32 or int64 whose sums, differences and products wrap.
template <std::signed_integral C> struct Whole {
  C value = 0;

  using Bits = std::make_unsigned_t<C>;
  Whole() = default;
  template <std::integral T> Whole(T exact) : value(static_cast<C>(exact)) {}
  static Whole wrapped(Bits bits) { return Whole(static_cast<C>(bits)); }
  Bits bits() const { return static_cast<Bits>(value); }

  friend Whole operator-(Whole x) { return wrapped(Bits{0} - x.bits()); }
  friend Whole operator+(Whole a, Whole b) { return wrapped(a.bits() + b.bits()); }
  friend Whole operator-(Whole a, Whole b) { return wrapped(a.bits() - b.bits()); }
  friend Whole operator*(Whole a, Whole b) { return wrapped(a.bits() * b.bits()); }
  friend Whole operator==(Whole a, Whole b) { return Whole(a.value == b.value); }
  friend Whole operator!=(Whole a, Whole b) { return Whole(a.value != b.value); }
  friend Whole operator<(Whole a, Whole b) { return Whole(a.value < b.value); }
  friend Whole operator<=(Whole a, Whole b) { return Whole(a.value <= b.value); }
  friend Whole operator>(Whole a, Whole b) { return Whole(a.value > b.value); }
  friend Whole operator>=(Whole a, Whole b) { return Whole(a.value >= b.value); }
  friend Whole abs(Whole x) { return x.value < 0 ? -x : x; }
  friend Whole relu(Whole x) { return x.value < 0 ? Whole() : x; }
  friend Whole min(Whole a, Whole b) { return b.value < a.value ? b : a; }
  friend Whole max(Whole a, Whole b) { return a.value < b.value ? b : a; }
  friend Whole clamp(Whole x, Whole low, Whole high) { return min(max(x, low), high); }
  friend Whole select(Whole condition, Whole if_true, Whole if_false) { return condition.value != 0 ? if_true : if_false; }
};

}  // namespace cotenant::test

#endif
