// rotary on one CPU target: rows of pairs, both elements turned at once.
#if defined(COTENANT_CPU_ROTARY_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_ROTARY_INL_HPP
#undef COTENANT_CPU_ROTARY_INL_HPP
#else
#define COTENANT_CPU_ROTARY_INL_HPP
#endif
#include <cstddef>

#include <hwy/highway.h>

#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/row-inl.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/ops/rotary.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// As Sources and Sinks the last axis is the column.
struct RotaryPlan {
  cpu::Source in[4];  // first, second, cosine, sine
  cpu::Sink out[2];   // first, second
  cpu::Iteration<6> outer;  // of out, in: where the rows begin
  std::size_t length = 0;
};

template <std::int64_t Compiled> struct Rotaries {
  template <class In, class Table, class Out> static void rotary(const RotaryArguments<In, Table, Out>& arguments) {
    const View<Out>& out = arguments.out_first.view;
    if (out.size() == 0) return;
    const std::size_t last = out.rank() - 1;
    const auto source = [&](const auto& operand) { return Rows<Compiled>::source(operand.view.data(), 0, operand.view.stride(last)); };
    const auto sink = [&](const auto& operand) { return Rows<Compiled>::sink(operand.view.data(), 0, operand.view.stride(last)); };
    RotaryPlan plan{{source(arguments.first), source(arguments.second), source(arguments.cosine), source(arguments.sine)},
                    {sink(arguments.out_first), sink(arguments.out_second)},
                    {},
                    out.shape(last)};
    const auto outer = [&](const auto& operand) { return operand.view.strides().part(0, last); };
    const Strides strides[] = {outer(arguments.out_first), outer(arguments.out_second), outer(arguments.first),
                               outer(arguments.second),    outer(arguments.cosine),     outer(arguments.sine)};
    plan.outer = cpu::coalesce<6>(out.shape().part(0, last), {&strides[0], &strides[1], &strides[2], &strides[3], &strides[4], &strides[5]}, 0);
    cpu::parallel_for(plan.outer.outer_count(0), 5 + 0.5 * static_cast<double>(plan.length), &run, &plan);
  }

 private:
  static void run(const void* context, std::size_t begin, std::size_t end) {
    const RotaryPlan& plan = *static_cast<const RotaryPlan*>(context);
    const std::size_t length = plan.length;
    float* const staged = cpu::scratch(cpu::ScratchUse::row, 4 * length);
    cpu::Odometer<6> at(plan.outer, 0, begin);
    for (std::size_t i = begin; i < end; ++i, at.advance()) {
      const float* in[4];
      float* out[2];
      for (std::size_t j = 0; j < 4; ++j) {
        const char* const data = plan.in[j].at(at.offset(j + 2));
        const bool direct = plan.in[j].is_float && plan.in[j].column_stride == 1;
        if (!direct) plan.in[j].load(data, plan.in[j].column_stride, length, staged + j * length);
        in[j] = direct ? reinterpret_cast<const float*>(data) : staged + j * length;
      }
      // The inputs are used up element by element: their rooms take the results.
      for (std::size_t j = 0; j < 2; ++j)
        out[j] = plan.out[j].is_float && plan.out[j].column_stride == 1 ? reinterpret_cast<float*>(plan.out[j].at(at.offset(j))) : staged + j * length;
      turn(in, out, length);
      for (std::size_t j = 0; j < 2; ++j)
        if (out[j] == staged + j * length) plan.out[j].store(out[j], plan.out[j].at(at.offset(j)), plan.out[j].column_stride, length);
    }
  }

  static void turn(const float* const* in, float* const* out, std::size_t count) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
      const auto first = hn::LoadU(d, in[0] + i), second = hn::LoadU(d, in[1] + i), cosine = hn::LoadU(d, in[2] + i), sine = hn::LoadU(d, in[3] + i);
      hn::StoreU(hn::NegMulAdd(second, sine, hn::Mul(first, cosine)), d, out[0] + i);
      hn::StoreU(hn::MulAdd(first, sine, hn::Mul(second, cosine)), d, out[1] + i);
    }
    if (i < count) {
      const std::size_t rest = count - i;
      const auto first = load_partial(d, in[0] + i, rest, 0), second = load_partial(d, in[1] + i, rest, 0);
      const auto cosine = load_partial(d, in[2] + i, rest, 0), sine = load_partial(d, in[3] + i, rest, 0);
      store_partial(d, hn::NegMulAdd(second, sine, hn::Mul(first, cosine)), rest, out[0] + i);
      store_partial(d, hn::MulAdd(first, sine, hn::Mul(second, cosine)), rest, out[1] + i);
    }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
