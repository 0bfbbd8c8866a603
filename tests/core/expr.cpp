// Recorded expressions: what a lambda becomes, how many operands it needs, and what is not recorded.
#include "cotenant/core/expr.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "arguments.hpp"

namespace {

namespace expr = cotenant::expr;
namespace op = cotenant::expr::op;
using expr::Argument;
using expr::Binary;
using expr::Literal;
using expr::Unary;

template <std::size_t Count, class F> constexpr auto record(const F& function) { return expr::record<Count>(function); }
template <class A, class B> concept Addable = requires(A a, B b) { a + b; };
template <class A, class B> concept Comparable = requires(A a, B b) { a < b; };
template <class A, class B> concept HasMinimum = requires(A a, B b) { min(a, b); };
template <class C, class T, class F> concept Selectable = requires(C c, T t, F f) { select(c, t, f); };

using cotenant::test::x, cotenant::test::y, cotenant::test::z;

// The name of the outermost operation.
template <class Op, class X> std::string name_of(Unary<Op, X>) { return Op::name; }
template <class Op, class L, class R> std::string name_of(Binary<Op, L, R>) { return Op::name; }

}  // namespace

TEST_CASE("a lambda is called once on symbols and its type is the expression") {
  int calls = 0;
  const auto recorded = record<2>([&](auto a, auto bias) {
    ++calls;
    return gelu(a + bias);
  });
  static_assert(std::is_same_v<decltype(recorded), const Unary<op::Gelu, Binary<op::Add, Argument<0>, Argument<1>>>>);
  CHECK(calls == 1);
  static_assert(std::is_empty_v<Argument<3>>);
  static_assert(std::is_same_v<decltype(record<1>([](auto a) { return a; })), expr::Identity>);
  // An operand that is not used still counts as recorded; one used twice is one symbol.
  static_assert(std::is_same_v<decltype(record<2>([](auto, auto b) { return b * b; })), Binary<op::Multiply, Argument<1>, Argument<1>>>);
}

TEST_CASE("an expression that is recorded already is taken as it is") {
  constexpr auto sum = x + 2.5;
  constexpr auto again = record<1>(sum);
  static_assert(std::is_same_v<decltype(again), decltype(sum)>);
  CHECK(again.right.value == 2.5);
  static_assert(std::is_same_v<decltype(record<7>(expr::Identity{})), Argument<0>>);
}

TEST_CASE("numbers become literals of the type that was written") {
  static_assert(std::is_same_v<decltype((x * 2).right), Literal<int>>);
  static_assert(std::is_same_v<decltype((x * 2.0f).right), Literal<float>>);
  static_assert(std::is_same_v<decltype((x * 2.0).right), Literal<double>>);
  static_assert(std::is_same_v<decltype((x * 2.0L).right), Literal<long double>>);
  static_assert(std::is_same_v<decltype((x * std::int8_t{2}).right), Literal<std::int8_t>>);
  static_assert(std::is_same_v<decltype((x * std::uint64_t{2}).right), Literal<std::uint64_t>>);
  static_assert(std::is_same_v<decltype((x == true).right), Literal<bool>>);
  static_assert(std::is_same_v<decltype((3 - x).left), Literal<int>>);
  CHECK((x * 0.1).right.value == 0.1);  // not rounded to float
  CHECK((x + INT64_MIN).right.value == INT64_MIN);
  CHECK((3 - x).left.value == 3);
  // A captured value is read when the lambda is recorded.
  float scale = 4;
  const auto recorded = record<1>([&](auto a) { return a * scale; });
  scale = 5;
  CHECK(recorded.right.value == 4);
  // A lambda may ignore its operands.
  const auto constant = record<1>([](auto) { return 1.5f; });
  static_assert(std::is_same_v<decltype(constant), const Literal<float>>);
  CHECK(constant.value == 1.5f);
}

TEST_CASE("operators keep the order of their operands") {
  static_assert(std::is_same_v<decltype(x - y), Binary<op::Subtract, Argument<0>, Argument<1>>>);
  static_assert(std::is_same_v<decltype(y - x), Binary<op::Subtract, Argument<1>, Argument<0>>>);
  static_assert(std::is_same_v<decltype(1 / x), Binary<op::Divide, Literal<int>, Argument<0>>>);
  // 1 < x is recorded as such and not turned round.
  static_assert(std::is_same_v<decltype(1 < x), Binary<op::Less, Literal<int>, Argument<0>>>);
  static_assert(std::is_same_v<decltype(x == y), Binary<op::Equal, Argument<0>, Argument<1>>>);
  static_assert(std::is_same_v<decltype(1.f == x), Binary<op::Equal, Literal<float>, Argument<0>>>);
  static_assert(std::is_same_v<decltype(x + y * z), Binary<op::Add, Argument<0>, Binary<op::Multiply, Argument<1>, Argument<2>>>>);
  static_assert(std::is_same_v<decltype(-x - y), Binary<op::Subtract, Unary<op::Negate, Argument<0>>, Argument<1>>>);
  static_assert(std::is_same_v<decltype(pow(2, x)), Binary<op::Power, Literal<int>, Argument<0>>>);
}

