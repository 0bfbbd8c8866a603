// attempt(): runs code that may throw and keeps the error, so that what was begun can be undone before it goes on.
#ifndef COTENANT_SHARE_ATTEMPT_HPP
#define COTENANT_SHARE_ATTEMPT_HPP
#include <exception>

#include "cotenant/core/config.hpp"

namespace cotenant::detail {

// Runs user code that may throw, so that what was begun can be undone before the error goes on. True where it did not throw.
template <class F> bool attempt(std::exception_ptr& failure, const F& f) {
#if COTENANT_EXCEPTIONS
  try {
    f();
    return true;
  } catch (...) {
    failure = std::current_exception();
    return false;
  }
#else
  static_cast<void>(failure);
  f();
  return true;
#endif
}

inline void throw_again(const std::exception_ptr& failure) {
#if COTENANT_EXCEPTIONS
  if (failure) std::rethrow_exception(failure);
#else
  static_cast<void>(failure);
#endif
}

}  // namespace cotenant::detail

#endif
