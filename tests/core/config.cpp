// Version, options and the internal assertion.
#include "cotenant/core/config.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

TEST_CASE("the version as a number and as text are the same") {
  const int major = COTENANT_VERSION / 10000, minor = COTENANT_VERSION / 100 % 100, patch = COTENANT_VERSION % 100;
  CHECK(std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch) == COTENANT_VERSION_STRING);
#if COTENANT_VERSION < 100
  FAIL("the preprocessor sees another version");
#endif
}

TEST_CASE("an assertion evaluates its condition once, and not at all in a release") {
  int evaluated = 0;
  COTENANT_ASSERT(++evaluated == 1);
#ifdef NDEBUG
  CHECK(evaluated == 0);
#else
  CHECK(evaluated == 1);
#endif
  // One statement, also where there are no braces.
  if (evaluated > 5) COTENANT_ASSERT(false);
  else ++evaluated;
  CHECK(evaluated >= 1);
}

TEST_CASE("exceptions are used where the compiler has them") {
#if defined(__cpp_exceptions)
  CHECK(COTENANT_EXCEPTIONS == 1);
#else
  CHECK(COTENANT_EXCEPTIONS == 0);
#endif
}

TEST_CASE("one CPU target is passed on to Highway") {
#ifdef HWY_COMPILE_ONLY_STATIC
  constexpr bool only_static = true;
#else
  constexpr bool only_static = false;
#endif
#ifdef COTENANT_STATIC_DISPATCH
  CHECK(only_static);
#else
  CHECK_FALSE(only_static);
#endif
}

TEST_CASE("AddressSanitizer is noticed") {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COTENANT_TEST_EXPECTS_SANITIZER
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(COTENANT_TEST_EXPECTS_SANITIZER)
  CHECK(COTENANT_ADDRESS_SANITIZER == 1);
#else
  CHECK(COTENANT_ADDRESS_SANITIZER == 0);
#endif
}

std::vector<std::string>& seen() {
  static std::vector<std::string> conditions;
  return conditions;
}

}  // namespace

// A program may bring its own assertion: the header, read once more, leaves it alone.
#undef COTENANT_CORE_CONFIG_HPP
#undef COTENANT_ASSERT
#define COTENANT_ASSERT(condition) ((condition) ? void() : seen().push_back(#condition))
#include "cotenant/core/config.hpp"

TEST_CASE("a program may bring its own assertion") {
  COTENANT_ASSERT(1 + 1 == 2);
  COTENANT_ASSERT(1 + 1 == 3);
  CHECK(seen() == std::vector<std::string>{"1 + 1 == 3"});
}
