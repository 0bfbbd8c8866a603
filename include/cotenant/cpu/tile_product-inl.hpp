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

// The tile: `tile_rows` rows by `tile_vectors` vectors. With 32 registers 6 x 4: a step in k loads four vectors of the right operand,
// broadcasts one lane of each of six rows of the left one, and does 24 multiply-adds. At two per cycle and a latency of 4 the eight sums
// in flight that are needed are there, ten loads leave the two load ports more than half idle, and 24 sums + 4 vectors + 1 lane fit. 8 x 3
// does as well, but 64 columns and their multiples are whole panels of four vectors. With 16 registers 4 x 3: 12 + 3 + 1.
// Better targets have smaller numbers.
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR || HWY_ARCH_WASM
inline constexpr std::size_t tile_rows = 4, tile_vectors = 3;
#else
inline constexpr std::size_t tile_rows = 6, tile_vectors = 4;
#endif
using cpu::Reading, cpu::TileColumn;
// A panel that is packed is asked for so many lanes ahead: those before, at 12 cycles each, cover what the last cache needs. A column of a
// matrix may have few sets of the caches, so that more of it would push itself out.
inline constexpr std::ptrdiff_t lanes_ahead = 8;

// Four steps in k per turn of the loop: its counter and jump cost 2 % of the time otherwise.
#if defined(__clang__)
#define COTENANT_UNROLL_FOUR _Pragma("unroll 4")
#else
#define COTENANT_UNROLL_FOUR _Pragma("GCC unroll 4")
#endif

template <std::size_t> struct SumsOfRow { using type = FloatVector; };

