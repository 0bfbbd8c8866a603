// rotary: position embeddings that turn pairs of elements by an angle for each position.
#ifndef COTENANT_OPS_ROTARY_HPP
#define COTENANT_OPS_ROTARY_HPP
#include <cmath>
#include <concepts>
#include <cstddef>
#include <string>

#include "cotenant/core/expr.hpp"
#include "cotenant/ops/map.hpp"
#include "cotenant/ops/operand.hpp"

namespace cotenant {

// Which elements of a row of R rotary dimensions are turned together: i with i + R / 2 (Llama, GPT-NeoX), or neighbours,
// 2 i with 2 i + 1 (GPT-J, the original paper).
enum class RotaryPairs { halves, neighbours };

// out_first = first * cosine - second * sine, out_second = second * cosine + first * sine, all of shape [..., L, R / 2]:
// the front door makes both kinds of pairs views of the rows. Computed in float. The outputs may be exactly the inputs.
template <class In, class Table, class Out> struct RotaryArguments {
  Operand<const In> first, second;
  Operand<const Table> cosine, sine;
  Operand<Out> out_first, out_second;
};

namespace detail {
// The first or second elements of the pairs in the first 2 * `pairs` columns.
inline Layout rotary_half(const Layout& layout, std::ptrdiff_t pairs, bool second, RotaryPairs kind) {
  if (kind == RotaryPairs::neighbours) return slice(layout, -1, second && pairs > 0 ? 1 : 0, 2 * pairs, 2);
  return slice(layout, -1, second ? pairs : 0, second ? 2 * pairs : pairs);
}
}  // namespace detail

// Writes x with its first R columns turned into out, of x's shape; the other columns are copied. Shapes: x [..., L, D];
// cosine and sine broadcast to [..., L, R / 2], R <= D: [L, R / 2] for x of [batch, heads, L, D], [L, 1, R / 2] for
// [batch, L, heads, D]. out may be exactly x. Elements: float, f16, bf16. Source: Su et al. 2021. Errors: ShapeError, ReadOnly.
template <Element Out, Storage S, TensorLike X, TensorLike Cosine, TensorLike Sine, class Backend = common_backend<SharedTensor<Out, S>, X, Cosine, Sine>>
void rotary_into(SharedTensor<Out, S> out, const X& x, const Cosine& cosine, const Sine& sine, RotaryPairs pairs = RotaryPairs::halves) {
  using In = element_type_of<X>;
  using Table = element_type_of<Cosine>;
  static_assert(FloatElement<In> && FloatElement<Table> && FloatElement<Out>, "rotary works on float, f16 or bf16 elements");
  static_assert(std::same_as<Table, element_type_of<Sine>>, "rotary's cosine and sine have one element type");
  check_not_empty("rotary", out, x, cosine, sine);
  check_output_shape("rotary", as_tensor(x).shape(), out.shape());
  const Shape &shape = out.shape(), &table = as_tensor(cosine).shape();
  if (shape.rank() == 0 || table.rank() == 0 || 2 * table.back() > shape.back() || !(table == as_tensor(sine).shape()))
    raise<ShapeError>(Text{"rotary of shape ", shape, " needs a cosine and a sine of one shape whose last dimension is at most half of ",
                           "its own, but got ", table, " and ", as_tensor(sine).shape()});
  const auto half = static_cast<std::ptrdiff_t>(table.back());
  Shape angles = shape;
  angles[angles.rank() - 1] = table.back();
  const auto part = [&](const auto& operand, bool second) { return operand.with(detail::rotary_half(operand.view.layout(), half, second, pairs)); };
  constexpr const char* what = "rotary: a cosine of shape";
  const RotaryArguments<In, Table, Out> arguments{part(input(x), false), part(input(x), true), broadcast_to(input(cosine), angles, what),
                                                  broadcast_to(input(sine), angles, what), part(output(out), false), part(output(out), true)};
  prepare<Backend>(input(x), input(cosine), input(sine));
  decltype(auto) backend = backend_at<Backend>(out);
  backend.rotary(arguments);
  if (2 * table.back() == shape.back()) return;
  const auto rest = [&](const auto& operand) { return operand.with(slice(operand.view.layout(), -1, 2 * half, static_cast<std::ptrdiff_t>(shape.back()))); };
  backend.map(MapArguments<Out, expr::Identity, In>{expr::Identity{}, {rest(input(x))}, rest(output(out))});
}

// The same as a new row-major tensor.
template <class Out = void, TensorLike X, TensorLike Cosine, TensorLike Sine>
auto rotary(const X& x, const Cosine& cosine, const Sine& sine, RotaryPairs pairs = RotaryPairs::halves) {
  check_not_empty("rotary", x);
  auto out = empty_like<chosen_element<Out, element_type_of<X>>>(x, as_tensor(x).shape());
  rotary_into(out, x, cosine, sine, pairs);
  return out;
}

struct RotaryTables {
  SharedTensor<float> cosine, sine;  // [L, R / 2]
};
// cos and sin of position * base^(-2 i / R) for the positions first, first + 1, … and i < R / 2, R = dimensions; the angles
// in double. copy_to() brings them to another storage.
inline RotaryTables rotary_tables(std::size_t positions, std::size_t dimensions, double base = 10000, std::size_t first = 0) {
  const std::size_t half = dimensions / 2;
  RotaryTables tables{empty<float>({positions, half}), empty<float>({positions, half})};
  float *const cosine = tables.cosine.mutable_view().data(), *const sine = tables.sine.mutable_view().data();
  for (std::size_t i = 0; i < positions * half; ++i) {
    const double angle = static_cast<double>(first + i / half) * std::pow(base, -2.0 * static_cast<double>(i % half) / static_cast<double>(dimensions));
    cosine[i] = static_cast<float>(std::cos(angle));
    sine[i] = static_cast<float>(std::sin(angle));
  }
  return tables;
}

}  // namespace cotenant

#endif
