// Errors: codes, types and the sentence.
#include "cotenant/core/error.hpp"

#include <doctest/doctest.h>

#include <string>
#include <type_traits>

namespace ct = cotenant;

TEST_CASE("raise throws the type, with its code and message") {
  try {
    ct::raise<ct::ShapeError>("a sentence");
  } catch (const ct::Error& error) {
    CHECK(error.code() == ct::ErrorCode::shape_mismatch);
    CHECK(std::string(error.what()) == "a sentence");
  }
  CHECK_THROWS_AS(ct::raise<ct::NotFound>("x"), ct::NotFound);
  CHECK_THROWS_AS(ct::raise<ct::NotFound>("x"), std::runtime_error);
}

TEST_CASE("each code has one type and its own name") {
  const auto code_of = [](const ct::Error& error) { return error.code(); };
  CHECK(code_of(ct::InvalidArgument("")) == ct::ErrorCode::invalid_argument);
  CHECK(code_of(ct::TypeError("")) == ct::ErrorCode::wrong_type);
  CHECK(code_of(ct::AlreadyRegistered("")) == ct::ErrorCode::already_registered);
  CHECK(code_of(ct::ReadOnly("")) == ct::ErrorCode::read_only);
  CHECK(code_of(ct::BadFile("")) == ct::ErrorCode::bad_file);
  CHECK(code_of(ct::IoError("")) == ct::ErrorCode::io);
  CHECK(code_of(ct::Unsupported("")) == ct::ErrorCode::unsupported);
  CHECK(code_of(ct::OutOfMemory("")) == ct::ErrorCode::out_of_memory);
  CHECK(code_of(ct::BudgetExceeded("")) == ct::ErrorCode::budget_exceeded);
  CHECK(code_of(ct::TimedOut("")) == ct::ErrorCode::timed_out);
  CHECK(code_of(ct::DeviceLost("")) == ct::ErrorCode::device_lost);
  static_assert(!std::is_same_v<ct::ShapeError, ct::TypeError>);
  for (int i = 0; i <= static_cast<int>(ct::ErrorCode::device_lost); ++i) {
    CHECK(std::string(ct::to_string(static_cast<ct::ErrorCode>(i))) != "unknown");
    for (int j = 0; j < i; ++j) CHECK(std::string(ct::to_string(static_cast<ct::ErrorCode>(i))) != ct::to_string(static_cast<ct::ErrorCode>(j)));
  }
  CHECK(std::string(ct::to_string(static_cast<ct::ErrorCode>(99))) == "unknown");
}

TEST_CASE("the error handler can be replaced and restored") {
  const ct::ErrorHandler mine = [](const ct::Error&) {};
  const ct::ErrorHandler before = ct::set_error_handler(mine);
  CHECK((before != nullptr));
  CHECK((ct::set_error_handler(nullptr) == mine));
  CHECK((ct::set_error_handler(before) == before));  // null brought the default back
}
