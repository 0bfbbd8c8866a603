// softmax on one CPU target: the loops over vectors that cpu/softmax.hpp works with.
#if defined(COTENANT_CPU_SOFTMAX_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_SOFTMAX_INL_HPP
#undef COTENANT_CPU_SOFTMAX_INL_HPP
#else
#define COTENANT_CPU_SOFTMAX_INL_HPP
#endif
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cotenant/cpu/pack-inl.hpp"
#include "cotenant/cpu/row-inl.hpp"
#include "cotenant/cpu/softmax.hpp"
#include "cotenant/ops/softmax.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::int64_t Compiled> struct Softmaxes {
  template <class In, class Out> static void softmax(const SoftmaxArguments<In, Out>& arguments) {
    const View<const In>& in = arguments.in.view;
    const View<Out>& out = arguments.out.view;
    if (out.size() == 0) return;
    const std::size_t last = out.rank() - 1;
    static const cpu::SoftmaxKernel kernel{hn::Lanes(FloatTag{}), &short_rows,      &largest, &weigh,   &scale_row,
                                           &lower_row,            &weigh_and_write, &write,   &columns, &Packing<Compiled>::copy};
    cpu::SoftmaxPlan plan{&kernel, Rows<Compiled>::source(in.data(), 0, in.stride(last)), Rows<Compiled>::sink(out.data(), 0, out.stride(last)),
                          out.shape(last), arguments.logarithm, {}, false};
    cpu::run_softmax(plan, out.shape(), out.strides(), in.strides());
  }

 private:
  static void short_rows(cpu::SoftmaxRow* row, std::size_t count, std::size_t length, std::ptrdiff_t ahead, bool logarithm, bool streams) {
    for (std::size_t i = 0; i < count; ++i) row[i].largest = reduce_row<LargestStep>(row[i].from, length);
    for (std::size_t i = 0; i < count; ++i)
      row[i].total = weigh(row[i].from, logarithm ? nullptr : row[i].weights, length, cpu::detail::subtrahend(row[i].largest), row[i].from + ahead);
    for (std::size_t i = 0; i < count; ++i) {
      if (logarithm) lower(row[i].from, row[i].to, length, row[i].largest, std::log(row[i].total), streams);
      else scale(row[i].weights, row[i].to, length, 1.0f / row[i].total, streams);
    }
  }

  static float largest(const float* from, std::size_t count) { return reduce_row<LargestStep>(from, count); }

  // Two loops: asking for each vector whether it is kept cost log_softmax 4 to 6 %.
  static float weigh(const float* from, float* to, std::size_t count, float shift, const float* next) {
    return to != nullptr ? weigh_row<true>(from, to, count, shift, next) : weigh_row<false>(from, to, count, shift, next);
  }
  template <bool Keep> static float weigh_row(const float* from, float* to, std::size_t count, float shift, const float* next) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto minus = hn::Set(d, shift);
    auto a = hn::Zero(d), b = a;
    std::size_t i = 0;
    for (; i + 2 * lanes <= count; i += 2 * lanes) {
      const auto x = exp_of_negative(d, hn::Sub(hn::LoadU(d, from + i), minus)), y = exp_of_negative(d, hn::Sub(hn::LoadU(d, from + i + lanes), minus));
      hwy::Prefetch(next + i);
      hwy::Prefetch(next + i + lanes);
      if constexpr (Keep) {
        hn::StoreU(x, d, to + i);
        hn::StoreU(y, d, to + i + lanes);
      }
      a = hn::Add(a, x);
      b = hn::Add(b, y);
    }
    if (i + lanes <= count) {
      const auto x = exp_of_negative(d, hn::Sub(hn::LoadU(d, from + i), minus));
      if constexpr (Keep) hn::StoreU(x, d, to + i);
      a = hn::Add(a, x);
      i += lanes;
    }
    if (i < count) {
      const auto x = exp_of_negative(d, hn::Sub(load_partial(d, from + i, count - i, LargestStep::neutral), minus));
      if constexpr (Keep) store_partial(d, x, count - i, to + i);
      b = hn::Add(b, x);
    }
    return sum_of_lanes(d, hn::Add(a, b));
  }
  struct Factor {
    float factor;
    HWY_INLINE FloatVector operator()(FloatTag d, FloatVector x) const { return hn::Mul(x, hn::Set(d, factor)); }
  };
  struct Weight {
    float shift, factor;
    HWY_INLINE FloatVector operator()(FloatTag d, FloatVector x) const {
      return hn::Mul(exp_of_negative(d, hn::Sub(x, hn::Set(d, shift))), hn::Set(d, factor));
    }
  };
  struct Shift {
    float first, second;
    HWY_INLINE FloatVector operator()(FloatTag d, FloatVector x) const { return hn::Sub(hn::Sub(x, hn::Set(d, first)), hn::Set(d, second)); }
  };
  // to[i] = step(from[i]).
  template <class Step> static HWY_INLINE void finish(const Step step, const float* from, float* to, std::size_t count, bool streams) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    std::size_t i = 0;
    if (streams && reinterpret_cast<std::uintptr_t>(to) % (lanes * sizeof(float)) == 0)
      for (; i + lanes <= count; i += lanes) hn::Stream(step(d, hn::LoadU(d, from + i)), d, to + i);
    for (; i + lanes <= count; i += lanes) hn::StoreU(step(d, hn::LoadU(d, from + i)), d, to + i);
    if (i < count) store_partial(d, step(d, load_partial(d, from + i, count - i, 0)), count - i, to + i);
  }
  static void scale(const float* from, float* to, std::size_t count, float factor, bool streams) { finish(Factor{factor}, from, to, count, streams); }
  static void lower(const float* from, float* to, std::size_t count, float first, float second, bool streams) {
    finish(Shift{first, second}, from, to, count, streams);
  }
  static void scale_row(const float* from, float* to, std::size_t count, float factor) { scale(from, to, count, factor, false); }
  static void lower_row(const float* from, float* to, std::size_t count, float first, float second) { lower(from, to, count, first, second, false); }

  static void write(const cpu::SoftmaxResults& results, std::size_t count, bool logarithm) {
    if (logarithm) lower(results.from, results.to, count, results.first, results.second, true);
    else finish(Weight{results.first, results.second}, results.from, results.to, count, true);
  }
  static float weigh_and_write(const float* from, std::size_t count, float shift, float* largest, const cpu::SoftmaxResults* other, bool logarithm) {
    if (other == nullptr) return weigh_beside(Nothing{}, from, count, shift, largest, nullptr, nullptr);
    if (logarithm) return weigh_beside(Shift{other->first, other->second}, from, count, shift, largest, other->from, other->to);
    return weigh_beside(Weight{other->first, other->second}, from, count, shift, largest, other->from, other->to);
  }
  struct Nothing {};
  template <class Step>
  static float weigh_beside(const Step step, const float* from, std::size_t count, float shift, float* largest, const float* other, float* to) {
    const FloatTag d;
    constexpr bool writes = !std::is_same_v<Step, Nothing>;
    const std::size_t lanes = hn::Lanes(d);
    const bool streams = reinterpret_cast<std::uintptr_t>(to) % (lanes * sizeof(float)) == 0;
    const auto minus = hn::Set(d, shift);
    // The sums of weigh_row().
    auto a = hn::Zero(d), b = a, most = hn::Set(d, LargestStep::neutral);
    const auto take = [&](std::size_t i, FloatVector& sum) HWY_ATTR {
      const auto x = hn::LoadU(d, from + i);
      ask_ahead(from + i);
      if constexpr (writes) {
        const auto result = step(d, hn::LoadU(d, other + i));
        if (streams) hn::Stream(result, d, to + i);
        else hn::StoreU(result, d, to + i);
      }
      most = LargestStep::step(d, most, x);
      sum = hn::Add(sum, exp_of_negative(d, hn::Sub(x, minus)));
    };
    std::size_t i = 0;
    for (; i + 2 * lanes <= count; i += 2 * lanes) take(i, a), take(i + lanes, b);
    if (i + lanes <= count) take(i, a), i += lanes;
    if (i < count) {
      const auto x = load_partial(d, from + i, count - i, LargestStep::neutral);
      if constexpr (writes) store_partial(d, step(d, load_partial(d, other + i, count - i, 0)), count - i, to + i);
      most = LargestStep::step(d, most, x);
      b = hn::Add(b, exp_of_negative(d, hn::Sub(x, minus)));
    }
    *largest = LargestStep::lanes(d, most);
    return sum_of_lanes(d, hn::Add(a, b));
  }

  static void columns(float* x, std::size_t step, std::size_t count, std::size_t width, bool logarithm, float* to, std::ptrdiff_t to_step) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    HWY_ALIGN float largest[cpu::SoftmaxKernel::most_side_by_side], total[cpu::SoftmaxKernel::most_side_by_side];
    std::copy_n(x, width, largest);
    for (std::size_t j = 1; j < count; ++j)
      for (std::size_t i = 0; i < width; i += lanes) hn::Store(hn::Max(hn::Load(d, largest + i), hn::LoadU(d, x + j * step + i)), d, largest + i);
    std::fill_n(total, width, 0.0f);
    const auto nothing = hn::Set(d, LargestStep::neutral);
    for (std::size_t j = 0; j < count; ++j)
      for (std::size_t i = 0; i < width; i += lanes) {
        // Where there is -inf only, the weights are exp(-inf - 0) = 0.
        const auto most = hn::Load(d, largest + i), shift = hn::IfThenElseZero(hn::Gt(most, nothing), most);
        const auto weight = exp_of_negative(d, hn::Sub(hn::LoadU(d, x + j * step + i), shift));
        if (!logarithm) hn::StoreU(weight, d, x + j * step + i);
        hn::Store(hn::Add(hn::Load(d, total + i), weight), d, total + i);
      }
    for (std::size_t i = 0; i < width; i += lanes) {
      const auto sum = hn::Load(d, total + i);
      hn::Store(logarithm ? vector_log(d, sum) : hn::Div(hn::Set(d, 1.0f), sum), d, total + i);
    }
    for (std::size_t j = 0; j < count; ++j)
      for (std::size_t i = 0; i < width; i += lanes) {
        const auto value = hn::LoadU(d, x + j * step + i), other = hn::Load(d, total + i);
        const auto result = logarithm ? hn::Sub(hn::Sub(value, hn::Load(d, largest + i)), other) : hn::Mul(value, other);
        hn::StoreU(result, d, to == nullptr ? x + j * step + i : to + static_cast<std::ptrdiff_t>(j) * to_step + static_cast<std::ptrdiff_t>(i));
      }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
