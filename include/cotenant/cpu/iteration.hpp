// Iteration: how to walk several operands of one shape with as few and as long rows as their strides allow.
#ifndef COTENANT_CPU_ITERATION_HPP
#define COTENANT_CPU_ITERATION_HPP
#include <array>
#include <cstddef>
#include <cstdlib>
#include <utility>

#include "cotenant/core/layout.hpp"

namespace cotenant::cpu {

// Count operands over the same indices, outermost axis first. Operand 0 decides the order: its smallest stride is innermost.
template <std::size_t Count> struct Iteration {
  std::size_t rank = 0;
  std::array<std::size_t, max_rank> extent{};
  std::array<std::array<std::ptrdiff_t, max_rank>, Count> stride{};

  std::size_t outer_count(std::size_t inner_axes) const {
    std::size_t count = 1;
    for (std::size_t axis = 0; axis + inner_axes < rank; ++axis) count *= extent[axis];
    return count;
  }
};

// Drops axes of one element, orders the others and merges neighbours that all operands walk as one. The order of an
// element-wise operation's elements does not matter; reorder = false keeps it. At least `least_rank` axes remain.
// Not inlined: each kernel calls it once per CPU target, and compiling it each time took a tenth of the compile time.
template <std::size_t Count> [[gnu::noinline]] Iteration<Count> coalesce(const Shape& shape, const std::array<const Strides*, Count>& strides,
                                                                         std::size_t least_rank = 1, bool reorder = true) {
  std::array<std::size_t, max_rank> order{};
  std::size_t rank = 0;
  const auto distance = [&](std::size_t axis) { return std::abs((*strides[0])[axis]); };
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1) continue;
    std::size_t at = rank++;
    for (; reorder && at > 0 && distance(order[at - 1]) < distance(axis); --at) order[at] = order[at - 1];
    order[at] = axis;
  }
  Iteration<Count> result;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::size_t axis = order[i], extent = shape[axis];
    bool merges = result.rank > 0;
    for (std::size_t operand = 0; operand < Count; ++operand)
      merges = merges && result.stride[operand][result.rank - 1] == (*strides[operand])[axis] * static_cast<std::ptrdiff_t>(extent);
    if (!merges) result.extent[result.rank++] = 1;
    result.extent[result.rank - 1] *= extent;
    for (std::size_t operand = 0; operand < Count; ++operand) result.stride[operand][result.rank - 1] = (*strides[operand])[axis];
  }
  for (; result.rank < least_rank; ++result.rank) {
    for (std::size_t axis = result.rank; axis > 0; --axis) result.extent[axis] = result.extent[axis - 1];
    result.extent[0] = 1;
    for (auto& stride : result.stride) {
      for (std::size_t axis = result.rank; axis > 0; --axis) stride[axis] = stride[axis - 1];
      stride[0] = 0;
    }
  }
  return result;
}

// One index after another over the outer axes of an iteration, with each operand's element offset.
template <std::size_t Count> class Odometer {
 public:
  // Walks the first iteration.rank - inner_axes axes, beginning at their `start`-th index.
  [[gnu::noinline]] Odometer(const Iteration<Count>& iteration, std::size_t inner_axes, std::size_t start)
      : iteration_(iteration), axes_(iteration.rank - inner_axes) {
    // Stops at 0: that is where an iteration with an axis of no elements begins too.
    for (std::size_t axis = axes_; start != 0 && axis-- > 0;) {
      index_[axis] = start % iteration.extent[axis];
      start /= iteration.extent[axis];
      for (std::size_t operand = 0; operand < Count; ++operand)
        offset_[operand] += static_cast<std::ptrdiff_t>(index_[axis]) * iteration.stride[operand][axis];
    }
  }
  std::ptrdiff_t offset(std::size_t operand) const { return offset_[operand]; }
  void advance() {
    for (std::size_t axis = axes_; axis-- > 0;) {
      const bool wraps = ++index_[axis] == iteration_.extent[axis];
      const auto back = static_cast<std::ptrdiff_t>(wraps ? iteration_.extent[axis] - 1 : 0);
      for (std::size_t operand = 0; operand < Count; ++operand)
        offset_[operand] += wraps ? -back * iteration_.stride[operand][axis] : iteration_.stride[operand][axis];
      if (!wraps) return;
      index_[axis] = 0;
    }
  }

 private:
  const Iteration<Count>& iteration_;
  std::size_t axes_;
  std::array<std::size_t, max_rank> index_{};
  std::array<std::ptrdiff_t, Count> offset_{};
};

}  // namespace cotenant::cpu

#endif
