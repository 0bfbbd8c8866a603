// AnyExpression: a recorded expression (core/expr.hpp) as data: text, such as "add(a0,mul(a1,#))", and the values of its literals.
#ifndef COTENANT_VULKAN_ANY_EXPRESSION_HPP
#define COTENANT_VULKAN_ANY_EXPRESSION_HPP
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "cotenant/core/convert.hpp"
#include "cotenant/core/expr.hpp"

// A kernel's code depends on the text alone: one kernel serves `x * scale` for every scale, and literals are scalars of its launches.
namespace cotenant::vulkan {

struct AnyExpression {
  std::string_view text;                    // lives as long as the program
  std::span<const std::uint32_t> literals;  // in the text's order, in the type that is computed in: two words each for i64
  DType compute = DType::f32;               // f32, i32 or i64: of every step
};

namespace detail {
// The text of an expression's type: how long it is, then the characters.
struct ExpressionLength {
  std::size_t size = 0;
  constexpr void add(std::string_view text) { size += text.size(); }
};
struct ExpressionWriter {
  char* to;
  constexpr void add(std::string_view text) { for (const char one : text) *to++ = one; }
};
template <class Out, std::size_t I> constexpr void write_expression(Out& out, const expr::Argument<I>*) {
  out.add("a");
  std::size_t place = 1;
  while (I / place >= 10) place *= 10;
  for (; place > 0; place /= 10) {
    const char digit = static_cast<char>('0' + I / place % 10);
    out.add({&digit, 1});
  }
}
template <class Out, class T> constexpr void write_expression(Out& out, const expr::Literal<T>*) { out.add("#"); }
template <class Out, class Op, class X> constexpr void write_expression(Out& out, const expr::Unary<Op, X>*);
template <class Out, class Op, class L, class R> constexpr void write_expression(Out& out, const expr::Binary<Op, L, R>*);
template <class Out, class C, class T, class F> constexpr void write_expression(Out& out, const expr::Select<C, T, F>*);
template <class... X, class Out> constexpr void write_call(Out& out, std::string_view name) {
  out.add(name), out.add("(");
  bool first = true;
  ((first ? void() : out.add(","), first = false, write_expression(out, static_cast<const X*>(nullptr))), ...);
  out.add(")");
}
template <class Out, class Op, class X> constexpr void write_expression(Out& out, const expr::Unary<Op, X>*) { write_call<X>(out, Op::name); }
template <class Out, class Op, class L, class R> constexpr void write_expression(Out& out, const expr::Binary<Op, L, R>*) { write_call<L, R>(out, Op::name); }
template <class Out, class C, class T, class F> constexpr void write_expression(Out& out, const expr::Select<C, T, F>*) { write_call<C, T, F>(out, "select"); }

template <class E> constexpr std::size_t expression_length() {
  ExpressionLength length;
  write_expression(length, static_cast<const E*>(nullptr));
  return length.size;
}
template <class E> constexpr auto expression_characters() {
  std::array<char, expression_length<E>()> text{};
  ExpressionWriter writer{text.data()};
  write_expression(writer, static_cast<const E*>(nullptr));
  return text;
}
template <class E> inline constexpr auto expression_array = expression_characters<E>();
}  // namespace detail

template <class E> constexpr std::string_view expression_text() { return {detail::expression_array<E>.data(), detail::expression_array<E>.size()}; }
constexpr std::size_t literal_count(std::string_view text) {
  std::size_t count = 0;
  for (const char one : text) count += one == '#';
  return count;
}

// An expression's data with room for its literals: the AnyExpression of it lives as long as this.
// C is what the expression computes in: float, std::int32_t or std::int64_t.
template <class C, class E> class ExpressionData {
 public:
  explicit ExpressionData(const E& expression) { add(expression); }
  operator AnyExpression() const { return {expression_text<E>(), {words_.data(), count_}, dtype_of<C>}; }

 private:
  template <class X> void add(const X& x) {
    if constexpr (requires { x.value; }) put(convert<C>(x.value));
    else if constexpr (requires { x.condition; }) add(x.condition), add(x.if_true), add(x.if_false);
    else if constexpr (requires { x.left; }) add(x.left), add(x.right);
    else if constexpr (requires { x.x; }) add(x.x);
  }
  void put(C value) {
    if constexpr (std::is_same_v<C, float>) words_[count_++] = __builtin_bit_cast(std::uint32_t, value);
    else words_[count_++] = static_cast<std::uint32_t>(value);
    if constexpr (sizeof(C) == 8) words_[count_++] = static_cast<std::uint32_t>(static_cast<std::uint64_t>(value) >> 32);
  }
  std::array<std::uint32_t, literal_count(expression_text<E>()) * sizeof(C) / 4> words_{};
  std::size_t count_ = 0;
};

}  // namespace cotenant::vulkan

#endif
