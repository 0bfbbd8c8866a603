// The operands of expressions that tests write down: x, y and z.
#ifndef COTENANT_TESTS_CORE_ARGUMENTS_HPP
#define COTENANT_TESTS_CORE_ARGUMENTS_HPP
#include "cotenant/core/expr.hpp"

namespace cotenant::test {

inline constexpr expr::Argument<0> x;
inline constexpr expr::Argument<1> y;
inline constexpr expr::Argument<2> z;

}  // namespace cotenant::test

#endif
