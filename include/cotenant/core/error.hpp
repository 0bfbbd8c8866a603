// Errors: one base class with a code, one subclass per code, each with a sentence that says what to do.
#ifndef COTENANT_CORE_ERROR_HPP
#define COTENANT_CORE_ERROR_HPP
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "cotenant/core/config.hpp"

namespace cotenant {

enum class ErrorCode {
  invalid_argument,   // an argument that no tensor, file or device could make valid
  shape_mismatch,     // shapes, strides, axes or bounds that do not fit each other
  wrong_type,         // another element type or storage than the one that is there
  not_found,          // a name, tensor or file that is not there
  already_registered, // a name that is taken by a tensor of another shape or element type
  read_only,          // writing to bytes that others may be reading
  bad_file,           // a file whose content contradicts itself or its format
  io,                 // the operating system refused to open, read, map or write
  unsupported,        // valid, but not something this build, device or model code does
  out_of_memory,      // an allocation failed
  budget_exceeded,    // the memory budget has no room and nothing can be evicted
  timed_out,          // what was waited for did not come in time
  device_lost,        // a GPU was reset or is gone; what lay only on it is lost
};

// The name of a code as it is spelt above.
inline const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::shape_mismatch: return "shape_mismatch";
    case ErrorCode::wrong_type: return "wrong_type";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::already_registered: return "already_registered";
    case ErrorCode::read_only: return "read_only";
    case ErrorCode::bad_file: return "bad_file";
    case ErrorCode::io: return "io";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::out_of_memory: return "out_of_memory";
    case ErrorCode::budget_exceeded: return "budget_exceeded";
    case ErrorCode::timed_out: return "timed_out";
    case ErrorCode::device_lost: return "device_lost";
  }
  return "unknown";
}

// What every cotenant function throws. what() says what was asked, what is there, and what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

// One type per code, so that `catch (const ShapeError&)` works as well as a switch over code().
template <ErrorCode Code> class ErrorOf : public Error {
 public:
  explicit ErrorOf(const std::string& message) : Error(Code, message) {}
};

using InvalidArgument = ErrorOf<ErrorCode::invalid_argument>;
using ShapeError = ErrorOf<ErrorCode::shape_mismatch>;
using TypeError = ErrorOf<ErrorCode::wrong_type>;
using NotFound = ErrorOf<ErrorCode::not_found>;
using AlreadyRegistered = ErrorOf<ErrorCode::already_registered>;
using ReadOnly = ErrorOf<ErrorCode::read_only>;
using BadFile = ErrorOf<ErrorCode::bad_file>;
using IoError = ErrorOf<ErrorCode::io>;
using Unsupported = ErrorOf<ErrorCode::unsupported>;
using OutOfMemory = ErrorOf<ErrorCode::out_of_memory>;
using BudgetExceeded = ErrorOf<ErrorCode::budget_exceeded>;
using TimedOut = ErrorOf<ErrorCode::timed_out>;
using DeviceLost = ErrorOf<ErrorCode::device_lost>;

// Called with the error before the program ends, where exceptions are compiled out.
using ErrorHandler = void (*)(const Error&);

namespace detail {
inline void print_error(const Error& error) { std::fprintf(stderr, "cotenant: %s\n", error.what()); }
inline std::atomic<ErrorHandler>& error_handler() {
  static std::atomic<ErrorHandler> handler{print_error};
  return handler;
}
}  // namespace detail

// Replaces the handler of -fno-exceptions builds (default: print to stderr) and returns the previous one.
inline ErrorHandler set_error_handler(ErrorHandler handler) {
  return detail::error_handler().exchange(handler ? handler : detail::print_error);
}

// Throws E(message); without exceptions calls the handler and ends the program.
template <class E> [[noreturn]] void raise(const std::string& message) {
#if COTENANT_EXCEPTIONS
  throw E(message);
#else
  detail::error_handler().load()(E(message));
  std::abort();
#endif
}

}  // namespace cotenant

#endif
