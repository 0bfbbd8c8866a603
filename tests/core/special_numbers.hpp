// Infinity and NaN of a floating-point type, for tests of what becomes of them.
#ifndef COTENANT_TESTS_CORE_SPECIAL_NUMBERS_HPP
#define COTENANT_TESTS_CORE_SPECIAL_NUMBERS_HPP
#include <limits>

namespace cotenant::test {

template <class C> constexpr C infinity = std::numeric_limits<C>::infinity();
template <class C> constexpr C not_a_number = std::numeric_limits<C>::quiet_NaN();

}  // namespace cotenant::test

#endif
