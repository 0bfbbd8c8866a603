// Layouts: every kind of view against the plain list of offsets that it should have.
#include "cotenant/core/layout.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <vector>

namespace ct = cotenant;
using ct::Layout;
using ct::Shape;
using ct::Strides;

namespace {

constexpr std::ptrdiff_t most_steps = std::numeric_limits<std::ptrdiff_t>::max();

// The offset of every element in row-major order, by counting through the indices.
std::vector<std::ptrdiff_t> offsets(const Layout& layout) {
  std::vector<std::ptrdiff_t> result;
  std::size_t count = 1;
  for (std::size_t extent : layout.shape) count *= extent;
  for (std::size_t linear = 0; linear < count; ++linear) {
    std::ptrdiff_t offset = layout.offset;
    std::size_t rest = linear;
    for (std::size_t axis = layout.shape.rank(); axis-- > 0;) {
      offset += static_cast<std::ptrdiff_t>(rest % layout.shape[axis]) * layout.strides[axis];
      rest /= layout.shape[axis];
    }
    result.push_back(offset);
  }
  return result;
}

// Strides under which `shape` visits exactly these offsets, if there are any: the stride of an axis can only be the
// distance to its second index, so one candidate is enough.
std::optional<Layout> strides_for(const std::vector<std::ptrdiff_t>& wanted, const Shape& shape) {
  Layout layout{shape, Strides::filled(shape.rank(), 1), wanted.empty() ? 0 : wanted[0]};
  std::size_t step = 1;
  for (std::size_t axis = shape.rank(); axis-- > 0;) {
    if (shape[axis] > 1 && step < wanted.size()) layout.strides[axis] = wanted[step] - wanted[0];
    step *= shape[axis];
  }
  if (offsets(layout) != wanted) return std::nullopt;
  return layout;
}

class Random {
 public:
  std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(engine_); }

  // A strided layout as views make them: an axis order, gaps, repeats, backward axes.
  Layout layout() {
    const std::size_t rank = below(5);
    Layout result{Shape::filled(rank, 1), Strides::filled(rank, 1), static_cast<std::ptrdiff_t>(below(5))};
    for (std::size_t axis = 0; axis < rank; ++axis) result.shape[axis] = below(12) == 0 ? 0 : 1 + below(4);
    std::vector<std::size_t> order(rank);
    for (std::size_t axis = 0; axis < rank; ++axis) order[axis] = rank - 1 - axis;
    if (below(2) == 0) std::shuffle(order.begin(), order.end(), engine_);
    std::ptrdiff_t step = 1;
    for (std::size_t axis : order) {
      if (below(6) == 0) step *= 2;
      result.strides[axis] = below(6) == 0 ? 0 : below(6) == 0 ? -step : step;
      if (below(10) == 0) result.strides[axis] = static_cast<std::ptrdiff_t>(below(7)) - 3;
      step *= static_cast<std::ptrdiff_t>(std::max<std::size_t>(result.shape[axis], 1));
    }
    return result;
  }
  // A shape of `count` elements, with ones strewn in.
  Shape shape_of(std::size_t count) {
    Shape shape;
    std::size_t rest = count;
    while (shape.rank() < 6 && (rest > 1 || below(3) == 0)) {
      std::size_t factor = 1 + below(6);
      while (rest % factor != 0) --factor;
      shape.insert(below(shape.rank() + 1), factor);
      rest /= factor;
    }
    shape.insert(below(shape.rank() + 1), rest);
    return shape;
  }

 private:
  std::mt19937 engine_{1};
};

}  // namespace

TEST_CASE("row-major strides") {
  CHECK(ct::contiguous_strides({2, 3, 4}) == Strides{12, 4, 1});
  CHECK(ct::contiguous_strides({}) == Strides{});
  CHECK(ct::contiguous_strides({5, 0, 3}).rank() == 3);
  CHECK_THROWS_AS(ct::contiguous_strides({std::size_t{1} << 32, std::size_t{1} << 32}), ct::ShapeError);
  CHECK_THROWS_WITH_AS(ct::contiguous_strides({std::size_t{1} << 63}), doctest::Contains("more elements than an address"), ct::ShapeError);
  CHECK(ct::is_contiguous({2, 3}, {3, 1}));
  CHECK(ct::is_contiguous({1, 3}, {77, 1}));  // the stride of one element does not matter
  CHECK(ct::is_contiguous({0, 3}, {5, 5}));
  CHECK(ct::is_contiguous({}, {}));
  CHECK_FALSE(ct::is_contiguous({2, 3}, {1, 2}));
  CHECK_FALSE(ct::is_contiguous({2, 3}, {4, 1}));
  CHECK_FALSE(ct::is_contiguous({3}, {-1}));
  CHECK(ct::is_broadcast({3, 2}, {0, 1}));
  CHECK_FALSE(ct::is_broadcast({1, 2}, {0, 1}));
}

