// reduce: sums, means and extrema over any set of axes.
#ifndef COTENANT_OPS_REDUCE_HPP
#define COTENANT_OPS_REDUCE_HPP
#include <cstddef>
#include <initializer_list>
#include <type_traits>

#include "cotenant/ops/operand.hpp"

namespace cotenant {

// What a reduction computes. Over no element: Sum 0, Mean NaN, Maximum -inf, Minimum +inf
// (of integers the least and the greatest that the element holds), AbsMaximum 0.
// NaN anywhere gives NaN.
namespace reduction {
struct Sum { static constexpr const char* name = "sum"; };
struct Mean { static constexpr const char* name = "mean"; };
struct Maximum { static constexpr const char* name = "max"; };
struct Minimum { static constexpr const char* name = "min"; };
struct AbsMaximum { static constexpr const char* name = "abs_max"; };  // max |x|: the range of a symmetric quantisation
}  // namespace reduction

// out[outer…] = Kind over in[outer…, reduced…]: the last `reduced_rank` axes of `in` are reduced.
// Computed in float for float elements, else exactly in compute_type<In>; Mean of integers in float.
template <class Kind, class In, class Out> struct ReduceArguments {
  Operand<const In> in;
  std::size_t reduced_rank = 0;
  Operand<Out> out;
};

// Which axes to reduce (none: all of them) and whether they stay in the result with one element.
struct ReduceOptions {
  Strides axes = {};
  bool keep_dimensions = false;
};

namespace detail {
struct ReduceShapes {
  Layout in;             // kept axes first, reduced axes last
  std::size_t reduced_rank;
  Shape result;          // as the caller sees it
  Shape kept;            // without the reduced axes
};
inline ReduceShapes reduce_shapes(const Layout& layout, const ReduceOptions& options) {
  const std::size_t rank = layout.shape.rank();
  bool reduced[max_rank] = {};
  for (std::ptrdiff_t axis : options.axes) {
    bool& chosen = reduced[normalize_axis(axis, rank)];
    if (chosen) raise<ShapeError>(Text{"axis ", axis, " is named twice in a reduction of shape ", layout.shape});
    chosen = true;
  }
  ReduceShapes shapes{{{}, {}, layout.offset}, 0, {}, {}};
  for (const bool pass : {false, true})
    for (std::size_t axis = 0; axis < rank; ++axis) {
      if ((reduced[axis] || options.axes.empty()) != pass) continue;
      shapes.in.shape.append(layout.shape[axis]);
      shapes.in.strides.append(layout.strides[axis]);
      if (pass) ++shapes.reduced_rank;
      else shapes.kept.append(layout.shape[axis]);
    }
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const bool gone = reduced[axis] || options.axes.empty();
    if (!gone) shapes.result.append(layout.shape[axis]);
    else if (options.keep_dimensions) shapes.result.append(1);
  }
  return shapes;
}
}  // namespace detail

// Writes the reduction into out, which has the result's shape and does not overlap x. Errors: ShapeError, ReadOnly.
template <class Kind, Element Out, Storage S, TensorLike X, class Backend = common_backend<SharedTensor<Out, S>, X>>
void reduce_into(SharedTensor<Out, S> out, const X& x, const ReduceOptions& options = {}) {
  static_assert(ScalarElement<element_type_of<X>> && ScalarElement<Out>, "reductions work on scalar elements");
  check_not_empty("reduce", out, x);
  const auto shapes = detail::reduce_shapes(as_tensor(x).unchecked_view().layout(), options);
  check_output_shape("reduce", shapes.result, out.shape());
  Layout kept = output(out).view.layout();
  if (options.keep_dimensions) {
    // out has the reduced axes too, with one element each: the same split puts the kept ones first.
    const auto split = detail::reduce_shapes(kept, options);
    const std::size_t rank = split.in.shape.rank() - split.reduced_rank;
    kept = {split.in.shape.part(0, rank), split.in.strides.part(0, rank), 0};
  }
  prepare<Backend>(input(x));
  backend_at<Backend>(out).reduce(ReduceArguments<Kind, element_type_of<X>, Out>{input(x).with(shapes.in), shapes.reduced_rank, output(out).with(kept)});
}

// The reduction as a new row-major tensor: reduce<reduction::Sum>(x, {.axes = {-1}}).
// Result element: the one named, else x's own (float for the mean of integers).
template <class Kind, class Out = void, TensorLike X> auto reduce(const X& x, const ReduceOptions& options = {}) {
  using In = element_type_of<X>;
  using Default = std::conditional_t<std::is_same_v<Kind, reduction::Mean> && !FloatElement<In>, float, In>;
  check_not_empty("reduce", x);
  auto out = empty_like<chosen_element<Out, Default>>(x, detail::reduce_shapes(as_tensor(x).unchecked_view().layout(), options).result);
  reduce_into<Kind>(out, x, options);
  return out;
}

template <class Out = void, TensorLike X> auto reduce_sum(const X& x, const ReduceOptions& options = {}) { return reduce<reduction::Sum, Out>(x, options); }
template <class Out = void, TensorLike X> auto reduce_mean(const X& x, const ReduceOptions& options = {}) { return reduce<reduction::Mean, Out>(x, options); }
template <class Out = void, TensorLike X> auto reduce_max(const X& x, const ReduceOptions& options = {}) { return reduce<reduction::Maximum, Out>(x, options); }
template <class Out = void, TensorLike X> auto reduce_min(const X& x, const ReduceOptions& options = {}) { return reduce<reduction::Minimum, Out>(x, options); }

}  // namespace cotenant

#endif
