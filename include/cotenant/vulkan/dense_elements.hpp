// Elements of a view of any layout to and from dense ones in row-major order: pack() and unpack().
#ifndef COTENANT_VULKAN_DENSE_ELEMENTS_HPP
#define COTENANT_VULKAN_DENSE_ELEMENTS_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "cotenant/vulkan/any_operand.hpp"

namespace cotenant::vulkan {

// Calls f(offset of the first, elements in a row, its index) for elements [first, first + count) of a layout in row-major order;
// elements in a row lie one stride of the last axis apart.
template <class F> void for_each_row(const AnyView& view, std::size_t first, std::size_t count, F&& f) {
  const Shape& shape = view.shape();
  const std::size_t rank = shape.rank();
  if (rank == 0) return f(std::ptrdiff_t{0}, std::size_t{1}, std::size_t{0});
  const std::size_t row = shape[rank - 1];
  std::array<std::size_t, max_rank> index{};
  std::size_t left = first;
  for (std::size_t axis = rank; axis-- > 0;) index[axis] = left % shape[axis], left /= shape[axis];
  for (std::size_t done = 0; done < count;) {
    const std::size_t length = std::min(row - index[rank - 1], count - done);
    std::ptrdiff_t offset = 0;
    for (std::size_t axis = 0; axis < rank; ++axis) offset += static_cast<std::ptrdiff_t>(index[axis]) * view.stride(axis);
    f(offset, length, done);
    done += length;
    index[rank - 1] = 0;
    for (std::size_t axis = rank - 1; axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}
namespace detail {
// Elements of so many bytes between a view's rows and dense ones.
template <std::ptrdiff_t Bytes, bool Pack> void move_rows(const AnyView& view, std::size_t first, std::size_t count, std::byte* dense) {
  const std::ptrdiff_t step = view.rank() == 0 ? 1 : view.stride(view.rank() - 1);
  for_each_row(view, first, count, [&](std::ptrdiff_t offset, std::size_t length, std::size_t at) {
    std::byte* element = static_cast<std::byte*>(view.data()) + offset * Bytes;
    std::byte* packed = dense + at * Bytes;
    for (std::size_t i = 0; i < length; ++i, element += step * Bytes, packed += Bytes) {
      if constexpr (Pack) std::memcpy(packed, element, Bytes);
      else std::memcpy(element, packed, Bytes);
    }
  });
}
template <bool Pack> void move_elements(const AnyView& view, std::size_t first, std::size_t count, std::byte* dense) {
  const std::size_t bytes = size_of(view.type());
  if (view.contiguous()) {
    std::byte* const elements = static_cast<std::byte*>(view.data()) + first * bytes;
    static_cast<void>(Pack ? std::memcpy(dense, elements, count * bytes) : std::memcpy(elements, dense, count * bytes));
    return;
  }
  switch (bytes) {
    case 1: return move_rows<1, Pack>(view, first, count, dense);
    case 2: return move_rows<2, Pack>(view, first, count, dense);
    case 4: return move_rows<4, Pack>(view, first, count, dense);
    default: return move_rows<8, Pack>(view, first, count, dense);
  }
}
}  // namespace detail
// Elements [first, first + count) of a view, in row-major order, to or from `dense` ones.
inline void pack(const AnyView& view, std::size_t first, std::size_t count, void* dense) {
  detail::move_elements<true>(view, first, count, static_cast<std::byte*>(dense));
}
inline void unpack(const void* dense, const AnyView& view, std::size_t first, std::size_t count) {
  detail::move_elements<false>(view, first, count, static_cast<std::byte*>(const_cast<void*>(dense)));
}

}  // namespace cotenant::vulkan

#endif
