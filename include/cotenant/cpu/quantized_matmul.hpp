// Products of quantised operands that no kernel of their own takes: dequantised first, then multiplied as floats.
#ifndef COTENANT_CPU_QUANTIZED_MATMUL_HPP
#define COTENANT_CPU_QUANTIZED_MATMUL_HPP
#include <cstddef>
#include <tuple>
#include <type_traits>

#include "cotenant/ops/matmul.hpp"
#include "cotenant/ops/quantize.hpp"
#include "cotenant/ops/quantized_matmul.hpp"

namespace cotenant::cpu {

// One side of a product in floats: rows x columns in each batch entry, with batch axes that only repeat left at one entry.
struct FloatSide {
  SharedTensor<float> memory;
  Operand<const float> operand;
};

// 4-bit pairs lie along the last axis but one where `pairs_along_k`, else along the last.
template <class Backend, class Q, class Zero>
FloatSide dequantized_side(const Backend& backend, const Operand<const Q>& elements, const Operand<const float>& scale, const Operand<const Zero>& zero,
                           bool pairs_along_k) {
  // Pairs lie along the last axis for dequantize().
  const auto turned = [&](auto operand) { return pairs_along_k && operand.block != nullptr ? operand.with(transpose(operand.view.layout(), -2, -1))
      : operand; };
  auto values = turned(elements);
  auto factors = turned(scale);
  auto zeros = turned(zero);
  const std::size_t rank = values.shape().rank();
  const Shape full = values.shape();
  const auto once = [&](auto& operand) {
    Layout layout = operand.view.layout();
    for (std::size_t axis = 0; axis + 2 < rank; ++axis)
      if (values.view.stride(axis) == 0 && factors.view.stride(axis) == 0 && (zeros.block == nullptr || zeros.view.stride(axis) == 0)) layout.shape[axis] = 1;
    return operand.with(layout);
  };
  const auto once_values = once(values);
  const auto once_factors = once(factors);
  const auto once_zeros = zeros.block == nullptr ? zeros : once(zeros);
  const Shape shape = cotenant::detail::values_shape<Q>(once_values.shape());
  FloatSide side;
  side.memory = empty<float>(shape);
  const cotenant::detail::BlockSplit split(shape, std::is_same_v<Q, i4x2>, once_factors.shape());
  backend.dequantize(DequantizeArguments<Q, float>{split.elements(once_values), split.parameter(once_factors), split.parameter(once_zeros),
                                                   split.values(output(side.memory))});
  Shape whole = cotenant::detail::values_shape<Q>(full);
  side.operand = turned(broadcast_to(input(side.memory), whole));
  return side;
}

// The same product with as many batch axes as possible taken as rows: those over which the right operand is one matrix, and
// the others go from entry to entry as they go from row to row. One product with many rows is faster than many with few.
template <class A, class B, class Out, class E, class... Extra>
QuantizedMatmulArguments<A, B, Out, E, Extra...> rows_together(QuantizedMatmulArguments<A, B, Out, E, Extra...> a) {
  const auto none = [](const auto& operand) { return operand.block == nullptr; };
  while (a.out.shape().rank() > 2) {
    const std::size_t axis = a.out.shape().rank() - 3, rows = a.out.shape()[axis + 1];
    const auto follows = [&](const auto& operand) {
      return none(operand) || a.out.shape()[axis] == 1 || operand.view.stride(axis) == operand.view.stride(axis + 1) * static_cast<std::ptrdiff_t>(rows);
    };
    const auto is_one = [&](const auto& operand) { return none(operand) || a.out.shape()[axis] == 1 || operand.view.stride(axis) == 0; };
    const bool fits = follows(a.a) && follows(a.a_scale) && follows(a.a_zero_point) && follows(a.out) && is_one(a.b) && is_one(a.b_scale) &&
        is_one(a.b_zero_point) &&
                      std::apply([&](const auto&... extra) { return (follows(extra) && ...); }, a.extra);
    if (!fits) return a;
    const auto join = [&](auto& operand, bool has_rows) {
      if (none(operand)) return;
      Layout layout = operand.view.layout();
      if (has_rows) layout.shape[axis + 1] *= layout.shape[axis];
      layout.shape.erase(axis);
      layout.strides.erase(axis);
      operand = operand.with(layout);
    };
    join(a.a, true), join(a.a_scale, true), join(a.a_zero_point, true);
    std::apply([&](auto&... extra) { (join(extra, true), ...); }, a.extra);
    join(a.b, false), join(a.b_scale, false), join(a.b_zero_point, false);
    join(a.out, true);
  }
  return a;
}

template <class Backend, class A, class B, class Out, class E, class... Extra>
void multiply_dequantized(const Backend& backend, const QuantizedMatmulArguments<A, B, Out, E, Extra...>& a) {
  const FloatSide right = dequantized_side(backend, a.b, a.b_scale, a.b_zero_point, a.pairs_along_k);
  if constexpr (FloatElement<A>) {
    backend.matmul(MatmulArguments<A, float, Out, E, Extra...>{a.a, right.operand, a.epilogue, a.extra, a.out});
  } else {
    const FloatSide left = dequantized_side(backend, a.a, a.a_scale, a.a_zero_point, false);
    backend.matmul(MatmulArguments<float, float, Out, E, Extra...>{left.operand, right.operand, a.epilogue, a.extra, a.out});
  }
}

}  // namespace cotenant::cpu

#endif
