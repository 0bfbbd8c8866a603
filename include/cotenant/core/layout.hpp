// Layout: where the elements of a tensor lie relative to its first byte; one formula for every kind of view.
#ifndef COTENANT_CORE_LAYOUT_HPP
#define COTENANT_CORE_LAYOUT_HPP
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include "cotenant/core/shape.hpp"

namespace cotenant {

// The element with index i lies at offset + sum(i[axis] * strides[axis]), counted in elements.
struct Layout {
  Shape shape;
  Strides strides;
  std::ptrdiff_t offset = 0;

  friend bool operator==(const Layout&, const Layout&) = default;
};

// Row-major strides: the last dimension is dense.
constexpr Strides contiguous_strides(const Shape& shape) {
  Strides strides = Strides::filled(shape.rank(), 1);
  std::size_t step = 1;
  for (std::size_t axis = shape.rank(); axis-- > 0;) {
    strides[axis] = static_cast<std::ptrdiff_t>(step);
    if (shape[axis] > 1) step = checked_multiply(step, shape[axis], "the number of elements");
  }
  if (step > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()))
    raise<ShapeError>(Text{"shape ", shape, " has more elements than an address can count"});
  return strides;
}

inline Layout contiguous_layout(const Shape& shape) { return {shape, contiguous_strides(shape), 0}; }

// Row-major without gaps. Strides of dimensions with one element do not matter.
constexpr bool is_contiguous(const Shape& shape, const Strides& strides) {
  for (std::size_t extent : shape) if (extent == 0) return true;  // nothing that could lie elsewhere
  std::ptrdiff_t step = 1;
  for (std::size_t axis = shape.rank(); axis-- > 0;) {
    if (shape[axis] == 1) continue;
    if (strides[axis] != step) return false;
    step *= static_cast<std::ptrdiff_t>(shape[axis]);
  }
  return true;
}

// Whether several indices may name one element (a stride of 0 over more than one index): such a view is never written.
constexpr bool is_broadcast(const Shape& shape, const Strides& strides) {
  for (std::size_t axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] > 1 && strides[axis] == 0) return true;
  return false;
}

// The element offsets that a layout touches: [first, last), empty where there is no element.
struct ElementRange {
  std::ptrdiff_t first = 0;
  std::ptrdiff_t last = 0;
};

// Errors: ShapeError where an offset would not fit an address.
inline ElementRange element_range(const Layout& layout) {
  if (layout.shape.rank() != layout.strides.rank())
    raise<ShapeError>(Text{"shape ", layout.shape, " and strides ", layout.strides, " differ in rank"});
  if (element_count(layout.shape) == 0) return {layout.offset, layout.offset};
  ElementRange range{layout.offset, layout.offset};
  for (std::size_t axis = 0; axis < layout.shape.rank(); ++axis) {
    std::ptrdiff_t reach = 0;
    const bool overflows = __builtin_mul_overflow(static_cast<std::ptrdiff_t>(layout.shape[axis] - 1), layout.strides[axis], &reach) ||
                           __builtin_add_overflow(reach < 0 ? range.first : range.last, reach, reach < 0 ? &range.first : &range.last);
    if (overflows || layout.shape[axis] - 1 > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()))
      raise<ShapeError>(Text{"shape ", layout.shape, " with strides ", layout.strides, " reaches beyond any address"});
  }
  if (__builtin_add_overflow(range.last, std::ptrdiff_t{1}, &range.last))
    raise<ShapeError>(Text{"shape ", layout.shape, " with strides ", layout.strides, " reaches beyond any address"});
  return range;
}

// Refuses a layout that reaches outside `available` elements, and returns it; without elements its offset becomes 0,
// so that no address is formed from an offset that nothing uses.
inline Layout check_bounds(Layout layout, std::size_t available) {
  const ElementRange range = element_range(layout);
  if (range.first == range.last) layout.offset = 0;
  else if (range.first < 0 || static_cast<std::size_t>(range.last) > available)
    raise<ShapeError>(Text{"shape ", layout.shape, ", strides ", layout.strides, ", offset ", layout.offset, " reach elements ", range.first, " to ",
                           range.last, ", but there are ", available});
  return layout;
}

namespace detail {
// offset + index * stride. Where that overflows, another axis has no index: nothing lies there, and 0 is as good an offset.
inline std::ptrdiff_t offset_at(std::ptrdiff_t offset, std::ptrdiff_t index, std::ptrdiff_t stride) {
  std::ptrdiff_t reach = 0;
  return __builtin_mul_overflow(index, stride, &reach) || __builtin_add_overflow(offset, reach, &reach) ? 0 : reach;
}
}  // namespace detail

