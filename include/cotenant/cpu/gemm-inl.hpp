// The blocked matrix product of one CPU target: packed panels, a tile of sums in registers, any finish per tile.
#if defined(COTENANT_CPU_GEMM_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_GEMM_INL_HPP
#undef COTENANT_CPU_GEMM_INL_HPP
#else
#define COTENANT_CPU_GEMM_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <utility>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/pack-inl.hpp"
#include "cotenant/cpu/scratch.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// The tile: `tile_rows` rows by two vectors. A step in k loads two vectors of the right operand, broadcasts one value of
// each row of the left one, and does 2 * tile_rows multiply-adds: at two per cycle and a latency of 4, eight sums in flight
// would do; more rows make the loads cheaper. With 32 registers 24 sums + 2 vectors + 1 value fit, with 16 registers
// 12 + 2 + 1.
// Better targets have smaller numbers.
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR || HWY_ARCH_WASM
inline constexpr std::size_t tile_rows = 6;
#else
inline constexpr std::size_t tile_rows = 12;
#endif
// The sum over k is cut into blocks, so that a panel of two vectors stays near: 384 * 2 * 64 bytes = 48 KiB with AVX-512,
// 24 KiB with AVX2, read from L2 at 128 bytes per tile_rows cycles at most. 256 and 512 were 1 to 2 % slower on Zen 5.
inline constexpr std::size_t block_depth = 384;
// Rows of the packed left operand are 384 + 16 floats apart: whole cache lines, and not a multiple of 4 KiB, which would
// put all rows of a tile into one set of the L1 cache.
inline constexpr std::size_t left_stride = block_depth + 16;
// Rows of the left operand that are packed at once: 384 * 400 * 4 = 600 KiB, part of it in L2; a tile's rows are read at
// 4 * tile_rows bytes per tile_rows cycles, which L3 delivers too.
inline constexpr std::size_t block_rows = 384;

template <std::size_t> struct SumsOfRow { using type = FloatVector; };

// sums[r * stride + 0 .. 2 vectors) (+)= sum over k of left[r * left_step + k] * right[k * 2 vectors + ...], for the rows R.
// The running sums, which begin at 0, are parameters, one pack per vector, because compilers keep those in registers:
// arrays of vectors they may not.
template <std::size_t... R> struct TileProduct {
  static HWY_INLINE void run(const float* HWY_RESTRICT left, const float* HWY_RESTRICT right, std::ptrdiff_t left_step, std::size_t depth, float* sums,
                             std::ptrdiff_t stride, bool add, typename SumsOfRow<R>::type... first, typename SumsOfRow<R>::type... second) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    // The places of the sums are needed after the last step: until then they have time to come into L1.
    ((hwy::Prefetch(sums + static_cast<std::ptrdiff_t>(R) * stride), hwy::Prefetch(sums + static_cast<std::ptrdiff_t>(R) * stride + 2 * lanes - 1)), ...);
    for (std::size_t k = 0; k < depth; ++k) {
      const auto right_first = hn::Load(d, right), right_second = hn::Load(d, right + lanes);
      right += 2 * lanes;
      FloatVector value;
      ((value = hn::Set(d, left[static_cast<std::ptrdiff_t>(R) * left_step]), first = hn::MulAdd(value, right_first, first),
        second = hn::MulAdd(value, right_second, second)),
       ...);
      ++left;
    }
    if (add)
      ((first = hn::Add(first, hn::LoadU(d, sums + static_cast<std::ptrdiff_t>(R) * stride)),
        second = hn::Add(second, hn::LoadU(d, sums + static_cast<std::ptrdiff_t>(R) * stride + static_cast<std::ptrdiff_t>(lanes)))),
       ...);
    ((hn::StoreU(first, d, sums + static_cast<std::ptrdiff_t>(R) * stride),
      hn::StoreU(second, d, sums + static_cast<std::ptrdiff_t>(R) * stride + static_cast<std::ptrdiff_t>(lanes))),
     ...);
  }
};

