// Quantized: integers with what turns them back into numbers, and how its parameters divide the values into blocks.
#ifndef COTENANT_OPS_QUANTIZED_HPP
#define COTENANT_OPS_QUANTIZED_HPP
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <optional>
#include <type_traits>

#include "cotenant/ops/operand.hpp"
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

// How values and parameters become operands of one shape: each axis of the values is split where a block of a parameter ends,
// and at pairs where they are packed, so that a parameter is repeated by stride 0.
class BlockSplit {
 public:
  // For values of shape `x`, each of whose parameters has one of the given shapes. Errors: ShapeError where one does not divide x.
  BlockSplit(const Shape& x, bool packed, const Shape& parameter) : BlockSplit(x, packed, parameter, parameter) {}
  BlockSplit(const Shape& x, bool packed, const Shape& parameter, const Shape& other) : x_(x) {
    for (const Shape* shape : {&parameter, &other})
      if (shape->rank() > x.rank())
        raise<ShapeError>("quantisation parameters of shape " + to_string(*shape) + " have more dimensions than the values' " + to_string(x));
    for (std::size_t axis = 0; axis < x.rank(); ++axis) {
      const bool pairs = packed && axis + 1 == x.rank();
      std::size_t sizes[] = {block_size(parameter, axis), block_size(other, axis), pairs ? std::size_t{2} : std::size_t{1}};
      std::sort(std::begin(sizes), std::end(sizes), std::greater<>());
      std::size_t whole = x[axis];
      for (std::size_t size : sizes) {
        if (size <= 1 || size >= whole) continue;
        if (whole % size != 0)
          raise<ShapeError>("blocks of " + std::to_string(whole) + " and of " + std::to_string(size) + (pairs && size == 2 ? " (a pair)" : "") +
                            " along dimension " + std::to_string(axis) + " of shape " + to_string(x) + " do not fit into each other");
        append(axis, whole / size, size);
        whole = size;
      }
      append(axis, whole, 1);
    }
  }

  // An operand of the values' shape.
  template <class T> Operand<T> values(const Operand<T>& operand) const { return split(operand, [](std::size_t step, bool) { return step; }); }
  // The i4x2 elements of the values: both values of a pair lie at one place, an axis of extent 2 and stride 0.
  template <class T> Operand<T> elements(const Operand<T>& operand) const {
    if constexpr (!std::same_as<std::remove_const_t<T>, i4x2>) return values(operand);
    else return split(operand, [](std::size_t step, bool last) { return last ? step / 2 : step; });
  }
  // A parameter, repeated over the values of each block. A null operand stays one.
  template <class T> Operand<T> parameter(const Operand<T>& operand) const {
    if (operand.block == nullptr) return {};
    const Shape& shape = operand.shape();
    const std::size_t missing = x_.rank() - shape.rank();
    Layout layout{shape_, {}, 0};
    for (std::size_t i = 0; i < shape_.rank(); ++i) {
      const std::size_t size = block_size(shape, axis_[i]);
      const bool repeats = axis_[i] < missing || shape[axis_[i] - missing] == 1 || size == 0;
      layout.strides.append(repeats ? 0 : operand.view.stride(axis_[i] - missing) * static_cast<std::ptrdiff_t>(step_[i] / size));
    }
    return operand.with(layout);
  }

 private:
  // How many neighbours along an axis share one index of the parameter.
  std::size_t block_size(const Shape& parameter, std::size_t axis) const {
    const std::size_t missing = x_.rank() - parameter.rank(), blocks = axis < missing ? 1 : parameter[axis - missing];
    if (blocks == x_[axis]) return 1;
    if (blocks == 0 || x_[axis] % blocks != 0)
      raise<ShapeError>("quantisation parameters of shape " + to_string(parameter) + " do not divide values of shape " + to_string(x_) + " into equal blocks");
    return x_[axis] / blocks;
  }
  void append(std::size_t axis, std::size_t extent, std::size_t step) {
    axis_.append(axis);
    shape_.append(extent);
    step_.append(step);
  }
  template <class T, class F> Operand<T> split(const Operand<T>& operand, F step_of) const {
    Layout layout{shape_, {}, 0};
    for (std::size_t i = 0; i < shape_.rank(); ++i)
      layout.strides.append(operand.view.stride(axis_[i]) * static_cast<std::ptrdiff_t>(step_of(step_[i], axis_[i] + 1 == x_.rank())));
    return operand.with(layout);
  }

  Shape x_;
  // The split shape; of each of its axes the values' axis that it is a part of, and how many of its values one step is.
  Shape shape_, axis_, step_;
};

// Errors: ShapeError where a zero point has another shape than its scale.
inline void check_zero_point(const Shape& scale, const Shape& zero_point) {
  if (!(scale == zero_point))
    raise<ShapeError>("scale and zero point must have one shape, but have " + to_string(scale) + " and " + to_string(zero_point));
}
// A zero point as an operand; null where there is none.
template <QuantizedElement Q, TensorLike Scale, TensorLike Zero>
Operand<const quantized_value<Q>> zero_point_operand(const Scale& scale, const Zero& zero_point) {
  static_assert(std::same_as<element_type_of<Zero>, quantized_value<Q>>, "the zero point has the element type of the quantised values (int8_t for i4x2)");
  if (!as_tensor(zero_point)) return {};
  check_zero_point(as_tensor(scale).shape(), as_tensor(zero_point).shape());
  return input(zero_point);
}

}  // namespace detail

}  // namespace cotenant

#endif
