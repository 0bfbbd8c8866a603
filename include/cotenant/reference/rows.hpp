// softmax and the norms as the plainest loops: one row after another, in double.
#ifndef COTENANT_REFERENCE_ROWS_HPP
#define COTENANT_REFERENCE_ROWS_HPP
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "cotenant/ops/norm.hpp"
#include "cotenant/ops/softmax.hpp"
#include "cotenant/reference/element.hpp"

namespace cotenant::reference {

template <class In, class Out> void softmax(const SoftmaxArguments<In, Out>& a) {
  const std::size_t length = row_length(a.in);
  std::vector<double> row(length);
  for (std::size_t r = 0; r < row_count(a.in); ++r) {
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::size_t i = 0; i < length; ++i) row[i] = load<double>(a.in.view, r * length + i);
    for (double x : row) largest = std::max(largest, x);  // NaN is left out here and comes back through exp
    for (double x : row) sum += std::exp(x - largest);
    for (std::size_t i = 0; i < length; ++i)
      store(a.out.view, r * length + i, a.logarithm ? row[i] - largest - std::log(sum) : std::exp(row[i] - largest) / sum);
  }
}

template <class In, class Residual, class P, class Sum, class Out> void norm(const NormArguments<In, Residual, P, Sum, Out>& a) {
  const std::size_t length = row_length(a.in);
  const auto count = static_cast<double>(length);
  std::vector<double> row(length);
  for (std::size_t r = 0; r < row_count(a.in); ++r) {
    for (std::size_t i = 0; i < length; ++i) {
      row[i] = load<double>(a.in.view, r * length + i);
      if (a.residual.block != nullptr) row[i] += load<double>(a.residual.view, r * length + i);
      if (a.sum.block != nullptr) store(a.sum.view, r * length + i, row[i]);
    }
    double mean = 0, spread = 0;
    if (a.centered) for (double x : row) mean += x / count;
    for (double x : row) spread += (x - mean) * (x - mean) / count;
    for (std::size_t i = 0; i < length; ++i) {
      const double normal = (row[i] - mean) / std::sqrt(spread + static_cast<double>(a.epsilon));
      store(a.out.view, r * length + i, normal * load<double>(a.scale.view, i) + (a.bias.block == nullptr ? 0.0 : load<double>(a.bias.view, i)));
    }
  }
}

}  // namespace cotenant::reference

#endif
