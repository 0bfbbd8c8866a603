// dispatch(): calls kernels of the best CPU target that was compiled here and that this machine supports.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

// Everything that the kernels include must come before their target's code: a std template that is first seen inside
// would be compiled for that target.
#include "cotenant/core/config.hpp"
#include "cotenant/core/error.hpp"
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
// Each target costs a fifth of the compile time, so there are three on x86: AVX3, AVX2, and SSSE3 for CPUs without AVX2, which were sold until
// 2021 and are otherwise from before 2013. It stands in for the compiler's baseline, which with Highway 1.0.3 and g++ is single floats, takes
// longer to compile, and would only serve CPUs from before 2006 (AMD: 2011). Those get a typed error. To choose otherwise, define
// HWY_DISABLED_TARGETS yourself: as 0 for all targets, as (HWY_SSSE3 | HWY_SSE4) for the baseline in place of SSSE3.
#if !defined(HWY_DISABLED_TARGETS) && !defined(COTENANT_STATIC_DISPATCH) && (defined(__x86_64__) || defined(__i386__))
// The bits below AVX3's are newer targets, of which x86_dot-inl.hpp takes what it wants; bit 14 is SSE2. Highway 1.0.3 has no names for some.
#define HWY_DISABLED_TARGETS (0xFF | HWY_SSE4 | (1LL << 14))
#if !defined(__SSSE3__) && !defined(HWY_BASELINE_TARGETS) && !defined(HWY_COMPILE_ONLY_SCALAR) && !defined(HWY_COMPILE_ONLY_EMU128) && \
    !defined(HWY_COMPILE_ONLY_STATIC)
#define HWY_BASELINE_TARGETS HWY_SSSE3
#define COTENANT_RAISED_BASELINE
#endif
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cotenant/cpu/kernels-inl.hpp"
#include <hwy/foreach_target.h>
#endif
#include "cotenant/cpu/kernels-inl.hpp"

#if HWY_ONCE && !defined(COTENANT_CPU_DISPATCH_HPP)
#define COTENANT_CPU_DISPATCH_HPP

namespace cotenant::cpu {

#ifdef COTENANT_RAISED_BASELINE
namespace detail {
[[noreturn]] inline void refuse_processor() {
  raise<Unsupported>(
      "this processor has no SSSE3, and no kernels for less were compiled: define HWY_DISABLED_TARGETS=0, or compile with -DCOTENANT_STATIC_DISPATCH");
}
// Stands where no compiled target can run.
template <class Result, class Call> Result refuse(const Call&) { refuse_processor(); }
}  // namespace detail
#define COTENANT_LAST_DOOR (&detail::refuse<decltype(Static::enter(std::declval<const Call&>())), Call>)
#else
#define COTENANT_LAST_DOOR HWY_CHOOSE_FALLBACK(Kernels<Compiled>::template enter<Call>)
#endif

// Calls `call` with the Kernels of the target in use. Compiled names the targets that this translation unit was built for.
template <std::int64_t Compiled, class Call> auto dispatch(const Call& call) {
  using Static = HWY_STATIC_DISPATCH(Kernels)<Compiled>;
#if (HWY_TARGETS & (HWY_TARGETS - 1)) == 0
  return Static::enter(call);  // one target: a direct call, libhwy is not needed
#else
  using Enter = decltype(&Static::template enter<Call>);
  static constexpr Enter doors[] = {nullptr, HWY_CHOOSE_TARGET_LIST(Kernels<Compiled>::template enter<Call>),
                                    COTENANT_LAST_DOOR};
  static_assert(std::size(doors) == HWY_MAX_DYNAMIC_TARGETS + 2);
  hwy::ChosenTarget& chosen = hwy::GetChosenTarget();
  if (!chosen.IsInitialized()) chosen.Update(hwy::SupportedTargets());
  return doors[chosen.GetIndex()](call);
#endif
}
#undef COTENANT_LAST_DOOR

}  // namespace cotenant::cpu

#endif  // once