// The indices first, first + step, … before last along one axis; a negative step runs backwards from first to after last.
// first and last must lie in [0, extent] for a positive step; for a negative one first < extent and last >= -1.
inline Layout slice(Layout layout, std::ptrdiff_t axis, std::ptrdiff_t first, std::ptrdiff_t last, std::ptrdiff_t step = 1) {
  const std::size_t a = normalize_axis(axis, layout.shape.rank());
  const auto extent = static_cast<std::ptrdiff_t>(layout.shape[a]);
  const bool fits = step > 0 ? first >= 0 && last <= extent && first <= last : step < 0 && first < extent && last >= -1 && last <= first;
  if (!fits)
    raise<ShapeError>(Text{"slice [", first, ", ", last, ") with step ", step, " does not fit dimension ", a, " of shape ", layout.shape});
  const std::size_t distance = static_cast<std::size_t>(step > 0 ? last - first : first - last);
  // -step overflows for the most negative value; unsigned negation does not.
  const std::size_t stride = step > 0 ? static_cast<std::size_t>(step) : std::size_t{0} - static_cast<std::size_t>(step);
  const std::size_t count = distance == 0 ? 0 : (distance - 1) / stride + 1;
  if (count > 0) layout.offset = detail::offset_at(layout.offset, first, layout.strides[a]);
  layout.shape[a] = count;
  // One element or none needs no stride, and the product might overflow.
  layout.strides[a] = count > 1 ? detail::offset_at(0, step, layout.strides[a]) : 1;
  return layout;
}

// A box: `sizes[i]` indices from `starts[i]` along every dimension.
inline Layout slice(Layout layout, const Shape& starts, const Shape& sizes) {
  if (starts.rank() != layout.shape.rank() || sizes.rank() != layout.shape.rank())
    raise<ShapeError>(Text{"a slice of shape ", layout.shape, " needs ", layout.shape.rank(), " starts and sizes, but got ", starts, " and ", sizes});
  for (std::size_t axis = 0; axis < layout.shape.rank(); ++axis) {
    const std::size_t extent = layout.shape[axis];
    if (starts[axis] > extent || sizes[axis] > extent - starts[axis])
      raise<ShapeError>(Text{"a slice from ", starts, " of sizes ", sizes, " does not fit shape ", layout.shape});
    if (sizes[axis] > 0) layout.offset = detail::offset_at(layout.offset, static_cast<std::ptrdiff_t>(starts[axis]), layout.strides[axis]);
    layout.shape[axis] = sizes[axis];
  }
  return layout;
}

// The part at one index of an axis; the axis disappears. A negative index counts from the end.
inline Layout select(Layout layout, std::ptrdiff_t axis, std::ptrdiff_t index) {
  const std::size_t a = normalize_axis(axis, layout.shape.rank());
  const auto extent = static_cast<std::ptrdiff_t>(layout.shape[a]);
  // Negative where an axis beside an empty one has more indices than any address.
  if (extent < 0 || index < -extent || index >= extent)
    raise<ShapeError>(Text{"index ", index, " is out of range for dimension ", a, " of shape ", layout.shape});
  layout.offset = detail::offset_at(layout.offset, index < 0 ? index + extent : index, layout.strides[a]);
  layout.shape.erase(a);
  layout.strides.erase(a);
  return layout;
}

// Exchanges two axes.
inline Layout transpose(Layout layout, std::ptrdiff_t axis_a, std::ptrdiff_t axis_b) {
  const std::size_t a = normalize_axis(axis_a, layout.shape.rank()), b = normalize_axis(axis_b, layout.shape.rank());
  std::swap(layout.shape[a], layout.shape[b]);
  std::swap(layout.strides[a], layout.strides[b]);
  return layout;
}

// Axis i of the result is axis order[i] of the argument.
inline Layout permute(const Layout& layout, std::span<const std::size_t> order) {
  std::size_t seen = 0;
  for (std::size_t axis : order) if (axis < layout.shape.rank()) seen |= std::size_t{1} << axis;
  if (order.size() != layout.shape.rank() || seen != (std::size_t{1} << order.size()) - 1)
    raise<ShapeError>(Text{Shape(order), " does not name each axis of shape ", layout.shape, " once"});
  Layout result = layout;
  for (std::size_t axis = 0; axis < order.size(); ++axis) {
    result.shape[axis] = layout.shape[order[axis]];
    result.strides[axis] = layout.strides[order[axis]];
  }
  return result;
}

