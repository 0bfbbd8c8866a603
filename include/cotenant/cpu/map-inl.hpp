// map on one CPU target: every element-wise operation that computes in float, quantisation included.
#if defined(COTENANT_CPU_MAP_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_MAP_INL_HPP
#undef COTENANT_CPU_MAP_INL_HPP
#else
#define COTENANT_CPU_MAP_INL_HPP
#endif
#include <array>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <tuple>
#include <utility>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cotenant/cpu/map.hpp"
#include "cotenant/cpu/replay-inl.hpp"
#include "cotenant/ops/operand.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// Elements [column, column + lanes) of an operand of T; the element at its beginning where the mask is 0.
template <class T> HWY_INLINE FloatVector load_column(FloatTag d, const char* data, std::size_t column) {
  return load_vector(d, reinterpret_cast<const T*>(data) + column);
}

template <std::int64_t Compiled> struct Maps {
  // out = expression(in...), all of one shape, computed in float.
  template <class E, class Out, class... In, std::size_t... I>
  static void map(const E& expression, const View<Out>& out, const std::tuple<Operand<const In>...>& in, std::index_sequence<I...>) {
    cpu::MapPlan<sizeof...(In) + 1> plan;
    plan.row = &row<E, Out, In...>;
    plan.expression = &expression;
    plan.lanes = hn::Lanes(FloatTag{});
    plan.data = {reinterpret_cast<char*>(out.data()), const_cast<char*>(reinterpret_cast<const char*>(std::get<I>(in).view.data()))...};
    plan.element_size = {sizeof(Out), sizeof(In)...};
    cpu::run_map<sizeof...(In) + 1>(plan, out.shape(), {&out.strides(), &std::get<I>(in).view.strides()...});
  }

 private:
  template <class E, class Out, class... In>
  static void row(const void* expression, char* const* data, const std::size_t* mask, std::size_t columns, bool streams) {
    evaluate<E, Out, In...>(*static_cast<const E*>(expression), data, mask, columns, streams, std::index_sequence_for<In...>{});
  }

  template <class E, class Out, class... In, std::size_t... I>
  static HWY_INLINE void evaluate(const E& expression, char* const* data, const std::size_t* mask, std::size_t columns, bool streams,
                                  std::index_sequence<I...>) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), rest = columns % lanes;
    // The last elements, fewer than the lanes, pass through buffers: nothing outside an operand is ever read or written.
    // The loop is compiled once for both.
    constexpr std::size_t most_lanes = HWY_MAX_BYTES / sizeof(float);
    HWY_ALIGN char ends[1 + sizeof...(In)][most_lanes * sizeof(std::int64_t)];
    const char* from[] = {data[1 + I]...};
    Out* to = reinterpret_cast<Out*>(data[0]);
    for (std::size_t end = columns - rest;;) {
      for (std::size_t column = 0; column < end; column += lanes) {
        const auto value = replay(d, expression, load_column<In>(d, from[I], column & mask[1 + I])...);
        if constexpr (std::same_as<Out, float>) {
          if (HWY_UNLIKELY(streams)) {
            (ask_ahead(reinterpret_cast<const In*>(from[I]) + (column & mask[1 + I])), ...);
            hn::Stream(value, d, to + column);
            continue;
          }
        }
        store_vector(d, value, to + column);
      }
      if (to == reinterpret_cast<Out*>(ends[0])) {
        std::memcpy(data[0] + (columns - rest) * sizeof(Out), ends[0], rest * sizeof(Out));
        break;
      }
      if (rest == 0) break;
      ((from[I] = mask[1 + I] == 0 ? from[I] : copy_end(ends[1 + I], data[1 + I] + (columns - rest) * sizeof(In), rest * sizeof(In), lanes * sizeof(In))), ...);
      to = reinterpret_cast<Out*>(ends[0]);
      streams = false;
      end = lanes;
    }
    if (streams) hwy::FlushStream();
  }

  static const char* copy_end(char* buffer, const char* data, std::size_t bytes, std::size_t padded) {
    std::memset(buffer, 0, padded);
    std::memcpy(buffer, data, bytes);
    return buffer;
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
