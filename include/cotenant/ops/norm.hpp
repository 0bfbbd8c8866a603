// NormArguments: one op for layer_norm and rms_norm, of a tensor or of a sum of two.
#ifndef COTENANT_OPS_NORM_HPP
#define COTENANT_OPS_NORM_HPP
#include <cstddef>
#include <string>

#include "cotenant/ops/operand.hpp"

namespace cotenant {

// With x = in, or in + residual: out[…, i] = (x[…, i] - mean) / sqrt(spread + epsilon) * scale[i] + bias[i] over the last
// axis, in float. Centered: the mean of the row, and the variance about it (divided by the count, not count - 1).
// Not centered: 0, and the mean of the squares. What has no block is left out; `sum` receives x where it has one.
template <class In, class Residual, class Parameter, class Sum, class Out> struct NormArguments {
  Operand<const In> in;
  Operand<const Residual> residual;  // in's shape
  Operand<const Parameter> scale;    // [N]
  Operand<const Parameter> bias;     // [N]
  float epsilon = 0;
  bool centered = true;
  Operand<Sum> sum;  // in's shape
  Operand<Out> out;
};

namespace detail {
// `name` is the op's, for its errors; bias, residual and sum have a null block where there is none.
template <class Backend, Element Out, Storage S, TensorLike X, TensorLike Scale, class Residual, class Sum>
void norm(const char* name, const SharedTensor<Out, S>& out, const X& x, const Scale& scale, const Operand<const element_type_of<Scale>>& bias, float epsilon,
          bool centered, const Operand<const Residual>& residual, const Operand<Sum>& sum) {
  using Parameter = element_type_of<Scale>;
  static_assert(FloatElement<element_type_of<X>> && FloatElement<Residual> && FloatElement<Parameter> && FloatElement<Sum> && FloatElement<Out>,
                "norms work on float, f16 or bf16 elements");
  check_not_empty(name, out, x, scale);
  const Shape& shape = out.shape();
  check_output_shape(name, as_tensor(x).shape(), shape);
  if (out.rank() == 0) raise<ShapeError>(Text{name, " needs at least one dimension"});
  const Shape row{shape.back()};
  if (!(as_tensor(scale).shape() == row && (bias.block == nullptr || bias.shape() == row)))
    raise<ShapeError>(std::string(name) + " of shape " + to_string(shape) + " needs parameters of shape " + to_string(row) + ", but got scale " +
                      to_string(as_tensor(scale).shape()) + (bias.block == nullptr ? std::string() : " and bias " + to_string(bias.shape())));
  for (const Shape* other : {residual.block == nullptr ? nullptr : &residual.shape(), sum.block == nullptr ? nullptr : &sum.shape()})
    if (other != nullptr && !(*other == shape))
      raise<ShapeError>(Text{name, " of shape ", shape, " needs a residual and a sum of that shape, but got ", *other});
  if (!(epsilon >= 0)) raise<InvalidArgument>(Text{name, "'s epsilon must be 0 or more, but is ", std::to_string(epsilon)});
  prepare<Backend>(input(x), residual, input(scale), bias);
  backend_at<Backend>(out).norm(NormArguments<element_type_of<X>, Residual, Parameter, Sum, Out>{input(x), residual, input(scale), bias, epsilon, centered,
                                                                                                sum, output(out)});
}
inline constexpr Operand<const float> no_input{};
inline constexpr Operand<float> no_output{};
}  // namespace detail

}  // namespace cotenant

#endif
