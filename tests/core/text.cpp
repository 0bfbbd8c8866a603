#include "cotenant/core/text.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "cotenant/core/shape.hpp"

using namespace cotenant;

TEST_CASE("a text is its parts, one after another") {
  const std::string name = "x";
  CHECK(Text{}.string().empty());
  CHECK(Text{"tensor '", name, "' of shape ", Shape{2, 3}, " has ", std::size_t{6}, " elements at ", std::string_view("offset?", 6), ' ' - 31}.string() ==
        "tensor 'x' of shape [2, 3] has 6 elements at offset1");
  CHECK(Text{Strides{-1, 0}, std::string(3, '.')}.string() == "[-1, 0]...");
}

TEST_CASE("integers of any width") {
  CHECK(Text{std::numeric_limits<std::size_t>::max(), " ", std::numeric_limits<std::ptrdiff_t>::min()}.string() ==
        std::to_string(std::numeric_limits<std::size_t>::max()) + " " + std::to_string(std::numeric_limits<std::ptrdiff_t>::min()));
  CHECK(Text{std::int8_t{-5}, ",", std::uint8_t{200}, ",", -7, ",", 7u}.string() == "-5,200,-7,7");
}

TEST_CASE("an error carries it") {
  CHECK_THROWS_WITH_AS(raise<ShapeError>(Text{"axis ", std::ptrdiff_t{-3}, " of ", Shape{4}}), "axis -3 of [4]", ShapeError);
}
