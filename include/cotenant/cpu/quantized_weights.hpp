// QuantizedWeights: the right operand of a product, integers with scales, with its types erased.
#ifndef COTENANT_CPU_QUANTIZED_WEIGHTS_HPP
#define COTENANT_CPU_QUANTIZED_WEIGHTS_HPP
#include <cstddef>
#include <cstdint>

#include "cotenant/core/config.hpp"

namespace cotenant::cpu {

// Values [depth, columns]; strides are those of the elements: of i4x2 one step along the axis of the pairs is two values.
// Parameters [blocks, columns].
struct QuantizedWeights {
  const void* values = nullptr;
  std::ptrdiff_t depth_stride = 0, column_stride = 0;
  bool pairs_along_depth = false;
  const float* scale = nullptr;
  std::ptrdiff_t scale_block_stride = 0, scale_column_stride = 0;
  const void* zero = nullptr;  // null where it is 0; int8_t, or uint8_t for uint8_t values
  std::ptrdiff_t zero_block_stride = 0, zero_column_stride = 0;
  std::size_t block_size = 1;  // along the depth

  float scale_at(std::size_t block, std::size_t column) const {
    return scale[static_cast<std::ptrdiff_t>(block) * scale_block_stride + static_cast<std::ptrdiff_t>(column) * scale_column_stride];
  }
  template <class Zero> float zero_at(std::size_t block, std::size_t column) const {
    if (zero == nullptr) return 0;
    return static_cast<float>(
        static_cast<const Zero*>(zero)[static_cast<std::ptrdiff_t>(block) * zero_block_stride + static_cast<std::ptrdiff_t>(column) * zero_column_stride]);
  }
};

}  // namespace cotenant::cpu

#endif
