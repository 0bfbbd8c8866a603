// matmul of quantised operands: integer products, and float activations with int8 or 4-bit weights.
#ifndef COTENANT_OPS_QUANTIZED_MATMUL_HPP
#define COTENANT_OPS_QUANTIZED_MATMUL_HPP
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>

#include "cotenant/ops/matmul.hpp"
#include "cotenant/ops/quantized.hpp"

namespace cotenant {

namespace detail {
// The element of zero points; an operand that is not quantised has none.
template <class T> struct ZeroPointElement { using type = T; };
template <QuantizedElement T> struct ZeroPointElement<T> { using type = quantized_value<T>; };
}  // namespace detail

// out[…, m, n] = epilogue(sum over k of real_a[…, m, k] * real_b[…, k, n], extra0[…, m, n], …), where real = (value -
// zero_point) * scale. Everything has out's batch axes already (stride 0 where repeated), and extra operands its shape.
// Parameters of a are [..., M, blocks of k], of b [..., blocks of k, N], each number of blocks a divisor of K; what does not
// change along M, N or the blocks has stride 0 there. A null scale is 1 (an operand that is not quantised), a null zero point 0.
// i4x2 elements hold the pair 2i, 2i + 1 along k (b is [..., K / 2, N]) or along n ([..., K, N / 2]).
// Where both operands are integers and the scales do not change along k, the sums are exact, as long as they fit 32 bits.
// Beside floats a backend may take zero points off the sums at their end: errors are then relative to |value| + |zero point|, not to the difference.
template <class A, class B, class Out, class Epilogue, class... Extra> struct QuantizedMatmulArguments {
  Operand<const A> a;
  Operand<const B> b;
  Operand<const float> a_scale;
  Operand<const float> b_scale;
  Operand<const typename detail::ZeroPointElement<A>::type> a_zero_point;
  Operand<const quantized_value<B>> b_zero_point;
  Epilogue epilogue;
  std::tuple<Operand<const Extra>...> extra;
  Operand<Out> out;
  bool pairs_along_k = false;
};

namespace detail {

// A side of the product as a front door sees it: the layout of its elements, and of the values in them.
struct QuantizedSide {
  Layout elements;
  Shape values;
  bool pairs_along_k = false;
};
// i4x2 elements of shape [..., K', N'] hold [..., 2 K', N'] or [..., K', 2 N'] values: whichever fits the other operand's K.
inline QuantizedSide packed_side(const Layout& elements, std::size_t depth) {
  const Shape& given = elements.shape;
  if (given.rank() < 2) raise<ShapeError>(Text{"4-bit weights of a product must be a matrix, but have shape ", given});
  QuantizedSide side{elements, given, false};
  const std::size_t rank = given.rank();
  if (given[rank - 2] == depth) {
    side.values[rank - 1] = checked_multiply(given[rank - 1], 2, "the number of 4-bit values");
  } else if (given[rank - 2] * 2 == depth) {
    side.values[rank - 2] = depth;
    side.pairs_along_k = true;
  } else {
    raise<ShapeError>("4-bit weights of shape " + to_string(given) + " hold pairs: their last axis but one must be K or K / 2 long, but K is " +
                      std::to_string(depth) + (depth % 2 != 0 ? ", which is odd, so that pairs must lie along the other axis" : "") +
                      "; transpose() weights that are stored the other way round");
  }
  return side;
}

// A parameter of one side, as the arguments have it. `values` is [..., M, K] or [..., K, N], K the axis `depth_axis` from the
// back. Errors: ShapeError where it is not one value per tensor, row or column, or block of k.
template <class T> Operand<T> product_parameter(const Operand<T>& parameter, const Shape& values, const Shape& batch, std::size_t depth_axis) {
  if (parameter.block == nullptr) return {};
  Layout layout = parameter.view.layout();
  const Shape given = layout.shape;
  while (layout.shape.rank() < values.rank() || layout.shape.rank() < 2) layout = unsqueeze(layout, 0);
  const std::size_t rank = layout.shape.rank(), depth = rank - depth_axis, other = rank - (3 - depth_axis);
  bool fits = rank == values.rank();
  for (std::size_t axis = 0; fits && axis + 2 < rank; ++axis) fits = layout.shape[axis] == values[axis] || layout.shape[axis] == 1;
  const std::size_t blocks = layout.shape[depth], extent = fits ? values[depth] : 0;
  fits = fits && (layout.shape[other] == values[other] || layout.shape[other] == 1) && (blocks == 1 || (blocks != 0 && extent % blocks == 0) ||
      blocks == extent);
  if (!fits)
    raise<ShapeError>(Text{"matmul takes scales and zero points per tensor, per row of the left or column of the right operand, and per block of K, ",
                           "but values of shape ", values, " have parameters of shape ", given});
  Shape shape = batch;
  shape.append(rank - 2 == depth ? blocks : values[other]);
  shape.append(rank - 2 == depth ? values[other] : blocks);
  return parameter.with(broadcast_to(layout, shape));
}

inline Layout with_missing_axis(Layout layout, bool row, bool column, std::size_t batch_rank) {
  if (row) layout = unsqueeze(layout, static_cast<std::ptrdiff_t>(batch_rank));
  if (column) layout = unsqueeze(layout, -1);
  return layout;
}

// One operand of matmul, quantised or not.
template <TensorLike X> struct ProductOperand {
  using element = element_type_of<X>;
  Operand<const element> elements;
  Operand<const float> scale;
  Operand<const typename ZeroPointElement<element>::type> zero_point;
};
template <TensorLike X> ProductOperand<X> product_operand(const X& x) { return {input(x), {}, {}}; }
template <QuantizedElement Q, Storage S> auto product_operand(const Quantized<Q, S>& x) {
  check_not_empty("matmul", x.values, x.scale);
  return ProductOperand<SharedTensor<Q, S>>{input(x.values), input(x.scale), zero_point_operand<Q>(x.scale, x.zero_point)};
}

// The layouts of both sides' values: of i4x2 those of the elements, with the values' shape.
template <class A, class B> MatmulShapes quantized_matmul_shapes(const Operand<A>& a, const Operand<B>& b, bool& pairs_along_k) {
  Layout right = b.view.layout();
  if constexpr (std::same_as<std::remove_const_t<B>, i4x2>) {
    if (a.shape().empty()) raise<ShapeError>(Text{"matmul needs matrices or vectors, but got shapes [] and ", b.shape()});
    const QuantizedSide side = packed_side(right, a.shape().back());
    right.shape = side.values;
    pairs_along_k = side.pairs_along_k;
  }
  return matmul_shapes(a.view.layout(), right);
}

template <class Backend, class Out, class S, class A, class B, class Epilogue, class... Extra>
void run_quantized_matmul(const SharedTensor<Out, S>& out, const ProductOperand<A>& a, const ProductOperand<B>& b, const Epilogue& epilogue,
                          const Extra&... extra) {
  using ElementB = typename ProductOperand<B>::element;
  static_assert(ScalarElement<Out> && (ScalarElement<element_type_of<Extra>> && ...), "matmul's output and epilogue operands are scalar elements");
  check_not_empty("matmul", out, extra...);
  bool pairs_along_k = false;
  const MatmulShapes shapes = quantized_matmul_shapes(a.elements, b.elements, pairs_along_k);
  check_output_shape("matmul", shapes.result, out.shape());
  const auto expression = expr::record<1 + sizeof...(Extra)>(epilogue);
  using E = std::remove_const_t<decltype(expression)>;
  static_assert(expr::arity<E> <= 1 + sizeof...(Extra), "the epilogue uses more operands than matmul was given");
  const bool row = a.elements.shape().rank() == 1, column = b.elements.shape().rank() == 1;
  const auto restore = [&](const auto& operand) { return operand.with(with_missing_axis(operand.view.layout(), row, column, shapes.batch.rank())); };
  // The right operand's elements: with i4x2 half as many as values.
  Layout right = broadcast_batch(shapes.b, shapes.batch);
  if constexpr (std::same_as<ElementB, i4x2>) right.shape[right.shape.rank() - (pairs_along_k ? 2 : 1)] /= 2;
  // A vector's parameters get its missing axis too: on the right it is the last.
  const auto right_parameter = [&](const auto& parameter) {
    const auto whole = column && parameter.block != nullptr ? parameter.with(unsqueeze(parameter.view.layout(), -1)) : parameter;
    return product_parameter(whole, shapes.b.shape, shapes.batch, 2);
  };
  const QuantizedMatmulArguments<typename ProductOperand<A>::element, ElementB, Out, E, element_type_of<Extra>...> arguments{
      a.elements.with(broadcast_batch(shapes.a, shapes.batch)),
      b.elements.with(right),
      product_parameter(a.scale, shapes.a.shape, shapes.batch, 1),
      right_parameter(b.scale),
      product_parameter(a.zero_point, shapes.a.shape, shapes.batch, 1),
      right_parameter(b.zero_point),
      expression,
      {restore(broadcast_to(input(extra), shapes.result, epilogue_operand))...},
      restore(output(out)),
      pairs_along_k};
  prepare<Backend>(a.elements, a.scale, a.zero_point, b.elements, b.scale, b.zero_point, input(extra)...);
  backend_at<Backend>(out).quantized_matmul(arguments);
}

template <class Out, class A, class B> using quantized_result = chosen_element<Out, std::conditional_t<QuantizedElement<A>, float, A>>;
template <TensorLike X> const X& values_of(const X& x) { return x; }
template <QuantizedElement Q, Storage S> const SharedTensor<Q, S>& values_of(const Quantized<Q, S>& x) { return x.values; }
template <class X> using values_type = std::remove_cvref_t<decltype(values_of(std::declval<const X&>()))>;

// What may stand on the left: float, f16 or bf16 activations, or activations quantised to 8 bits.
template <class X> inline constexpr bool is_quantized_8_bit = false;
template <class Q, class S> inline constexpr bool is_quantized_8_bit<Quantized<Q, S>> = !std::same_as<Q, i4x2>;
}  // namespace detail

// Activations of a product with quantised weights.
template <class X> concept ProductActivations = TensorLike<X> || detail::is_quantized_8_bit<X>;

// Writes epilogue(a · b, extra...) into out, as matmul_into of float operands does, where b is quantised: int8_t or uint8_t per
// tensor, per column (output channel) or per block of K, or i4x2 with pairs along either axis. Weights stored [N, K], as those
// of linear layers are, come as weights.transpose(). a is float, f16 or bf16 (WebNN: dequantizeLinear of b, then matmul; ONNX
// MatMulNBits), or quantised to int8_t or uint8_t per tensor, per row or per block (ONNX: MatMulInteger with the scales applied,
// or QLinearMatMul with an epilogue that quantises). out: any scalar element; integers saturate. Errors: ShapeError, ReadOnly.
// A backend may take floats beside 4-bit weights as 24-bit fixed-point numbers, eight neighbours along k with one scale, where the largest of
// them is at most 2^8 times the next one: the error is then at most 2^-24 of the largest of the eight for each of their products, not of that product.
template <Element Out, Storage S, ProductActivations A, QuantizedElement B, Storage SB, class Epilogue = expr::Identity, TensorLike... Extra,
          class Backend = common_backend<SharedTensor<Out, S>, detail::values_type<A>, SharedTensor<B, SB>, Extra...>>
  requires(expr::Recorded<Epilogue> || expr::Recordable<Epilogue, 1 + sizeof...(Extra)>)
void matmul_into(const SharedTensor<Out, S>& out, const A& a, const Quantized<B, SB>& b, const Epilogue& epilogue = {}, const Extra&... extra) {
  if constexpr (TensorLike<A>) {
    static_assert(FloatElement<element_type_of<A>>, "quantised weights multiply float, f16 or bf16 activations, or Quantized ones");
    check_not_empty("matmul", a);
  }
  detail::run_quantized_matmul<Backend>(out, detail::product_operand(a), detail::product_operand(b), epilogue, extra...);
}

// The same as a new tensor. Result element: the one named (matmul<bf16>(…)), else that of float activations, else float.
template <class Out = void, ProductActivations A, QuantizedElement B, Storage SB, class Epilogue = expr::Identity, TensorLike... Extra>
  requires(expr::Recorded<Epilogue> || expr::Recordable<Epilogue, 1 + sizeof...(Extra)>)
auto matmul(const A& a, const Quantized<B, SB>& b, const Epilogue& epilogue = {}, const Extra&... extra) {
  using Result = detail::quantized_result<Out, element_type_of<detail::values_type<A>>, B>;
  static_cast<void>(sizeof(common_backend<detail::values_type<A>, SharedTensor<B, SB>, Extra...>*));
  check_not_empty("matmul", detail::values_of(a), b.values, extra...);
  bool pairs_along_k = false;
  auto out = empty_like<Result>(detail::values_of(a),
                                detail::quantized_matmul_shapes(input(detail::values_of(a)), input(b.values), pairs_along_k).result);
  matmul_into(out, a, b, epilogue, extra...);
  return out;
}

}  // namespace cotenant

#endif
