// Reference: every op as the plainest loop, in double. The oracle of the tests, and the smallest complete backend.
#ifndef COTENANT_REFERENCE_REFERENCE_HPP
#define COTENANT_REFERENCE_REFERENCE_HPP
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cotenant/core/evaluate.hpp"
#include "cotenant/ops/backend.hpp"
#include "cotenant/reference/attention.hpp"
#include "cotenant/reference/element.hpp"
#include "cotenant/reference/rotary.hpp"
#include "cotenant/reference/rows.hpp"
#include "cotenant/reference/quantized.hpp"

namespace cotenant {

// Heap memory whose tensors are computed on by the Reference backend: SharedTensor<float, ReferenceHeap>.
class Reference;
struct ReferenceHeap : Heap {
  using backend = Reference;
  using result = ReferenceHeap;
  static constexpr std::string_view name() { return "reference"; }
  ReferenceHeap result_storage() const { return {}; }
};

class Reference {
 public:
  using storage_type = ReferenceHeap;
  static constexpr bool runs_when_called = true;
  static constexpr std::string_view name() { return "reference"; }
  static ReferenceHeap storage() { return {}; }
  void synchronize() const {}

  template <class T> void copy(const CopyArguments<T>& a) const {
    for (std::size_t i = 0; i < a.out.view.size(); ++i) reference::element(a.out.view, i) = reference::element(a.in.view, i);
  }

  template <class Out, class E, class... In> void map(const MapArguments<Out, E, In...>& a) const {
    using C = reference::precise<compute_type<Out, In...>>;
    for (std::size_t i = 0; i < a.out.view.size(); ++i)
      std::apply([&](const auto&... in) { reference::store(a.out.view, i, expr::evaluate<C>(a.expression, std::tuple{reference::load<C>(in.view, i)...})); },
                 a.in);
  }

  template <class A, class B, class Out, class E, class... Extra> void matmul(const MatmulArguments<A, B, Out, E, Extra...>& a) const {
    const Shape& shape = a.out.shape();
    const std::size_t rank = shape.rank(), rows = shape[rank - 2], columns = shape[rank - 1], depth = a.a.shape()[rank - 1];
    for (std::size_t i = 0; i < a.out.view.size(); ++i) {
      const std::size_t batch = i / (rows * columns), m = i / columns % rows, n = i % columns;
      double sum = 0;
      for (std::size_t k = 0; k < depth; ++k)
        sum += reference::load<double>(a.a.view, (batch * rows + m) * depth + k) * reference::load<double>(a.b.view, (batch * depth + k) * columns + n);
      std::apply(
          [&](const auto&... extra) {
            reference::store(a.out.view, i, expr::evaluate<double>(a.epilogue, std::tuple{sum, reference::load<double>(extra.view, i)...}));
          },
          a.extra);
    }
  }

  template <class In, class Out> void softmax(const SoftmaxArguments<In, Out>& a) const { reference::softmax(a); }

  template <class Q, class K, class V, class Mask, class Out> void attention(const AttentionArguments<Q, K, V, Mask, Out>& a) const { reference::attention(a); }

  template <class Kind, class In, class Out> void reduce(const ReduceArguments<Kind, In, Out>& a) const {
    constexpr bool mean = std::is_same_v<Kind, reduction::Mean>;
    using C = reference::precise<std::conditional_t<mean, float, compute_type<In>>>;
    const std::size_t outer = a.out.view.size();
    std::size_t inner = 1;
    for (std::size_t axis = a.in.view.rank() - a.reduced_rank; axis < a.in.view.rank(); ++axis) inner *= a.in.shape()[axis];
    for (std::size_t o = 0; o < outer; ++o) {
      C value{};
      if constexpr (std::is_same_v<Kind, reduction::Maximum>) value = reference::least<In, C>();
      if constexpr (std::is_same_v<Kind, reduction::Minimum>) value = reference::greatest<In, C>();
      for (std::size_t i = 0; i < inner; ++i) {
        const C x = reference::load<C>(a.in.view, o * inner + i);
        if constexpr (std::is_same_v<Kind, reduction::Maximum>) value = expr::apply(expr::op::Maximum{}, value, x);
        else if constexpr (std::is_same_v<Kind, reduction::Minimum>) value = expr::apply(expr::op::Minimum{}, value, x);
        else if constexpr (std::is_same_v<Kind, reduction::AbsMaximum>) value = expr::apply(expr::op::Maximum{}, value, expr::apply(expr::op::Abs{}, x));
        else value = expr::apply(expr::op::Add{}, value, x);
      }
      if constexpr (mean) value /= static_cast<C>(inner);
      reference::store(a.out.view, o, value);
    }
  }

  template <class T> void top_k(const TopKArguments<T>& a) const {
    const std::size_t length = reference::row_length(a.in), kept = reference::row_length(a.values);
    if (kept == 0) return;
    using C = reference::precise<compute_type<T>>;
    std::vector<std::size_t> order(length);
    for (std::size_t r = 0; r < reference::row_count(a.in); ++r) {
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
        const C x = reference::load<C>(a.in.view, r * length + i), y = reference::load<C>(a.in.view, r * length + j);
        return x != x ? y == y : x > y;  // NaN first
      });
      for (std::size_t j = 0; j < kept; ++j) {
        reference::element(a.values.view, r * kept + j) = reference::element(a.in.view, r * length + order[j]);
        reference::element(a.indices.view, r * kept + j) = static_cast<std::int32_t>(order[j]);
      }
    }
  }

  template <class In, class Residual, class P, class Sum, class Out> void norm(const NormArguments<In, Residual, P, Sum, Out>& a) const { reference::norm(a); }

  template <class In, class Table, class Out> void rotary(const RotaryArguments<In, Table, Out>& a) const { reference::rotary(a); }

  template <class T, class Index, class Out> void gather(const GatherArguments<T, Index, Out>& a) const {
    const std::size_t rows = a.table.shape()[0], count = a.indices.view.size();
    for (std::size_t i = 0; i < count; ++i) check_gather_index(reference::element(a.indices.view, i), rows);
    const std::size_t length = count == 0 ? 0 : a.out.view.size() / count;
    for (std::size_t i = 0; i < count; ++i) {
      const auto index = static_cast<std::int64_t>(reference::element(a.indices.view, i));
      const std::size_t row = static_cast<std::size_t>(index < 0 ? index + static_cast<std::int64_t>(rows) : index);
      for (std::size_t j = 0; j < length; ++j)
        reference::element(a.out.view, i * length + j) = convert<Out>(reference::element(a.table.view, row * length + j));
    }
  }

  template <class In, class Q> void quantize(const QuantizeArguments<In, Q>& a) const { reference::quantize(a); }
  template <class Q, class Out> void dequantize(const DequantizeArguments<Q, Out>& a) const { reference::dequantize(a); }
  template <class In, class Q> void dynamic_quantize(const DynamicQuantizeArguments<In, Q>& a) const { reference::dynamic_quantize(a); }
  template <class In, class Q> void requantize(const RequantizeArguments<In, Q>& a) const { reference::requantize(a); }
  template <class A, class B, class Out, class E, class... Extra> void quantized_matmul(const QuantizedMatmulArguments<A, B, Out, E, Extra...>& a) const {
    reference::quantized_matmul(a);
  }
};
static_assert(Backend<Reference> && AllocatingStorage<ReferenceHeap>);

}  // namespace cotenant

#endif
