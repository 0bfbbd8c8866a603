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
  // Bytes are narrower: 192 lanes, a depth of 768, fit L1 in panels of three vectors, and with four are 2 % slower.
  static constexpr bool is_narrow = per_lane == 4 && tile_vectors == 4;
  static constexpr std::size_t rows = is_narrow ? 8 : tile_rows, widest = is_narrow ? 3 : tile_vectors;

  // The same products with this target's tiles, whatever problem.kernel is.
  static void block(const cpu::GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel, std::size_t last_panel) {
    cpu::GemmProblem own = problem;
    own.kernel = &kernel();
    cpu::multiply_blocks(own, first_row, last_row, first_panel, last_panel);
  }

  // Its address names this leaf on this target.
  static const cpu::GemmKernel& kernel() {
    using Packing = LanePacking<Compiled, per_lane>;
    static const cpu::GemmKernel table{hn::Lanes(FloatTag{}), per_lane, rows, widest, Leaf::is_exact, &multiply, &Packing::left, &Packing::right};
    return table;
  }

 private:
  static void multiply(std::size_t height, std::size_t vectors, bool packs, const TileColumn& tiles) {
    if (vectors == 1) return multiply_rows<8, 1>(tiles);
    if (vectors == 2) return multiply_rows<rows, 2>(tiles);
    if constexpr (widest == 4)
      if (vectors == 3) return multiply_rows<rows, 3>(tiles);
    if (height == 2) return multiply_rows<2, widest>(tiles);
    if constexpr (rows > 4)
      if (height == 4) return multiply_rows<4, widest>(tiles);
    if constexpr (rows > 6)
      if (height == 6) return multiply_rows<6, widest>(tiles);
    if constexpr (per_lane == 1)
      if (packs) return multiply_rows<rows, widest, Reading::packs>(tiles);
    multiply_rows<rows, widest, Reading::ahead>(tiles);
  }
  template <std::size_t Height, std::size_t Vectors, Reading Also = Reading::plain>
  static HWY_NOINLINE COTENANT_DOT_CODE void multiply_rows(const TileColumn& tiles) {
    multiply_each<Vectors, Also>(std::make_index_sequence<Height>{}, tiles);
  }
  template <std::size_t Vectors, Reading Also, std::size_t... R>
  static HWY_INLINE COTENANT_DOT_CODE void multiply_each(std::index_sequence<R...>, const TileColumn& tiles) {
    TileProduct<Leaf, Also, Vectors, R...>::run(tiles);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