TEST_CASE("every function has WebNN's name") {
  CHECK(name_of(-x) == "neg");
  CHECK(name_of(abs(x)) == "abs");
  CHECK(name_of(exp(x)) == "exp");
  CHECK(name_of(log(x)) == "log");
  CHECK(name_of(sqrt(x)) == "sqrt");
  CHECK(name_of(rsqrt(x)) == "rsqrt");
  CHECK(name_of(reciprocal(x)) == "reciprocal");
  CHECK(name_of(tanh(x)) == "tanh");
  CHECK(name_of(erf(x)) == "erf");
  CHECK(name_of(sigmoid(x)) == "sigmoid");
  CHECK(name_of(gelu(x)) == "gelu");
  CHECK(name_of(gelu_tanh(x)) == "gelu_tanh");
  CHECK(name_of(silu(x)) == "silu");
  CHECK(name_of(relu(x)) == "relu");
  CHECK(name_of(floor(x)) == "floor");
  CHECK(name_of(ceil(x)) == "ceil");
  CHECK(name_of(round(x)) == "round");
  CHECK(name_of(x + y) == "add");
  CHECK(name_of(x - y) == "sub");
  CHECK(name_of(x * y) == "mul");
  CHECK(name_of(x / y) == "div");
  CHECK(name_of(min(x, y)) == "min");
  CHECK(name_of(max(x, y)) == "max");
  CHECK(name_of(pow(x, y)) == "pow");
  CHECK(name_of(x == y) == "equal");
  CHECK(name_of(x != y) == "not_equal");
  CHECK(name_of(x < y) == "lesser");
  CHECK(name_of(x <= y) == "lesser_or_equal");
  CHECK(name_of(x > y) == "greater");
  CHECK(name_of(x >= y) == "greater_or_equal");
}

TEST_CASE("select has three sub-expressions, clamp is a minimum of a maximum") {
  constexpr auto chosen = select(x > 0, y, 1.5f);
  static_assert(std::is_same_v<decltype(chosen), const expr::Select<Binary<op::Greater, Argument<0>, Literal<int>>, Argument<1>, Literal<float>>>);
  CHECK(chosen.condition.right.value == 0);
  CHECK(chosen.if_false.value == 1.5f);
  // One recorded operand of the three is enough, wherever it is.
  static_assert(std::is_same_v<decltype(select(true, 0.f, x)), expr::Select<Literal<bool>, Literal<float>, Argument<0>>>);

  constexpr auto clamped = clamp(x, -1, 6.f);
  static_assert(std::is_same_v<decltype(clamped), const Binary<op::Minimum, Binary<op::Maximum, Argument<0>, Literal<int>>, Literal<float>>>);
  CHECK(clamped.left.right.value == -1);
  CHECK(clamped.right.value == 6.f);
}

TEST_CASE("arity is the highest operand used, plus one") {
  static_assert(expr::arity<Literal<float>> == 0);
  static_assert(expr::arity<Argument<0>> == 1);
  static_assert(expr::arity<Argument<4>> == 5);
  static_assert(expr::arity<decltype(gelu(x + z))> == 3);
  static_assert(expr::arity<decltype(z - x)> == 3);
  static_assert(expr::arity<decltype(1 + (2 - y))> == 2);
  static_assert(expr::arity<decltype(select(z == 0, x, y))> == 3);
  static_assert(expr::arity<decltype(select(x == 0, z, y))> == 3);
  static_assert(expr::arity<decltype(select(x == 0, y, z))> == 3);
  static_assert(expr::arity<decltype(select(x == 0, 1, 2))> == 1);
  static_assert(expr::arity<int> == 0);
}

