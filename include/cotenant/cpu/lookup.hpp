// gather and top_k: finding elements rather than computing them.
#ifndef COTENANT_CPU_LOOKUP_HPP
#define COTENANT_CPU_LOOKUP_HPP
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "cotenant/core/convert.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/gather.hpp"
#include "cotenant/ops/top_k.hpp"

namespace cotenant::cpu {

namespace detail {
template <class T, class Index, class Out> struct GatherPlan {
  const T* table;
  const Index* indices;
  Out* out;
  std::int64_t rows;
  std::ptrdiff_t row_stride;
  Iteration<2> positions;  // out, indices
  Iteration<2> rest;       // out, table
};

template <class T, class Index, class Out> void gather_rows(const void* context, std::size_t begin, std::size_t end) {
  const auto& plan = *static_cast<const GatherPlan<T, Index, Out>*>(context);
  const std::size_t last = plan.rest.rank - 1, columns = plan.rest.extent[last], rows = plan.rest.outer_count(1);
  const std::ptrdiff_t out_step = plan.rest.stride[0][last], table_step = plan.rest.stride[1][last];
  Odometer<2> position(plan.positions, 0, begin);
  for (std::size_t i = begin; i < end; ++i, position.advance()) {
    const auto index = static_cast<std::int64_t>(plan.indices[position.offset(1)]);
    const T* from = plan.table + (index < 0 ? index + plan.rows : index) * plan.row_stride;
    Out* to = plan.out + position.offset(0);
    Odometer<2> row(plan.rest, 1, 0);
    for (std::size_t r = 0; r < rows; ++r, row.advance()) {
      const T* source = from + row.offset(1);
      Out* target = to + row.offset(0);
      if (std::same_as<T, Out> && out_step == 1 && table_step == 1)
        std::copy_n(reinterpret_cast<const char*>(source), columns * sizeof(T), reinterpret_cast<char*>(target));
      else
        for (std::size_t c = 0; c < columns; ++c)
          target[static_cast<std::ptrdiff_t>(c) * out_step] = convert<Out>(source[static_cast<std::ptrdiff_t>(c) * table_step]);
    }
  }
}

template <class T> struct TopKPlan {
  const T* in;
  T* values;
  std::int32_t* indices;
  std::size_t length, kept;
  std::ptrdiff_t in_step, values_step, indices_step;
  Iteration<3> rows;  // values, indices, in
};

// Whether a comes before b: larger first, NaN before everything.
template <class C> bool precedes(C a, C b) {
  if (a != a) return b == b;
  return a > b;
}

// Where the first of the largest elements is, `length` at least 1.
template <class T> std::size_t position_of_largest(const T* in, std::ptrdiff_t step, std::size_t length) {
  using C = compute_type<T>;
  C best = convert<C>(in[0]);
  std::size_t at = 0, position = 1;
  const auto look = [&] {
    const C value = convert<C>(in[static_cast<std::ptrdiff_t>(position) * step]);
    if (precedes(value, best)) best = value, at = position;
  };
  // Sixteen are refused together, by what the compiler makes vectors of; seldom one of them is better.
  if (step == 1)
    while (position + 16 <= length) {
      int better = 0;
      for (std::size_t j = 0; j < 16; ++j) {
        const C value = convert<C>(in[position + j]);
        better |= static_cast<int>(value > best) | (static_cast<int>(value != value) & static_cast<int>(best == best));
      }
      if (better == 0) position += 16;
      else
        for (const std::size_t end = position + 16; position < end; ++position) look();
    }
  for (; position < length; ++position) look();
  return at;
}

template <class T> void top_k_rows(const void* context, std::size_t begin, std::size_t end) {
  const auto& plan = *static_cast<const TopKPlan<T>*>(context);
  using C = compute_type<T>;
  Odometer<3> row(plan.rows, 0, begin);
  std::vector<std::pair<C, std::int32_t>> best;
  best.reserve(plan.kept + 1);
  const auto earlier = [](const auto& a, const auto& b) { return precedes(a.first, b.first) || (!precedes(b.first, a.first) && a.second < b.second); };
  for (std::size_t i = begin; i < end; ++i, row.advance()) {
    const T* in = plan.in + row.offset(2);
    if (plan.kept == 1) {
      const std::size_t at = position_of_largest(in, plan.in_step, plan.length);
      plan.values[row.offset(0)] = in[static_cast<std::ptrdiff_t>(at) * plan.in_step];
      plan.indices[row.offset(1)] = static_cast<std::int32_t>(at);
      continue;
    }
    // A heap of the best so far, the worst of them on top: most elements are refused by one comparison.
    best.clear();
    for (std::size_t position = 0; position < plan.length; ++position) {
      const C value = convert<C>(in[static_cast<std::ptrdiff_t>(position) * plan.in_step]);
      if (best.size() == plan.kept) {
        if (!precedes(value, best.front().first)) continue;  // an equal element came earlier
        std::pop_heap(best.begin(), best.end(), earlier);
        best.pop_back();
      }
      best.emplace_back(value, static_cast<std::int32_t>(position));
      std::push_heap(best.begin(), best.end(), earlier);
    }
    std::sort_heap(best.begin(), best.end(), earlier);
    for (std::size_t j = 0; j < plan.kept; ++j) {
      const auto at = static_cast<std::ptrdiff_t>(j);
      plan.values[row.offset(0) + at * plan.values_step] = in[best[j].second * plan.in_step];
      plan.indices[row.offset(1) + at * plan.indices_step] = best[j].second;
    }
  }
}
}  // namespace detail

// See GatherArguments. Errors: InvalidArgument for an index outside the table, before anything is written.
template <class T, class Index, class Out> void gather(const GatherArguments<T, Index, Out>& arguments) {
  const auto& [table, indices, out] = arguments;
  const std::size_t count = indices.view.size();
  if (count == 0) return;
  const std::size_t rows = table.shape()[0], split = indices.view.rank(), rank = out.view.rank();
  const Strides out_outer = out.view.strides().part(0, split), out_rest = out.view.strides().part(split, rank),
                table_rest = table.view.strides().part(1, table.view.rank());
  detail::GatherPlan<T, Index, Out> plan{table.view.data(),
                                         indices.view.data(),
                                         out.view.data(),
                                         static_cast<std::int64_t>(rows),
                                         table.view.stride(0),
                                         coalesce<2>(indices.shape(), {&out_outer, &indices.view.strides()}, 0, false),
                                         coalesce<2>(out.shape().part(split, rank), {&out_rest, &table_rest}, 1)};
  Odometer<2> position(plan.positions, 0, 0);
  for (std::size_t i = 0; i < count; ++i, position.advance()) check_gather_index(plan.indices[position.offset(1)], rows);
  if (out.view.size() == 0) return;
  parallel_for(count, 0.3 * static_cast<double>(out.view.size() / count), &detail::gather_rows<T, Index, Out>, &plan);
}

// See TopKArguments.
template <class T> void top_k(const TopKArguments<T>& arguments) {
  const auto& [in, values, indices] = arguments;
  if (values.view.size() == 0) return;
  const std::size_t last = in.view.rank() - 1;
  const Strides value_strides = values.view.strides().part(0, last), index_strides = indices.view.strides().part(0, last),
                in_strides = in.view.strides().part(0, last);
  const detail::TopKPlan<T> plan{
      in.view.data(),           values.view.data(),        indices.view.data(),
      in.shape()[last],         values.shape()[last],      in.view.stride(last),
      values.view.stride(last), indices.view.stride(last), coalesce<3>(in.shape().part(0, last), {&value_strides, &index_strides, &in_strides}, 0)};
  parallel_for(plan.rows.outer_count(0), 1.5 * static_cast<double>(plan.length), &detail::top_k_rows<T>, &plan);
}

}  // namespace cotenant::cpu

#endif
