// What a call that fails says, for tests that look for words in it.
#ifndef COTENANT_TESTS_ERROR_TEXT_HPP
#define COTENANT_TESTS_ERROR_TEXT_HPP
#include <doctest/doctest.h>

#include <exception>
#include <string>
#include <string_view>

#include "cotenant/core/error.hpp"

namespace cotenant::test {

// "code: sentence" of the Error that f() raises.
template <class F> std::string message(F f) {
  try {
    f();
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "no error";
}
// What the error of type E says that f() raises; fails the test where it raises another, or none.
template <class E, class F> std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    FAIL("another error was thrown: " << error.what());
  }
  FAIL("no error was thrown");
  return {};
}
inline bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace cotenant::test

#endif
