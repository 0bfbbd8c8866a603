// RecordedCode: a recorded expression (core/expr.hpp) as SPIR-V, with its literals as scalars of the launch.
#ifndef COTENANT_VULKAN_SPIRV_EXPRESSION_HPP
#define COTENANT_VULKAN_SPIRV_EXPRESSION_HPP
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "cotenant/core/convert.hpp"
#include "cotenant/core/expr.hpp"
#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/kernel_key.hpp"
#include "cotenant/vulkan/spirv_math.hpp"

// The literals are no part of the code: one kernel serves `x * scale` for every scale. A kernel's host side puts
// expression_key() into the launch's key and calls append_literals() for the scalars; its emitter makes a RecordedCode where
// those scalars come in the order of parameters, and calls it as often as it likes.
namespace cotenant::vulkan {

// The expression as text, such as "add(a0,mul(a1,#))": what its code depends on.
template <class E> void append_expression_key(KernelKey& key, const E& expression) {
  if constexpr (requires { expression.value; }) key.append('#');
  else if constexpr (requires { expression.condition; }) {
    key.append("select(");
    append_expression_key(key, expression.condition), key.append(',');
    append_expression_key(key, expression.if_true), key.append(',');
    append_expression_key(key, expression.if_false), key.append(')');
  } else if constexpr (requires { expression.left; }) {
    [&]<class Op, class L, class R>(const expr::Binary<Op, L, R>&) { key.append(Op::name, '('); }(expression);
    append_expression_key(key, expression.left), key.append(',');
    append_expression_key(key, expression.right), key.append(')');
  } else if constexpr (requires { expression.x; }) {
    [&]<class Op, class X>(const expr::Unary<Op, X>&) { key.append(Op::name, '('); }(expression);
    append_expression_key(key, expression.x), key.append(')');
  } else {
    [&]<std::size_t I>(expr::Argument<I>) { key.append('a', I); }(expression);
  }
}
template <class E> std::string expression_key(const E& expression) {
  KernelKey key;
  append_expression_key(key, expression);
  return std::string(key.view());
}

// Calls f(value) for each literal, in the order in which the code numbers them.
template <class E, class F> void for_each_literal(const E& expression, F&& f) {
  if constexpr (requires { expression.value; }) f(expression.value);
  else if constexpr (requires { expression.condition; })
    for_each_literal(expression.condition, f), for_each_literal(expression.if_true, f), for_each_literal(expression.if_false, f);
  else if constexpr (requires { expression.left; }) for_each_literal(expression.left, f), for_each_literal(expression.right, f);
  else if constexpr (requires { expression.x; }) for_each_literal(expression.x, f);
}
// The literals as scalars of a launch, converted to the type C that the expression computes in: float, int32_t or int64_t.
template <class C, class E, class Scalars> void append_literals(const E& expression, Scalars& scalars) {
  for_each_literal(expression, [&](auto value) {
    const C converted = convert<C>(value);
    if constexpr (std::is_same_v<C, float>) scalars.push_back(__builtin_bit_cast(std::uint32_t, converted));
    else scalars.push_back(static_cast<std::uint32_t>(converted));
    if constexpr (sizeof(C) == 8) scalars.push_back(static_cast<std::uint32_t>(static_cast<std::uint64_t>(converted) >> 32));
  });
}

namespace detail {
template <class> inline constexpr bool is_comparison_node = false;
template <class Op, class L, class R> inline constexpr bool is_comparison_node<expr::Binary<Op, L, R>> = expr::op::is_comparison<Op>;

template <class Op> Value unary_code(Value x) {
  namespace op = expr::op;
  namespace s = spirv;
  if constexpr (std::is_same_v<Op, op::Negate>) return s::negate(x);
  else if constexpr (std::is_same_v<Op, op::Abs>) return s::abs(x);
  else if constexpr (std::is_same_v<Op, op::Exp>) return s::exp(x);
  else if constexpr (std::is_same_v<Op, op::Log>) return s::log(x);
  else if constexpr (std::is_same_v<Op, op::Sqrt>) return s::sqrt(x);
  else if constexpr (std::is_same_v<Op, op::Rsqrt>) return s::rsqrt(x);
  else if constexpr (std::is_same_v<Op, op::Reciprocal>) return s::reciprocal(x);
  else if constexpr (std::is_same_v<Op, op::Tanh>) return s::tanh(x);
  else if constexpr (std::is_same_v<Op, op::Erf>) return s::erf(x);
  else if constexpr (std::is_same_v<Op, op::Sigmoid>) return s::sigmoid(x);
  else if constexpr (std::is_same_v<Op, op::Gelu>) return s::gelu(x);
  else if constexpr (std::is_same_v<Op, op::GeluTanh>) return s::gelu_tanh(x);
  else if constexpr (std::is_same_v<Op, op::Silu>) return s::silu(x);
  else if constexpr (std::is_same_v<Op, op::Relu>) return s::relu(x);
  else if constexpr (std::is_same_v<Op, op::Floor>) return s::floor(x);
  else if constexpr (std::is_same_v<Op, op::Ceil>) return s::ceil(x);
  else if constexpr (std::is_same_v<Op, op::Round>) return s::round(x);
  else static_assert(!std::is_same_v<Op, Op>, "an op without code");
}
// A comparison gives a boolean here.
template <class Op> Value binary_code(Value a, Value b) {
  namespace op = expr::op;
  namespace s = spirv;
  if constexpr (std::is_same_v<Op, op::Add>) return s::no_contraction(a + b);
  else if constexpr (std::is_same_v<Op, op::Subtract>) return s::no_contraction(a - b);
  else if constexpr (std::is_same_v<Op, op::Multiply>) return s::no_contraction(a * b);
  else if constexpr (std::is_same_v<Op, op::Divide>) return s::divide(a, b);
  else if constexpr (std::is_same_v<Op, op::Minimum>) return s::minimum(a, b);
  else if constexpr (std::is_same_v<Op, op::Maximum>) return s::maximum(a, b);
  else if constexpr (std::is_same_v<Op, op::Power>) return s::pow(a, b);
  else if constexpr (std::is_same_v<Op, op::Equal>) return s::equal(a, b);
  else if constexpr (std::is_same_v<Op, op::NotEqual>) return s::not_equal(a, b);
  else if constexpr (std::is_same_v<Op, op::Less>) return s::less(a, b);
  else if constexpr (std::is_same_v<Op, op::LessEqual>) return s::less_equal(a, b);
  else if constexpr (std::is_same_v<Op, op::Greater>) return s::less(b, a);
  else if constexpr (std::is_same_v<Op, op::GreaterEqual>) return s::less_equal(b, a);
  else static_assert(!std::is_same_v<Op, Op>, "an op without code");
}
}  // namespace detail

// Every step happens in `compute`: f32, i32 or i64. What the user wrote is not contracted: a product is rounded before it is
// added to.
template <class E> class RecordedCode {
 public:
  // Declares the literals' scalars.
  RecordedCode(KernelBuilder& kernel, const E& expression, DType compute)
      : kernel_(&kernel), expression_(expression), type_(compute_register(kernel, compute)) {
    for_each_literal(expression, [&](auto) {
      if (compute == DType::i64) literals_.push_back(spirv::bitcast(type_, kernel.scalar64()));
      else literals_.push_back(kernel.scalar(type_));
    });
  }

  // The expression's value where Argument<I> is arguments[I]: any register values, converted first; all scalars, or all vectors
  // of one size.
  Value operator()(const std::vector<Value>& arguments) const {
    Pass pass{{}, literals_, 0};
    for (const Value& argument : arguments) pass.arguments.push_back(spirv::convert(spirv::shaped_as(argument.type, type_), argument));
    if (!arguments.empty() && arguments[0].type->is_vector()) for (Value& literal : pass.literals) literal = spirv::splat(literal, arguments[0].type->count);
    return number(expression_, pass);
  }

 private:
  static Type compute_register(KernelBuilder& kernel, DType compute) {
    return compute == DType::f32 ? kernel.f32() : kernel.module().integer(compute == DType::i64 ? 64 : 32, true);
  }
  struct Pass {
    std::vector<Value> arguments, literals;
    std::size_t next_literal;
  };
  template <class X> Value number(const X& x, Pass& pass) const {
    if constexpr (requires { x.value; }) return pass.literals[pass.next_literal++];
    else if constexpr (requires { x.condition; }) {
      // In the literals' order.
      const Value chosen = condition(x.condition, pass), yes = number(x.if_true, pass), no = number(x.if_false, pass);
      return spirv::select(chosen, yes, no);
    } else if constexpr (detail::is_comparison_node<X>) {
      const Value holds = condition(x, pass);
      return spirv::convert(spirv::shaped_as(holds.type, type_), holds);
    } else if constexpr (requires { x.left; }) {
      const Value left = number(x.left, pass), right = number(x.right, pass);
      return [&]<class Op, class L, class R>(const expr::Binary<Op, L, R>&) { return detail::binary_code<Op>(left, right); }(x);
    } else if constexpr (requires { x.x; }) {
      const Value inner = number(x.x, pass);
      return [&]<class Op, class X1>(const expr::Unary<Op, X1>&) { return detail::unary_code<Op>(inner); }(x);
    } else {
      return [&]<std::size_t I>(expr::Argument<I>) { return pass.arguments[I]; }(x);
    }
  }
  // Whether x is not 0; NaN is not.
  template <class X> Value condition(const X& x, Pass& pass) const {
    if constexpr (detail::is_comparison_node<X>) {
      const Value left = number(x.left, pass), right = number(x.right, pass);
      return [&]<class Op, class L, class R>(const expr::Binary<Op, L, R>&) { return detail::binary_code<Op>(left, right); }(x);
    } else {
      const Value value = number(x, pass);
      return value.type->is_float() ? !spirv::is_zero(value) : value != 0;
    }
  }

  KernelBuilder* kernel_;
  E expression_;
  Type type_;
  std::vector<Value> literals_;
};

}  // namespace cotenant::vulkan

#endif
