// evaluate(): a recorded expression on plain scalars; the meaning that every backend must match.
#ifndef COTENANT_CORE_EVALUATE_HPP
#define COTENANT_CORE_EVALUATE_HPP
#include <cmath>
#include <concepts>
#include <limits>
#include <tuple>
#include <type_traits>

#include "cotenant/core/convert.hpp"
#include "cotenant/core/expr.hpp"

namespace cotenant::expr {

namespace detail {
template <class> inline constexpr bool is_unary = false;
template <class Op, class X> inline constexpr bool is_unary<Unary<Op, X>> = true;

// Integers wrap instead of overflowing.
template <std::integral C, class F> constexpr C wrapping(C a, C b, F f) {
  using U = std::make_unsigned_t<C>;
  return static_cast<C>(f(static_cast<U>(a), static_cast<U>(b)));
}
}  // namespace detail

template <class Op, class C> C apply(Op, C x) {
  static_assert(std::floating_point<C> || op::is_exact_on_integers<Op>,
                "this function has no integer meaning: give map<float> as the result type, or cast the operands to a float type");
  if constexpr (std::same_as<Op, op::Negate>) {
    if constexpr (std::integral<C>) return detail::wrapping(C{0}, x, [](auto a, auto b) { return a - b; });
    else return -x;
  } else if constexpr (std::same_as<Op, op::Abs>) {
    if constexpr (std::integral<C>) return x < 0 ? apply(op::Negate{}, x) : x;
    else return std::fabs(x);
  } else if constexpr (std::same_as<Op, op::Exp>) return std::exp(x);
  else if constexpr (std::same_as<Op, op::Log>) return std::log(x);
  else if constexpr (std::same_as<Op, op::Sqrt>) return std::sqrt(x);
  else if constexpr (std::same_as<Op, op::Rsqrt>) return C{1} / std::sqrt(x);
  else if constexpr (std::same_as<Op, op::Reciprocal>) return C{1} / x;
  else if constexpr (std::same_as<Op, op::Tanh>) return std::tanh(x);
  else if constexpr (std::same_as<Op, op::Erf>) return std::erf(x);
  else if constexpr (std::same_as<Op, op::Sigmoid>) return C{1} / (C{1} + std::exp(-x));
  // x/2 (1 + erf(x/sqrt 2)) written with erfc keeps the digits of the negative tail; -inf gives 0, its limit.
  else if constexpr (std::same_as<Op, op::Gelu>)
    return x == -std::numeric_limits<C>::infinity() ? C{0} : x * C{0.5} * std::erfc(-x * static_cast<C>(0.70710678118654752440L));
  else if constexpr (std::same_as<Op, op::GeluTanh>) {
    if (x == -std::numeric_limits<C>::infinity()) return C{0};
    // 1 + tanh(u) = 2 sigmoid(2u); sqrt(2/pi) = 0.7978845608028654.
    const C u = static_cast<C>(0.79788456080286535588L) * (x + static_cast<C>(0.044715L) * x * x * x);
    return x / (C{1} + std::exp(C{-2} * u));
  }
  else if constexpr (std::same_as<Op, op::Silu>) return x == -std::numeric_limits<C>::infinity() ? C{0} : x / (C{1} + std::exp(-x));
  else if constexpr (std::same_as<Op, op::Relu>) return x < C{0} ? C{0} : x;  // NaN stays NaN
  else if constexpr (std::same_as<Op, op::Floor>) return std::floor(x);
  else if constexpr (std::same_as<Op, op::Ceil>) return std::ceil(x);
  else if constexpr (std::same_as<Op, op::Round>) return std::nearbyint(x);
  else static_assert(!std::same_as<Op, Op>, "an op without a scalar meaning");
}

template <class Op, class C> C apply(Op, C a, C b) {
  static_assert(std::floating_point<C> || op::is_exact_on_integers<Op>,
                "this function has no integer meaning: give map<float> as the result type, or cast the operands to a float type");
  if constexpr (op::is_comparison<Op>) {
    if constexpr (std::same_as<Op, op::Equal>) return static_cast<C>(a == b);
    else if constexpr (std::same_as<Op, op::NotEqual>) return static_cast<C>(a != b);
    else if constexpr (std::same_as<Op, op::Less>) return static_cast<C>(a < b);
    else if constexpr (std::same_as<Op, op::LessEqual>) return static_cast<C>(a <= b);
    else if constexpr (std::same_as<Op, op::Greater>) return static_cast<C>(a > b);
    else return static_cast<C>(a >= b);
  } else if constexpr (std::same_as<Op, op::Add>) {
    if constexpr (std::integral<C>) return detail::wrapping(a, b, [](auto x, auto y) { return x + y; });
    else return a + b;
  } else if constexpr (std::same_as<Op, op::Subtract>) {
    if constexpr (std::integral<C>) return detail::wrapping(a, b, [](auto x, auto y) { return x - y; });
    else return a - b;
  } else if constexpr (std::same_as<Op, op::Multiply>) {
    if constexpr (std::integral<C>) return detail::wrapping(a, b, [](auto x, auto y) { return x * y; });
    else return a * b;
  } else if constexpr (std::same_as<Op, op::Divide>) return a / b;
  else if constexpr (std::same_as<Op, op::Minimum>) return a != a ? a : b != b ? b : (b < a ? b : a);
  else if constexpr (std::same_as<Op, op::Maximum>) return a != a ? a : b != b ? b : (a < b ? b : a);
  else if constexpr (std::same_as<Op, op::Power>) return std::pow(a, b);
  else static_assert(!std::same_as<Op, Op>, "an op without a scalar meaning");
}

// The value of `expression` where Argument<I> is element I of `inputs`; every step happens in the compute type C.
template <class C, class... In> C evaluate(const auto& expression, const std::tuple<In...>& inputs) {
  using E = std::remove_cvref_t<decltype(expression)>;
  if constexpr (requires { expression.value; }) return convert<C>(expression.value);
  else if constexpr (requires { expression.condition; })
    return evaluate<C>(expression.condition, inputs) != C{0} ? evaluate<C>(expression.if_true, inputs) : evaluate<C>(expression.if_false, inputs);
  else if constexpr (requires { expression.left; })
    return [&]<class Op, class L, class R>(const Binary<Op, L, R>& e) {
      return apply(Op{}, evaluate<C>(e.left, inputs), evaluate<C>(e.right, inputs));
    }(expression);
  else if constexpr (detail::is_unary<E>)
    return [&]<class Op, class X>(const Unary<Op, X>& e) { return apply(Op{}, evaluate<C>(e.x, inputs)); }(expression);
  else
    return [&]<std::size_t I>(Argument<I>) { return static_cast<C>(std::get<I>(inputs)); }(expression);
}

}  // namespace cotenant::expr

#endif
