// softmax and layer_norm on one CPU target: whole rows, one after another.
#if defined(COTENANT_CPU_SOFTMAX_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_SOFTMAX_INL_HPP
#undef COTENANT_CPU_SOFTMAX_INL_HPP
#else
#define COTENANT_CPU_SOFTMAX_INL_HPP
#endif
#include <algorithm>
#include <cmath>
#include <cstddef>

#include <hwy/highway.h>

#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/pack-inl.hpp"
#include "cotenant/cpu/row-inl.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/layer_norm.hpp"
#include "cotenant/ops/softmax.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// Rows of an input turned into rows of an output of the same shape. As a Source and a Sink the last axis is the column.
struct RowPlan {
  cpu::Source in;
  cpu::Sink out;
  cpu::Iteration<2> outer;
  std::size_t length = 0;
  // layer_norm only: `length` floats each.
  const float* scale = nullptr;
  const float* bias = nullptr;
  float epsilon = 0;
};

template <std::int64_t Compiled> struct WholeRows {
  template <class In, class Out> static void softmax(const SoftmaxArguments<In, Out>& arguments) {
    RowPlan plan = row_plan(arguments.in.view, arguments.out.view);
    // Two passes with an exp in one: about 0.5 ns per element.
    if (plan.length == 0) return;
    const double nanoseconds = 0.5 * static_cast<double>(plan.length);
    if (is_sideways(plan))
      cpu::parallel_for(plan.outer.outer_count(1) * groups(plan), nanoseconds * static_cast<double>(group_rows), &run_sideways<&softmax_row>, &plan);
    else cpu::parallel_for(plan.outer.outer_count(0), nanoseconds, &run<&softmax_row>, &plan);
  }

  template <class In, class Parameter, class Out> static void layer_norm(const LayerNormArguments<In, Parameter, Out>& arguments) {
    RowPlan plan = row_plan(arguments.in.view, arguments.out.view);
    if (plan.length == 0) return;
    float* const staged = cpu::scratch(cpu::ScratchUse::shared_rows, 2 * plan.length);
    plan.scale = parameter_row(arguments.scale.view, staged);
    plan.bias = parameter_row(arguments.bias.view, staged + plan.length);
    plan.epsilon = arguments.epsilon;
    cpu::parallel_for(plan.outer.outer_count(0), 0.3 * static_cast<double>(plan.length), &run<&layer_norm_row>, &plan);
  }

 private:
  template <class In, class Out> static RowPlan row_plan(const View<const In>& in, const View<Out>& out) {
    const std::size_t last = out.rank() - 1;
    RowPlan plan{Rows<Compiled>::source(in.data(), 0, in.stride(last)),
                 Rows<Compiled>::sink(out.data(), 0, out.stride(last)),
                 {},
                 out.size() == 0 ? 0 : out.shape(last)};
    const Strides out_strides = out.strides().part(0, last), in_strides = in.strides().part(0, last);
    plan.outer = cpu::coalesce<2>(out.shape().part(0, last), {&out_strides, &in_strides}, 0);
    return plan;
  }
  template <class T> static const float* parameter_row(const View<const T>& view, float* staged) {
    if constexpr (std::same_as<T, float>) if (view.stride(0) == 1) return view.data();
    Rows<Compiled>::template load<T>(view.data(), view.stride(0), view.shape(0), staged);
    return staged;
  }

  template <auto Row> static void run(const void* context, std::size_t begin, std::size_t end) {
    const RowPlan& plan = *static_cast<const RowPlan*>(context);
    const bool direct_in = plan.in.is_float && plan.in.column_stride == 1, direct_out = plan.out.is_float && plan.out.column_stride == 1;
    float* const staged = direct_in && direct_out ? nullptr : cpu::scratch(cpu::ScratchUse::row, plan.length);
    cpu::Odometer<2> at(plan.outer, 0, begin);
    for (std::size_t i = begin; i < end; ++i, at.advance()) {
      const char* in = plan.in.at(at.offset(1));
      char* out = plan.out.at(at.offset(0));
      if (!direct_in) plan.in.load(in, plan.in.column_stride, plan.length, staged);
      Row(plan, direct_in ? reinterpret_cast<const float*>(in) : staged, direct_out ? reinterpret_cast<float*>(out) : staged);
      if (!direct_out) plan.out.store(staged, out, plan.out.column_stride, plan.length);
    }
  }

  // Softmax over an axis that is not the contiguous one: neighbouring rows are transposed into scratch memory and back,
  // a group at a time, so that whole cache lines are read and written.
  static constexpr std::size_t group_rows = 16;
  static bool is_sideways(const RowPlan& plan) {
    // Longer rows would leave the L2 cache: 16 * 8192 * 4 = 512 KiB.
    if (plan.outer.rank == 0 || plan.length > 8192) return false;
    const std::size_t last = plan.outer.rank - 1;
    return plan.outer.stride[0][last] == 1 && plan.outer.stride[1][last] == 1 && plan.in.column_stride > 1 && plan.out.column_stride > 1 && plan.out.is_float;
  }
  static std::size_t groups(const RowPlan& plan) { return (plan.outer.extent[plan.outer.rank - 1] - 1) / group_rows + 1; }

  template <auto Row> static void run_sideways(const void* context, std::size_t begin, std::size_t end) {
    const RowPlan& plan = *static_cast<const RowPlan*>(context);
    float* const staged = cpu::scratch(cpu::ScratchUse::row, group_rows * plan.length);
    for (std::size_t i = begin; i < end; ++i) {
      const cpu::Odometer<2> at(plan.outer, 1, i / groups(plan));
      const std::size_t first = i % groups(plan) * group_rows, rows = std::min(group_rows, plan.outer.extent[plan.outer.rank - 1] - first);
      cpu::Source in = plan.in.moved(at.offset(1) + static_cast<std::ptrdiff_t>(first));
      in.row_stride = 1;
      Packing<Compiled>::copy(in, rows, plan.length, staged, plan.length);
      for (std::size_t row = 0; row < rows; ++row) Row(plan, staged + row * plan.length, staged + row * plan.length);
      float* out = reinterpret_cast<float*>(plan.out.at(at.offset(0) + static_cast<std::ptrdiff_t>(first)));
      Packing<Compiled>::transpose(reinterpret_cast<const char*>(staged), static_cast<std::ptrdiff_t>(plan.length * sizeof(float)), rows, plan.length, out,
                                   static_cast<std::size_t>(plan.out.column_stride));
    }
  }

  // `to` may be `from`.
  static void softmax_row(const RowPlan& plan, const float* from, float* to) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), count = plan.length;
    const auto largest = hn::Set(d, reduce_row<LargestStep>(from, count));
    auto total = hn::Zero(d), other = hn::Zero(d);
    std::size_t i = 0;
    for (; i + 2 * lanes <= count; i += 2 * lanes) {
      const auto x = vector_exp_of_negative(d, hn::Sub(hn::LoadU(d, from + i), largest));
      const auto y = vector_exp_of_negative(d, hn::Sub(hn::LoadU(d, from + i + lanes), largest));
      hn::StoreU(x, d, to + i);
      hn::StoreU(y, d, to + i + lanes);
      total = hn::Add(total, x);
      other = hn::Add(other, y);
    }
    for (; i < count; i += lanes) {
      const bool whole = i + lanes <= count;
      auto x = vector_exp_of_negative(d, hn::Sub(whole ? hn::LoadU(d, from + i) : load_partial(d, from + i, count - i, 0), largest));
      if (whole) hn::StoreU(x, d, to + i);
      else {
        store_partial(d, x, count - i, to + i);
        x = hn::IfThenElseZero(hn::FirstN(d, count - i), x);
      }
      total = hn::Add(total, x);
    }
    const auto scale = hn::Set(d, 1.0f / sum_of_lanes(d, hn::Add(total, other)));
    for (i = 0; i + lanes <= count; i += lanes) hn::StoreU(hn::Mul(hn::LoadU(d, to + i), scale), d, to + i);
    if (i < count) store_partial(d, hn::Mul(load_partial(d, to + i, count - i, 0), scale), count - i, to + i);
  }

  // The variance is summed from deviations, in a second pass: E[x^2] - E[x]^2 would cancel.
  static void layer_norm_row(const RowPlan& plan, const float* from, float* to) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), count = plan.length;
    const float mean = reduce_row<SumStep>(from, count) / static_cast<float>(count);
    const float variance = reduce_row<SquareStep>(from, count, mean) / static_cast<float>(count);
    const auto shift = hn::Set(d, mean), factor = hn::Set(d, 1.0f / std::sqrt(variance + plan.epsilon));
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
      const auto normal = hn::Mul(hn::Sub(hn::LoadU(d, from + i), shift), factor);
      hn::StoreU(hn::MulAdd(normal, hn::LoadU(d, plan.scale + i), hn::LoadU(d, plan.bias + i)), d, to + i);
    }
    if (i < count) {
      const auto normal = hn::Mul(hn::Sub(load_partial(d, from + i, count - i, 0), shift), factor);
      store_partial(d, hn::MulAdd(normal, load_partial(d, plan.scale + i, count - i, 0), load_partial(d, plan.bias + i, count - i, 0)), count - i, to + i);
    }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
