// write_row_major: the elements of a view of any layout, as the bytes that a file holds.
#ifndef COTENANT_FILES_ROW_MAJOR_HPP
#define COTENANT_FILES_ROW_MAJOR_HPP
#include <algorithm>
#include <cstddef>
#include <iterator>

#include "cotenant/core/view.hpp"

namespace cotenant {

// Calls out.write(data, bytes) with the elements in row-major order, as few times as the layout allows.
template <class Output, class T> void write_row_major(Output& out, const View<const T>& view) {
  if (view.size() == 0) return;
  if (view.contiguous()) return out.write(view.data(), view.size() * sizeof(T));
  // An innermost axis of one element would make every element a piece of its own.
  if (view.rank() > 1 && view.shape(view.rank() - 1) == 1) return write_row_major(out, view.with(squeeze(view.layout(), -1)));
  if (view.rank() > 1) {
    for (std::size_t i = 0; i < view.shape(0); ++i) write_row_major(out, view.with(select(view.layout(), 0, static_cast<std::ptrdiff_t>(i))));
    return;
  }
  T gathered[256];
  for (std::size_t i = 0; i < view.shape(0);) {
    const std::size_t count = std::min(std::size(gathered), view.shape(0) - i);
    for (std::size_t k = 0; k < count; ++k, ++i) gathered[k] = view(i);
    out.write(gathered, count * sizeof(T));
  }
}

}  // namespace cotenant

#endif