TEST_CASE("is_contiguous agrees with the list of offsets") {
  Random random;
  for (int round = 0; round < 3000; ++round) {
    Layout layout = random.layout();
    layout.offset = 0;
    const auto list = offsets(layout);
    bool dense = true;
    for (std::size_t i = 0; i < list.size(); ++i) dense = dense && list[i] == static_cast<std::ptrdiff_t>(i);
    REQUIRE(ct::is_contiguous(layout.shape, layout.strides) == dense);
  }
}

TEST_CASE("the range that a layout touches") {
  Random random;
  for (int round = 0; round < 3000; ++round) {
    const Layout layout = random.layout();
    const auto list = offsets(layout);
    const ct::ElementRange range = ct::element_range(layout);
    if (list.empty()) {
      REQUIRE(range.first == range.last);
      continue;
    }
    REQUIRE(range.first == *std::ranges::min_element(list));
    REQUIRE(range.last == *std::ranges::max_element(list) + 1);
    const bool inside = range.first >= 0;
    if (inside) {
      CHECK_NOTHROW(ct::check_bounds(layout, static_cast<std::size_t>(range.last)));
      CHECK_THROWS_AS(ct::check_bounds(layout, static_cast<std::size_t>(range.last) - 1), ct::ShapeError);
    } else {
      CHECK_THROWS_AS(ct::check_bounds(layout, 1000000), ct::ShapeError);
    }
  }
}

TEST_CASE("a layout beyond any address is refused, not wrapped around") {
  const auto range = [](const Layout& layout) { return ct::element_range(layout); };
  CHECK_THROWS_AS(range({{3}, {most_steps}, 0}), ct::ShapeError);
  CHECK_THROWS_AS(range({{2}, {most_steps}, 1}), ct::ShapeError);
  CHECK_THROWS_AS(range({{2}, {most_steps}, 0}), ct::ShapeError);  // one past the last does not fit
  CHECK_THROWS_AS(range({{2}, {std::numeric_limits<std::ptrdiff_t>::min()}, -1}), ct::ShapeError);
  CHECK_THROWS_AS(range({{2, 2}, {most_steps, most_steps}, 0}), ct::ShapeError);
  CHECK_THROWS_AS(range({{std::numeric_limits<std::size_t>::max()}, {1}, 0}), ct::ShapeError);
  CHECK_THROWS_AS(range({{2}, {1, 1}, 0}), ct::ShapeError);
  CHECK_THROWS_AS(ct::check_bounds({{2}, {1}, -1}, 10), ct::ShapeError);
  CHECK_NOTHROW(ct::check_bounds({{0}, {1}, 0}, 0));
}

TEST_CASE("slices along one axis") {
  Random random;
  for (int round = 0; round < 3000; ++round) {
    const Layout layout = random.layout();
    if (layout.shape.empty()) continue;
    const std::size_t axis = random.below(layout.shape.rank());
    const auto extent = static_cast<std::ptrdiff_t>(layout.shape[axis]);
    const auto first = static_cast<std::ptrdiff_t>(random.below(8)) - 2, last = static_cast<std::ptrdiff_t>(random.below(8)) - 2,
               step = static_cast<std::ptrdiff_t>(random.below(7)) - 3;
    const bool valid = step > 0 ? first >= 0 && first <= last && last <= extent : step < 0 && first < extent && last >= -1 && last <= first;
    const auto take = [&] { return ct::slice(layout, static_cast<std::ptrdiff_t>(axis), first, last, step); };
    if (!valid) {
      REQUIRE_THROWS_AS(take(), ct::ShapeError);
      continue;
    }
    const Layout sliced = take();
    std::vector<std::ptrdiff_t> picked;
    for (std::ptrdiff_t i = first; step > 0 ? i < last : i > last; i += step) picked.push_back(i);
    REQUIRE(sliced.shape[axis] == picked.size());
    // The same elements, selected one by one.
    for (std::size_t i = 0; i < picked.size(); ++i)
      REQUIRE(offsets(ct::select(sliced, static_cast<std::ptrdiff_t>(axis), static_cast<std::ptrdiff_t>(i))) ==
              offsets(ct::select(layout, static_cast<std::ptrdiff_t>(axis), picked[i])));
  }
}

