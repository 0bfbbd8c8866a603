// TileProduct: one tile of sums in registers, the innermost loop of the blocked product of one CPU target.
#if defined(COTENANT_CPU_TILE_PRODUCT_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_TILE_PRODUCT_INL_HPP
#undef COTENANT_CPU_TILE_PRODUCT_INL_HPP
#else
#define COTENANT_CPU_TILE_PRODUCT_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <cstring>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/leaf-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// The tile: `tile_rows` rows by three vectors. A step in k loads three vectors of the right operand, broadcasts one lane of
// each row of the left one, and does 3 * tile_rows multiply-adds: at two per cycle and a latency of 4 the eight sums in
// flight that are needed are there, and eleven loads for 24 multiply-adds leave the two load ports half idle. With 32 registers
// 24 sums + 3 vectors + 1 lane fit, with 16 registers 12 + 3 + 1. 12 x 2 was 1 to 2 % slower on Zen 5, 6 x 4 and 9 x 3 no faster.
// Better targets have smaller numbers.
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR || HWY_ARCH_WASM
inline constexpr std::size_t tile_rows = 4;
#else
inline constexpr std::size_t tile_rows = 8;
#endif
using cpu::Reading, cpu::tile_vectors, cpu::TileStep;
static_assert(tile_rows <= cpu::most_tile_rows);
// A sum of this many products is taken in a register, then added to the others: the rounding errors of one long sum grow with
// its length. 256 gives the errors of OpenBLAS (its default kernels), 512 a third more; it costs 24 additions in 3072.
inline constexpr std::size_t part_lanes = 256;

// Four steps in k per turn of the loop: its counter and jump cost 2 % of the time otherwise.
#if defined(__clang__)
#define COTENANT_UNROLL_FOUR _Pragma("unroll 4")
#else
#define COTENANT_UNROLL_FOUR _Pragma("GCC unroll 4")
#endif

template <std::size_t> struct SumsOfRow { using type = FloatVector; };

// sums[r][column] (+)= sum over lanes of left[r][lane] · right[lane][column], for the rows R and `Vectors` vectors of columns.
// The running sums, which begin at 0, are parameters, one pack per vector, because compilers keep those in registers:
// arrays of vectors they may not.
template <class Leaf, Reading Also, std::size_t Vectors, std::size_t... R> struct TileProduct {
  static HWY_INLINE COTENANT_DOT_CODE FloatVector lane(const char* from) {
    float bits;
    std::memcpy(&bits, from, sizeof bits);
    return hn::Set(FloatTag{}, bits);
  }
  static HWY_INLINE COTENANT_DOT_CODE void run(const TileStep& step, typename SumsOfRow<R>::type... first, typename SumsOfRow<R>::type... second,
                                               typename SumsOfRow<R>::type... third) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const char* const left[] = {step.left[R]...};
    const float* right = step.right;
    float* packed = step.packed;
    const char* next_right = step.next_right;
    const std::ptrdiff_t right_lane = step.right_lane, next_right_lane = step.next_right_lane, end = static_cast<std::ptrdiff_t>(step.lanes * sizeof(float));
    FloatVector value, right_second = hn::Zero(d), right_third = hn::Zero(d);
    // The places of the sums are needed after the last step: until then they have time to come. Near ones need not be asked for: it
    // costs 1 to 3 % of tiles of 64 to 128 lanes; far ones gain 2 %.
    if (step.sums_are_far)
      ((hwy::Prefetch(step.sums[R]), hwy::Prefetch(step.sums[R] + (Vectors - 1) * lanes), hwy::Prefetch(step.sums[R] + Vectors * lanes - 1)), ...);
    const auto zero = hn::Zero(d);
    std::ptrdiff_t k = 0;
    bool add = step.add;
    do {
      const std::ptrdiff_t part = std::min(end, k + static_cast<std::ptrdiff_t>(part_lanes * sizeof(float)));
      COTENANT_UNROLL_FOUR
      for (; k < part; k += sizeof(float)) {
        const auto right_first = hn::LoadU(d, right);
        if constexpr (Vectors > 1) right_second = hn::LoadU(d, right + lanes);
        if constexpr (Vectors > 2) right_third = hn::LoadU(d, right + 2 * lanes);
        right += right_lane;
        if constexpr (Also == Reading::packs) {
          hn::Store(right_first, d, packed);
          if constexpr (Vectors > 1) hn::Store(right_second, d, packed + lanes);
          if constexpr (Vectors > 2) hn::Store(right_third, d, packed + 2 * lanes);
          packed += Vectors * lanes;
        }
        if constexpr (Also != Reading::plain) {
          __builtin_prefetch(next_right, 0, 2);
          next_right += next_right_lane;
        }
        ((value = lane(left[R] + k), first = Leaf::accumulate(first, value, right_first),
          second = Vectors > 1 ? Leaf::accumulate(second, value, right_second) : second,
          third = Vectors > 2 ? Leaf::accumulate(third, value, right_third) : third),
         ...);
      }
      if (add) {
        ((first = Leaf::add(first, hn::LoadU(d, step.sums[R]))), ...);
        if constexpr (Vectors > 1) ((second = Leaf::add(second, hn::LoadU(d, step.sums[R] + lanes))), ...);
        if constexpr (Vectors > 2) ((third = Leaf::add(third, hn::LoadU(d, step.sums[R] + 2 * lanes))), ...);
      }
      ((hn::StoreU(first, d, step.sums[R]), first = zero), ...);
      if constexpr (Vectors > 1) ((hn::StoreU(second, d, step.sums[R] + lanes), second = zero), ...);
      if constexpr (Vectors > 2) ((hn::StoreU(third, d, step.sums[R] + 2 * lanes), third = zero), ...);
      add = true;
    } while (k < end);
  }
};
#undef COTENANT_UNROLL_FOUR

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
