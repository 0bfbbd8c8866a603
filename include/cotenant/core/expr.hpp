// Recorded expressions: a lambda called once on symbols becomes a value that any backend can replay per element.
#ifndef COTENANT_CORE_EXPR_HPP
#define COTENANT_CORE_EXPR_HPP
#include <cstddef>
#include <type_traits>
#include <utility>

#include "cotenant/core/element.hpp"

// Symbols live in their own namespace so that `gelu(acc + bias)` in a user's lambda finds them by argument.
namespace cotenant::expr {

// The I-th operand.
template <std::size_t I> struct Argument {};
// A constant of the lambda: its type is what the user wrote, each backend converts it to its compute type.
template <class T> struct Literal { T value; };

// Op applied to sub-expressions. Ops are the empty tags below: a backend gives each a meaning.
template <class Op, class X> struct Unary { X x; };
template <class Op, class L, class R> struct Binary { L left; R right; };
template <class C, class T, class F> struct Select { C condition; T if_true; F if_false; };

template <class> inline constexpr bool is_recorded = false;
template <std::size_t I> inline constexpr bool is_recorded<Argument<I>> = true;
template <class T> inline constexpr bool is_recorded<Literal<T>> = true;
template <class Op, class X> inline constexpr bool is_recorded<Unary<Op, X>> = true;
template <class Op, class L, class R> inline constexpr bool is_recorded<Binary<Op, L, R>> = true;
template <class C, class T, class F> inline constexpr bool is_recorded<Select<C, T, F>> = true;
template <class E> concept Recorded = is_recorded<std::remove_cvref_t<E>>;

// Names follow WebNN's operators. NaN in an operand of minimum or maximum gives NaN.
namespace op {
struct Negate { static constexpr const char* name = "neg"; };
struct Abs { static constexpr const char* name = "abs"; };
struct Exp { static constexpr const char* name = "exp"; };
struct Log { static constexpr const char* name = "log"; };
struct Sqrt { static constexpr const char* name = "sqrt"; };
struct Rsqrt { static constexpr const char* name = "rsqrt"; };        // 1 / sqrt(x)
struct Reciprocal { static constexpr const char* name = "reciprocal"; };
struct Tanh { static constexpr const char* name = "tanh"; };
struct Erf { static constexpr const char* name = "erf"; };
struct Sigmoid { static constexpr const char* name = "sigmoid"; };    // 1 / (1 + exp(-x))
struct Gelu { static constexpr const char* name = "gelu"; };          // x / 2 * (1 + erf(x / sqrt 2))
struct GeluTanh { static constexpr const char* name = "gelu_tanh"; }; // x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
struct Silu { static constexpr const char* name = "silu"; };          // x * sigmoid(x)
struct Relu { static constexpr const char* name = "relu"; };          // max(x, 0)
struct Floor { static constexpr const char* name = "floor"; };
struct Ceil { static constexpr const char* name = "ceil"; };
struct Round { static constexpr const char* name = "round"; };        // to nearest, ties to even

struct Add { static constexpr const char* name = "add"; };
struct Subtract { static constexpr const char* name = "sub"; };
struct Multiply { static constexpr const char* name = "mul"; };
struct Divide { static constexpr const char* name = "div"; };
struct Minimum { static constexpr const char* name = "min"; };
struct Maximum { static constexpr const char* name = "max"; };
struct Power { static constexpr const char* name = "pow"; };

// Comparisons give 1 or 0 in the compute type; with NaN only NotEqual is 1.
struct Equal { static constexpr const char* name = "equal"; };
struct NotEqual { static constexpr const char* name = "not_equal"; };
struct Less { static constexpr const char* name = "lesser"; };
struct LessEqual { static constexpr const char* name = "lesser_or_equal"; };
struct Greater { static constexpr const char* name = "greater"; };
struct GreaterEqual { static constexpr const char* name = "greater_or_equal"; };

template <class Op> inline constexpr bool is_comparison =
    std::is_same_v<Op, Equal> || std::is_same_v<Op, NotEqual> || std::is_same_v<Op, Less> || std::is_same_v<Op, LessEqual> ||
    std::is_same_v<Op, Greater> || std::is_same_v<Op, GreaterEqual>;
// Ops that also make sense on integers; the others need a float compute type.
template <class Op> inline constexpr bool is_exact_on_integers =
    is_comparison<Op> || std::is_same_v<Op, Negate> || std::is_same_v<Op, Abs> || std::is_same_v<Op, Relu> || std::is_same_v<Op, Add> ||
    std::is_same_v<Op, Subtract> || std::is_same_v<Op, Multiply> || std::is_same_v<Op, Minimum> || std::is_same_v<Op, Maximum>;
}  // namespace op

// An operand of a recorded operator: a sub-expression as it is, an arithmetic value as a Literal.
template <class X> concept Operand = Recorded<X> || std::is_arithmetic_v<std::remove_cvref_t<X>>;
template <class... X> concept AnyRecorded = (Operand<X> && ...) && (Recorded<X> || ...);
template <Operand X> constexpr auto lift(X x) {
  if constexpr (Recorded<X>) return x;
  else return Literal<X>{x};
}
template <class Op, class X> constexpr auto unary(X x) { return Unary<Op, X>{x}; }
template <class Op, class L, class R> constexpr auto binary(L left, R right) {
  return Binary<Op, decltype(lift(left)), decltype(lift(right))>{lift(left), lift(right)};
}

template <Recorded X> constexpr auto operator-(X x) { return unary<op::Negate>(x); }
template <Recorded X> constexpr auto abs(X x) { return unary<op::Abs>(x); }
template <Recorded X> constexpr auto exp(X x) { return unary<op::Exp>(x); }
template <Recorded X> constexpr auto log(X x) { return unary<op::Log>(x); }
template <Recorded X> constexpr auto sqrt(X x) { return unary<op::Sqrt>(x); }
template <Recorded X> constexpr auto rsqrt(X x) { return unary<op::Rsqrt>(x); }
template <Recorded X> constexpr auto reciprocal(X x) { return unary<op::Reciprocal>(x); }
template <Recorded X> constexpr auto tanh(X x) { return unary<op::Tanh>(x); }
template <Recorded X> constexpr auto erf(X x) { return unary<op::Erf>(x); }
template <Recorded X> constexpr auto sigmoid(X x) { return unary<op::Sigmoid>(x); }
template <Recorded X> constexpr auto gelu(X x) { return unary<op::Gelu>(x); }
template <Recorded X> constexpr auto gelu_tanh(X x) { return unary<op::GeluTanh>(x); }
template <Recorded X> constexpr auto silu(X x) { return unary<op::Silu>(x); }
template <Recorded X> constexpr auto relu(X x) { return unary<op::Relu>(x); }
template <Recorded X> constexpr auto floor(X x) { return unary<op::Floor>(x); }
template <Recorded X> constexpr auto ceil(X x) { return unary<op::Ceil>(x); }
template <Recorded X> constexpr auto round(X x) { return unary<op::Round>(x); }

template <class L, class R> requires AnyRecorded<L, R> constexpr auto operator+(L a, R b) { return binary<op::Add>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto operator-(L a, R b) { return binary<op::Subtract>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto operator*(L a, R b) { return binary<op::Multiply>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto operator/(L a, R b) { return binary<op::Divide>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto operator==(L a, R b) { return binary<op::Equal>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto operator!=(L a, R b) { return binary<op::NotEqual>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto operator<(L a, R b) { return binary<op::Less>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto operator<=(L a, R b) { return binary<op::LessEqual>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto operator>(L a, R b) { return binary<op::Greater>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto operator>=(L a, R b) { return binary<op::GreaterEqual>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto min(L a, R b) { return binary<op::Minimum>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto max(L a, R b) { return binary<op::Maximum>(a, b); }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto pow(L a, R b) { return binary<op::Power>(a, b); }
// if_true where condition is not 0, else if_false.
template <class C, class T, class F> requires AnyRecorded<C, T, F> constexpr auto select(C condition, T if_true, F if_false) {
  return Select<decltype(lift(condition)), decltype(lift(if_true)), decltype(lift(if_false))>{lift(condition), lift(if_true), lift(if_false)};
}
template <class X, class L, class H> requires AnyRecorded<X, L, H> constexpr auto clamp(X x, L low, H high) { return min(max(x, low), high); }

// Functions made of the ops above: no backend needs to know them. Names and defaults are WebNN's.
template <Recorded X> constexpr auto sign(X x) { return select(x > 0.f, 1.f, select(x < 0.f, -1.f, x)); }
template <Recorded X, class A = float> constexpr auto leaky_relu(X x, A alpha = 0.01f) { return select(x < 0.f, x * alpha, x); }
// x, or alpha (exp(x) - 1) below 0: with t = tanh(x / 2) that is 2 t / (1 - t), which keeps its digits near 0.
template <Recorded X, class A = float> constexpr auto elu(X x, A alpha = 1.f) {
  const auto t = tanh(min(x, 0.f) * 0.5f);
  return select(x < 0.f, 2.f * t / (1.f - t) * alpha, x);
}
template <Recorded X, class A = float, class B = float> constexpr auto hard_sigmoid(X x, A alpha = 0.2f, B beta = 0.5f) {
  return clamp(x * alpha + beta, 0.f, 1.f);
}
template <Recorded X> constexpr auto hard_swish(X x) { return x * clamp(x + 3.f, 0.f, 6.f) / 6.f; }
// log(1 + exp(x)) = max(x, 0) + log(1 + e), e = exp(-|x|). With u = 1 + e rounded, log(u) e / (u - 1) makes up for the rounding.
template <Recorded X> constexpr auto softplus(X x) {
  const auto e = exp(-abs(x));
  const auto u = e + 1.f;
  return max(x, 0.f) + select(u == 1.f, e, log(u) * e / (u - 1.f));
}
template <Recorded X> constexpr auto softsign(X x) { return x / (abs(x) + 1.f); }
// Truth values: what is not 0 is true, NaN too.
template <Recorded X> constexpr auto operator!(X x) { return x == 0; }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto logical_and(L a, R b) { return select(a, b, 0) != 0; }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto logical_or(L a, R b) { return select(a, 1, b) != 0; }
template <class L, class R> requires AnyRecorded<L, R> constexpr auto logical_xor(L a, R b) { return (a != 0) != (b != 0); }

// Whether the expression's value is a truth value: its default result element is bool.
template <class> inline constexpr bool is_condition = false;
template <class Op, class L, class R> inline constexpr bool is_condition<Binary<Op, L, R>> = op::is_comparison<Op>;

// The number of operands the expression needs: its highest argument index + 1.
template <class> inline constexpr std::size_t arity = 0;
template <std::size_t I> inline constexpr std::size_t arity<Argument<I>> = I + 1;
template <class Op, class X> inline constexpr std::size_t arity<Unary<Op, X>> = arity<X>;
template <class Op, class L, class R> inline constexpr std::size_t arity<Binary<Op, L, R>> = arity<L> > arity<R> ? arity<L> : arity<R>;
template <class C, class T, class F> inline constexpr std::size_t arity<Select<C, T, F>> =
    arity<C> > arity<Binary<op::Add, T, F>> ? arity<C> : arity<Binary<op::Add, T, F>>;

namespace detail {
template <class F, std::size_t... I> constexpr auto record(const F& function, std::index_sequence<I...>) { return lift(function(Argument<I>{}...)); }
template <class F, std::size_t... I> constexpr bool is_recordable(std::index_sequence<I...>) {
  if constexpr (std::is_invocable_v<const F&, Argument<I>...>) return Operand<std::invoke_result_t<const F&, Argument<I>...>>;
  else return false;
}
}  // namespace detail

// F can be called on Count symbols and returns an expression or a number.
template <class F, std::size_t Count> concept Recordable = detail::is_recordable<std::remove_cvref_t<F>>(std::make_index_sequence<Count>{});

// Calls the user's function once on Count symbols. An expression that is already recorded is returned as it is.
template <std::size_t Count, class F> requires(Recorded<F> || Recordable<F, Count>) constexpr auto record(const F& function) {
  if constexpr (Recorded<F>) return function;
  else return detail::record(function, std::make_index_sequence<Count>{});
}

// The identity: a plain copy, or a matmul without an epilogue.
using Identity = Argument<0>;

}  // namespace cotenant::expr

#endif