TEST_CASE("slices with extreme bounds and steps") {
  const Layout layout = ct::contiguous_layout({5});
  CHECK(ct::slice(layout, 0, 0, 5, most_steps).shape == Shape{1});
  CHECK(offsets(ct::slice(layout, 0, 4, -1, std::numeric_limits<std::ptrdiff_t>::min())) == std::vector<std::ptrdiff_t>{4});
  CHECK(offsets(ct::slice(layout, -1, 4, -1, -2)) == std::vector<std::ptrdiff_t>{4, 2, 0});
  CHECK(ct::slice(layout, 0, 5, 5).shape == Shape{0});
  CHECK_THROWS_AS(ct::slice(layout, 0, 0, 6), ct::ShapeError);
  CHECK_THROWS_AS(ct::slice(layout, 0, 0, 5, 0), ct::ShapeError);
  CHECK_THROWS_AS(ct::slice(layout, 0, std::numeric_limits<std::ptrdiff_t>::min(), most_steps, 1), ct::ShapeError);
  CHECK_THROWS_AS(ct::slice(layout, 1, 0, 1), ct::ShapeError);
  CHECK_THROWS_AS(ct::slice(ct::contiguous_layout({}), 0, 0, 0), ct::ShapeError);
}

TEST_CASE("boxes") {
  const Layout layout = ct::contiguous_layout({3, 4});
  CHECK(offsets(ct::slice(layout, {1, 2}, {2, 2})) == std::vector<std::ptrdiff_t>{6, 7, 10, 11});
  CHECK(ct::slice(layout, {3, 4}, {0, 0}).shape == Shape{0, 0});
  CHECK(ct::slice(layout, {3, 4}, {0, 0}).offset == 0);
  CHECK_THROWS_AS(ct::slice(layout, Shape{0}, Shape{1}), ct::ShapeError);
  CHECK_THROWS_AS(ct::slice(layout, {4, 0}, {0, 1}), ct::ShapeError);
  const std::size_t huge = std::numeric_limits<std::size_t>::max();
  CHECK_THROWS_AS(ct::slice(layout, {1, 0}, {huge, 1}), ct::ShapeError);
  CHECK_THROWS_AS(ct::slice(layout, {huge, 0}, {1, 1}), ct::ShapeError);
}

TEST_CASE("select, transpose, permute, squeeze, unsqueeze") {
  const Layout layout = ct::contiguous_layout({2, 3, 4});
  CHECK(offsets(ct::select(ct::select(layout, 0, 1), -1, -1)) == std::vector<std::ptrdiff_t>{15, 19, 23});
  CHECK_THROWS_AS(ct::select(layout, 0, 2), ct::ShapeError);
  CHECK_THROWS_AS(ct::select(layout, 0, -3), ct::ShapeError);
  CHECK_THROWS_AS(ct::select(ct::contiguous_layout({0}), 0, 0), ct::ShapeError);
  CHECK(ct::transpose(layout, 0, -1).shape == Shape{4, 3, 2});
  CHECK(ct::transpose(layout, 0, -1).strides == Strides{1, 4, 12});
  const std::vector<std::size_t> order{2, 0, 1}, repeated{0, 0, 1}, few{0, 1}, beyond{0, 1, 3}, huge{0, 1, 64};
  CHECK(ct::permute(layout, order).shape == Shape{4, 2, 3});
  CHECK(ct::permute(layout, order).strides == Strides{1, 12, 4});
  CHECK_THROWS_AS(ct::permute(layout, repeated), ct::ShapeError);
  CHECK_THROWS_AS(ct::permute(layout, few), ct::ShapeError);
  CHECK_THROWS_AS(ct::permute(layout, beyond), ct::ShapeError);
  CHECK_THROWS_AS(ct::permute(layout, huge), ct::ShapeError);
  CHECK_THROWS_AS(ct::permute(layout, std::vector<std::size_t>(100, 0)), ct::ShapeError);
  CHECK(ct::permute(ct::contiguous_layout({}), {}).shape == Shape{});
  CHECK(ct::unsqueeze(layout, 0).shape == Shape{1, 2, 3, 4});
  CHECK(ct::unsqueeze(layout, -1).shape == Shape{2, 3, 4, 1});
  CHECK(ct::squeeze(ct::unsqueeze(layout, 1), 1) == layout);
  CHECK_THROWS_WITH_AS(ct::squeeze(layout, 0), doctest::Contains("2 elements, not 1"), ct::ShapeError);
  CHECK_THROWS_AS(ct::unsqueeze(ct::contiguous_layout(Shape::filled(8, 1)), 0), ct::ShapeError);
}

