// layer_norm: rows to mean 0 and variance 1, then scaled and shifted per column.
#ifndef COTENANT_OPS_LAYER_NORM_HPP
#define COTENANT_OPS_LAYER_NORM_HPP
#include <cstddef>

#include "cotenant/ops/operand.hpp"

namespace cotenant {

// out[…, i] = (in[…, i] - mean) / sqrt(variance + epsilon) * scale[i] + bias[i]; mean and variance (divided by the
// count, not count - 1) over the last axis, in float.
template <class In, class Parameter, class Out> struct LayerNormArguments {
  Operand<const In> in;
  Operand<const Parameter> scale;
  Operand<const Parameter> bias;
  float epsilon = 0;
  Operand<Out> out;
};

// Writes into out, of x's shape; out may be exactly x. Shapes: x [..., N], scale and bias [N].
// Errors: ShapeError, ReadOnly, InvalidArgument for an epsilon that is negative or NaN.
template <Element Out, Storage S, TensorLike X, TensorLike Scale, TensorLike Bias, class Backend = common_backend<SharedTensor<Out, S>, X, Scale, Bias>>
void layer_norm_into(SharedTensor<Out, S> out, const X& x, const Scale& scale, const Bias& bias, float epsilon) {
  using Parameter = element_type_of<Scale>;
  static_assert(FloatElement<element_type_of<X>> && FloatElement<Parameter> && FloatElement<Out>, "layer_norm works on float, f16 or bf16 elements");
  static_assert(std::same_as<Parameter, element_type_of<Bias>>, "layer_norm's scale and bias have one element type");
  check_not_empty("layer_norm", out, x, scale, bias);
  check_output_shape("layer_norm", as_tensor(x).shape(), out.shape());
  if (out.rank() == 0) raise<ShapeError>("layer_norm needs at least one dimension");
  const Shape row{out.shape(-1)};
  if (!(as_tensor(scale).shape() == row && as_tensor(bias).shape() == row))
    raise<ShapeError>("layer_norm of shape " + to_string(out.shape()) + " needs scale and bias of shape " + to_string(row) + ", but got " +
                      to_string(as_tensor(scale).shape()) + " and " + to_string(as_tensor(bias).shape()));
  if (!(epsilon >= 0)) raise<InvalidArgument>("layer_norm's epsilon must be 0 or more, but is " + std::to_string(epsilon));
  prepare<Backend>(input(x), input(scale), input(bias));
  backend_at<Backend>(out).layer_norm(LayerNormArguments<element_type_of<X>, Parameter, Out>{input(x), input(scale), input(bias), epsilon, output(out)});
}

// The same as a new row-major tensor. 1e-5 is WebNN's and PyTorch's default.
template <class Out = void, TensorLike X, TensorLike Scale, TensorLike Bias>
auto layer_norm(const X& x, const Scale& scale, const Bias& bias, float epsilon = 1e-5f) {
  check_not_empty("layer_norm", x);
  auto out = empty_like<chosen_element<Out, element_type_of<X>>>(x, as_tensor(x).shape());
  layer_norm_into(out, x, scale, bias, epsilon);
  return out;
}

}  // namespace cotenant

#endif
