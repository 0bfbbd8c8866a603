// layer_norm and rms_norm on one CPU target: a row after another, each read from memory once.
#if defined(COTENANT_CPU_NORM_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_NORM_INL_HPP
#undef COTENANT_CPU_NORM_INL_HPP
#else
#define COTENANT_CPU_NORM_INL_HPP
#endif
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>

#include <hwy/highway.h>

#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/row-inl.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/norm.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// As Sources and Sinks the last axis is the column. What is missing has null data.
struct NormPlan {
  cpu::Source in, residual;
  cpu::Sink sum, out;
  cpu::Iteration<4> outer;  // of out, in, residual, sum: where the rows begin
  std::size_t length = 0;
  const float* scale = nullptr;  // `length` floats each
  const float* bias = nullptr;
  float epsilon = 0;
  bool centered = true;
};

template <std::int64_t Compiled> struct Norms {
  template <class In, class Residual, class Parameter, class Sum, class Out>
  static void norm(const NormArguments<In, Residual, Parameter, Sum, Out>& arguments) {
    const View<Out>& out = arguments.out.view;
    if (out.size() == 0) return;
    const std::size_t last = out.rank() - 1;
    NormPlan plan;
    plan.length = out.shape(last);
    const Strides none = Strides::filled(last, 0);
    const auto outer = [&](const auto& operand) { return operand.block == nullptr ? none : operand.view.strides().part(0, last); };
    const Strides strides[] = {outer(arguments.out), outer(arguments.in), outer(arguments.residual), outer(arguments.sum)};
    plan.outer = cpu::coalesce<4>(out.shape().part(0, last), {&strides[0], &strides[1], &strides[2], &strides[3]}, 0);
    plan.in = Rows<Compiled>::source(arguments.in.view.data(), 0, arguments.in.view.stride(last));
    if (arguments.residual.block != nullptr) plan.residual = Rows<Compiled>::source(arguments.residual.view.data(), 0, arguments.residual.view.stride(last));
    if (arguments.sum.block != nullptr) plan.sum = Rows<Compiled>::sink(arguments.sum.view.data(), 0, arguments.sum.view.stride(last));
    plan.out = Rows<Compiled>::sink(out.data(), 0, out.stride(last));
    float* const staged = cpu::scratch(cpu::ScratchUse::shared_rows, 2 * plan.length);
    plan.scale = parameter_row(arguments.scale, plan.length, staged);
    plan.bias = parameter_row(arguments.bias, plan.length, staged + plan.length);
    plan.epsilon = arguments.epsilon;
    plan.centered = arguments.centered;
    cpu::parallel_for(plan.outer.outer_count(0), 0.15 * static_cast<double>(plan.length), &run, &plan);
  }

 private:
  // The parameters in floats; zeros where there are none.
  template <class T> static const float* parameter_row(const Operand<const T>& operand, std::size_t length, float* staged) {
    if (operand.block == nullptr) std::fill_n(staged, length, 0.0f);
    else {
      if constexpr (std::same_as<T, float>) if (operand.view.stride(0) == 1) return operand.view.data();
      Rows<Compiled>::template load<T>(operand.view.data(), operand.view.stride(0), length, staged);
    }
    return staged;
  }
  template <class Rows> static bool is_direct(const Rows& rows) { return rows.is_float && rows.column_stride == 1; }
  // Floats where they lie, or converted.
  static const float* row_of(const cpu::Source& rows, std::ptrdiff_t offset, std::size_t length, float* staged) {
    const char* const data = rows.at(offset);
    if (is_direct(rows)) return reinterpret_cast<const float*>(data);
    rows.load(data, rows.column_stride, length, staged);
    return staged;
  }

  static void run(const void* context, std::size_t begin, std::size_t end) {
    const NormPlan& plan = *static_cast<const NormPlan*>(context);
    const bool adds = plan.residual.data != nullptr, keeps = plan.sum.data != nullptr;
    const bool direct_sum = keeps && is_direct(plan.sum), direct_out = is_direct(plan.out);
    float* const staged = cpu::scratch(cpu::ScratchUse::row, 2 * plan.length);
    cpu::Odometer<4> at(plan.outer, 0, begin);
    for (std::size_t i = begin; i < end; ++i, at.advance()) {
      const float* x = row_of(plan.in, at.offset(1), plan.length, staged);
      if (adds) {
        const float* const residual = row_of(plan.residual, at.offset(2), plan.length, staged + plan.length);
        float* const sum = direct_sum ? reinterpret_cast<float*>(plan.sum.at(at.offset(3))) : staged;
        add(x, residual, sum, plan.length);
        x = sum;
      }
      if (keeps && !(adds && direct_sum)) plan.sum.store(x, plan.sum.at(at.offset(3)), plan.sum.column_stride, plan.length);
      char* const out = plan.out.at(at.offset(0));
      normalize(plan, x, direct_out ? reinterpret_cast<float*>(out) : staged);
      if (!direct_out) plan.out.store(staged, out, plan.out.column_stride, plan.length);
    }
  }

  // to[i] = a[i] + b[i]; `to` may be either.
  static void add(const float* a, const float* b, float* to, std::size_t count) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, to + i);
    if (i < count) store_partial(d, hn::Add(load_partial(d, a + i, count - i, 0), load_partial(d, b + i, count - i, 0)), count - i, to + i);
  }

  // The row is in the L1 cache by now: the variance is summed from deviations in a second pass, since E[x^2] - E[x]^2 would cancel.
  static void normalize(const NormPlan& plan, const float* from, float* to) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), count = plan.length;
    const float mean = plan.centered ? reduce_row<SumStep>(from, count) / static_cast<float>(count) : 0.0f;
    const float spread = reduce_row<SquareStep>(from, count, mean) / static_cast<float>(count);
    const auto shift = hn::Set(d, mean), factor = hn::Set(d, 1.0f / std::sqrt(spread + plan.epsilon));
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
