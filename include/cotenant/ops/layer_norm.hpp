// layer_norm: rows to mean 0 and variance 1, then scaled and shifted per column; of a tensor or of a sum of two.
#ifndef COTENANT_OPS_LAYER_NORM_HPP
#define COTENANT_OPS_LAYER_NORM_HPP
#include <concepts>

#include "cotenant/ops/norm.hpp"

namespace cotenant {

// Writes (x - mean) / sqrt(variance + epsilon) * scale + bias over the last axis into out, of x's shape; out may be exactly
// x. Shapes: x [..., N], scale and bias [N]. Elements: float, f16, bf16; computed in float.
// Errors: ShapeError, ReadOnly, InvalidArgument for an epsilon that is negative or NaN.
template <Element Out, Storage S, TensorLike X, TensorLike Scale, TensorLike Bias, class Backend = common_backend<SharedTensor<Out, S>, X, Scale, Bias>>
void layer_norm_into(SharedTensor<Out, S> out, const X& x, const Scale& scale, const Bias& bias, float epsilon) {
  static_assert(std::same_as<element_type_of<Scale>, element_type_of<Bias>>, "layer_norm's scale and bias have one element type");
  check_not_empty("layer_norm", bias);
  detail::norm<Backend>("layer_norm", out, x, scale, input(bias), epsilon, true, detail::no_input, detail::no_output);
}
// The same of x + residual, which is not rounded in between. out may be exactly x or residual.
template <Element Out, Storage S, TensorLike X, TensorLike Scale, TensorLike Bias, TensorLike Residual,
          class Backend = common_backend<SharedTensor<Out, S>, X, Scale, Bias, Residual>>
void layer_norm_into(SharedTensor<Out, S> out, const X& x, const Scale& scale, const Bias& bias, float epsilon, const Residual& residual) {
  static_assert(std::same_as<element_type_of<Scale>, element_type_of<Bias>>, "layer_norm's scale and bias have one element type");
  check_not_empty("layer_norm", bias, residual);
  detail::norm<Backend>("layer_norm", out, x, scale, input(bias), epsilon, true, input(residual), detail::no_output);
}
// And x + residual into sum, which may be exactly x or residual, but not out.
template <Element Out, Storage S, TensorLike X, TensorLike Scale, TensorLike Bias, TensorLike Residual, Element Sum,
          class Backend = common_backend<SharedTensor<Out, S>, X, Scale, Bias, Residual>>
void layer_norm_into(SharedTensor<Out, S> out, const X& x, const Scale& scale, const Bias& bias, float epsilon, const Residual& residual,
                     const SharedTensor<Sum, S>& sum) {
  static_assert(std::same_as<element_type_of<Scale>, element_type_of<Bias>>, "layer_norm's scale and bias have one element type");
  check_not_empty("layer_norm", bias, residual, sum);
  detail::norm<Backend>("layer_norm", out, x, scale, input(bias), epsilon, true, input(residual), output(sum));
}

// layer_norm(x, scale, bias, epsilon[, residual]) as a new row-major tensor. 1e-5 is WebNN's and PyTorch's default.
template <class Out = void, TensorLike X, TensorLike Scale, TensorLike Bias, TensorLike... Residual>
  requires(sizeof...(Residual) <= 1)
auto layer_norm(const X& x, const Scale& scale, const Bias& bias, float epsilon = 1e-5f, const Residual&... residual) {
  check_not_empty("layer_norm", x);
  auto out = empty_like<chosen_element<Out, element_type_of<X>>>(x, as_tensor(x).shape());
  layer_norm_into(out, x, scale, bias, epsilon, residual...);
  return out;
}

}  // namespace cotenant

#endif
