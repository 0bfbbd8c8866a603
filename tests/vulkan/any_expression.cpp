#include "cotenant/vulkan/any_expression.hpp"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

using namespace cotenant;
using namespace cotenant::vulkan;

namespace {
template <class E> std::string_view text_of(const E&) { return expression_text<E>(); }
template <class C, class E> std::vector<std::uint32_t> literals_of(const E& expression) {
  const ExpressionData<C, E> data(expression);
  const AnyExpression any = data;
  CHECK(any.text == expression_text<E>());
  CHECK(any.compute == dtype_of<C>);
  return {any.literals.begin(), any.literals.end()};
}
const auto recorded = [](float a, int b) { return expr::record<1>([=](auto x) { return select(x < a, x * b, x - 2.5); }); };
}  // namespace

TEST_CASE("expressions: one text for all literals") {
  CHECK(text_of(recorded(1, 2)) == "select(lesser(a0,#),mul(a0,#),sub(a0,#))");
  CHECK(text_of(recorded(1, 2)) == text_of(recorded(3, 4)));
  CHECK(text_of(expr::record<2>([](auto x, auto y) { return -y + gelu(x); })) == "add(neg(a1),gelu(a0))");
  CHECK(text_of(expr::Identity{}) == "a0");
  CHECK(text_of(expr::Unary<expr::op::Abs, expr::Argument<120>>{}) == "abs(a120)");
}

TEST_CASE("expressions: literals in the text's order and in the type that is computed in") {
  CHECK(literal_count(text_of(recorded(1, 2))) == 3);
  CHECK(literals_of<float>(recorded(1, 2)) == std::vector<std::uint32_t>{0x3F800000, 0x40000000, 0x40200000});
  CHECK(literals_of<std::int32_t>(recorded(1.9f, -2)) == std::vector<std::uint32_t>{1, 0xFFFFFFFE, 2});
  CHECK(literals_of<std::int64_t>(recorded(1, -2)) == std::vector<std::uint32_t>{1, 0, 0xFFFFFFFE, 0xFFFFFFFF, 2, 0});
  CHECK(literals_of<float>(expr::Identity{}).empty());
}
