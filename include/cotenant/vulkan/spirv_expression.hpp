// RecordedCode: a recorded expression as SPIR-V, with its literals as scalars of the launch.
#ifndef COTENANT_VULKAN_SPIRV_EXPRESSION_HPP
#define COTENANT_VULKAN_SPIRV_EXPRESSION_HPP
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "cotenant/core/expr.hpp"
#include "cotenant/vulkan/any_expression.hpp"
#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/spirv_power.hpp"

// A kernel's host side puts the expression's text into the launch's key and its literals among the scalars; its emitter makes a
// RecordedCode where those scalars come in the order of parameters, and calls it as often as it likes.
namespace cotenant::vulkan {

namespace detail {
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
// What one op of an expression's text stands for.
struct ExpressionOp {
  std::string_view name;
  Value (*unary)(Value);
  Value (*binary)(Value, Value);
};
// Constants: destructors of a program's own static objects may still compute.
template <class... Op> inline constexpr std::array<ExpressionOp, sizeof...(Op)> unary_ops{ExpressionOp{Op::name, unary_code<Op>, nullptr}...};
template <class... Op> inline constexpr std::array<ExpressionOp, sizeof...(Op)> binary_ops{ExpressionOp{Op::name, nullptr, binary_code<Op>}...};
[[gnu::cold]] inline const ExpressionOp& expression_op(std::string_view name) {
  using namespace expr::op;
  static constexpr std::span<const ExpressionOp> unary =
      unary_ops<Negate, Abs, Exp, Log, Sqrt, Rsqrt, Reciprocal, Tanh, Erf, Sigmoid, Gelu, GeluTanh, Silu, Relu, Floor, Ceil, Round>;
  static constexpr std::span<const ExpressionOp> binary =
      binary_ops<Add, Subtract, Multiply, Divide, Minimum, Maximum, Power, Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual>;
  for (const std::span<const ExpressionOp> ops : {unary, binary})
    for (const ExpressionOp& op : ops) if (op.name == name) return op;
  raise<InvalidArgument>("a recorded expression has the op '" + std::string(name) + "', for which there is no SPIR-V");
}
}  // namespace detail

// Every step happens in the expression's type. What the user wrote is not contracted: a product is rounded before it is
// added to.
class RecordedCode {
 public:
  // Declares the literals' scalars.
  [[gnu::cold]] RecordedCode(KernelBuilder& kernel, std::string_view text, DType compute) : text_(text), type_(compute_register(kernel, compute)) {
    for (std::size_t i = literal_count(text); i > 0; --i) {
      if (compute == DType::i64) literals_.push_back(spirv::bitcast(type_, kernel.scalar64()));
      else literals_.push_back(kernel.scalar(type_));
    }
  }

  // The expression's value where Argument<I> is arguments[I]: any register values, converted first; all scalars, or all vectors
  // of one size.
  [[gnu::cold]] Value operator()(const std::vector<Value>& arguments) const {
    Pass pass{{}, literals_, 0, text_};
    for (const Value& argument : arguments) pass.arguments.push_back(spirv::convert(spirv::shaped_as(argument.type, type_), argument));
    if (!arguments.empty() && arguments[0].type->is_vector()) for (Value& literal : pass.literals) literal = spirv::splat(literal, arguments[0].type->count);
    return number(pass);
  }

 private:
  static Type compute_register(KernelBuilder& kernel, DType compute) {
    return compute == DType::f32 ? kernel.f32() : kernel.module().integer(compute == DType::i64 ? 64 : 32, true);
  }
  struct Pass {
    std::vector<Value> arguments, literals;
    std::size_t next_literal;
    std::string_view rest;  // of the text
  };
  // What the text begins with, up to the next of "(,)", and that one where it opens or parts arguments.
  static std::string_view word(Pass& pass) {
    const std::size_t end = pass.rest.find_first_of("(,)");
    const std::string_view result = pass.rest.substr(0, end);
    pass.rest.remove_prefix(result.size());
    return result;
  }
  static void skip(Pass& pass) { pass.rest.remove_prefix(1); }
  // A comparison's value is a boolean.
  [[gnu::cold]] Value node(Pass& pass) const {
    const std::string_view name = word(pass);
    if (name == "#") return pass.literals[pass.next_literal++];
    if (name[0] == 'a' && name[1] >= '0' && name[1] <= '9') {
      std::size_t index = 0;
      for (const char digit : name.substr(1)) index = index * 10 + static_cast<std::size_t>(digit - '0');
      return pass.arguments[index];
    }
    skip(pass);
    Value result;
    if (name == "select") {
      const Value chosen = condition(pass);
      skip(pass);
      const Value yes = number(pass);
      skip(pass);
      result = spirv::select(chosen, yes, number(pass));
    } else {
      const detail::ExpressionOp& op = detail::expression_op(name);
      const Value left = number(pass);
      if (op.unary != nullptr) result = op.unary(left);
      else skip(pass), result = op.binary(left, number(pass));
    }
    skip(pass);
    return result;
  }
  Value number(Pass& pass) const {
    const Value value = node(pass);
    return is_truth(value) ? spirv::convert(spirv::shaped_as(value.type, type_), value) : value;
  }
  // Whether it is not 0; NaN is not.
  Value condition(Pass& pass) const {
    const Value value = node(pass);
    return is_truth(value) ? value : value.type->is_float() ? !spirv::is_zero(value) : value != 0;
  }
  static bool is_truth(const Value& value) { return value.type->is_boolean(); }

  std::string_view text_;
  Type type_;
  std::vector<Value> literals_;
};

}  // namespace cotenant::vulkan

#endif
