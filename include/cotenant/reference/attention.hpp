// attention as the plainest loop: one query after another, its scores in a row of doubles.
#ifndef COTENANT_REFERENCE_ATTENTION_HPP
#define COTENANT_REFERENCE_ATTENTION_HPP
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <vector>

#include "cotenant/ops/attention.hpp"
#include "cotenant/reference/element.hpp"

namespace cotenant::reference {

template <class Q, class K, class V, class Mask, class Out> void attention(const AttentionArguments<Q, K, V, Mask, Out>& a) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const std::size_t rank = a.out.view.rank(), rows = a.out.shape()[rank - 2], width = a.out.shape()[rank - 1];
  const std::size_t keys = a.k.shape()[rank - 2], depth = a.k.shape()[rank - 1];
  std::vector<double> score(keys), result(width);
  for (std::size_t row = 0; row < (width == 0 ? 0 : a.out.view.size() / width); ++row) {
    const std::size_t batch = row / rows, i = row % rows;
    double largest = -infinity, sum = 0;
    for (std::size_t j = 0; j < keys; ++j) {
      double product = 0;
      for (std::size_t d = 0; d < depth; ++d) product += load<double>(a.q.view, row * depth + d) * load<double>(a.k.view, (batch * keys + j) * depth + d);
      score[j] = product * static_cast<double>(a.scale);
      if (a.mask.block != nullptr) {
        if constexpr (!std::is_same_v<Mask, bool>) score[j] += load<double>(a.mask.view, row * keys + j);
        else if (!element(a.mask.view, row * keys + j)) score[j] = -infinity;
      }
      if (a.causal && j + rows > i + keys) score[j] = -infinity;
      if (!(score[j] <= largest)) largest = score[j];  // NaN stays
    }
    std::fill(result.begin(), result.end(), 0.0);
    for (std::size_t j = 0; j < keys; ++j) {
      if (score[j] == -infinity) continue;
      const double weight = std::exp(score[j] - largest);
      sum += weight;
      for (std::size_t d = 0; d < width; ++d) result[d] += weight * load<double>(a.v.view, (batch * keys + j) * width + d);
    }
    // Only now: out may be q.
    for (std::size_t d = 0; d < width; ++d) store(a.out.view, row * width + d, sum == 0 ? 0.0 : result[d] / sum);
  }
}

}  // namespace cotenant::reference

#endif
