// attempt: an error is kept and thrown again as it was.
#include "cotenant/share/attempt.hpp"

#include <doctest/doctest.h>

#include <exception>
#include <stdexcept>

TEST_CASE("attempt keeps what was thrown") {
  std::exception_ptr failure;
  int runs = 0;
  CHECK(cotenant::detail::attempt(failure, [&] { ++runs; }));
  CHECK_NOTHROW(cotenant::detail::throw_again(failure));
  CHECK_FALSE(cotenant::detail::attempt(failure, [&] {
    ++runs;
    throw std::out_of_range("far");
  }));
  CHECK(runs == 2);
  CHECK_THROWS_AS(cotenant::detail::throw_again(failure), std::out_of_range);
}
