// top_k and argmax: the largest elements along an axis, and where they are.
#ifndef COTENANT_OPS_TOP_K_HPP
#define COTENANT_OPS_TOP_K_HPP
#include <cstddef>
#include <cstdint>

#include "cotenant/ops/operand.hpp"
#include "cotenant/ops/softmax.hpp"

namespace cotenant {

// values[…, j] and indices[…, j]: the j-th largest of in[…, :], j < k; always along the last axis.
// Equal elements keep their order, the lower index first; NaN counts as larger than everything.
template <class T> struct TopKArguments {
  Operand<const T> in;
  Operand<T> values;
  Operand<std::int32_t> indices;
};

template <class T, class S> struct TopK {
  SharedTensor<T, S> values;
  SharedTensor<std::int32_t, S> indices;
};

// The k largest along `axis`, in falling order; both results have k elements there.
// Errors: ShapeError where the axis has fewer than k elements.
template <TensorLike X, class Backend = common_backend<X>> auto top_k(const X& x, std::size_t k, std::ptrdiff_t axis = -1) {
  using T = element_type_of<X>;
  static_assert(ScalarElement<T>, "top_k compares scalar elements");
  check_not_empty("top_k", x);
  const std::size_t last = normalize_axis(axis, as_tensor(x).rank());
  Shape shape = as_tensor(x).shape();
  if (k > shape[last])
    raise<ShapeError>(Text{"top_k of ", k, " along dimension ", last, " of shape ", shape, ", which has fewer elements"});
  if (shape[last] > std::size_t{INT32_MAX}) raise<ShapeError>(Text{"top_k counts positions in int32: ", shape[last], " elements are too many"});
  shape[last] = k;
  TopK<T, typename tensor_type<X>::result_storage> result{empty_like<T>(x, shape), empty_like<std::int32_t>(x, shape)};
  prepare<Backend>(input(x));
  backend_at<Backend>(result.values).top_k(TopKArguments<T>{detail::with_axis_last(input(x), last), detail::with_axis_last(output(result.values), last),
                                                            detail::with_axis_last(output(result.indices), last)});
  return result;
}

// The position of the largest element along `axis`, which disappears. Errors: ShapeError where it has no element.
template <TensorLike X> auto argmax(const X& x, std::ptrdiff_t axis = -1) { return top_k(x, 1, axis).indices.squeeze(axis); }

}  // namespace cotenant

#endif