template <std::int64_t Compiled> struct Gemm {
  static std::size_t panel_columns() { return 2 * hn::Lanes(FloatTag{}); }

  // All sums of the rows [first_row, last_row) and columns [first_column, last_column), finished.
  static void block(const cpu::GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_column, std::size_t last_column) {
    const std::size_t width = panel_columns(), rows = last_row - first_row, columns = last_column - first_column;
    const std::size_t depth_blocks = problem.depth <= block_depth ? 1 : (problem.depth - 1) / block_depth + 1;
    const std::size_t depth_step = ((problem.depth + depth_blocks - 1) / depth_blocks + 3) / 4 * 4;
    const bool in_place = reads_in_place(problem.left);
    float* const packed_left = in_place ? nullptr : cpu::scratch(cpu::ScratchUse::packed_left, rows * left_stride);
    const std::ptrdiff_t left_step = in_place ? problem.left.row_stride : static_cast<std::ptrdiff_t>(left_stride);
    float* const right = cpu::scratch(cpu::ScratchUse::packed_right, block_depth * width);
    // Sums that are not the output itself wait here between the blocks of k.
    const std::size_t sums_stride = (columns + width - 1) / width * width;
    float* const all_sums = problem.direct == nullptr && depth_blocks > 1 ? cpu::scratch(cpu::ScratchUse::accumulators, rows * sums_stride) : nullptr;
    HWY_ALIGN float tile[tile_rows * 2 * HWY_MAX_BYTES / sizeof(float)];

    for (std::size_t block = 0; block < depth_blocks; ++block) {
      const std::size_t first_depth = std::min(problem.depth, block * depth_step), depth = std::min(depth_step, problem.depth - first_depth);
      const bool begins = block == 0, ends = block + 1 == depth_blocks;
      const auto k = static_cast<std::ptrdiff_t>(first_depth);
      const cpu::Source left_block = problem.left.moved(static_cast<std::ptrdiff_t>(first_row) * problem.left.row_stride + k * problem.left.column_stride);
      const float* const left = in_place ? reinterpret_cast<const float*>(left_block.data) : packed_left;
      if (!in_place) Packing<Compiled>::copy(left_block, rows, depth, packed_left, left_stride);
      for (std::size_t column = 0; column < columns; column += width) {
        const std::size_t some = std::min(width, columns - column);
        const auto n = static_cast<std::ptrdiff_t>(first_column + column);
        if (some < width) std::fill(right, right + depth * width, 0.0f);
        Packing<Compiled>::copy(problem.right.moved(k * problem.right.row_stride + n * problem.right.column_stride), depth, some, right, width);
        for (std::size_t row = 0; row < rows;) {
          const std::size_t height = tile_height(rows - row);
          const auto m = static_cast<std::ptrdiff_t>(first_row + row);
          float* sums = tile;
          auto stride = static_cast<std::ptrdiff_t>(width);
          float* const output = problem.direct == nullptr ? nullptr : problem.direct + m * problem.direct_stride + n;
          if (output != nullptr && some == width) {
            sums = output;
            stride = problem.direct_stride;
          } else if (all_sums != nullptr) {
            sums = all_sums + row * sums_stride + column;
            stride = static_cast<std::ptrdiff_t>(sums_stride);
          } else if (output != nullptr && !begins) {
            for (std::size_t i = 0; i < height; ++i) std::copy_n(output + static_cast<std::ptrdiff_t>(i) * problem.direct_stride, some, tile + i * width);
          }
          multiply(height, left + static_cast<std::ptrdiff_t>(row) * left_step, right, left_step, depth, sums, stride, !begins);
          if (output != nullptr && some < width) {
            for (std::size_t i = 0; i < height; ++i) std::copy_n(tile + i * width, some, output + static_cast<std::ptrdiff_t>(i) * problem.direct_stride);
          } else if (output == nullptr && ends) {
            problem.finish(problem.context, problem.batch, sums, stride, first_row + row, first_column + column, height, some);
          }
          row += height;
        }
      }
    }
  }

 private:
  // Rows of floats are read where they lie, unless all rows of a tile would fall into one set of the L1 cache.
  static bool reads_in_place(const cpu::Source& left) {
    const auto apart = static_cast<std::size_t>(left.row_stride < 0 ? -left.row_stride : left.row_stride) * sizeof(float) % 4096;
    return left.is_float && left.column_stride == 1 && apart >= 64 && apart <= 4096 - 64;
  }
  // The highest tile that has a kernel and does not exceed `rows`.
  static std::size_t tile_height(std::size_t rows) {
    if (rows >= tile_rows) return tile_rows;
    for (std::size_t height : {std::size_t{8}, std::size_t{4}, std::size_t{2}})
      if (height < tile_rows && rows >= height) return height;
    return 1;
  }
  static void multiply(std::size_t height, const float* left, const float* right, std::ptrdiff_t left_step, std::size_t depth, float* sums,
                       std::ptrdiff_t stride, bool add) {
    switch (height) {
      case 1: return multiply_rows<1>(left, right, left_step, depth, sums, stride, add);
      case 2: return multiply_rows<2>(left, right, left_step, depth, sums, stride, add);
      case 4: return multiply_rows<4>(left, right, left_step, depth, sums, stride, add);
      case 8: if constexpr (tile_rows > 8) return multiply_rows<8>(left, right, left_step, depth, sums, stride, add); else return;
      default: return multiply_rows<tile_rows>(left, right, left_step, depth, sums, stride, add);
    }
  }
  template <std::size_t Height>
  static void multiply_rows(const float* left, const float* right, std::ptrdiff_t left_step, std::size_t depth, float* sums, std::ptrdiff_t stride, bool add) {
    multiply_each(std::make_index_sequence<Height>{}, left, right, left_step, depth, sums, stride, add);
  }
  template <std::size_t... R> static HWY_INLINE void multiply_each(std::index_sequence<R...>, const float* left, const float* right, std::ptrdiff_t left_step,
                                                                   std::size_t depth, float* sums, std::ptrdiff_t stride, bool add) {
    const auto zero = hn::Zero(FloatTag{});
    TileProduct<R...>::run(left, right, left_step, depth, sums, stride, add, (static_cast<void>(R), zero)..., (static_cast<void>(R), zero)...);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
