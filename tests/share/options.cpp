// Options: units of memory and what share() answers.
#include "cotenant/share/options.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>


#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace cotenant::literals;
using namespace share_tests;

TEST_CASE("literals and sizes for people") {
  CHECK(3_KiB == 3072);
  CHECK(2_MiB == 2 * 1024 * 1024);
  CHECK(2_GiB == std::size_t{2} << 30);
  static_assert(1_GiB == 1024_MiB);
  CHECK(ct::format_bytes(0) == "0 B");
  CHECK(ct::format_bytes(1023) == "1023 B");
  CHECK(ct::format_bytes(1536) == "1.5 KiB");
  CHECK(ct::format_bytes(1_MiB - 1) == "1.0 MiB");
  CHECK(ct::format_bytes(std::size_t(-1)) == "16.0 EiB");
}

TEST_CASE("the answers of share have names and compare") {
  CHECK(std::string(ct::to_string(ct::ShareStatus::success)) == "success");
  CHECK(std::string(ct::to_string(ct::ShareStatus::not_found)) == "not_found");
  CHECK(std::string(ct::to_string(ct::ShareStatus::invalid_name)) == "invalid_name");
  CHECK(ct::ShareResult{} == ct::ShareStatus::success);
  CHECK(ct::ShareResult{});
  CHECK_FALSE(ct::ShareResult{ct::ShareStatus::not_allowed});
  CHECK(ct::ManagerOptions{}.grace_period == std::chrono::seconds(30));
  CHECK_THROWS_AS(ct::operator""_GiB(std::size_t(-1)), ct::ShapeError);
}
