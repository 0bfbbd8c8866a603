// rms_norm: rows divided by the root of the mean of their squares, then scaled per column; of a tensor or of a sum of two.
#ifndef COTENANT_OPS_RMS_NORM_HPP
#define COTENANT_OPS_RMS_NORM_HPP
#include "cotenant/ops/norm.hpp"

namespace cotenant {

// Writes x / sqrt(mean(x^2) + epsilon) * scale over the last axis into out, of x's shape; out may be exactly x.
// Shapes: x [..., N], scale [N]. Elements: float, f16, bf16; computed in float, the product with scale included.
// Source: Zhang and Sennrich 2019. Errors: ShapeError, ReadOnly, InvalidArgument for an epsilon that is negative or NaN.
template <Element Out, Storage S, TensorLike X, TensorLike Scale, class Backend = common_backend<SharedTensor<Out, S>, X, Scale>>
void rms_norm_into(SharedTensor<Out, S> out, const X& x, const Scale& scale, float epsilon) {
  detail::norm<Backend>("rms_norm", out, x, scale, {}, epsilon, false, detail::no_input, detail::no_output);
}
// The same of x + residual, which is not rounded in between. out may be exactly x or residual.
template <Element Out, Storage S, TensorLike X, TensorLike Scale, TensorLike Residual,
          class Backend = common_backend<SharedTensor<Out, S>, X, Scale, Residual>>
void rms_norm_into(SharedTensor<Out, S> out, const X& x, const Scale& scale, float epsilon, const Residual& residual) {
  check_not_empty("rms_norm", residual);
  detail::norm<Backend>("rms_norm", out, x, scale, {}, epsilon, false, input(residual), detail::no_output);
}
// And x + residual into sum, which may be exactly x or residual, but not out.
template <Element Out, Storage S, TensorLike X, TensorLike Scale, TensorLike Residual, Element Sum,
          class Backend = common_backend<SharedTensor<Out, S>, X, Scale, Residual>>
void rms_norm_into(SharedTensor<Out, S> out, const X& x, const Scale& scale, float epsilon, const Residual& residual, const SharedTensor<Sum, S>& sum) {
  check_not_empty("rms_norm", residual, sum);
  detail::norm<Backend>("rms_norm", out, x, scale, {}, epsilon, false, input(residual), output(sum));
}

// rms_norm(x, scale, epsilon[, residual]) as a new row-major tensor.
template <class Out = void, TensorLike X, TensorLike Scale, TensorLike... Residual>
  requires(sizeof...(Residual) <= 1)
auto rms_norm(const X& x, const Scale& scale, float epsilon = 1e-6f, const Residual&... residual) {
  check_not_empty("rms_norm", x);
  auto out = empty_like<chosen_element<Out, element_type_of<X>>>(x, as_tensor(x).shape());
  rms_norm_into(out, x, scale, epsilon, residual...);
  return out;
}

}  // namespace cotenant

#endif
