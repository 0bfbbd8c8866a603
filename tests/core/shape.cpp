// Dimensions up to rank eight, overflow checks, broadcasting.
#include "cotenant/core/shape.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace ct = cotenant;
using ct::Shape;
using ct::Strides;

namespace {
constexpr std::size_t most_elements = std::numeric_limits<std::size_t>::max();
}

TEST_CASE("dimensions hold up to eight values") {
  CHECK(Shape().rank() == 0);
  CHECK(Shape().empty());
  const Shape shape{2, 3, 4};
  CHECK(shape.rank() == 3);
  CHECK(shape[1] == 3);
  CHECK(shape.front() == 2);
  CHECK(shape.back() == 4);
  CHECK(std::vector<std::size_t>(shape.begin(), shape.end()) == std::vector<std::size_t>{2, 3, 4});
  CHECK(Shape{1, 2, 3, 4, 5, 6, 7, 8}.rank() == 8);
  CHECK_THROWS_AS((Shape{1, 2, 3, 4, 5, 6, 7, 8, 9}), ct::ShapeError);
  CHECK(Shape::filled(3, 7) == Shape{7, 7, 7});
  CHECK_THROWS_AS(Shape::filled(9, 1), ct::ShapeError);
  CHECK_THROWS_AS(Shape::filled(most_elements, 1), ct::ShapeError);
  static_assert(std::is_trivially_copyable_v<Shape>);
}

TEST_CASE("equality looks at rank and values only") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK(Shape{2, 3} != Shape{3, 2});
  CHECK(Shape{2, 3} != Shape{2, 3, 1});
  Shape shape{2, 3, 4};
  shape.erase(2);
  CHECK(shape == Shape{2, 3});
}

TEST_CASE("insert, append, erase and part") {
  Shape shape{2, 4};
  shape.insert(1, 3);
  CHECK(shape == Shape{2, 3, 4});
  shape.insert(0, 1);
  shape.append(5);
  CHECK(shape == Shape{1, 2, 3, 4, 5});
  shape.erase(0);
  shape.erase(1);
  CHECK(shape == Shape{2, 4, 5});
  CHECK(shape.part(1, 3) == Shape{4, 5});
  CHECK(shape.part(1, 1) == Shape{});
  Shape full = Shape::filled(8, 1);
  CHECK_THROWS_AS(full.append(1), ct::ShapeError);
  CHECK_THROWS_AS(full.insert(0, 1), ct::ShapeError);
  CHECK(full.rank() == 8);
}

TEST_CASE("text") {
  CHECK(to_string(Shape{}) == "[]");
  CHECK(to_string(Shape{2, 3, 4}) == "[2, 3, 4]");
  CHECK(to_string(Strides{-1, 0}) == "[-1, 0]");
}

TEST_CASE("products and sums are checked") {
  CHECK(ct::checked_multiply(most_elements, 1, "x") == most_elements);
  CHECK(ct::checked_multiply(most_elements, 0, "x") == 0);
  CHECK(ct::checked_multiply(0, most_elements, "x") == 0);
  CHECK(ct::checked_multiply(most_elements / 2, 2, "x") == most_elements - 1);
  CHECK_THROWS_WITH_AS(ct::checked_multiply(most_elements / 2 + 1, 2, "the number of bytes"), doctest::Contains("the number of bytes overflows"), ct::ShapeError);
  CHECK(ct::checked_add(most_elements, 0, "x") == most_elements);
  CHECK_THROWS_AS(ct::checked_add(most_elements, 1, "x"), ct::ShapeError);
}

TEST_CASE("element counts") {
  CHECK(ct::element_count(Shape{}) == 1);
  CHECK(ct::element_count(Shape{2, 3, 4}) == 24);
  CHECK(ct::element_count(Shape{5, 0}) == 0);
  CHECK(ct::element_count(Shape{most_elements, most_elements, 0}) == 0);  // no element, however large the others are
  CHECK(ct::element_count(Shape{most_elements}) == most_elements);
  CHECK_THROWS_AS(ct::element_count(Shape{most_elements, 2}), ct::ShapeError);
  CHECK_THROWS_AS(ct::element_count(Shape{std::size_t{1} << 32, std::size_t{1} << 32}), ct::ShapeError);
}

TEST_CASE("axes count from both ends") {
  CHECK(ct::normalize_axis(0, 3) == 0);
  CHECK(ct::normalize_axis(2, 3) == 2);
  CHECK(ct::normalize_axis(-1, 3) == 2);
  CHECK(ct::normalize_axis(-3, 3) == 0);
  CHECK_THROWS_AS(ct::normalize_axis(3, 3), ct::ShapeError);
  CHECK_THROWS_WITH_AS(ct::normalize_axis(-4, 3), doctest::Contains("axis -4"), ct::ShapeError);
  CHECK_THROWS_AS(ct::normalize_axis(0, 0), ct::ShapeError);
  CHECK_THROWS_AS(ct::normalize_axis(std::numeric_limits<std::ptrdiff_t>::min(), 3), ct::ShapeError);
}

TEST_CASE("broadcasting aligns at the last dimension") {
  CHECK(ct::broadcast({2, 3}, {2, 3}) == Shape{2, 3});
  CHECK(ct::broadcast({2, 1}, {3}) == Shape{2, 3});
  CHECK(ct::broadcast({}, {4, 5}) == Shape{4, 5});
  CHECK(ct::broadcast({1, 4, 1}, {3, 1, 5}) == Shape{3, 4, 5});
  CHECK(ct::broadcast({0}, {1}) == Shape{0});
  CHECK(ct::broadcast({1}, {0}) == Shape{0});
  CHECK_THROWS_WITH_AS(ct::broadcast({2, 3}, {2, 4}), doctest::Contains("3 against 4 in dimension 1"), ct::ShapeError);
  CHECK_THROWS_AS(ct::broadcast({0}, {2}), ct::ShapeError);
}