// Repeats dimensions of size 1, and adds leading ones, with stride 0: no bytes are copied. `what` begins the error's text.
inline Layout broadcast_to(const Layout& layout, const Shape& shape, const char* what = "shape") {
  const std::size_t rank = layout.shape.rank();
  bool fits = shape.rank() >= rank;
  for (std::size_t back = 1; fits && back <= rank; ++back)
    fits = layout.shape[rank - back] == shape[shape.rank() - back] || layout.shape[rank - back] == 1;
  if (!fits) raise<ShapeError>(Text{what, " ", layout.shape, " does not broadcast to ", shape, ": dimensions, aligned at the last, must be equal or 1"});
  Layout result{shape, Strides::filled(shape.rank(), 0), layout.offset};
  for (std::size_t back = 1; back <= rank; ++back) {
    const std::size_t from = rank - back, to = shape.rank() - back;
    if (layout.shape[from] == shape[to]) result.strides[to] = layout.strides[from];
  }
  // Repeating takes no memory, so that nothing else bounds the number of elements: an index must be able to count them.
  if (element_count(shape) > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()))
    raise<ShapeError>(Text{"shape ", shape, " has more elements than an address can count"});
  return result;
}

// Removes an axis of one element.
inline Layout squeeze(Layout layout, std::ptrdiff_t axis) {
  const std::size_t a = normalize_axis(axis, layout.shape.rank());
  if (layout.shape[a] != 1)
    raise<ShapeError>(Text{"cannot squeeze dimension ", a, " of shape ", layout.shape, ": it has ", layout.shape[a], " elements, not 1"});
  layout.shape.erase(a);
  layout.strides.erase(a);
  return layout;
}

// Inserts an axis of one element before `axis` (rank, or -1, appends it).
inline Layout unsqueeze(Layout layout, std::ptrdiff_t axis) {
  const std::size_t a = normalize_axis(axis, layout.shape.rank() + 1);
  layout.shape.insert(a, 1);
  layout.strides.insert(a, 1);
  return layout;
}

// The same elements in row-major order under another shape, or nothing where that needs a copy.
// Errors: ShapeError where the element counts differ.
inline std::optional<Layout> reshape(const Layout& layout, const Shape& shape) {
  if (element_count(layout.shape) != element_count(shape))
    raise<ShapeError>(Text{"cannot reshape ", layout.shape, " (", element_count(layout.shape), " elements) to ", shape, " (", element_count(shape),
                           " elements)"});
  Layout result{shape, contiguous_strides(shape), layout.offset};
  if (element_count(shape) == 0) return result;
  // Walk both shapes in groups of equal element count: inside a group the old axes must be mergeable,
  // that is stride[i] == stride[i + 1] * shape[i + 1] (NumPy's no-copy rule).
  std::size_t from = 0, to = 0;
  const std::size_t old_rank = layout.shape.rank(), new_rank = shape.rank();
  while (from < old_rank || to < new_rank) {
    std::size_t old_end = from, new_end = to, old_count = 1, new_count = 1;
    if (old_end < old_rank) old_count = layout.shape[old_end++];
    if (new_end < new_rank) new_count = shape[new_end++];
    while (old_count != new_count) {
      if (old_count < new_count) old_count *= layout.shape[old_end++];
      else new_count *= shape[new_end++];
    }
    // Dimensions of 1 at the end of either side belong to this group too.
    while (old_end < old_rank && layout.shape[old_end] == 1) ++old_end;
    while (new_end < new_rank && shape[new_end] == 1) ++new_end;
    std::optional<std::ptrdiff_t> innermost;  // stride of the group's innermost axis with more than one element
    std::ptrdiff_t expected = 0;
    for (std::size_t axis = old_end; axis-- > from;) {
      if (layout.shape[axis] == 1) continue;
      if (innermost && layout.strides[axis] != expected) return std::nullopt;
      if (!innermost) innermost = layout.strides[axis];
      expected = layout.strides[axis] * static_cast<std::ptrdiff_t>(layout.shape[axis]);
    }
    std::ptrdiff_t step = innermost.value_or(1);
    for (std::size_t axis = new_end; axis-- > to;) {
      if (shape[axis] == 1) continue;
      result.strides[axis] = step;
      step *= static_cast<std::ptrdiff_t>(shape[axis]);
    }
    from = old_end;
    to = new_end;
  }
  return result;
}

}  // namespace cotenant

#endif
