// View<T>: creation is checked, access is by formula, and reading rights only shrink.
#include "cotenant/core/view.hpp"

#include <doctest/doctest.h>

#include <concepts>
#include <cstdint>
#include <numeric>
#include <span>
#include <type_traits>
#include <vector>

namespace ct = cotenant;
using ct::Shape;
using ct::View;

namespace {
std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}
}  // namespace

TEST_CASE("a view of a span") {
  auto values = ramp(12);
  const View view(std::span<float>(values), Shape{3, 4});
  CHECK(view.size() == 12);
  CHECK(view.rank() == 2);
  CHECK(view.shape(0) == 3);
  CHECK(view.stride(0) == 4);
  CHECK(view.contiguous());
  CHECK(view(2, 3) == 11.0f);
  view(0, 1) = 50.0f;
  CHECK(values[1] == 50.0f);
  CHECK(view.span().data() == values.data());
  CHECK(view.span().size() == 12);
}

TEST_CASE("creation checks the bounds") {
  auto values = ramp(12);
  const std::span<float> span(values);
  CHECK_THROWS_AS(View<float>(span, Shape{3, 5}), ct::ShapeError);
  CHECK_THROWS_AS(View<float>(span, ct::Layout{{3}, {-1}, 1}), ct::ShapeError);
  CHECK_THROWS_AS(View<float>(span, ct::Layout{{2}, {1, 1}, 0}), ct::ShapeError);
  CHECK_NOTHROW(View<float>(span, ct::Layout{{3}, {-1}, 2}));
  CHECK_NOTHROW(View<float>(std::span<float>(), Shape{0, 7}));
  CHECK_THROWS_AS(View<float>(std::span<float>(), Shape{}), ct::ShapeError);  // rank 0 has one element
}

TEST_CASE("strided views") {
  auto values = ramp(12);
  const View<const float> transposed(std::span<const float>(values), ct::Layout{{4, 3}, {1, 4}, 0});
  CHECK(transposed(3, 2) == 11.0f);
  CHECK(transposed.at(1, 2) == 9.0f);
  CHECK_FALSE(transposed.contiguous());
  CHECK_THROWS_WITH_AS(static_cast<void>(transposed.span()), doctest::Contains("contiguous()"), ct::ShapeError);
  const View<const float> backwards(std::span<const float>(values), ct::Layout{{12}, {-1}, 11});
  CHECK(backwards(0) == 11.0f);
  CHECK(backwards(11) == 0.0f);
  const View<const float> repeated(std::span<const float>(values), ct::Layout{{5}, {0}, 7});
  CHECK(repeated(4) == 7.0f);
  const View<const float> scalar(std::span<const float>(values), ct::Layout{{}, {}, 3});
  CHECK(scalar() == 3.0f);
  CHECK(transposed.with(ct::slice(transposed.layout(), 0, 1, 3))(0, 1) == 5.0f);
}

TEST_CASE("at checks every index") {
  auto values = ramp(6);
  const View view(std::span<float>(values), Shape{2, 3});
  CHECK(view.at(1, 2) == 5.0f);
  CHECK_THROWS_AS(view.at(2, 0), ct::ShapeError);
  CHECK_THROWS_AS(view.at(0, 3), ct::ShapeError);
  CHECK_THROWS_AS(view.at(-1, 0), ct::ShapeError);
  CHECK_THROWS_WITH_AS(view.at(1), doctest::Contains("1 indices"), ct::ShapeError);
  CHECK_THROWS_AS(view.at(0, 0, 0), ct::ShapeError);
}

TEST_CASE("writing turns into reading, never back") {
  static_assert(std::convertible_to<View<float>, View<const float>>);
  static_assert(!std::convertible_to<View<const float>, View<float>>);
  static_assert(!std::convertible_to<View<float>, View<const std::int32_t>>);
  static_assert(std::is_trivially_copyable_v<View<const ct::bf16>>);
  auto values = ramp(4);
  const View<const float> reading = View(std::span<float>(values), Shape{2, 2});
  CHECK(reading(1, 1) == 3.0f);
  CHECK(reading.layout() == ct::contiguous_layout({2, 2}));
}

TEST_CASE("the empty view") {
  const View<float> view;
  CHECK(view.data() == nullptr);
  CHECK(view.rank() == 0);
  CHECK(View<float>::unchecked(nullptr, ct::Layout{{0}, {1}, 5}).data() == nullptr);
}
