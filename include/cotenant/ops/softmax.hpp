// softmax and log_softmax over any axis.
#ifndef COTENANT_OPS_SOFTMAX_HPP
#define COTENANT_OPS_SOFTMAX_HPP
#include <cstddef>

#include "cotenant/ops/operand.hpp"

namespace cotenant {

// out[…, i] = exp(in[…, i] - m) / sum over j of exp(in[…, j] - m), m the largest of the row; or the logarithm of that,
// (in[…, i] - m) - log(sum over j of exp(in[…, j] - m)), which keeps its precision where the quotient would be 0.
// Always along the last axis: the front door moves the one that was asked for there by its strides.
// A row of -inf only, or with a NaN or +inf, gives NaN, as the formula does.
template <class In, class Out> struct SoftmaxArguments {
  Operand<const In> in;
  Operand<Out> out;
  bool logarithm = false;
};

namespace detail {
// The operand with `axis` moved to the end.
template <class T> Operand<T> with_axis_last(const Operand<T>& operand, std::size_t axis) {
  Layout layout = operand.view.layout();
  const std::size_t extent = layout.shape[axis];
  const std::ptrdiff_t stride = layout.strides[axis];
  layout.shape.erase(axis);
  layout.strides.erase(axis);
  layout.shape.append(extent);
  layout.strides.append(stride);
  return operand.with(layout);
}

template <class Backend, Element Out, Storage S, TensorLike X> void softmax(const SharedTensor<Out, S>& out, const X& x, std::ptrdiff_t axis, bool logarithm) {
  static_assert(FloatElement<element_type_of<X>> && FloatElement<Out>, "softmax works on float, f16 or bf16 elements");
  check_not_empty("softmax", out, x);
  check_output_shape("softmax", as_tensor(x).shape(), out.shape());
  const std::size_t last = normalize_axis(axis, out.rank());
  prepare<Backend>(input(x));
  backend_at<Backend>(out).softmax(SoftmaxArguments<element_type_of<X>, Out>{with_axis_last(input(x), last), with_axis_last(output(out), last), logarithm});
}
}  // namespace detail

// Writes softmax(x) into out, of the same shape; out may be exactly x. Elements: float, f16, bf16; computed in float.
// Errors: ShapeError, ReadOnly.
template <Element Out, Storage S, TensorLike X, class Backend = common_backend<SharedTensor<Out, S>, X>>
void softmax_into(SharedTensor<Out, S> out, const X& x, std::ptrdiff_t axis = -1) {
  detail::softmax<Backend>(out, x, axis, false);
}
// The same of its logarithm.
template <Element Out, Storage S, TensorLike X, class Backend = common_backend<SharedTensor<Out, S>, X>>
void log_softmax_into(SharedTensor<Out, S> out, const X& x, std::ptrdiff_t axis = -1) {
  detail::softmax<Backend>(out, x, axis, true);
}

// The same as a new row-major tensor.
template <class Out = void, TensorLike X> auto softmax(const X& x, std::ptrdiff_t axis = -1) {
  check_not_empty("softmax", x);
  auto out = empty_like<chosen_element<Out, element_type_of<X>>>(x, as_tensor(x).shape());
  softmax_into(out, x, axis);
  return out;
}
template <class Out = void, TensorLike X> auto log_softmax(const X& x, std::ptrdiff_t axis = -1) {
  check_not_empty("log_softmax", x);
  auto out = empty_like<chosen_element<Out, element_type_of<X>>>(x, as_tensor(x).shape());
  log_softmax_into(out, x, axis);
  return out;
}

}  // namespace cotenant

#endif
