// Any shape, strides and offset, and any chain of views on them: refused, or every element lies inside the memory.
#include <algorithm>
#include <vector>

#include "cotenant/core/layout.hpp"
#include "support.hpp"

namespace {
using namespace cotenant;

Shape shape_from(fuzz::Input& input) {
  Shape shape;
  for (int rank = input.byte() % 9; rank > 0; --rank) shape.append(static_cast<std::size_t>(input.number()));
  return shape;
}

// Visits up to `budget` elements one by one: what the closed formula of element_range() promises.
void visit(const Layout& layout, std::size_t axis, std::ptrdiff_t at, std::size_t available, std::size_t& budget) {
  if (budget == 0) return;
  if (axis == layout.shape.rank()) {
    --budget;
    fuzz::require(at >= 0 && static_cast<std::size_t>(at) < available, "an element lies inside the memory");
    return;
  }
  for (std::size_t i = 0; i < layout.shape[axis] && budget > 0; ++i) visit(layout, axis + 1, at + static_cast<std::ptrdiff_t>(i) * layout.strides[axis], available, budget);
}

void check(const Layout& layout, std::size_t available) {
  const Layout checked = check_bounds(layout, available);
  if (element_count(checked.shape) == 0) return;
  const ElementRange range = element_range(checked);
  fuzz::require(range.first >= 0 && static_cast<std::size_t>(range.last) <= available && range.first < range.last, "the range lies inside the memory");
  std::size_t budget = 2000;
  visit(checked, 0, checked.offset, available, budget);
}

// One view of the layout, as the input says.
Layout derive(const Layout& layout, fuzz::Input& input) {
  switch (input.byte() % 9) {
    case 0: return slice(layout, input.number(), input.number(), input.number(), input.number());
    case 1: {
      const Shape starts = shape_from(input);
      return slice(layout, starts, shape_from(input));
    }
    case 2: return select(layout, input.number(), input.number());
    case 3: return transpose(layout, input.number(), input.number());
    case 4: {
      std::vector<std::size_t> order;
      for (std::size_t axis = 0; axis < layout.shape.rank(); ++axis) order.push_back(static_cast<std::size_t>(input.byte() % 9));
      return permute(layout, order);
    }
    case 5: return broadcast_to(layout, shape_from(input));
    case 6: return squeeze(layout, input.number());
    case 7: return unsqueeze(layout, input.number());
    default: {
      const auto reshaped = reshape(layout, shape_from(input));
      if (!reshaped) return layout;
      fuzz::require(element_count(reshaped->shape) == element_count(layout.shape), "reshape keeps the number of elements");
      return *reshaped;
    }
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Layout layout;
  std::size_t available = 0;
  try {
    if (input.byte() % 2 == 0) {
      layout = contiguous_layout(shape_from(input));
      available = element_count(layout.shape);
    } else {
      layout.shape = shape_from(input);
      for (std::size_t axis = 0; axis < layout.shape.rank(); ++axis) layout.strides.append(static_cast<std::ptrdiff_t>(input.number()));
      layout.offset = static_cast<std::ptrdiff_t>(input.number());
      available = static_cast<std::size_t>(input.number()) & 0xFFFFFFFFFFFF;
      layout = check_bounds(layout, available);
    }
    check(layout, available);
  } catch (const Error&) {
    return 0;
  }
  while (!input.done()) {
    Layout view;
    try {
      view = derive(layout, input);
    } catch (const Error&) {
      continue;
    }
    // A view of what lies inside lies inside: that is no matter of input any more.
    try {
      check(view, available);
    } catch (const Error& error) {
      fuzz::require(false, error.what());
    }
    layout = check_bounds(view, available);
  }
  return 0;
}
