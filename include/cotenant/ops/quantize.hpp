// quantize, dequantize and requantize: real = (q - zero_point) * scale, per tensor, per channel or per block.
#ifndef COTENANT_OPS_QUANTIZE_HPP
#define COTENANT_OPS_QUANTIZE_HPP
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "cotenant/ops/quantized.hpp"

namespace cotenant {

// In all of these the operands have one shape; scales and zero points are repeated to it by stride 0, and a zero point whose
// block is null is 0. The two values of an i4x2 lie at one place: its last axis has extent 2 and stride 0, the low half first.

// out[i] = clamp(round(in[i] / scale[i]) + zero_point[i], low, high), round to nearest even; NaN gives the zero point.
template <class In, class Q> struct QuantizeArguments {
  Operand<const In> in;
  Operand<const float> scale;
  Operand<const quantized_value<Q>> zero_point;
  std::int32_t low = quantized_lowest<Q>;
  std::int32_t high = quantized_highest<Q>;
  Operand<Q> out;
};

// out[i] = (in[i] - zero_point[i]) * scale[i].
template <class Q, class Out> struct DequantizeArguments {
  Operand<const Q> in;
  Operand<const float> scale;
  Operand<const quantized_value<Q>> zero_point;
  Operand<Out> out;
};

// Finds scale and zero_point, and quantises with them. One range is the elements over which scale has stride 0. NaN counts in
// no range; a range that is all 0 (or infinite, or that holds no number) has scale 1 (or infinity).
//   int8_t, i4x2 (zero_point is null): scale = max |x| / high, with high = 127 or 7; values in ±high
//   uint8_t: low = min(x, 0), high = max(x, 0), scale = (high - low) / 255, zero_point = round(-low / scale)
template <class In, class Q> struct DynamicQuantizeArguments {
  Operand<const In> in;
  Operand<Q> values;
  Operand<float> scale;
  Operand<quantized_value<Q>> zero_point;
};

// out[i] = clamp(round((in[i] - in_zero[i]) * in_scale[i] / scale[i]) + zero_point[i], low, high), in float.
template <class In, class Q> struct RequantizeArguments {
  Operand<const In> in;
  Operand<const float> in_scale;
  Operand<const In> in_zero_point;
  Operand<const float> scale;
  Operand<const Q> zero_point;
  Operand<Q> out;
};

namespace detail {
template <class... X> void check_quantize_elements() {
  static_assert((std::same_as<element_type_of<X>, float> && ...), "scales are float");
}
}  // namespace detail

// Writes x, quantised with given parameters, into out, whose shape is x's (with i4x2 half of it along the last axis).
// scale and zero_point: as Quantized says, or no zero point; results saturate to Q's range, or to [low, high].
// out may not overlap an input. Errors: ShapeError, ReadOnly.
template <QuantizedElement Q, Storage S, TensorLike X, TensorLike Scale, TensorLike Zero = SharedTensor<quantized_value<Q>, storage_type_of<Scale>>,
          class Backend = common_backend<SharedTensor<Q, S>, X, Scale, Zero>>
void quantize_into(SharedTensor<Q, S> out, const X& x, const Scale& scale, const Zero& zero_point = {}, std::int32_t low = quantized_lowest<Q>,
                   std::int32_t high = quantized_highest<Q>) {
  static_assert(FloatElement<element_type_of<X>>, "quantize takes float, f16 or bf16 elements");
  detail::check_quantize_elements<Scale>();
  check_not_empty("quantize", out, x, scale);
  const Shape& shape = as_tensor(x).shape();
  check_output_shape("quantize", detail::elements_shape<Q>(shape), out.shape());
  if (low < quantized_lowest<Q> || high > quantized_highest<Q> || low > high)
    raise<InvalidArgument>(Text{"quantize cannot give values in [", low, ", ", high, "]: the element holds [", quantized_lowest<Q>, ", ",
                                quantized_highest<Q>, "]"});
  const detail::BlockSplit split(shape, std::same_as<Q, i4x2>, as_tensor(scale).shape());
  const auto zero = detail::zero_point_operand<Q>(scale, zero_point);
  prepare<Backend>(input(x), input(scale), zero);
  backend_at<Backend>(out).quantize(QuantizeArguments<element_type_of<X>, Q>{split.values(input(x)), split.parameter(input(scale)), split.parameter(zero), low,
                                                                             high, split.elements(output(out))});
}

// The same as a new tensor (WebNN's and ONNX's quantizeLinear).
template <QuantizedElement Q, TensorLike X, TensorLike Scale, TensorLike Zero = SharedTensor<quantized_value<Q>, storage_type_of<Scale>>,
          class Backend = common_backend<X, Scale, Zero>>
auto quantize(const X& x, const Scale& scale, const Zero& zero_point = {}, std::int32_t low = quantized_lowest<Q>, std::int32_t high = quantized_highest<Q>) {
  check_not_empty("quantize", x);
  auto out = empty_like<Q>(x, detail::elements_shape<Q>(as_tensor(x).shape()));
  quantize_into(out, x, scale, zero_point, low, high);
  return out;
}

// Quantises with parameters found in the data, in one go: see DynamicQuantizeArguments. Which elements share a range follows
// from the shape of out.scale; out.zero_point is empty for int8_t and i4x2, and has scale's shape for uint8_t.
// Errors: ShapeError, ReadOnly.
template <QuantizedElement Q, Storage S, TensorLike X, class Backend = common_backend<SharedTensor<Q, S>, X>>
void quantize_into(const Quantized<Q, S>& out, const X& x) {
  static_assert(FloatElement<element_type_of<X>>, "quantize takes float, f16 or bf16 elements");
  constexpr bool affine = std::same_as<Q, std::uint8_t>;
  check_not_empty("quantize", out.values, out.scale, x);
  if (affine != static_cast<bool>(out.zero_point))
    raise<InvalidArgument>(affine ? "ranges of uint8 need a zero point each: give the output one of its scale's shape"
                                  : "ranges of int8 and 4-bit values are symmetric: leave the output's zero point empty");
  const Shape& shape = as_tensor(x).shape();
  check_output_shape("quantize", detail::elements_shape<Q>(shape), out.values.shape());
  const detail::BlockSplit split(shape, std::same_as<Q, i4x2>, out.scale.shape());
  Operand<quantized_value<Q>> zero;
  if (affine) {
    detail::check_zero_point(out.scale.shape(), out.zero_point.shape());
    zero = split.parameter(output(out.zero_point));
  }
  prepare<Backend>(input(x));
  backend_at<Backend>(out.values).dynamic_quantize(
      DynamicQuantizeArguments<element_type_of<X>, Q>{split.values(input(x)), split.elements(output(out.values)), split.parameter(output(out.scale)), zero});
}

// The same as new tensors: quantize<std::uint8_t>(x, per_row), quantize<i4x2>(weights, per_block(32)),
// quantize<std::int8_t>(x, {.axis = 1}). Errors: ShapeError where blocks do not divide x.
template <QuantizedElement Q, TensorLike X> auto quantize(const X& x, const QuantizeOptions& options) {
  check_not_empty("quantize", x);
  const Shape& shape = as_tensor(x).shape();
  const Shape ranges = detail::range_shape(shape, options);
  Quantized<Q, typename tensor_type<X>::result_storage> result;
  result.values = empty_like<Q>(x, detail::elements_shape<Q>(shape));
  result.scale = empty_like<float>(x, ranges);
  if constexpr (std::same_as<Q, std::uint8_t>) result.zero_point = empty_like<Q>(x, ranges);
  quantize_into(result, x);
  return result;
}
// Per tensor, or per index of `channel_axis`.
template <QuantizedElement Q, TensorLike X> auto quantize(const X& x, std::optional<std::ptrdiff_t> channel_axis = std::nullopt) {
  return quantize<Q>(x, QuantizeOptions{channel_axis});
}

// Writes (values - zero_point) * scale into out. Shapes: as quantize_into(). Errors: ShapeError, ReadOnly.
template <FloatElement Out, Storage S, TensorLike X, TensorLike Scale,
          TensorLike Zero = SharedTensor<quantized_value<element_type_of<X>>, storage_type_of<Scale>>,
          class Backend = common_backend<SharedTensor<Out, S>, X, Scale, Zero>>
void dequantize_into(SharedTensor<Out, S> out, const X& values, const Scale& scale, const Zero& zero_point = {}) {
  using Q = element_type_of<X>;
  static_assert(QuantizedElement<Q>, "dequantize takes int8_t, uint8_t or i4x2 elements");
  detail::check_quantize_elements<Scale>();
  check_not_empty("dequantize", out, values, scale);
  const Shape shape = detail::values_shape<Q>(as_tensor(values).shape());
  check_output_shape("dequantize", shape, out.shape());
  const detail::BlockSplit split(shape, std::same_as<Q, i4x2>, as_tensor(scale).shape());
  const auto zero = detail::zero_point_operand<Q>(scale, zero_point);
  prepare<Backend>(input(values), input(scale), zero);
  backend_at<Backend>(out).dequantize(
      DequantizeArguments<Q, Out>{split.elements(input(values)), split.parameter(input(scale)), split.parameter(zero), split.values(output(out))});
}
// The same as a new tensor (WebNN's and ONNX's dequantizeLinear).
template <FloatElement Out = float, TensorLike X, TensorLike Scale,
          TensorLike Zero = SharedTensor<quantized_value<element_type_of<X>>, storage_type_of<Scale>>, class Backend = common_backend<X, Scale, Zero>>
auto dequantize(const X& values, const Scale& scale, const Zero& zero_point = {}) {
  check_not_empty("dequantize", values);
  auto out = empty_like<Out>(values, detail::values_shape<element_type_of<X>>(as_tensor(values).shape()));
  dequantize_into(out, values, scale, zero_point);
  return out;
}
template <FloatElement Out = float, QuantizedElement Q, Storage S> auto dequantize(const Quantized<Q, S>& quantized) {
  return dequantize<Out>(quantized.values, quantized.scale, quantized.zero_point);
}

// The same numbers with other parameters, or as another element, in one pass: int8_t or uint8_t, of int8_t, uint8_t or int32_t
// (the sums of an integer product). Blocks of both sets of parameters must fit into each other. Errors: ShapeError.
template <QuantizedElement Q, TensorLike X, TensorLike InScale, TensorLike InZero, TensorLike Scale, TensorLike Zero = SharedTensor<Q, storage_type_of<Scale>>,
          class Backend = common_backend<X, InScale, InZero, Scale, Zero>>
auto requantize(const X& values, const InScale& in_scale, const InZero& in_zero_point, const Scale& scale, const Zero& zero_point = {}) {
  using In = element_type_of<X>;
  static_assert(!std::same_as<Q, i4x2> && (std::same_as<In, std::int8_t> || std::same_as<In, std::uint8_t> || std::same_as<In, std::int32_t>),
                "requantize takes int8_t, uint8_t or int32_t elements and gives int8_t or uint8_t: dequantize() 4-bit values");
  static_assert(std::same_as<element_type_of<InZero>, In>, "the zero point has the element type of the quantised values");
  detail::check_quantize_elements<InScale, Scale>();
  check_not_empty("requantize", values, in_scale, scale);
  const Shape& shape = as_tensor(values).shape();
  auto out = empty_like<Q>(values, shape);
  const detail::BlockSplit split(shape, false, as_tensor(in_scale).shape(), as_tensor(scale).shape());
  Operand<const In> in_zero;
  if (as_tensor(in_zero_point)) {
    detail::check_zero_point(as_tensor(in_scale).shape(), as_tensor(in_zero_point).shape());
    in_zero = input(in_zero_point);
  }
  const auto zero = detail::zero_point_operand<Q>(scale, zero_point);
  prepare<Backend>(input(values), input(in_scale), in_zero, input(scale), zero);
  backend_at<Backend>(out).requantize(RequantizeArguments<In, Q>{split.values(input(values)), split.parameter(input(in_scale)), split.parameter(in_zero),
                                                                 split.parameter(input(scale)), split.parameter(zero), split.values(output(out))});
  return out;
}
template <QuantizedElement Q, QuantizedElement From, Storage S, TensorLike Scale, TensorLike Zero = SharedTensor<Q, storage_type_of<Scale>>>
auto requantize(const Quantized<From, S>& quantized, const Scale& scale, const Zero& zero_point = {}) {
  return requantize<Q>(quantized.values, quantized.scale, quantized.zero_point, scale, zero_point);
}

}  // namespace cotenant

#endif
