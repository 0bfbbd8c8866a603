// FunctionRef: what it refers to is called, and not copied.
#include "cotenant/core/function_ref.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "cotenant/core/function_ref.hpp"

using cotenant::FunctionRef;

namespace {
int twice(FunctionRef<int(int)> f, int first) { return f(f(first)); }
struct Counter {
  int& calls;
  std::string operator()(const std::string& text) const { return ++calls, text + '!'; }
};
}  // namespace

TEST_CASE("FunctionRef: calls lambdas, functions and function objects, without copying them") {
  const int by = 3;
  CHECK(twice([&](int number) { return number * by; }, 2) == 18);
  int (*const negate)(int) = [](int number) { return -number; };
  CHECK(twice(negate, 5) == 5);
  int calls = 0;
  const Counter counter{calls};
  const FunctionRef<std::string(const std::string&)> ref(counter);
  CHECK(ref("a") == "a!");
  const auto copy = ref;  // refers to the same
  CHECK(copy("b") == "b!");
  CHECK(calls == 2);
}

TEST_CASE("FunctionRef: results are converted or dropped, arguments are moved along") {
  int sum = 0;
  const auto add = [&](int number) { return sum += number; };
  const FunctionRef<void(int)> silent(add);
  silent(4);
  CHECK(sum == 4);
  const auto name = [] { return "name"; };
  CHECK(FunctionRef<std::string()>(name)() == std::string("name"));
  const auto take = [](std::unique_ptr<int> p) { return *p; };
  CHECK(FunctionRef<int(std::unique_ptr<int>)>(take)(std::make_unique<int>(7)) == 7);
}
