// Which bytes a layout touches, against a plain list of them.
#include <doctest/doctest.h>

#include <cotenant/share/byte_ranges.hpp>

#include <random>
#include <set>

namespace cotenant::test {
namespace {
std::set<std::size_t> bytes_of(const Layout& layout, std::size_t element_size) {
  std::set<std::size_t> bytes;
  for (std::size_t position = 0; position < element_count(layout.shape); ++position) {
    std::ptrdiff_t offset = layout.offset;
    for (std::size_t axis = layout.shape.rank(), rest = position; axis-- > 0; rest /= layout.shape[axis])
      offset += static_cast<std::ptrdiff_t>(rest % layout.shape[axis]) * layout.strides[axis];
    for (std::size_t i = 0; i < element_size; ++i) bytes.insert(static_cast<std::size_t>(offset) * element_size + i);
  }
  return bytes;
}
}  // namespace

TEST_CASE("a tensor without gaps is one range, whatever the order of its axes") {
  const Layout layout = contiguous_layout({4, 5, 6});
  for (const Layout& view : {layout, transpose(layout, 0, 2), slice(layout, 1, 4, -1, -1), broadcast_to(layout, {3, 4, 5, 6})}) {
    const auto ranges = detail::byte_ranges(nullptr, view, 4);
    REQUIRE(ranges.size() == 1);
    CHECK(ranges[0].first == 0);
    CHECK(ranges[0].last == 4 * 5 * 6 * 4);
  }
  CHECK(detail::byte_ranges(nullptr, contiguous_layout({0, 3}), 4).empty());
}

TEST_CASE("half of every row is as many ranges as rows") {
  const auto ranges = detail::byte_ranges(nullptr, slice(contiguous_layout({320, 384}), {0, 0}, {320, 192}), 4);
  CHECK(ranges.size() == 320);
  CHECK(detail::union_bytes(ranges) == 320 * 192 * 4);
}

TEST_CASE("random views touch exactly the bytes of their elements") {
  std::mt19937 random(7);
  const auto below = [&](std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random); };
  for (int round = 0; round < 500; ++round) {
    Layout layout = contiguous_layout({1 + below(5), 1 + below(5), 1 + below(5)});
    for (std::ptrdiff_t axis = 0; axis < 3; ++axis) {
      const auto extent = static_cast<std::ptrdiff_t>(layout.shape[static_cast<std::size_t>(axis)]), step = static_cast<std::ptrdiff_t>(1 + below(3));
      if (below(2) == 0) layout = slice(layout, axis, static_cast<std::ptrdiff_t>(below(static_cast<std::size_t>(extent))), extent, step);
      else if (below(2) == 0) layout = slice(layout, axis, extent - 1, -1, -step);
    }
    if (below(2) == 0) layout = transpose(layout, 0, static_cast<std::ptrdiff_t>(below(3)));
    std::set<std::size_t> covered;
    const auto ranges = detail::byte_ranges(nullptr, layout, 2);
    for (const auto& range : ranges) for (std::size_t byte = range.first; byte < range.last; ++byte) CHECK(covered.insert(byte).second);
    CHECK(covered == bytes_of(layout, 2));
  }
}

TEST_CASE("a very ragged view is covered by one range") {
  const auto ranges = detail::byte_ranges(nullptr, slice(contiguous_layout({5000, 2}), {0, 0}, {5000, 1}), 1);
  REQUIRE(ranges.size() == 1);
  CHECK(ranges[0].last == 9999);
}
}  // namespace cotenant::test