TEST_CASE("broadcasting repeats with stride 0") {
  const Layout layout = ct::contiguous_layout({3, 1});
  CHECK(offsets(ct::broadcast_to(layout, {2, 3, 2})) == std::vector<std::ptrdiff_t>{0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2});
  CHECK(ct::broadcast_to(ct::contiguous_layout({}), {4}).strides == Strides{0});
  CHECK(ct::broadcast_to(layout, {3, 0}).shape == Shape{3, 0});
  CHECK_THROWS_AS(ct::broadcast_to(layout, {3}), ct::ShapeError);
  CHECK_THROWS_AS(ct::broadcast_to(layout, {2, 1}), ct::ShapeError);
  const std::size_t huge = std::numeric_limits<std::size_t>::max();
  CHECK_THROWS_AS(ct::broadcast_to(layout, {huge, 3, 2}), ct::ShapeError);
  CHECK_THROWS_AS(ct::broadcast_to(ct::contiguous_layout({1}), {huge}), ct::ShapeError);  // counted by a size, but by no index
}

TEST_CASE("reshape finds a view exactly where there is one") {
  Random random;
  int found = 0, refused = 0;
  for (int round = 0; round < 60000; ++round) {
    const Layout layout = random.layout();
    const auto wanted = offsets(layout);
    const Shape shape = random.shape_of(wanted.size());
    const std::optional<Layout> reshaped = ct::reshape(layout, shape);
    if (wanted.empty()) {
      REQUIRE(reshaped.has_value());
      continue;
    }
    const bool possible = strides_for(wanted, shape).has_value();
    INFO("layout ", to_string(layout.shape), " strides ", to_string(layout.strides), " to ", to_string(shape));
    REQUIRE(reshaped.has_value() == possible);
    if (reshaped) {
      REQUIRE(reshaped->shape == shape);
      REQUIRE(offsets(*reshaped) == wanted);
    }
    ++(possible ? found : refused);
  }
  CHECK(found > 10000);
  CHECK(refused > 5000);
}

TEST_CASE("reshape refuses another number of elements") {
  CHECK_THROWS_WITH_AS(ct::reshape(ct::contiguous_layout({2, 3}), {7}), doctest::Contains("6 elements"), ct::ShapeError);
  CHECK_THROWS_AS(ct::reshape(ct::contiguous_layout({0}), {1}), ct::ShapeError);
  CHECK(ct::reshape(ct::contiguous_layout({0, 5}), {3, 0})->shape == Shape{3, 0});
  CHECK(ct::reshape(ct::contiguous_layout({}), {1, 1})->shape == Shape{1, 1});
  CHECK(ct::reshape(ct::contiguous_layout({1, 1}), {})->shape == Shape{});
  const std::size_t huge = std::size_t{1} << 63;
  CHECK_THROWS_AS(ct::reshape(ct::contiguous_layout({2}), {huge, 4}), ct::ShapeError);
}

TEST_CASE("views of a layout without elements overflow nothing, whatever its other extents and strides are") {
  constexpr std::ptrdiff_t far = std::numeric_limits<std::ptrdiff_t>::max();
  constexpr std::size_t huge = std::numeric_limits<std::size_t>::max() / 2 + 1;
  const Layout layout = ct::check_bounds({{5, 0, huge}, {far, 1, far}, 0}, 0);
  CHECK(ct::element_count(ct::select(layout, 0, 3).shape) == 0);
  CHECK(ct::element_count(ct::slice(layout, 0, 4, -1, -2).shape) == 0);
  CHECK(ct::element_count(ct::slice(layout, {2, 0, huge - 1}, {3, 0, 1}).shape) == 0);
  CHECK_THROWS_AS(ct::select(layout, 2, 0), ct::ShapeError);
  CHECK_NOTHROW(ct::check_bounds(ct::slice(layout, 0, 4, -1, -2), 0));
}
