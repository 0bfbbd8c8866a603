// ByteRange: which bytes of a block a layout touches, so that what several views hold is counted once.
#ifndef COTENANT_SHARE_BYTE_RANGES_HPP
#define COTENANT_SHARE_BYTE_RANGES_HPP
#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "cotenant/core/layout.hpp"

namespace cotenant::detail {

// Bytes of one block, [first, last).
struct ByteRange {
  const void* block = nullptr;
  std::size_t first = 0;
  std::size_t last = 0;
  friend bool operator<(const ByteRange& a, const ByteRange& b) {
    if (a.block != b.block) return std::less<const void*>()(a.block, b.block);
    return a.first != b.first ? a.first < b.first : a.last < b.last;
  }
};
using ByteRanges = std::vector<ByteRange>;

// The bytes of a layout, as ranges that do not overlap unless the layout does: one where its elements lie without gaps.
// Beyond most_ranges they become the one range that covers them all: counting every gap of a very ragged view would
// cost more than it tells.
inline ByteRanges byte_ranges(const void* block, const Layout& layout, std::size_t element_size) {
  constexpr std::size_t most_ranges = 1024;
  if (element_count(layout.shape) == 0) return {};
  struct Axis {
    std::size_t extent, stride;
  };
  std::vector<Axis> axes;  // that move, backwards ones turned round
  for (std::size_t axis = 0; axis < layout.shape.rank(); ++axis) {
    const std::ptrdiff_t stride = layout.strides[axis];
    if (layout.shape[axis] > 1 && stride != 0) axes.push_back({layout.shape[axis], static_cast<std::size_t>(stride < 0 ? -stride : stride)});
  }
  std::sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.stride < b.stride; });
  // The innermost axes that follow each other without a gap are one run of elements.
  std::size_t run = 1, dense = 0;
  while (dense < axes.size() && axes[dense].stride == run) run *= axes[dense++].extent;
  const ElementRange cover = element_range(layout);
  const auto first = static_cast<std::size_t>(cover.first), last = static_cast<std::size_t>(cover.last);
  std::size_t count = 1;
  for (std::size_t axis = dense; axis < axes.size() && count <= most_ranges; ++axis) count *= std::min(axes[axis].extent, most_ranges + 1);
  if (count > most_ranges) return {{block, first * element_size, last * element_size}};
  ByteRanges ranges;
  ranges.reserve(count);
  for (std::size_t index = 0; index < count; ++index) {
    std::size_t start = first;
    for (std::size_t axis = dense, rest = index; axis < axes.size(); rest /= axes[axis++].extent) start += rest % axes[axis].extent * axes[axis].stride;
    ranges.push_back({block, start * element_size, (start + run) * element_size});
  }
  return ranges;
}

// The number of bytes in a union of ranges.
inline std::size_t union_bytes(ByteRanges ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::size_t total = 0, reached = 0;
  const void* block = nullptr;
  for (const ByteRange& range : ranges) {
    if (range.block != block) {
      block = range.block;
      reached = 0;
    }
    const std::size_t first = std::max(range.first, reached);
    if (range.last > first) {
      total += range.last - first;
      reached = range.last;
    }
  }
  return total;
}

}  // namespace cotenant::detail

#endif
