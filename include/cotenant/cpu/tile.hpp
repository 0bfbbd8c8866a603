// Source, Sink: an operand of a float kernel with its element type erased, so that one kernel serves all types and strides.
#ifndef COTENANT_CPU_TILE_HPP
#define COTENANT_CPU_TILE_HPP
#include <cstddef>

#include "cotenant/core/config.hpp"

namespace cotenant::cpu {

// Converts `count` elements, `stride` apart, to floats and back. Each CPU target has its own for each element type.
using LoadRow = void (*)(const void* from, std::ptrdiff_t stride, std::size_t count, float* to);
using StoreRow = void (*)(const float* from, void* to, std::ptrdiff_t stride, std::size_t count);

// Where a tile's elements are read: (row, column) lies at row * row_stride + column * column_stride elements.
struct Source {
  const char* data = nullptr;
  std::size_t element_size = 0;
  std::ptrdiff_t row_stride = 0;
  std::ptrdiff_t column_stride = 0;
  LoadRow load = nullptr;
  bool is_float = false;  // the bytes are floats: a row of column_stride 1 needs no conversion

  // Null where the matrix has no elements and no address.
  const char* at(std::ptrdiff_t offset) const { return data == nullptr ? nullptr : data + offset * static_cast<std::ptrdiff_t>(element_size); }
  Source moved(std::ptrdiff_t offset) const {
    Source result = *this;
    result.data = at(offset);
    return result;
  }
};

struct Sink {
  char* data = nullptr;
  std::size_t element_size = 0;
  std::ptrdiff_t row_stride = 0;
  std::ptrdiff_t column_stride = 0;
  StoreRow store = nullptr;
  bool is_float = false;

  char* at(std::ptrdiff_t offset) const { return data == nullptr ? nullptr : data + offset * static_cast<std::ptrdiff_t>(element_size); }
  Sink moved(std::ptrdiff_t offset) const {
    Sink result = *this;
    result.data = at(offset);
    return result;
  }
};

// Rows that need conversion pass through a buffer of this many floats per operand: 2 KiB, so a few operands stay in the L1 cache.
inline constexpr std::size_t staged_columns = 512;

}  // namespace cotenant::cpu

#endif
