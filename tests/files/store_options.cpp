#include "cotenant/files/store_options.hpp"

#include <doctest/doctest.h>

using namespace cotenant;

TEST_CASE("store_options: the defaults are the careful ones, and the clock may be replaced") {
  StoreOptions options;
  CHECK(options.durable);
  CHECK(options.verify);
  CHECK(options.max_bytes == StoreOptions::unlimited);
  CHECK(options.unused_for == std::chrono::hours(168));
  const auto before = std::chrono::system_clock::now();
  CHECK(options.now() >= before);
  options.clock = [] { return std::chrono::system_clock::time_point(std::chrono::hours(5)); };
  CHECK(options.now() == std::chrono::system_clock::time_point(std::chrono::hours(5)));
}
