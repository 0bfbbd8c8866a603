// Element-wise operations and reductions whose compute type is an integer: plain loops over any strides.
#ifndef COTENANT_CPU_INTEGERS_HPP
#define COTENANT_CPU_INTEGERS_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cotenant/core/evaluate.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/map.hpp"
#include "cotenant/ops/reduce.hpp"

namespace cotenant::cpu {

namespace detail {
template <class Out, class E, class... In> struct IntegerMapPlan {
  const MapArguments<Out, E, In...>& arguments;
  Iteration<sizeof...(In) + 1> iteration;
};

template <class Out, class E, class... In> void map_integer_rows(const void* context, std::size_t begin, std::size_t end) {
  const auto& plan = *static_cast<const IntegerMapPlan<Out, E, In...>*>(context);
  using C = compute_type<Out, In...>;
  const std::size_t last = plan.iteration.rank - 1;
  bool dense = true;
  for (const auto& stride : plan.iteration.stride) dense = dense && stride[last] == 1;
  Odometer<sizeof...(In) + 1> row(plan.iteration, 1, begin);
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    for (std::size_t i = begin; i < end; ++i, row.advance()) {
      Out* out = plan.arguments.out.view.data() + row.offset(0);
      std::tuple<const In*...> in{std::get<I>(plan.arguments.in).view.data() + row.offset(I + 1)...};
      std::size_t column = 0;
      // Sixteen results in a place of their own: what the compiler makes vectors of, whatever overlaps.
      if (dense)
        for (; column + 16 <= plan.iteration.extent[last]; column += 16) {
          std::array<Out, 16> results;
          for (std::size_t j = 0; j < 16; ++j)
            results[j] = convert<Out>(expr::evaluate<C>(plan.arguments.expression, std::tuple{convert<C>(std::get<I>(in)[column + j])...}));
          std::copy_n(results.data(), 16, out + column);
        }
      for (; column < plan.iteration.extent[last]; ++column) {
        const auto c = static_cast<std::ptrdiff_t>(column);
        out[c * plan.iteration.stride[0][last]] =
            convert<Out>(expr::evaluate<C>(plan.arguments.expression, std::tuple{convert<C>(std::get<I>(in)[c * plan.iteration.stride[I + 1][last]])...}));
      }
    }
  }(std::index_sequence_for<In...>{});
}
}  // namespace detail

template <class Out, class E, class... In> void map_integers(const MapArguments<Out, E, In...>& arguments) {
  const View<Out>& out = arguments.out.view;
  if (out.size() == 0) return;
  detail::IntegerMapPlan<Out, E, In...> plan{arguments, {}};
  plan.iteration = std::apply(
      [&](const auto&... in) {
        return coalesce<sizeof...(In) + 1>(out.shape(), {&out.strides(), &in.view.strides()...}, 1);
      },
      arguments.in);
  const std::size_t rows = plan.iteration.outer_count(1);
  parallel_for(rows, static_cast<double>(out.size() / rows), &detail::map_integer_rows<Out, E, In...>, &plan);
}

// Kind over the last reduced_rank axes, exactly, in compute_type<In>; a sum that does not fit wraps.
template <class Kind, class In, class Out> void reduce_integers(const ReduceArguments<Kind, In, Out>& arguments) {
  using C = compute_type<In>;
  const View<const In>& in = arguments.in.view;
  const View<Out>& out = arguments.out.view;
  if (out.size() == 0) return;
  const std::size_t rank = in.rank(), split = rank - arguments.reduced_rank;
  const Strides kept_strides = in.strides().part(0, split), reduced_strides = in.strides().part(split, rank);
  const auto kept_axes = coalesce<2>(out.shape(), {&out.strides(), &kept_strides}, 1);
  const auto reduced_axes = coalesce<1>(in.shape().part(split, rank), {&reduced_strides}, 1);
  const std::size_t count = element_count(in.shape().part(split, rank)), last = reduced_axes.rank - 1;
  Odometer<2> kept(kept_axes, 0, 0);
  for (std::size_t i = 0; i < out.size(); ++i, kept.advance()) {
    C value{};
    if constexpr (std::is_same_v<Kind, reduction::Maximum>) value = std::numeric_limits<In>::lowest();
    if constexpr (std::is_same_v<Kind, reduction::Minimum>) value = std::numeric_limits<In>::max();
    Odometer<1> row(reduced_axes, 1, 0);
    for (std::size_t done = 0; done < count; done += reduced_axes.extent[last], row.advance()) {
      const In* x = in.data() + kept.offset(1) + row.offset(0);
      for (std::size_t column = 0; column < reduced_axes.extent[last]; ++column, x += reduced_axes.stride[0][last]) {
        const C element = convert<C>(*x);
        if constexpr (std::is_same_v<Kind, reduction::Maximum>) value = std::max(value, element);
        else if constexpr (std::is_same_v<Kind, reduction::Minimum>) value = std::min(value, element);
        else if constexpr (std::is_same_v<Kind, reduction::AbsMaximum>) value = std::max(value, expr::apply(expr::op::Abs{}, element));
        else value = expr::apply(expr::op::Add{}, value, element);
      }
    }
    out.data()[kept.offset(0)] = convert<Out>(value);
  }
}

}  // namespace cotenant::cpu

#endif
