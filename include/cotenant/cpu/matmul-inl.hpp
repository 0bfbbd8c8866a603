// matmul on one CPU target: batch, work division and the recorded epilogue around the blocked product.
#if defined(COTENANT_CPU_MATMUL_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_MATMUL_INL_HPP
#undef COTENANT_CPU_MATMUL_INL_HPP
#else
#define COTENANT_CPU_MATMUL_INL_HPP
#endif
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/gemm-inl.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/matmul.hpp"
#include "cotenant/cpu/skinny-inl.hpp"
#include "cotenant/ops/matmul.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::int64_t Compiled> struct Matmuls {
  // The leaf follows from the elements. Another `customize(plan, block)` sets what it likes in the plan, where `block`, if not null, holds
  // the right operand, one matrix for all batch entries.
  struct Plain {};

  template <class A, class B, class Out, class E, class... Extra, std::size_t... I, class Customize = Plain>
  static void matmul(const MatmulArguments<A, B, Out, E, Extra...>& arguments, std::index_sequence<I...>, const Customize& customize = {}) {
    constexpr bool is_plain = std::is_same_v<Customize, Plain>, are_pairs = COTENANT_X86_DOT && is_plain && std::is_same_v<A, bf16> && std::is_same_v<B, bf16>;
    const View<Out>& out = arguments.out.view;
    if (out.size() == 0) return;
    bool by_pairs = false;
    if constexpr (are_pairs) by_pairs = Dots<Compiled>::has_bf16();
    cpu::MatmulPlan<sizeof...(Extra)> plan;
    plan.gemm.kernel = &Gemm<Compiled>::kernel();
    if constexpr (are_pairs)
      if (by_pairs) plan.gemm.kernel = &Gemm<Compiled, Bf16Leaf<true>>::kernel();
    plan.gemm.finish = &finish<E, sizeof...(Extra)>;
    plan.epilogue = &arguments.epilogue;
    plan.gemm.left = source(arguments.a);
    plan.gemm.right = source(arguments.b);
    plan.out = Rows<Compiled>::sink(out.data(), 0, 0);
    ((plan.extra[I] = source(std::get<I>(arguments.extra))), ...);
    cpu::MultiplyFewRows few_of_a = nullptr, few_of_b = nullptr;
    if constexpr (is_plain) {
      few_of_a = &Skinny<Compiled>::template block<A>;
      few_of_b = &Skinny<Compiled>::template block<B>;
    }
    plan.set_up(out.shape(), arguments.a.shape().back(), out.strides(), arguments.a.view.strides(), arguments.b.view.strides(),
                {&std::get<I>(arguments.extra).view.strides()...}, std::is_same_v<E, expr::Identity> && std::is_same_v<Out, float>, few_of_b, few_of_a,
                by_pairs);
    const Block* const right_block = plan.swapped ? arguments.a.block : arguments.b.block;
    if constexpr (is_plain) plan.pack(right_block);
    else customize(plan, plan.one_right ? right_block : nullptr);
    plan.run();
  }

 private:
  template <class T> static cpu::Source source(const Operand<T>& from) { return Rows<Compiled>::source(from.view.data(), 0, 0); }

  template <class E, std::size_t Count> static void finish(const void* context, std::size_t batch, const float* sums, std::ptrdiff_t stride, std::size_t row,
                                                           std::size_t column, std::size_t rows, std::size_t columns) {
    const auto& plan = *static_cast<const cpu::MatmulPlan<Count>*>(context);
    const cpu::Odometer<Count + 3> at(plan.batch, 0, batch);
    const auto m = static_cast<std::ptrdiff_t>(row), n = static_cast<std::ptrdiff_t>(column);
    cpu::Source in[Count + 1];
    in[0] = Rows<Compiled>::source(sums, stride, 1);
    for (std::size_t i = 0; i < Count; ++i) in[i + 1] = plan.extra[i].moved(at.offset(i + 3) + m * plan.extra[i].row_stride + n * plan.extra[i].column_stride);
    Tiles<Compiled>::template tile<E, Count + 1>(*static_cast<const E*>(plan.epilogue), in,
                                                 plan.out.moved(at.offset(0) + m * plan.out.row_stride + n * plan.out.column_stride), rows, columns);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
