// The two products of attention on one CPU target: single lanes of keys or values times panels of queries.
#if defined(COTENANT_CPU_ATTENTION_PANEL_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_ATTENTION_PANEL_INL_HPP
#undef COTENANT_CPU_ATTENTION_PANEL_INL_HPP
#else
#define COTENANT_CPU_ATTENTION_PANEL_INL_HPP
#endif
#include <cstddef>
#include <cstring>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/leaf-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// As many rows of sums as the registers hold, see TileProduct: 12 * 2 sums of 32 registers, 6 * 2 of 16.
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR || HWY_ARCH_WASM
inline constexpr std::size_t attention_rows = 6;
#else
inline constexpr std::size_t attention_rows = 12;
#endif

template <std::size_t> struct SumsOfQuery { using type = FloatVector; };

// The left operand: rows of lanes as the leaf has them, steps in bytes.
struct AttentionRows {
  const char* data = nullptr;
  std::ptrdiff_t row_step = 0, depth_step = 0;

  HWY_INLINE FloatVector spread(FloatTag d, std::size_t row) const {
    float lane;
    std::memcpy(&lane, data + static_cast<std::ptrdiff_t>(row) * row_step, sizeof lane);
    return hn::Set(d, lane);
  }
};

// What becomes of a tile's sums. Scores: scaled, and `terms` of their key added.
struct ScoreSums {
  float scale;
  const float* terms;
  HWY_INLINE FloatVector operator()(FloatTag d, FloatVector sum, std::size_t row, const float*) const {
    return hn::MulAdd(sum, hn::Set(d, scale), hn::Set(d, terms[row]));
  }
};
// Results: added to what is there.
struct ResultSums {
  bool add;
  HWY_INLINE FloatVector operator()(FloatTag d, FloatVector sum, std::size_t, const float* at) const { return add ? hn::Add(sum, hn::Load(d, at)) : sum; }
};

// sums[R][width] = finish(sum over k < depth of left(R, k) * right[k][width]).
template <class Leaf, bool Two, std::size_t... R> struct PanelProduct {
  template <class Finish>
  static HWY_INLINE COTENANT_DOT_CODE void run(AttentionRows left, const float* HWY_RESTRICT right, std::size_t depth, float* HWY_RESTRICT sums, const Finish& finish,
                                               std::size_t first_row, typename SumsOfQuery<R>::type... first, typename SumsOfQuery<R>::type... second) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), width = Two ? 2 * lanes : lanes;
    for (std::size_t k = 0; k < depth; ++k) {
      const auto right_first = hn::Load(d, right), right_second = Two ? hn::Load(d, right + lanes) : right_first;
      right += width;
      FloatVector value;
      ((value = left.spread(d, R), first = Leaf::accumulate(first, value, right_first), second = Two ? Leaf::accumulate(second, value, right_second) : second), ...);
      left.data += left.depth_step;
    }
    (hn::Store(finish(d, first, first_row + R, sums + R * width), d, sums + R * width), ...);
    if constexpr (Two) (hn::Store(finish(d, second, first_row + R, sums + R * width + lanes), d, sums + R * width + lanes), ...);
  }
};

template <std::int64_t Compiled, class Leaf> struct PanelProducts {
  // sums[rows][lanes] = finish(left · right), a tile of rows at a time; of two vectors or one.
  template <bool Two, class Finish> static void product(std::size_t rows, AttentionRows left, const float* right, std::size_t depth, float* sums, const Finish& finish) {
    const std::size_t lanes = (Two ? 2 : 1) * hn::Lanes(FloatTag{});
    for (std::size_t row = 0; row < rows;) {
      const std::size_t height = tile_of(rows - row);
      switch (height) {
        case 1: tile<Two>(std::make_index_sequence<1>{}, left, right, depth, sums, finish, row); break;
        case 4: tile<Two>(std::make_index_sequence<4>{}, left, right, depth, sums, finish, row); break;
        case 8: if constexpr (attention_rows > 8) tile<Two>(std::make_index_sequence<8>{}, left, right, depth, sums, finish, row); break;
        default: tile<Two>(std::make_index_sequence<attention_rows>{}, left, right, depth, sums, finish, row); break;
      }
      row += height;
      left.data += static_cast<std::ptrdiff_t>(height) * left.row_step;
      sums += height * lanes;
    }
  }

 private:
  static std::size_t tile_of(std::size_t rows) {
    if (rows >= attention_rows) return attention_rows;
    return attention_rows > 8 && rows >= 8 ? 8 : rows >= 4 ? 4 : 1;
  }
  template <bool Two, class Finish, std::size_t... R>
  static COTENANT_DOT_CODE void tile(std::index_sequence<R...>, const AttentionRows& left, const float* right, std::size_t depth, float* sums, const Finish& finish,
                                     std::size_t first_row) {
    const auto zero = hn::Zero(FloatTag{});
    PanelProduct<Leaf, Two, R...>::run(left, right, depth, sums, finish, first_row, (static_cast<void>(R), zero)..., (static_cast<void>(R), zero)...);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
