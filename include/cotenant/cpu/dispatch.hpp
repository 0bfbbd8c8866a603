// dispatch(): calls kernels of the best CPU target that was compiled here and that this machine supports.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

// Everything that the kernels include must come before their target's code: a std template that is first seen inside
// would be compiled for that target.
#include "cotenant/core/config.hpp"
#include "cotenant/core/evaluate.hpp"
#include "cotenant/cpu/blocked_product.hpp"
#include "cotenant/cpu/caches.hpp"
#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/map.hpp"
#include "cotenant/cpu/matmul.hpp"
#include "cotenant/cpu/packed.hpp"
#include "cotenant/cpu/quantized_sums.hpp"
#include "cotenant/cpu/quantized_weights.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/softmax.hpp"
#include "cotenant/cpu/threads.hpp"
#include "cotenant/cpu/tile.hpp"
#include "cotenant/ops/backend.hpp"

// Opens the targets, unless this translation unit already did: Highway allows it once.
#ifndef HIGHWAY_HWY_FOREACH_TARGET_H_
#if defined(HWY_HIGHWAY_INCLUDED) && !defined(COTENANT_STATIC_DISPATCH)
#error "include cotenant before <hwy/highway.h>: Highway opens its targets once per translation unit"
#endif
// Each target costs a fifth of the compile time. Machines without AVX2 are from before 2013, or small ones; they get the
// compiler's baseline: 128-bit vectors (SSE2) with a newer Highway, single floats with 1.0.3 and g++. To have the targets
// between, define HWY_DISABLED_TARGETS yourself: as HWY_SSSE3 for SSE4, as 0 for all.
#if !defined(HWY_DISABLED_TARGETS) && !defined(COTENANT_STATIC_DISPATCH)
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cotenant/cpu/kernels-inl.hpp"
#include <hwy/foreach_target.h>
#endif
#include "cotenant/cpu/kernels-inl.hpp"

#if HWY_ONCE && !defined(COTENANT_CPU_DISPATCH_HPP)
#define COTENANT_CPU_DISPATCH_HPP

namespace cotenant::cpu {

// Calls `call` with the Kernels of the target in use. Compiled names the targets that this translation unit was built for.
template <std::int64_t Compiled, class Call> auto dispatch(const Call& call) {
  using Static = HWY_STATIC_DISPATCH(Kernels)<Compiled>;
#if (HWY_TARGETS & (HWY_TARGETS - 1)) == 0
  return Static::enter(call);  // one target: a direct call, libhwy is not needed
#else
  using Enter = decltype(&Static::template enter<Call>);
  static constexpr Enter doors[] = {nullptr, HWY_CHOOSE_TARGET_LIST(Kernels<Compiled>::template enter<Call>),
                                    HWY_CHOOSE_FALLBACK(Kernels<Compiled>::template enter<Call>)};
  static_assert(std::size(doors) == HWY_MAX_DYNAMIC_TARGETS + 2);
  hwy::ChosenTarget& chosen = hwy::GetChosenTarget();
  if (!chosen.IsInitialized()) chosen.Update(hwy::SupportedTargets());
  return doors[chosen.GetIndex()](call);
#endif
}

}  // namespace cotenant::cpu

#endif  // once
