// map: one recorded function of any number of tensors, element by element, with broadcasting; cast.
#ifndef COTENANT_OPS_MAP_HPP
#define COTENANT_OPS_MAP_HPP
#include <cstddef>
#include <tuple>
#include <type_traits>

#include "cotenant/core/expr.hpp"
#include "cotenant/ops/operand.hpp"

namespace cotenant {

// out[i] = expression(in0[i], in1[i], …). Every input has out's shape already: repeated axes have stride 0.
// Computes in compute_type<Out, In...>; each result is convert<Out>(value).
template <class Out, class Expression, class... In> struct MapArguments {
  Expression expression;
  std::tuple<Operand<const In>...> in;
  Operand<Out> out;
};

namespace detail {
template <TensorLike... X> Shape broadcast_shapes(const X&... tensors) {
  Shape shape;
  ((shape = broadcast(shape, as_tensor(tensors).shape(), "map: shapes")), ...);
  return shape;
}
template <class Out, class Function, class... In> using map_result = chosen_element<
    Out, std::conditional_t<expr::is_condition<decltype(expr::record<sizeof...(In)>(std::declval<const Function&>()))>, bool, common_element<In...>>>;
}  // namespace detail

// Writes function(in...) into out. An input may be exactly `out` (in place); other overlaps give unspecified elements.
// Shapes: the inputs broadcast to out's shape. Errors: ShapeError, ReadOnly.
template <class Function, Element Out, Storage S, TensorLike... X, class Backend = common_backend<SharedTensor<Out, S>, X...>>
  requires(expr::Recorded<Function> || expr::Recordable<Function, sizeof...(X)>)
void map_into(SharedTensor<Out, S> out, const Function& function, const X&... in) {
  static_assert((ScalarElement<element_type_of<X>> && ...) && ScalarElement<Out>, "map works on scalar elements: unpack i4x2 first with dequantize()");
  check_not_empty("map", out, in...);
  const auto expression = expr::record<sizeof...(X)>(function);
  static_assert(expr::arity<std::remove_const_t<decltype(expression)>> <= sizeof...(X), "the expression uses more operands than map was given");
  const MapArguments<Out, std::remove_const_t<decltype(expression)>, element_type_of<X>...> arguments{
      expression, {broadcast_to(input(in), out.shape(), "map: an input of shape")...}, output(out)};
  prepare<Backend>(input(in)...);
  backend_at<Backend>(out).map(arguments);
}

// function(in...) as a new tensor of the broadcast shape: map([](auto x, auto y) { return max(x, y) * 2.f; }, a, b).
// Result element: the one named (map<float>(…)), else bool for a comparison, else the operands' common element.
// Errors: ShapeError.
template <class Out = void, class Function, TensorLike First, TensorLike... Rest>
  requires(expr::Recorded<Function> || expr::Recordable<Function, 1 + sizeof...(Rest)>)
auto map(const Function& function, const First& first, const Rest&... rest) {
  using Result = detail::map_result<Out, Function, element_type_of<First>, element_type_of<Rest>...>;
  static_cast<void>(sizeof(common_backend<First, Rest...>*));
  check_not_empty("map", first, rest...);
  auto out = empty_like<Result>(first, detail::broadcast_shapes(first, rest...));
  map_into(out, function, first, rest...);
  return out;
}

// The same values in another element type; see convert() for rounding and saturation. Row-major.
template <ScalarElement Out, TensorLike X> auto cast(const X& x) { return map<Out>(expr::Identity{}, x); }

}  // namespace cotenant

#endif
