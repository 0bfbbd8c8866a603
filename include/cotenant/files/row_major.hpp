// write_row_major: the elements of any layout, as the bytes that a file holds.
#ifndef COTENANT_FILES_ROW_MAJOR_HPP
#define COTENANT_FILES_ROW_MAJOR_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cotenant/core/layout.hpp"

namespace cotenant {

namespace detail {
// to[i * sizeof(Word)] = the Word at from + i * step. By memcpy: the bytes may be those of any type.
template <class Word> void gather(const char* from, std::ptrdiff_t step, std::size_t count, char* to) {
  for (std::size_t i = 0; i < count; ++i) std::memcpy(to + i * sizeof(Word), from + static_cast<std::ptrdiff_t>(i) * step, sizeof(Word));
}
}  // namespace detail

// Calls out.write(data, bytes) with the elements in row-major order, as few times as the layout allows. `base` is where offset 0
// lies; elements have 1, 2, 4 or 8 bytes.
template <class Output> void write_row_major(Output& out, const void* base, const Layout& layout, std::size_t element_bytes) {
  const Shape& shape = layout.shape;
  if (element_count(shape) == 0) return;
  const auto bytes = static_cast<std::ptrdiff_t>(element_bytes);
  const char* const first = static_cast<const char*>(base) + layout.offset * bytes;
  if (is_contiguous(shape, layout.strides)) return out.write(first, element_count(shape) * element_bytes);
  // An innermost axis of one element would make every element a piece of its own.
  if (shape.rank() > 1 && shape.back() == 1) return write_row_major(out, base, squeeze(layout, -1), element_bytes);
  if (shape.rank() > 1) {
    for (std::size_t i = 0; i < shape[0]; ++i) write_row_major(out, base, select(layout, 0, static_cast<std::ptrdiff_t>(i)), element_bytes);
    return;
  }
  const auto gather = element_bytes == 1 ? &detail::gather<std::uint8_t> : element_bytes == 2 ? &detail::gather<std::uint16_t>
                    : element_bytes == 4 ? &detail::gather<std::uint32_t> : &detail::gather<std::uint64_t>;
  alignas(std::uint64_t) char gathered[1024];
  const std::size_t most = sizeof gathered / element_bytes;
  for (std::size_t i = 0; i < shape[0]; i += most) {
    const std::size_t count = std::min(most, shape[0] - i);
    gather(first + static_cast<std::ptrdiff_t>(i) * layout.strides[0] * bytes, layout.strides[0] * bytes, count, gathered);
    out.write(gathered, count * element_bytes);
  }
}

}  // namespace cotenant

#endif
