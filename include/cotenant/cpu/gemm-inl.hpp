// Gemm: the tiles of one CPU target and leaf, and the blocked product around them.
#if defined(COTENANT_CPU_GEMM_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_GEMM_INL_HPP
#undef COTENANT_CPU_GEMM_INL_HPP
#else
#define COTENANT_CPU_GEMM_INL_HPP
#endif
#include <cstddef>
#include <cstdint>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/blocked_product.hpp"
#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/pack-inl.hpp"
#include "cotenant/cpu/tile_product-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::int64_t Compiled, class Leaf = FloatLeaf> struct Gemm {
  static constexpr std::size_t per_lane = Leaf::per_lane;

  // The same products with this target's tiles, whatever problem.kernel is.
  static void block(const cpu::GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel, std::size_t last_panel) {
    cpu::GemmProblem own = problem;
    own.kernel = &kernel();
    cpu::multiply_blocks(own, first_row, last_row, first_panel, last_panel);
  }

  // Its address names this leaf on this target.
  static const cpu::GemmKernel& kernel() {
    using Packing = LanePacking<Compiled, per_lane>;
    static const cpu::GemmKernel table{hn::Lanes(FloatTag{}), per_lane, tile_rows, &multiply, &Packing::left, &Packing::right};
    return table;
  }

 private:
  static void multiply(std::size_t height, std::size_t vectors, Reading also, const TileStep& step) {
    if (vectors == 2) return multiply_height<2>(height, step);
    if (vectors == 1) return multiply_height<1>(height, step);
    if (height == tile_rows && also != Reading::plain) {
      if constexpr (per_lane == 1)
        if (also == Reading::packs) return multiply_rows<tile_rows, 3, Reading::packs>(step);
      return multiply_rows<tile_rows, 3, Reading::ahead>(step);
    }
    if (height == 2) return multiply_rows<2, 3, Reading::plain>(step);
    if constexpr (tile_rows > 4)
      if (height == 6) return multiply_rows<6, 3, Reading::plain>(step);
    multiply_height<3>(height, step);
  }
  // The lower half of the tile, or all of it.
  template <std::size_t Vectors> static HWY_INLINE void multiply_height(std::size_t height, const TileStep& step) {
    if (height == tile_rows) multiply_rows<tile_rows, Vectors, Reading::plain>(step);
    else multiply_rows<tile_rows / 2, Vectors, Reading::plain>(step);
  }
  template <std::size_t Height, std::size_t Vectors, Reading Also> static HWY_NOINLINE COTENANT_DOT_CODE void multiply_rows(const TileStep& step) {
    multiply_each<Vectors, Also>(std::make_index_sequence<Height>{}, step);
  }
  template <std::size_t Vectors, Reading Also, std::size_t... R>
  static HWY_INLINE COTENANT_DOT_CODE void multiply_each(std::index_sequence<R...>, const TileStep& step) {
    const auto zero = hn::Zero(FloatTag{});
    TileProduct<Leaf, Also, Vectors, R...>::run(step, (static_cast<void>(R), zero)..., (static_cast<void>(R), zero)..., (static_cast<void>(R), zero)...);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