TEST_CASE("only comparisons are conditions") {
  static_assert(expr::is_condition<decltype(x < y)> && expr::is_condition<decltype(x != 0)>);
  static_assert(expr::is_condition<decltype(x == y)> && expr::is_condition<decltype(x >= y)>);
  static_assert(expr::is_condition<decltype(1 <= x)> && expr::is_condition<decltype(x > y)>);
  static_assert(!expr::is_condition<decltype(x + y)> && !expr::is_condition<decltype(min(x, y))> && !expr::is_condition<Argument<0>>);
  // What a comparison is used for is a number again.
  static_assert(!expr::is_condition<decltype(-(x < y))> && !expr::is_condition<decltype((x < y) * (y < z))>);
  static_assert(!expr::is_condition<decltype(select(x < y, x, y))>);
  static_assert(op::is_comparison<op::Less> && !op::is_comparison<op::Maximum>);
}

TEST_CASE("which functions have a meaning on integers") {
  static_assert(op::is_exact_on_integers<op::Add> && op::is_exact_on_integers<op::Subtract> && op::is_exact_on_integers<op::Multiply>);
  static_assert(op::is_exact_on_integers<op::Minimum> && op::is_exact_on_integers<op::Maximum> && op::is_exact_on_integers<op::NotEqual>);
  static_assert(op::is_exact_on_integers<op::Negate> && op::is_exact_on_integers<op::Abs> && op::is_exact_on_integers<op::Relu>);
  static_assert(!op::is_exact_on_integers<op::Divide> && !op::is_exact_on_integers<op::Power> && !op::is_exact_on_integers<op::Gelu>);
  static_assert(!op::is_exact_on_integers<op::Exp> && !op::is_exact_on_integers<op::Reciprocal> && !op::is_exact_on_integers<op::Sqrt>);
}

TEST_CASE("what is a recorded expression") {
  static_assert(expr::Recorded<Argument<0>> && expr::Recorded<Literal<int>> && expr::Recorded<decltype(exp(x))> && expr::Recorded<decltype(x * y)>);
  static_assert(expr::Recorded<decltype(select(x, y, z))>);
  static_assert(expr::Recorded<const Argument<0>&>);  // whatever the reference and const
  static_assert(!expr::Recorded<int> && !expr::Recorded<op::Add> && !expr::Recorded<std::string> && !expr::Recorded<Argument<0>*>);
  static_assert(expr::Operand<int> && expr::Operand<const double&> && expr::Operand<Argument<1>>);
  static_assert(!expr::Operand<const char*> && !expr::Operand<void>);
}

TEST_CASE("operators take only symbols and numbers") {
  enum class Colour { red };
  static_assert(Addable<Argument<0>, Argument<1>> && Addable<Argument<0>, int> && Addable<double, Argument<0>>);
  static_assert(!Addable<Argument<0>, std::string> && !Addable<Argument<0>, const char*> && !Addable<Argument<0>, std::nullptr_t>);
  static_assert(!Addable<Argument<0>, Colour> && !Addable<Argument<0>, cotenant::f16>);
  static_assert(!Comparable<Argument<0>, std::string> && Comparable<bool, Argument<0>>);
  static_assert(HasMinimum<Argument<0>, float> && !HasMinimum<Argument<0>, const char*>);
  static_assert(Selectable<bool, int, Argument<0>> && !Selectable<Argument<0>, std::string, int>);
}

TEST_CASE("what can be recorded with how many symbols") {
  const auto two = [](auto a, auto b) { return a + b; };
  static_assert(expr::Recordable<decltype(two), 2> && !expr::Recordable<decltype(two), 1> && !expr::Recordable<decltype(two), 3>);
  const auto any = [](auto... a) { return (a + ... + 1); };
  static_assert(expr::Recordable<decltype(any), 1> && expr::Recordable<decltype(any), 5>);
  static_assert(expr::Recordable<decltype(any), 0>);  // the number 1
  const auto text = [](auto) { return std::string(); };
  const auto nothing = [](auto) {};
  const auto plain = [](float a) { return a; };
  const auto whole = [](auto) { return 3; };
  auto changes = [n = 0](auto a) mutable { ++n; return a; };
  static_assert(!expr::Recordable<decltype(text), 1> && !expr::Recordable<decltype(nothing), 1> && !expr::Recordable<decltype(plain), 1>);
  static_assert(expr::Recordable<decltype(whole), 1>);
  static_assert(!expr::Recordable<decltype(changes), 1>);  // it is called as const
  static_assert(!expr::Recordable<int, 1> && !expr::Recordable<std::string, 1>);
  static_assert(expr::Recordable<const decltype(two)&, 2>);
  CHECK(record<2>(any).right.right.value == 1);
  static_cast<void>(changes);
}
