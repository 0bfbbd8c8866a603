// Quantisation as plain loops: by given and by found parameters, to numbers and back, and the product of quantised matrices.
#ifndef COTENANT_REFERENCE_QUANTIZED_HPP
#define COTENANT_REFERENCE_QUANTIZED_HPP
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <tuple>
#include <type_traits>

#include "cotenant/core/evaluate.hpp"
#include "cotenant/ops/quantize.hpp"
#include "cotenant/ops/quantized_matmul.hpp"
#include "cotenant/reference/element.hpp"

namespace cotenant::reference {

// The values at a row-major position. An i4x2 is read and written at an even position for its low half, at an odd one for its high half.
template <class Q> double quantized_at(const View<const Q>& view, std::size_t position) {
  if constexpr (std::is_same_v<Q, i4x2>) return position % 2 == 0 ? element(view, position).low() : element(view, position).high();
  else return static_cast<double>(element(view, position));
}
template <class Q> void set_quantized(const View<Q>& view, std::size_t position, double value) {
  Q& to = element(view, position);
  if constexpr (std::is_same_v<Q, i4x2>) to = position % 2 == 0 ? i4x2(static_cast<int>(value), to.high()) : i4x2(to.low(), static_cast<int>(value));
  else to = static_cast<Q>(value);
}
template <class T> double parameter_or(const Operand<const T>& parameter, std::size_t position, double otherwise) {
  return parameter.block ? load<double>(parameter.view, position) : otherwise;
}

// In float, as WebNN's conformance cases do: the quotient decides which way a tie goes.
inline double quantized(float x, float scale, double zero, std::int32_t low, std::int32_t high) {
  const float quotient = x / scale;
  const double q = quotient != quotient ? zero : std::nearbyint(static_cast<double>(quotient)) + zero;
  return std::clamp(q, static_cast<double>(low), static_cast<double>(high));
}

template <class In, class Q> void quantize(const QuantizeArguments<In, Q>& a) {
  for (std::size_t i = 0; i < a.out.view.size(); ++i)
    set_quantized(a.out.view, i, quantized(load<float>(a.in.view, i), element(a.scale.view, i), parameter_or(a.zero_point, i, 0), a.low, a.high));
}

template <class Q, class Out> void dequantize(const DequantizeArguments<Q, Out>& a) {
  for (std::size_t i = 0; i < a.out.view.size(); ++i)
    store(a.out.view, i, (quantized_at(a.in.view, i) - parameter_or(a.zero_point, i, 0)) * load<double>(a.scale.view, i));
}

template <class In, class Q> void dynamic_quantize(const DynamicQuantizeArguments<In, Q>& a) {
  constexpr bool affine = std::is_same_v<Q, std::uint8_t>;
  struct Range { float low = 0, high = 0; };
  // Ranges without elements.
  Layout each = a.scale.view.layout();
  for (std::size_t axis = 0; axis < each.shape.rank(); ++axis) if (each.strides[axis] == 0) each.shape[axis] = 1;
  for (std::size_t i = 0; i < element_count(each.shape); ++i) {
    element(a.scale.view.with(each), i) = 1;
    if constexpr (affine) {
      Layout zeros = a.zero_point.view.layout();
      zeros.shape = each.shape;
      element(a.zero_point.view.with(zeros), i) = 0;
    }
  }
  // Where a scale is written tells ranges apart.
  std::map<const float*, Range> ranges;
  const std::size_t count = a.in.view.size();
  for (std::size_t i = 0; i < count; ++i) {
    Range& range = ranges[&element(a.scale.view, i)];
    const float x = load<float>(a.in.view, i);
    if (x < range.low) range.low = x;
    if (x > range.high) range.high = x;
  }
  for (std::size_t i = 0; i < count; ++i) {
    float* scale = &element(a.scale.view, i);
    const Range& range = ranges[scale];
    const float extent = affine ? range.high - range.low : std::max(-range.low, range.high);
    *scale = extent > 0 ? extent / (affine ? 255.0f : static_cast<float>(quantized_highest<Q>)) : 1.0f;
    double zero = 0;
    if constexpr (affine) {
      const float place = -range.low / *scale;
      zero = place == place ? std::nearbyint(std::clamp(place, 0.0f, 255.0f)) : 0;
      element(a.zero_point.view, i) = static_cast<std::uint8_t>(zero);
    }
    set_quantized(a.values.view, i, quantized(load<float>(a.in.view, i), *scale, zero, affine ? 0 : -quantized_highest<Q>, quantized_highest<Q>));
  }
}

template <class In, class Q> void requantize(const RequantizeArguments<In, Q>& a) {
  for (std::size_t i = 0; i < a.out.view.size(); ++i) {
    const double difference = static_cast<double>(element(a.in.view, i)) - parameter_or(a.in_zero_point, i, 0);
    element(a.out.view, i) = static_cast<Q>(quantized(static_cast<float>(difference) * element(a.in_scale.view, i), element(a.scale.view, i),
                                                      parameter_or(a.zero_point, i, 0), quantized_lowest<Q>, quantized_highest<Q>));
  }
}

template <class A, class B, class Out, class E, class... Extra> void quantized_matmul(const QuantizedMatmulArguments<A, B, Out, E, Extra...>& a) {
  const Shape& shape = a.out.shape();
  const std::size_t rank = shape.rank(), rows = shape[rank - 2], columns = shape[rank - 1], depth = a.a.shape()[rank - 1];
  // Parameters by row or column and the place along k.
  const auto left_parameter = [&](const auto& parameter, std::size_t row, std::size_t k, double otherwise) {
    if (parameter.block == nullptr) return otherwise;
    const std::size_t blocks = parameter.shape()[rank - 1];
    return load<double>(parameter.view, row * blocks + k * blocks / depth);
  };
  const auto right_parameter = [&](const auto& parameter, std::size_t batch, std::size_t k, std::size_t n, double otherwise) {
    if (parameter.block == nullptr) return otherwise;
    const std::size_t blocks = parameter.shape()[rank - 2];
    return load<double>(parameter.view, (batch * blocks + k * blocks / depth) * columns + n);
  };
  const auto right_value = [&](std::size_t batch, std::size_t k, std::size_t n) -> double {
    if constexpr (std::is_same_v<B, i4x2>) {
      const bool along = a.pairs_along_k;
      const i4x2 pair = element(a.b.view, along ? (batch * (depth / 2) + k / 2) * columns + n : (batch * depth + k) * (columns / 2) + n / 2);
      return (along ? k : n) % 2 == 0 ? pair.low() : pair.high();
    } else {
      return load<double>(a.b.view, (batch * depth + k) * columns + n);
    }
  };
  for (std::size_t i = 0; i < a.out.view.size(); ++i) {
    const std::size_t row = i / columns, batch = row / rows, n = i % columns;
    double sum = 0;
    for (std::size_t k = 0; k < depth; ++k)
      sum += (load<double>(a.a.view, row * depth + k) - left_parameter(a.a_zero_point, row, k, 0)) * left_parameter(a.a_scale, row, k, 1) *
             (right_value(batch, k, n) - right_parameter(a.b_zero_point, batch, k, n, 0)) * right_parameter(a.b_scale, batch, k, n, 1);
    std::apply([&](const auto&... extra) { store(a.out.view, i, expr::evaluate<double>(a.epilogue, std::tuple{sum, load<double>(extra.view, i)...})); },
               a.extra);
  }
}

}  // namespace cotenant::reference

#endif
