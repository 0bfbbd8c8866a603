// The two products of attention on one CPU target: single floats of keys or values times panels of queries.
#if defined(COTENANT_CPU_ATTENTION_PANEL_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_ATTENTION_PANEL_INL_HPP
#undef COTENANT_CPU_ATTENTION_PANEL_INL_HPP
#else
#define COTENANT_CPU_ATTENTION_PANEL_INL_HPP
#endif
#include <cstddef>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/load_store-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// As many rows of sums as the registers hold, see TileProduct: 12 * 2 sums of 32 registers, 6 * 2 of 16.
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR || HWY_ARCH_WASM
inline constexpr std::size_t attention_rows = 6;
#else
inline constexpr std::size_t attention_rows = 12;
#endif

template <std::size_t> struct SumsOfQuery { using type = FloatVector; };

// sums[R][width] (+)= sum over k < depth of left[R * row_step + k * depth_step] * right[k][width].
template <bool Two, std::size_t... R> struct PanelProduct {
  static HWY_INLINE void run(const float* HWY_RESTRICT left, std::ptrdiff_t row_step, std::ptrdiff_t depth_step, const float* HWY_RESTRICT right,
                             std::size_t depth, float* HWY_RESTRICT sums, bool add, typename SumsOfQuery<R>::type... first,
                             typename SumsOfQuery<R>::type... second) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), width = Two ? 2 * lanes : lanes;
    for (std::size_t k = 0; k < depth; ++k) {
      const auto right_first = hn::Load(d, right), right_second = Two ? hn::Load(d, right + lanes) : right_first;
      right += width;
      FloatVector value;
      ((value = hn::Set(d, left[static_cast<std::ptrdiff_t>(R) * row_step]), first = hn::MulAdd(value, right_first, first),
        second = Two ? hn::MulAdd(value, right_second, second) : second),
       ...);
      left += depth_step;
    }
    if (add) {
      ((first = hn::Add(first, hn::Load(d, sums + R * width))), ...);
      if constexpr (Two) ((second = hn::Add(second, hn::Load(d, sums + R * width + lanes))), ...);
    }
    (hn::Store(first, d, sums + R * width), ...);
    if constexpr (Two) (hn::Store(second, d, sums + R * width + lanes), ...);
  }
};

template <std::int64_t Compiled> struct PanelProducts {
  // sums[rows][lanes] (+)= left · right, a tile of rows at a time.
  template <bool Two> static void product(std::size_t rows, const float* left, std::ptrdiff_t row_step, std::ptrdiff_t depth_step, const float* right,
                                          std::size_t depth, float* sums, bool add) {
    const std::size_t lanes = (Two ? 2 : 1) * hn::Lanes(FloatTag{});
    while (rows != 0) {
      const std::size_t height = tile_of(rows);
      switch (height) {
        case 1: tile<Two>(std::make_index_sequence<1>{}, left, row_step, depth_step, right, depth, sums, add); break;
        case 4: tile<Two>(std::make_index_sequence<4>{}, left, row_step, depth_step, right, depth, sums, add); break;
        case 8: if constexpr (attention_rows > 8) tile<Two>(std::make_index_sequence<8>{}, left, row_step, depth_step, right, depth, sums, add); break;
        default: tile<Two>(std::make_index_sequence<attention_rows>{}, left, row_step, depth_step, right, depth, sums, add); break;
      }
      rows -= height;
      left += static_cast<std::ptrdiff_t>(height) * row_step;
      sums += height * lanes;
    }
  }

 private:
  static std::size_t tile_of(std::size_t rows) {
    if (rows >= attention_rows) return attention_rows;
    return attention_rows > 8 && rows >= 8 ? 8 : rows >= 4 ? 4 : 1;
  }
  template <bool Two, std::size_t... R> static void tile(std::index_sequence<R...>, const float* left, std::ptrdiff_t row_step, std::ptrdiff_t depth_step,
                                                         const float* right, std::size_t depth, float* sums, bool add) {
    const auto zero = hn::Zero(FloatTag{});
    PanelProduct<Two, R...>::run(left, row_step, depth_step, right, depth, sums, add, (static_cast<void>(R), zero)..., (static_cast<void>(R), zero)...);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
