// replay(): a recorded expression on vectors; core/evaluate.hpp says what each op means.
#if defined(COTENANT_CPU_REPLAY_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_REPLAY_INL_HPP
#undef COTENANT_CPU_REPLAY_INL_HPP
#else
#define COTENANT_CPU_REPLAY_INL_HPP
#endif
#include <concepts>
#include <cstddef>
#include <type_traits>

#include <hwy/highway.h>

#include "cotenant/core/convert.hpp"
#include "cotenant/core/expr.hpp"
#include "cotenant/cpu/power-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// a != b, true where either is NaN. Highway's Ne is ordered on AVX2 and AVX-512 (false for NaN) and unordered elsewhere.
HWY_INLINE auto differs(FloatVector a, FloatVector b) { return hn::Not(hn::Eq(a, b)); }

template <class Op> HWY_INLINE FloatVector apply(FloatTag d, Op, FloatVector x) {
  namespace op = expr::op;
  if constexpr (std::same_as<Op, op::Negate>) return hn::Neg(x);
  else if constexpr (std::same_as<Op, op::Abs>) return hn::Abs(x);
  else if constexpr (std::same_as<Op, op::Exp>) return vector_exp(d, x);
  else if constexpr (std::same_as<Op, op::Log>) return vector_log(d, x);
  else if constexpr (std::same_as<Op, op::Sqrt>) return hn::Sqrt(x);
  else if constexpr (std::same_as<Op, op::Rsqrt>) return hn::Div(constant(d, 1.0f), hn::Sqrt(x));
  else if constexpr (std::same_as<Op, op::Reciprocal>) return hn::Div(constant(d, 1.0f), x);
  else if constexpr (std::same_as<Op, op::Tanh>) return vector_tanh(d, x);
  else if constexpr (std::same_as<Op, op::Erf>) return vector_erf(d, x);
  else if constexpr (std::same_as<Op, op::Sigmoid>) return vector_sigmoid(d, x);
  else if constexpr (std::same_as<Op, op::Gelu>) return vector_gelu(d, x);
  else if constexpr (std::same_as<Op, op::GeluTanh>) return vector_gelu_tanh(d, x);
  else if constexpr (std::same_as<Op, op::Silu>) return vector_silu(d, x);
  else if constexpr (std::same_as<Op, op::Relu>) return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x);
  else if constexpr (std::same_as<Op, op::Floor>) return hn::Floor(x);
  else if constexpr (std::same_as<Op, op::Ceil>) return hn::Ceil(x);
  else if constexpr (std::same_as<Op, op::Round>) return hn::Round(x);
  else static_assert(!std::same_as<Op, Op>, "an op without a vector meaning");
}

template <class Op> HWY_INLINE FloatVector apply(FloatTag d, Op, FloatVector a, FloatVector b) {
  namespace op = expr::op;
  const auto one = constant(d, 1.0f);
  if constexpr (std::same_as<Op, op::Add>) return hn::Add(a, b);
  else if constexpr (std::same_as<Op, op::Subtract>) return hn::Sub(a, b);
  else if constexpr (std::same_as<Op, op::Multiply>) return hn::Mul(a, b);
  else if constexpr (std::same_as<Op, op::Divide>) return hn::Div(a, b);
  // Highway's Min and Max leave open what NaN gives; here either NaN wins.
  else if constexpr (std::same_as<Op, op::Minimum>) return hn::IfThenElse(hn::Or(hn::Lt(b, a), differs(b, b)), b, a);
  else if constexpr (std::same_as<Op, op::Maximum>) return hn::IfThenElse(hn::Or(hn::Lt(a, b), differs(b, b)), b, a);
  else if constexpr (std::same_as<Op, op::Power>) return vector_pow(d, a, b);
  else if constexpr (std::same_as<Op, op::Equal>) return hn::IfThenElseZero(hn::Eq(a, b), one);
  else if constexpr (std::same_as<Op, op::NotEqual>) return hn::IfThenElseZero(differs(a, b), one);
  else if constexpr (std::same_as<Op, op::Less>) return hn::IfThenElseZero(hn::Lt(a, b), one);
  else if constexpr (std::same_as<Op, op::LessEqual>) return hn::IfThenElseZero(hn::Le(a, b), one);
  else if constexpr (std::same_as<Op, op::Greater>) return hn::IfThenElseZero(hn::Gt(a, b), one);
  else if constexpr (std::same_as<Op, op::GreaterEqual>) return hn::IfThenElseZero(hn::Ge(a, b), one);
  else static_assert(!std::same_as<Op, Op>, "an op without a vector meaning");
}

// What a node of the expression is made of; only named, never called.
template <class Op, class X> Op op_of(const expr::Unary<Op, X>&);
template <class Op, class L, class R> Op op_of(const expr::Binary<Op, L, R>&);
template <class> inline constexpr std::size_t argument_index = 0;
template <std::size_t I> inline constexpr std::size_t argument_index<expr::Argument<I>> = I;

template <std::size_t I, class... More> HWY_INLINE FloatVector pick(FloatVector first, More... more) {
  if constexpr (I == 0) return first;
  else return pick<I - 1>(more...);
}

// The expression where Argument<I> is the I-th of `arguments`.
template <class E, class... Argument> HWY_INLINE FloatVector replay(FloatTag d, const E& expression, Argument... arguments) {
  if constexpr (requires { expression.value; }) return constant(d, convert<float>(expression.value));
  else if constexpr (requires { expression.condition; })
    return hn::IfThenElse(differs(replay(d, expression.condition, arguments...), hn::Zero(d)), replay(d, expression.if_true, arguments...),
                          replay(d, expression.if_false, arguments...));
  else if constexpr (requires { expression.left; })
    return apply(d, decltype(op_of(expression)){}, replay(d, expression.left, arguments...), replay(d, expression.right, arguments...));
  else if constexpr (requires { expression.x; }) return apply(d, decltype(op_of(expression)){}, replay(d, expression.x, arguments...));
  else return pick<argument_index<E>>(arguments...);
}

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
