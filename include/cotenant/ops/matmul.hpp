// matmul: batched matrix product of any strides, with a recorded epilogue on the accumulators.
#ifndef COTENANT_OPS_MATMUL_HPP
#define COTENANT_OPS_MATMUL_HPP
#include <cstddef>
#include <tuple>
#include <type_traits>

#include "cotenant/core/expr.hpp"
#include "cotenant/ops/operand.hpp"

namespace cotenant {

// out[…, m, n] = epilogue(sum over k of a[…, m, k] * b[…, k, n], extra0[…, m, n], …).
// All batch axes and the extra operands are broadcast already (stride 0): a row operand has stride 0 along m, a
// column operand along n. The sum is taken in float, whatever the elements: each product of f32, f16 or mixed operands is an
// f32 one. Where both are bf16 and the CPU multiplies pairs of those, subnormal operands and sums count as 0.
template <class A, class B, class Out, class Epilogue, class... Extra> struct MatmulArguments {
  Operand<const A> a;
  Operand<const B> b;
  Epilogue epilogue;
  std::tuple<Operand<const Extra>...> extra;
  Operand<Out> out;
};

namespace detail {
struct MatmulShapes {
  Layout a, b;  // rank >= 2, not yet broadcast over the batch
  Shape batch;
  Shape full;    // batch + [M, N]
  Shape result;  // as the caller sees it: without the axes that vectors do not have
};
// NumPy's rules: a vector on the left is a row, on the right a column, and its axis does not appear in the result.
inline MatmulShapes matmul_shapes(Layout a, Layout b) {
  const Shape given_a = a.shape, given_b = b.shape;
  if (a.shape.empty() || b.shape.empty())
    raise<ShapeError>(Text{"matmul needs matrices or vectors, but got shapes ", given_a, " and ", given_b});
  const bool row = a.shape.rank() == 1, column = b.shape.rank() == 1;
  if (row) a = unsqueeze(a, 0);
  if (column) b = unsqueeze(b, 1);
  const std::size_t rank_a = a.shape.rank(), rank_b = b.shape.rank();
  if (a.shape[rank_a - 1] != b.shape[rank_b - 2])
    raise<ShapeError>(Text{"matmul of ", given_a, " and ", given_b, ": the inner dimensions are ", a.shape[rank_a - 1], " and ", b.shape[rank_b - 2],
                           " but must be equal; transpose() the operand that is stored the other way round"});
  MatmulShapes shapes{a, b, broadcast(a.shape.part(0, rank_a - 2), b.shape.part(0, rank_b - 2), "matmul: batch axes"), {}, {}};
  shapes.full = shapes.batch;
  shapes.full.append(a.shape[rank_a - 2]);
  shapes.full.append(b.shape[rank_b - 1]);
  shapes.result = shapes.full;
  if (column) shapes.result.erase(shapes.result.rank() - 1);
  if (row) shapes.result.erase(shapes.batch.rank());
  return shapes;
}
// Whether a [M, K] · b [K, N] is out [M, N].
inline bool are_matrices(const Shape& a, const Shape& b, const Shape& out) {
  return a.rank() == 2 && b.rank() == 2 && out.rank() == 2 && a[1] == b[0] && out[0] == a[0] && out[1] == b[1];
}
// Begins the error where one does not broadcast.
inline constexpr const char* epilogue_operand = "matmul: an epilogue's operand of shape";
inline Layout broadcast_batch(const Layout& layout, const Shape& batch) {
  Shape shape = batch;
  shape.append(layout.shape[layout.shape.rank() - 2]);
  shape.append(layout.shape.back());
  return broadcast_to(layout, shape);
}
}  // namespace detail

// Writes epilogue(a · b, extra...) into out, which must not overlap an input, except that an extra operand may be
// exactly `out` (accumulate, residual in place). Shapes: a [..., M, K], b [..., K, N], out [..., M, N]; batch axes
// broadcast; extra operands broadcast to out's shape. Elements: float, f16, bf16. Errors: ShapeError, ReadOnly.
template <Element Out, Storage S, TensorLike A, TensorLike B, class Epilogue = expr::Identity, TensorLike... Extra,
          class Backend = common_backend<SharedTensor<Out, S>, A, B, Extra...>>
  requires(expr::Recorded<Epilogue> || expr::Recordable<Epilogue, 1 + sizeof...(Extra)>)
void matmul_into(const SharedTensor<Out, S>& out, const A& a, const B& b, const Epilogue& epilogue = {}, const Extra&... extra) {
    static_assert(FloatElement<element_type_of<A>> && FloatElement<element_type_of<B>>,
                  "matmul multiplies float, f16 or bf16 elements: dequantize() integers first");
    static_assert(ScalarElement<Out> && (ScalarElement<element_type_of<Extra>> && ...), "matmul's output and epilogue operands are scalar elements");
    check_not_empty("matmul", out, a, b, extra...);
    const auto expression = expr::record<1 + sizeof...(Extra)>(epilogue);
    using E = std::remove_const_t<decltype(expression)>;
    static_assert(expr::arity<E> <= 1 + sizeof...(Extra), "the epilogue uses more operands than matmul was given");
    using Arguments = MatmulArguments<element_type_of<A>, element_type_of<B>, Out, E, element_type_of<Extra>...>;
    const auto run = [&](const Arguments& arguments) {
      std::apply([&](const auto&... operands) { prepare<Backend>(arguments.a, arguments.b, operands...); }, arguments.extra);
      backend_at<Backend>(out).matmul(arguments);
    };
    // Two matrices that fit need no other layouts than their own: a product of 16 x 16 takes less time than making some.
    if (detail::are_matrices(as_tensor(a).shape(), as_tensor(b).shape(), out.shape()))
      return run({input(a), input(b), expression, {broadcast_to(input(extra), out.shape(), detail::epilogue_operand)...}, output(out)});
    const auto shapes = detail::matmul_shapes(as_tensor(a).unchecked_view().layout(), as_tensor(b).unchecked_view().layout());
    check_output_shape("matmul", shapes.result, out.shape());
    // Vectors get their missing axis back, in out and in the extra operands alike.
    const bool row = as_tensor(a).rank() == 1, column = as_tensor(b).rank() == 1;
    const auto restored = [&](Layout layout) {
      if (row) layout = unsqueeze(layout, static_cast<std::ptrdiff_t>(shapes.batch.rank()));
      if (column) layout = unsqueeze(layout, -1);
      return layout;
    };
    const auto restore = [&](const auto& operand) { return operand.with(restored(operand.view.layout())); };
    run({input(a).with(detail::broadcast_batch(shapes.a, shapes.batch)), input(b).with(detail::broadcast_batch(shapes.b, shapes.batch)), expression,
         {restore(broadcast_to(input(extra), shapes.result, detail::epilogue_operand))...}, restore(output(out))});
}

// epilogue(a · b, extra...) as a new tensor, e.g. matmul(x, w, [](auto acc, auto bias) { return gelu(acc + bias); }, bias).
// Result element: the one named (matmul<float>(…)), else the operands' common one.
template <class Out = void, TensorLike A, TensorLike B, class Epilogue = expr::Identity, TensorLike... Extra>
  requires(expr::Recorded<Epilogue> || expr::Recordable<Epilogue, 1 + sizeof...(Extra)>)
auto matmul(const A& a, const B& b, const Epilogue& epilogue = {}, const Extra&... extra) {
  using Result = chosen_element<Out, common_element<element_type_of<A>, element_type_of<B>>>;
  static_cast<void>(sizeof(common_backend<A, B, Extra...>*));
  check_not_empty("matmul", a, b, extra...);
  auto out = empty_like<Result>(a, detail::matmul_shapes(as_tensor(a).unchecked_view().layout(), as_tensor(b).unchecked_view().layout()).result);
  matmul_into(out, a, b, epilogue, extra...);
  return out;
}

}  // namespace cotenant

#endif
