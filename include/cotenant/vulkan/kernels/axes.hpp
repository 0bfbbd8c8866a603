// Axes: the axes that several operands of one kernel have in common, merged where all of them allow it, as scalars of a launch.
#ifndef COTENANT_VULKAN_KERNELS_AXES_HPP
#define COTENANT_VULKAN_KERNELS_AXES_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "cotenant/core/layout.hpp"
#include "cotenant/vulkan/any_operand.hpp"
#include "cotenant/core/view.hpp"

namespace cotenant::vulkan {

// Kernels count elements in 32 bits, which SPIR-V takes as signed in an index: one launch reaches fewer elements of an operand than this.
inline constexpr std::size_t max_reach = std::size_t{1} << 31;

// Extents, outermost first, and the strides of N operands along them, in elements. Axes of one element are left out; neighbours
// that every operand walks through as one are one. An operand that is not there has strides of 0.
template <std::size_t N> struct Axes {
  std::size_t rank = 0;
  std::array<std::size_t, max_rank> extent{};
  std::array<std::array<std::ptrdiff_t, max_rank>, N> stride{};

  std::size_t count() const {
    std::size_t elements = 1;
    for (std::size_t axis = 0; axis < rank; ++axis) elements *= extent[axis];
    return elements;
  }
  // The stride of the innermost axis; 1 where there is only one element, which any stride fits.
  std::ptrdiff_t inner_stride(std::size_t operand) const { return rank == 0 ? 1 : stride[operand][rank - 1]; }
  std::size_t inner_extent() const { return rank == 0 ? 1 : extent[rank - 1]; }
  // Whether `operand` is one stretch of elements in the order of the axes.
  bool dense(std::size_t operand) const { return rank == 0 || (rank == 1 && stride[operand][0] == 1); }

  void append(std::size_t axis_extent, const std::array<std::ptrdiff_t, N>& axis_stride) {
    if (axis_extent == 1) return;
    bool merges = rank > 0;
    for (std::size_t i = 0; merges && i < N; ++i) merges = stride[i][rank - 1] == axis_stride[i] * static_cast<std::ptrdiff_t>(axis_extent);
    if (merges) extent[rank - 1] *= axis_extent;
    else extent[rank++] = axis_extent;
    for (std::size_t i = 0; i < N; ++i) stride[i][rank - 1] = axis_stride[i];
  }
};

// The axes [first, last) of operands of one shape; a null layout stands for an operand that is not there.
template <std::size_t N> Axes<N> merged_axes(const std::array<const Layout*, N>& layouts, std::size_t first, std::size_t last) {
  const Layout* any = *std::find_if(layouts.begin(), layouts.end(), [](const Layout* layout) { return layout != nullptr; });
  Axes<N> axes;
  for (std::size_t axis = first; axis < last; ++axis) {
    std::array<std::ptrdiff_t, N> stride{};
    for (std::size_t i = 0; i < N; ++i) stride[i] = layouts[i] == nullptr ? 0 : layouts[i]->strides[axis];
    axes.append(any->shape[axis], stride);
  }
  return axes;
}

// Where an operand's bytes lie, and where in them its element with all indices 0 is.
struct Reach {
  const void* address = nullptr;  // of the lowest element
  std::size_t bytes = 0;
  std::uint32_t first = 0;        // elements from there to index 0: not 0 where a stride runs backwards
  std::size_t elements = 0;
};
// `data` is the address of the element with all indices 0. For layouts with at least one element.
inline Reach reach_of(const void* data, std::size_t element_size, const Layout& layout) {
  const ElementRange range = element_range({layout.shape, layout.strides, 0});
  const auto elements = static_cast<std::size_t>(range.last - range.first);
  return {static_cast<const char*>(data) + range.first * static_cast<std::ptrdiff_t>(element_size), elements * element_size,
          static_cast<std::uint32_t>(-range.first), elements};
}
inline Reach reach_of(const AnyView& view) { return reach_of(view.data(), size_of(view.type()), view.layout()); }

// A stride as a scalar: sums of products wrap around to the right offset, also where it is negative.
constexpr std::uint32_t wrapped(std::ptrdiff_t stride) { return static_cast<std::uint32_t>(static_cast<std::size_t>(stride)); }

// A number of workgroups as two dimensions that every device has: the kernel finds its group as y * 32768 + x and stops behind the last.
inline constexpr std::size_t groups_per_row = 32768;
inline std::array<std::uint32_t, 3> folded_groups(std::size_t groups) {
  if (groups <= groups_per_row) return {static_cast<std::uint32_t>(groups), 1, 1};
  return {static_cast<std::uint32_t>(groups_per_row), static_cast<std::uint32_t>((groups + groups_per_row - 1) / groups_per_row), 1};
}

}  // namespace cotenant::vulkan

#endif
