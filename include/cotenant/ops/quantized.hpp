// How the parameters of quantised values divide them into blocks, so that each becomes an operand of the values' shape.
#ifndef COTENANT_OPS_QUANTIZED_HPP
#define COTENANT_OPS_QUANTIZED_HPP
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <type_traits>

#include "cotenant/ops/operand.hpp"
#include "cotenant/share/quantized_tensor.hpp"

namespace cotenant {

namespace detail {

// How values and parameters become operands of one shape: each axis of the values is split where a block of a parameter ends,
// and at pairs where they are packed, so that a parameter is repeated by stride 0.
class BlockSplit {
 public:
  // For values of shape `x`, each of whose parameters has one of the given shapes. Errors: ShapeError where one does not divide x.
  BlockSplit(const Shape& x, bool packed, const Shape& parameter) : BlockSplit(x, packed, parameter, parameter) {}
  BlockSplit(const Shape& x, bool packed, const Shape& parameter, const Shape& other) : x_(x) {
    for (const Shape* shape : {&parameter, &other})
      if (shape->rank() > x.rank())
        raise<ShapeError>(Text{"quantize and dequantize: parameters of shape ", *shape, " have more dimensions than the values' ", x});
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
      raise<ShapeError>(Text{"quantize and dequantize: parameters of shape ", parameter, " do not divide values of shape ", x_, " into equal blocks"});
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
    raise<ShapeError>(Text{"scale and zero point must have one shape, but have ", scale, " and ", zero_point});
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