// sums[r][column] (+)= sum over lanes of left[r][lane] · right[lane][column], for rows in tiles of the rows R and `Vectors` vectors of
// columns. The running sums, which begin at 0, are parameters, one pack per vector, because compilers keep those in registers:
// arrays of vectors they may not.
template <class Leaf, Reading Also, std::size_t Vectors, std::size_t... R> struct TileProduct {
  static HWY_INLINE COTENANT_DOT_CODE void run(TileColumn tiles) {
    constexpr std::size_t height = sizeof...(R);
    const auto zero = hn::Zero(FloatTag{});
    for (;;) {
      tile(tiles, std::min(tiles.rows, height), (static_cast<void>(R), zero)..., (static_cast<void>(R), zero)..., (static_cast<void>(R), zero)...,
           (static_cast<void>(R), zero)...);
      if (tiles.rows <= height) return;
      tiles.rows -= height;
      tiles.left += static_cast<std::ptrdiff_t>(height) * tiles.left_row;
      tiles.sums += static_cast<std::ptrdiff_t>(height) * tiles.sums_row;
      if constexpr (Leaf::is_exact) tiles.scaling = tiles.scaling.moved(height, 0);
      if (tiles.asking > 0) --tiles.asking, tiles.next_right += tiles.next_right_tile;
    }
  }

 private:
  static HWY_INLINE COTENANT_DOT_CODE FloatVector lane(const char* from) {
    float bits;
    std::memcpy(&bits, from, sizeof bits);
    return hn::Set(FloatTag{}, bits);
  }
  // Sums of one vector of columns become floats. Rows beyond `last` are that one again.
  static HWY_INLINE COTENANT_DOT_CODE void scale(const cpu::Scaling& scaling, std::size_t last, std::size_t column, typename SumsOfRow<R>::type&... sums) {
    const hn::RebindToSigned<FloatTag> integer;
    if (scaling.row_zero != nullptr) {
      const auto of_column = hn::LoadU(integer, scaling.column_sums + column);
      ((sums = Leaf::subtract(sums, scaling.row_zero[std::min(R, last)], of_column)), ...);
    }
    if (scaling.column_zero != nullptr) {
      const auto of_column = hn::LoadU(integer, scaling.column_zero + column);
      ((sums = Leaf::subtract(sums, scaling.row_sums[std::min(R, last)], of_column)), ...);
    }
    const FloatTag d;
    const auto column_scale = hn::LoadU(d, scaling.column_scale + column);
    ((sums = Leaf::scale(sums, column_scale)), ...);
    if (scaling.row_scale != nullptr) ((sums = hn::Mul(sums, hn::Set(d, scaling.row_scale[std::min(R, last)]))), ...);
  }
  // Of the rows R those below `used`; the others are the last one again.
  static HWY_INLINE COTENANT_DOT_CODE void tile(const TileColumn& tiles, std::size_t used, typename SumsOfRow<R>::type... first,
                                                typename SumsOfRow<R>::type... second, typename SumsOfRow<R>::type... third,
                                                typename SumsOfRow<R>::type... fourth) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const char* left_at = tiles.left;
    const char* const left[] = {left_at += R != 0 && R < used ? tiles.left_row : 0 ...};
    float* sums_at = tiles.sums;
    float* const sums[] = {sums_at += R != 0 && R < used ? tiles.sums_row : 0 ...};
    const float* right = tiles.right;
    float* packed = tiles.packed;
    // Where nothing is asked for, a line that is near: looking for a page that is not there takes long.
    const char* next_right = tiles.asking > 0 ? tiles.next_right : tiles.left;
    const std::ptrdiff_t ask = lanes_ahead * tiles.right_lane;
    const std::ptrdiff_t right_lane = tiles.right_lane, next_right_lane = tiles.asking > 0 ? tiles.next_right_lane : 0,
                         end = static_cast<std::ptrdiff_t>(tiles.lanes * sizeof(float));
    FloatVector value, right_second = hn::Zero(d), right_third = hn::Zero(d), right_fourth = hn::Zero(d);
    // The places of the sums are needed after the last step: until then they have time to come. Near ones need not be asked for: it
    // costs 1 to 3 % of tiles of 64 to 128 lanes; far ones gain 2 %.
    if (tiles.sums_are_far)
      for (std::size_t at = 0; at < Vectors * lanes; at += 16) ((hwy::Prefetch(sums[R] + at)), ...);
    const auto zero = hn::Zero(d);
    std::ptrdiff_t k = 0;
    bool add = tiles.add;
    do {
      const std::ptrdiff_t part = std::min(end, k + static_cast<std::ptrdiff_t>(tiles.part * sizeof(float)));
      COTENANT_UNROLL_FOUR
      for (; k < part; k += sizeof(float)) {
        const auto right_first = hn::LoadU(d, right);
        if constexpr (Vectors > 1) right_second = hn::LoadU(d, right + lanes);
        if constexpr (Vectors > 2) right_third = hn::LoadU(d, right + 2 * lanes);
        if constexpr (Vectors > 3) right_fourth = hn::LoadU(d, right + 3 * lanes);
        right += right_lane;
        if constexpr (Also != Reading::plain) {
          __builtin_prefetch(next_right, 0, 2);
          next_right += next_right_lane;
        }
        if constexpr (Also == Reading::packs) {
          for (std::size_t column = 0; column < Vectors * lanes; column += 16) hwy::Prefetch(right + ask + column);
          hn::Store(right_first, d, packed);
          if constexpr (Vectors > 1) hn::Store(right_second, d, packed + lanes);
          if constexpr (Vectors > 2) hn::Store(right_third, d, packed + 2 * lanes);
          if constexpr (Vectors > 3) hn::Store(right_fourth, d, packed + 3 * lanes);
          packed += Vectors * lanes;
        }
        ((value = lane(left[R] + k), first = Leaf::accumulate(first, value, right_first),
          second = Vectors > 1 ? Leaf::accumulate(second, value, right_second) : second,
          third = Vectors > 2 ? Leaf::accumulate(third, value, right_third) : third,
          fourth = Vectors > 3 ? Leaf::accumulate(fourth, value, right_fourth) : fourth),
         ...);
      }
      if (add) {
        ((first = Leaf::add(first, hn::LoadU(d, sums[R]))), ...);
        if constexpr (Vectors > 1) ((second = Leaf::add(second, hn::LoadU(d, sums[R] + lanes))), ...);
        if constexpr (Vectors > 2) ((third = Leaf::add(third, hn::LoadU(d, sums[R] + 2 * lanes))), ...);
        if constexpr (Vectors > 3) ((fourth = Leaf::add(fourth, hn::LoadU(d, sums[R] + 3 * lanes))), ...);
      }
      if constexpr (Leaf::is_exact)
        if (tiles.scales) {
          scale(tiles.scaling, used - 1, 0, first...);
          if constexpr (Vectors > 1) scale(tiles.scaling, used - 1, lanes, second...);
          if constexpr (Vectors > 2) scale(tiles.scaling, used - 1, 2 * lanes, third...);
          if constexpr (Vectors > 3) scale(tiles.scaling, used - 1, 3 * lanes, fourth...);
        }
      ((hn::StoreU(first, d, sums[R]), first = zero), ...);
      if constexpr (Vectors > 1) ((hn::StoreU(second, d, sums[R] + lanes), second = zero), ...);
      if constexpr (Vectors > 2) ((hn::StoreU(third, d, sums[R] + 2 * lanes), third = zero), ...);
      if constexpr (Vectors > 3) ((hn::StoreU(fourth, d, sums[R] + 3 * lanes), fourth = zero), ...);
      add = true;
    } while (k < end);
  }
};
#undef COTENANT_UNROLL_FOUR

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
