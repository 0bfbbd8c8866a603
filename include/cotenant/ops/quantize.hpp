// quantize and dequantize: real = (q - zero_point) * scale, per tensor, per channel or per block.
#ifndef COTENANT_OPS_QUANTIZE_HPP
#define COTENANT_OPS_QUANTIZE_HPP
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "cotenant/ops/map.hpp"
#include "cotenant/ops/operand.hpp"
#include "cotenant/ops/reduce.hpp"

namespace cotenant {

template <class Q> concept QuantizedElement = std::same_as<Q, std::int8_t> || std::same_as<Q, std::uint8_t>;

// out[i] = clamp(round(in[i] / scale[i]) + zero_point[i], low, high), round to nearest even; NaN gives the zero point.
// scale and zero_point have in's shape already, repeated by stride 0. Without a zero point (symmetric) zero_point.block is null.
template <class In, class Q> struct QuantizeArguments {
  Operand<const In> in;
  Operand<const float> scale;
  Operand<const Q> zero_point;
  std::int32_t low = std::numeric_limits<Q>::min();
  std::int32_t high = std::numeric_limits<Q>::max();
  Operand<Q> out;
};

// out[i] = (in[i] - zero_point[i]) * scale[i].
template <class Q, class Out> struct DequantizeArguments {
  Operand<const Q> in;
  Operand<const float> scale;
  Operand<const Q> zero_point;
  Operand<Out> out;
};

// Quantised values with what turns them back. scale and zero_point broadcast to values; no zero_point means 0.
template <class Q, class S> struct Quantized {
  SharedTensor<Q, S> values;
  SharedTensor<float, S> scale;
  SharedTensor<Q, S> zero_point;
};

namespace detail {
// How many elements of each axis share one index of `parameter`. Errors: ShapeError where it does not divide.
inline Shape block_sizes(const Shape& x, const Shape& parameter) {
  if (parameter.rank() > x.rank())
    raise<ShapeError>("quantisation parameters of shape " + to_string(parameter) + " have more dimensions than the values' " + to_string(x));
  Shape sizes = x;
  for (std::size_t back = 1; back <= parameter.rank(); ++back) {
    const std::size_t extent = x[x.rank() - back], blocks = parameter[parameter.rank() - back];
    if (blocks == extent) sizes[x.rank() - back] = 1;
    else if (blocks == 0 || extent % blocks != 0)
      raise<ShapeError>("quantisation parameters of shape " + to_string(parameter) + " do not divide values of shape " + to_string(x) + " into equal blocks");
    else sizes[x.rank() - back] = extent / blocks;
  }
  return sizes;
}

// x's layout with every axis that holds several blocks of several elements split in two, [blocks, size].
inline Layout split_blocks(const Layout& x, const Shape& sizes) {
  Layout split{{}, {}, x.offset};
  for (std::size_t axis = 0; axis < x.shape.rank(); ++axis) {
    if (sizes[axis] > 1 && sizes[axis] < x.shape[axis]) {
      split.shape.append(x.shape[axis] / sizes[axis]);
      split.strides.append(x.strides[axis] * static_cast<std::ptrdiff_t>(sizes[axis]));
      split.shape.append(sizes[axis]);
    } else {
      split.shape.append(x.shape[axis]);
    }
    split.strides.append(x.strides[axis]);
  }
  return split;
}

// A scale or zero point as an operand of the split shape: repeated over the elements of each block.
template <class T> Operand<T> block_parameter(const Operand<T>& parameter, const Shape& x, const Shape& sizes) {
  Layout layout = parameter.view.layout();
  while (layout.shape.rank() < x.rank()) layout = unsqueeze(layout, 0);
  for (std::size_t axis = x.rank(); axis-- > 0;)
    if (sizes[axis] > 1 && sizes[axis] < x[axis]) layout = unsqueeze(layout, static_cast<std::ptrdiff_t>(axis) + 1);
  const Shape shape = split_blocks(contiguous_layout(x), sizes).shape;
  return parameter.with(broadcast_to(layout, shape));
}

// The zero point like the scale; a null block where there is none. Errors: ShapeError where their shapes differ.
template <class Q, TensorLike Scale, TensorLike Z>
Operand<const Q> zero_point_operand(const Scale& scale, const Z& zero_point, const Shape& x, const Shape& sizes) {
  static_assert(std::same_as<element_type_of<Z>, Q>, "the zero point has the element type of the quantised values");
  if (!as_tensor(zero_point)) return {};
  if (!(as_tensor(scale).shape() == as_tensor(zero_point).shape()))
    raise<ShapeError>("scale and zero point must have one shape, but have " + to_string(as_tensor(scale).shape()) + " and " +
                      to_string(as_tensor(zero_point).shape()));
  return block_parameter(input(zero_point), x, sizes);
}
}  // namespace detail

// Quantises with given parameters (WebNN's quantizeLinear). scale and zero_point have one shape, whose every dimension
// divides x's: [] or [1] per tensor, [C, 1, 1] per channel, [R, C / 32] for rows in blocks of 32. Results saturate to
// Q's range, or to [low, high].
// Errors: ShapeError.
template <QuantizedElement Q, TensorLike X, TensorLike Scale, TensorLike Zero = SharedTensor<Q, storage_type_of<Scale>>,
          class Backend = common_backend<X, Scale, Zero>>
auto quantize(const X& x, const Scale& scale, const Zero& zero_point = {}, std::int32_t low = std::numeric_limits<Q>::min(),
              std::int32_t high = std::numeric_limits<Q>::max()) {
  static_assert(FloatElement<element_type_of<X>>, "quantize takes float, f16 or bf16 elements");
  static_assert(std::same_as<element_type_of<Scale>, float>, "quantize's scale is float");
  check_not_empty("quantize", x, scale);
  const Shape& shape = as_tensor(x).shape();
  auto out = empty_like<Q>(x, shape);
  const Shape sizes = detail::block_sizes(shape, as_tensor(scale).shape());
  const auto blocked = [&](const auto& operand) { return operand.with(detail::split_blocks(operand.view.layout(), sizes)); };
  const auto zero = detail::zero_point_operand<Q>(scale, zero_point, shape, sizes);
  prepare<Backend>(input(x), input(scale), zero);
  backend_at<Backend>(out).quantize(
      QuantizeArguments<element_type_of<X>, Q>{blocked(input(x)), detail::block_parameter(input(scale), shape, sizes), zero, low, high, blocked(output(out))});
  return out;
}

// Quantises with parameters found in the data: per tensor, or per index of `channel_axis`.
// int8_t: symmetric, scale = max |x| / 127, values in ±127, no zero point. uint8_t: affine over the range of x
// extended to hold 0, scale = (max - min) / 255, zero point = round(-min / scale). An all-zero range has scale 1.
template <QuantizedElement Q, TensorLike X> auto quantize(const X& x, std::optional<std::ptrdiff_t> channel_axis = std::nullopt) {
  static_assert(FloatElement<element_type_of<X>>, "quantize takes float, f16 or bf16 elements");
  check_not_empty("quantize", x);
  ReduceOptions options{.axes = {}, .keep_dimensions = true};
  if (channel_axis) {
    const std::size_t channel = normalize_axis(*channel_axis, as_tensor(x).rank());
    for (std::size_t axis = 0; axis < as_tensor(x).rank(); ++axis)
      if (axis != channel) options.axes.append(static_cast<std::ptrdiff_t>(axis));
  }
  // A vector per channel: each element is its own range, and naming no axis would mean all of them.
  const bool every_element = channel_axis && options.axes.empty();
  Quantized<Q, typename tensor_type<X>::result_storage> result;
  if constexpr (std::same_as<Q, std::int8_t>) {
    const auto to_scale = [](auto largest) { return select(abs(largest) > 0.f, abs(largest) / 127.f, 1.f); };
    result.scale = every_element ? map<float>(to_scale, x) : map<float>(to_scale, reduce<reduction::AbsMaximum, float>(x, options));
    result.values = quantize<Q>(x, result.scale, result.zero_point, -127, 127);
  } else {
    const auto to_scale = [](auto low, auto high) {
      const auto range = max(high, 0.f) - min(low, 0.f);
      return select(range > 0.f, range / 255.f, 1.f);
    };
    const auto to_zero = [](auto low, auto scale) { return round(clamp(-min(low, 0.f) / scale, 0.f, 255.f)); };
    const auto low = every_element ? cast<float>(x) : reduce<reduction::Minimum, float>(x, options);
    const auto high = every_element ? low : reduce<reduction::Maximum, float>(x, options);
    result.scale = map<float>(to_scale, low, high);
    result.zero_point = map<Q>(to_zero, low, result.scale);
    result.values = quantize<Q>(x, result.scale, result.zero_point);
  }
  return result;
}

// (values - zero_point) * scale as a new tensor (WebNN's dequantizeLinear). Errors: ShapeError.
template <FloatElement Out = float, TensorLike X, TensorLike Scale, TensorLike Zero = SharedTensor<element_type_of<X>, storage_type_of<Scale>>,
          class Backend = common_backend<X, Scale, Zero>>
auto dequantize(const X& values, const Scale& scale, const Zero& zero_point = {}) {
  using Q = element_type_of<X>;
  static_assert(QuantizedElement<Q>, "dequantize takes int8_t or uint8_t elements");
  static_assert(std::same_as<element_type_of<Scale>, float>, "dequantize's scale is float");
  check_not_empty("dequantize", values, scale);
  const Shape& shape = as_tensor(values).shape();
  auto out = empty_like<Out>(values, shape);
  const Shape sizes = detail::block_sizes(shape, as_tensor(scale).shape());
  const auto blocked = [&](const auto& operand) { return operand.with(detail::split_blocks(operand.view.layout(), sizes)); };
  const auto zero = detail::zero_point_operand<Q>(scale, zero_point, shape, sizes);
  prepare<Backend>(input(values), input(scale), zero);
  backend_at<Backend>(out).dequantize(
      DequantizeArguments<Q, Out>{blocked(input(values)), detail::block_parameter(input(scale), shape, sizes), zero, blocked(output(out))});
  return out;
}
template <FloatElement Out = float, QuantizedElement Q, Storage S> auto dequantize(const Quantized<Q, S>& quantized) {
  return dequantize<Out>(quantized.values, quantized.scale, quantized.zero_point);
}

}  // namespace cotenant

#endif
