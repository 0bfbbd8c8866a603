// Kernels<Compiled>: everything that is compiled once per CPU target, and the door to it.
#if defined(COTENANT_CPU_KERNELS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_KERNELS_INL_HPP
#undef COTENANT_CPU_KERNELS_INL_HPP
#else
#define COTENANT_CPU_KERNELS_INL_HPP
#endif
#include <cstdint>

#include <hwy/highway.h>

#include "cotenant/cpu/attention-inl.hpp"
#include "cotenant/cpu/map-inl.hpp"
#include "cotenant/cpu/matmul-inl.hpp"
#include "cotenant/cpu/norm-inl.hpp"
#include "cotenant/cpu/quantize_range-inl.hpp"
#include "cotenant/cpu/quantized_matmul-inl.hpp"
#include "cotenant/cpu/reduce-inl.hpp"
#include "cotenant/cpu/rotary-inl.hpp"
#include "cotenant/cpu/softmax-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// Compiled, the set of targets of this translation unit, is part of every kernel's name: two units that were compiled
// with different -m flags never share one.
template <std::int64_t Compiled>
struct Kernels : Attentions<Compiled>, Maps<Compiled>, Matmuls<Compiled>, Norms<Compiled>, QuantizedMatmuls<Compiled>, RangeQuantizing<Compiled>,
                 Reductions<Compiled>, Rotaries<Compiled>, Softmaxes<Compiled> {
  // From generic code into this target: what `call` reaches through its argument may be inlined here.
  template <class Call> static auto enter(const Call& call) { return call(Kernels{}); }
  static const char* target_name() { return hwy::TargetName(HWY_TARGET); }
  // Bytes of a vector.
  static std::size_t vector_bytes() { return hn::Lanes(FloatTag{}) * sizeof(float); }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
