// Quantized: integers with what turns them back into numbers, and how a tensor is divided into ranges of one scale.
#ifndef COTENANT_SHARE_QUANTIZED_TENSOR_HPP
#define COTENANT_SHARE_QUANTIZED_TENSOR_HPP
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include "cotenant/share/derive.hpp"

namespace cotenant {

// int8_t, uint8_t, or i4x2: two signed 4-bit values in a byte, neighbours along the last axis.
template <class Q> concept QuantizedElement = std::same_as<Q, std::int8_t> || std::same_as<Q, std::uint8_t> || std::same_as<Q, i4x2>;

// One value of a quantised element, and the element of its zero points: either half of an i4x2 is an int8_t.
template <QuantizedElement Q> using quantized_value = std::conditional_t<std::same_as<Q, i4x2>, std::int8_t, Q>;
// The range that values saturate to.
template <QuantizedElement Q> inline constexpr std::int32_t quantized_lowest = std::same_as<Q, i4x2> ? -8 : std::numeric_limits<quantized_value<Q>>::min();
template <QuantizedElement Q> inline constexpr std::int32_t quantized_highest = std::same_as<Q, i4x2> ? 7 : std::numeric_limits<quantized_value<Q>>::max();

// real = (value - zero_point) * scale. Every dimension of scale divides that of values (counted in single values, also for
// i4x2): [] or [1] per tensor, [C, 1, 1] per channel, [R, C / 32] for rows in blocks of 32. zero_point is empty (0 everywhere)
// or has scale's shape.
template <QuantizedElement Q, Storage S> struct Quantized {
  SharedTensor<Q, S> values;
  SharedTensor<float, S> scale;
  SharedTensor<quantized_value<Q>, S> zero_point;

  // The matrix product's other orientation, without a copy: weights stored [N, K] become [K, N]. Of i4x2 the pairs then lie
  // along the last axis but one.
  Quantized transpose() const {
    const auto turned = [](const auto& parameter) {
      if (!parameter || parameter.rank() == 0) return parameter;
      return parameter.rank() == 1 ? parameter.unsqueeze(0).transpose() : parameter.transpose();
    };
    return {values.transpose(), turned(scale), turned(zero_point)};
  }
  // Nobody writes these any more: kernels may keep what they derive from them, such as packed weights.
  const Quantized& freeze() const {
    values.freeze();
    scale.freeze();
    zero_point.freeze();
    return *this;
  }
};
// What derive() counts where it keeps one.
template <QuantizedElement Q, Storage S> std::size_t kept_bytes(const Quantized<Q, S>& quantized) {
  return kept_bytes(quantized.values) + kept_bytes(quantized.scale) + kept_bytes(quantized.zero_point);
}

// Which values share one range, where ranges are found in the data.
//   {}                             one range for the whole tensor
//   {.axis = a}                    one for each index of axis a: per channel
//   {.axis = a, .block_size = b}   one for each b neighbours along axis a, and each index of the other axes
struct QuantizeOptions {
  std::optional<std::ptrdiff_t> axis;
  std::size_t block_size = 0;
  friend bool operator==(const QuantizeOptions&, const QuantizeOptions&) = default;
};
// All values along an axis are one block.
inline constexpr std::size_t whole_axis = std::numeric_limits<std::size_t>::max();
// One range for each row: each token of activations [..., K], each output channel of weights [N, K].
inline constexpr QuantizeOptions per_row{-1, whole_axis};
// One for each `size` neighbours of a row.
constexpr QuantizeOptions per_block(std::size_t size) { return {-1, size}; }

namespace detail {

// The shape of i4x2 elements that hold values of this shape. Errors: ShapeError where values would be left without a pair.
inline Shape packed_shape(const Shape& values) {
  if (values.empty() || values.back() % 2 != 0)
    raise<ShapeError>("4-bit values are packed in pairs along the last axis, so that it must be even, but the shape is " + to_string(values));
  Shape shape = values;
  shape[shape.rank() - 1] /= 2;
  return shape;
}
// The shape of the values that a tensor of Q's holds.
template <QuantizedElement Q> Shape values_shape(const Shape& elements) {
  Shape shape = elements;
  if constexpr (std::same_as<Q, i4x2>) {
    if (shape.empty()) raise<ShapeError>("a scalar of i4x2 has no axis for its pair: reshape it to [1]");
    shape[shape.rank() - 1] = checked_multiply(shape.back(), 2, "the number of 4-bit values");
  }
  return shape;
}
template <QuantizedElement Q> Shape elements_shape(const Shape& values) {
  if constexpr (std::same_as<Q, i4x2>) return packed_shape(values);
  else return values;
}

// Errors: ShapeError where the parameters (`zero_point` null: there is none) do not divide the values into ranges.
inline void check_ranges(const Shape& values, const Shape& scale, const Shape* zero_point) {
  if (zero_point != nullptr && !(*zero_point == scale))
    raise<ShapeError>("scale and zero point must have one shape, but have " + to_string(scale) + " and " + to_string(*zero_point));
  bool divides = scale.rank() <= values.rank();
  for (std::size_t axis = 0; divides && axis < scale.rank(); ++axis)
    divides = scale[axis] != 0 && values[values.rank() - scale.rank() + axis] % scale[axis] == 0;
  if (!divides) raise<ShapeError>("a scale of shape " + to_string(scale) + " does not divide values of shape " + to_string(values) + " into equal ranges");
}
template <QuantizedElement Q, Storage S> void check_ranges(const Quantized<Q, S>& tensor) {
  const Shape zero_point = tensor.zero_point ? tensor.zero_point.shape() : Shape();
  check_ranges(values_shape<Q>(tensor.values.shape()), tensor.scale.shape(), tensor.zero_point ? &zero_point : nullptr);
}

// The shape of the scale that the options ask for. Errors: ShapeError.
inline Shape range_shape(const Shape& x, const QuantizeOptions& options) {
  Shape shape = Shape::filled(x.rank(), 1);
  if (!options.axis) {
    if (options.block_size != 0) raise<ShapeError>("blocks of " + std::to_string(options.block_size) + " lie along an axis: name it in QuantizeOptions");
    return shape;
  }
  const std::size_t axis = normalize_axis(*options.axis, x.rank());
  if (options.block_size == 0) {
    shape[axis] = x[axis];
    return shape;
  }
  const std::size_t size = options.block_size == whole_axis ? x[axis] : options.block_size;
  if (size != 0 && x[axis] % size != 0)
    raise<ShapeError>("blocks of " + std::to_string(size) + " do not divide dimension " + std::to_string(axis) + " of shape " + to_string(x));
  shape = x;
  shape[axis] = size == 0 ? 1 : x[axis] / size;
  return shape;
}

}  // namespace detail

}  // namespace cotenant

#endif
