// The blocked matrix product of one CPU target: packed panels, a tile of sums in registers, any finish per tile.
#if defined(COTENANT_CPU_GEMM_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_GEMM_INL_HPP
#undef COTENANT_CPU_GEMM_INL_HPP
#else
#define COTENANT_CPU_GEMM_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/leaf-inl.hpp"
#include "cotenant/cpu/pack-inl.hpp"
#include "cotenant/cpu/packed.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/threads.hpp"

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
inline constexpr std::size_t tile_vectors = 3;

// Four steps in k per turn of the loop: its counter and jump cost 2 % of the time otherwise.
#if defined(__clang__)
#define COTENANT_UNROLL_FOUR _Pragma("unroll 4")
#else
#define COTENANT_UNROLL_FOUR _Pragma("GCC unroll 4")
#endif

template <std::size_t> struct SumsOfRow { using type = FloatVector; };

// One tile's product over one block of k.
struct TileStep {
  const char* left;           // row 0, lane 0
  std::ptrdiff_t left_row;    // bytes from row to row,
  std::ptrdiff_t left_lane;   // and from lane to lane
  const float* right;         // lane 0, column 0
  std::ptrdiff_t right_lane;  // floats from lane to lane
  std::size_t lanes;
  float* sums;                // row 0, column 0
  std::ptrdiff_t sums_row;
  std::size_t last_row;       // rows behind it repeat it
  bool add;                   // to what the sums are, else they begin at 0
};

// sums[r, column] (+)= sum over lanes of left[r, lane] · right[lane, column], for the rows R and `Vectors` vectors of columns.
// The running sums, which begin at 0, are parameters, one pack per vector, because compilers keep those in registers:
// arrays of vectors they may not.
template <class Leaf, std::size_t Vectors, std::size_t... R> struct TileProduct {
  static HWY_INLINE COTENANT_DOT_CODE FloatVector lane(const char* from) {
    float bits;
    std::memcpy(&bits, from, sizeof bits);
    return hn::Set(FloatTag{}, bits);
  }
  static HWY_INLINE COTENANT_DOT_CODE void run(const TileStep& step, typename SumsOfRow<R>::type... first, typename SumsOfRow<R>::type... second,
                                               typename SumsOfRow<R>::type... third) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    float* const sums[] = {step.sums + static_cast<std::ptrdiff_t>(std::min(R, step.last_row)) * step.sums_row...};
    // The places of the sums are needed after the last step: until then they have time to come into L1.
    ((hwy::Prefetch(sums[R]), hwy::Prefetch(sums[R] + (Vectors - 1) * lanes), hwy::Prefetch(sums[R] + Vectors * lanes - 1)), ...);
    const char* const left[] = {step.left + static_cast<std::ptrdiff_t>(std::min(R, step.last_row)) * step.left_row...};
    const float* right = step.right;
    const std::ptrdiff_t left_lane = step.left_lane, right_lane = step.right_lane;
    std::ptrdiff_t at = 0;
    FloatVector value, right_second = hn::Zero(d), right_third = hn::Zero(d);
    COTENANT_UNROLL_FOUR
    for (std::size_t k = 0; k < step.lanes; ++k) {
      const auto right_first = hn::LoadU(d, right);
      if constexpr (Vectors > 1) right_second = hn::LoadU(d, right + lanes);
      if constexpr (Vectors > 2) right_third = hn::LoadU(d, right + 2 * lanes);
      right += right_lane;
      ((value = lane(left[R] + at), first = Leaf::accumulate(first, value, right_first),
        second = Vectors > 1 ? Leaf::accumulate(second, value, right_second) : second,
        third = Vectors > 2 ? Leaf::accumulate(third, value, right_third) : third),
       ...);
      at += left_lane;
    }
    if (step.add) {
      ((first = Leaf::add(first, hn::LoadU(d, sums[R]))), ...);
      if constexpr (Vectors > 1) ((second = Leaf::add(second, hn::LoadU(d, sums[R] + lanes))), ...);
      if constexpr (Vectors > 2) ((third = Leaf::add(third, hn::LoadU(d, sums[R] + 2 * lanes))), ...);
    }
    (hn::StoreU(first, d, sums[R]), ...);
    if constexpr (Vectors > 1) (hn::StoreU(second, d, sums[R] + lanes), ...);
    if constexpr (Vectors > 2) (hn::StoreU(third, d, sums[R] + 2 * lanes), ...);
  }
};
#undef COTENANT_UNROLL_FOUR

template <std::int64_t Compiled, class Leaf = FloatLeaf> struct Gemm {
  static constexpr std::size_t per_lane = Leaf::per_lane;
  using Packing = LanePacking<Compiled, per_lane>;

  static cpu::Panels panels(const cpu::GemmProblem& problem) { return {problem.columns, hn::Lanes(FloatTag{})}; }

  // The right operand in panels for all calls with these weights, or null: see cpu::packed_right. `block` holds the
  // operand, which is one matrix for all batch entries.
  static std::shared_ptr<const cpu::PackedRight> packed(const cpu::GemmProblem& problem, const Block* block) {
    if (!(per_lane == 1 ? problem.right.is_float : problem.right.element_size * per_lane == sizeof(float))) return nullptr;
    const cpu::DepthBlocks blocks(problem.depth, per_lane);
    return cpu::packed_right(problem, block, &identity, blocks.lanes * panels(problem).padded_columns(), [&](float* to) {
      const PackingTask task{problem, to};
      // About 0.25 ns per lane, from memory to memory.
      cpu::parallel_for(panels(problem).count(), static_cast<double>(blocks.lanes * tile_vectors * hn::Lanes(FloatTag{})) / 4, &pack_panels, &task);
    });
  }

  // All sums of the rows [first_row, last_row) and panels [first_panel, last_panel), finished.
  static void block(const cpu::GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel, std::size_t last_panel) {
    const cpu::Panels panels = Gemm::panels(problem);
    const cpu::DepthBlocks blocks(problem.depth, per_lane);
    const std::size_t rows = last_row - first_row;
    const Left left = left_lanes(problem, first_row, rows, blocks.lanes);
    const std::size_t lanes = hn::Lanes(FloatTag{}), widest = tile_vectors * lanes;
    // Sums that are not the output itself wait here between the blocks of k: L2 holds those of one panel.
    float* const panel_sums = problem.direct == nullptr && blocks.count > 1 ? cpu::scratch(cpu::ScratchUse::accumulators, rows * widest) : nullptr;
    float* const packed = problem.packed_right == nullptr ? cpu::scratch(cpu::ScratchUse::packed_right, std::min(blocks.step, blocks.lanes) * widest) : nullptr;
    HWY_ALIGN float tile[tile_rows * tile_vectors * HWY_MAX_BYTES / sizeof(float)];

    for (std::size_t panel = first_panel; panel < last_panel; ++panel) {
      const std::size_t column = panels.first_column(panel), vectors = panels.vectors(panel), width = vectors * lanes;
      const std::size_t some = std::min(width, problem.columns - column);
      const auto n = static_cast<std::ptrdiff_t>(column);
      for (std::size_t block = 0; block < blocks.count; ++block) {
        const std::size_t first_lane = blocks.first(block), block_size = blocks.size(block);
        const bool begins = block == 0, ends = block + 1 == blocks.count;
        TileStep step{};
        step.left_lane = left.lane;
        step.lanes = block_size;
        step.add = !begins;
        step.right_lane = static_cast<std::ptrdiff_t>(width);
        if (problem.packed_right != nullptr) step.right = problem.packed_right + first_lane * panels.padded_columns() + block_size * column;
        else {
          pack_panel(problem, panels, blocks, panel, block, packed);
          step.right = packed;
        }
        for (std::size_t row = 0; row < rows;) {
          const std::size_t height = tile_height(rows - row), used = std::min(height, rows - row);
          const auto m = static_cast<std::ptrdiff_t>(first_row + row);
          step.left = left.data + static_cast<std::ptrdiff_t>(row) * left.row + static_cast<std::ptrdiff_t>(first_lane) * left.lane;
          step.left_row = left.row;
          step.last_row = used - 1;
          step.sums = tile;
          step.sums_row = static_cast<std::ptrdiff_t>(width);
          float* const output = problem.direct == nullptr ? nullptr : problem.direct + m * problem.direct_stride + n;
          if (output != nullptr && some == width) {
            step.sums = output;
            step.sums_row = problem.direct_stride;
          } else if (panel_sums != nullptr) {
            step.sums = panel_sums + row * width;
          } else if (output != nullptr && !begins) {
            for (std::size_t i = 0; i < used; ++i) std::copy_n(output + static_cast<std::ptrdiff_t>(i) * problem.direct_stride, some, tile + i * width);
          }
          multiply(height, vectors, step);
          if (output != nullptr && some < width) {
            for (std::size_t i = 0; i < used; ++i) std::copy_n(tile + i * width, some, output + static_cast<std::ptrdiff_t>(i) * problem.direct_stride);
          } else if (output == nullptr && ends) {
            problem.finish(problem.context, problem.batch, step.sums, step.sums_row, first_row + row, column, used, some);
          }
          row += used;
        }
      }
    }
  }

 private:
  static constexpr char identity = 0;  // its address names this kernel on this target

  struct PackingTask {
    const cpu::GemmProblem& problem;
    float* to;
  };
  static void pack_panels(const void* context, std::size_t first, std::size_t last) {
    const auto& task = *static_cast<const PackingTask*>(context);
    const cpu::Panels panels = Gemm::panels(task.problem);
    const cpu::DepthBlocks blocks(task.problem.depth, per_lane);
    for (std::size_t panel = first; panel < last; ++panel)
      for (std::size_t block = 0; block < blocks.count; ++block)
        pack_panel(task.problem, panels, blocks, panel, block, task.to + blocks.first(block) * panels.padded_columns() + blocks.size(block) * panels.first_column(panel));
  }
  static void pack_panel(const cpu::GemmProblem& problem, const cpu::Panels& panels, const cpu::DepthBlocks& blocks, std::size_t panel, std::size_t block, float* to) {
    const std::size_t column = panels.first_column(panel), width = panels.vectors(panel) * hn::Lanes(FloatTag{}), first = blocks.first(block) * per_lane;
    Packing::right(problem.right.moved(static_cast<std::ptrdiff_t>(first) * problem.right.row_stride + static_cast<std::ptrdiff_t>(column) * problem.right.column_stride),
                   std::min(blocks.size(block) * per_lane, problem.depth - first), std::min(width, problem.columns - column), to, width);
  }

  // Lanes of the left operand: those of row r, lane l are at data + r * row + l * lane bytes.
  struct Left {
    const char* data;
    std::ptrdiff_t row, lane;
  };
  // Rows whose neighbours along k lie side by side are read where they lie; others are packed into such rows first.
  static Left left_lanes(const cpu::GemmProblem& problem, std::size_t first_row, std::size_t rows, std::size_t lanes) {
    const cpu::Source from = problem.left.moved(static_cast<std::ptrdiff_t>(first_row) * problem.left.row_stride);
    const bool same_element = per_lane == 1 ? from.is_float : from.element_size * per_lane == sizeof(float);
    if (same_element && from.column_stride == 1 && problem.left_flip == 0 && problem.depth % per_lane == 0)
      return {from.data, from.row_stride * static_cast<std::ptrdiff_t>(from.element_size), sizeof(float)};
    // Whole cache lines and one more, so that the rows of a tile do not all fall into one set of the L1 cache.
    const std::size_t stride = lanes / 16 * 16 + 32;
    float* const packed = cpu::scratch(cpu::ScratchUse::packed_left, rows * stride);
    Packing::left(from, rows, problem.depth, problem.left_flip, packed, stride);
    return {reinterpret_cast<const char*>(packed), static_cast<std::ptrdiff_t>(stride * sizeof(float)), sizeof(float)};
  }
  // Of the tiles that have a kernel, the lowest that takes all `rows`, else the highest: what a tile has too much costs less
  // than another, lower tile, which is bound by the latency of its few sums.
  static std::size_t tile_height(std::size_t rows) {
    if (rows <= 2) return 2;
    return tile_rows > 4 && rows <= 4 ? 4 : tile_rows;
  }
  static void multiply(std::size_t height, std::size_t vectors, const TileStep& step) {
    if (vectors == 3) return multiply_vectors<3>(height, step);
    if (vectors == 2) return multiply_vectors<2>(height, step);
    return multiply_vectors<1>(height, step);
  }
  template <std::size_t Vectors> static HWY_INLINE void multiply_vectors(std::size_t height, const TileStep& step) {
    if (height == tile_rows) return multiply_rows<Vectors>(std::make_index_sequence<tile_rows>{}, step);
    if constexpr (tile_rows > 4)
      if (height == 4) return multiply_rows<Vectors>(std::make_index_sequence<4>{}, step);
    return multiply_rows<Vectors>(std::make_index_sequence<2>{}, step);
  }
  template <std::size_t Vectors, std::size_t... R> static HWY_NOINLINE COTENANT_DOT_CODE void multiply_rows(std::index_sequence<R...>, const TileStep& step) {
    const auto zero = hn::Zero(FloatTag{});
    TileProduct<Leaf, Vectors, R...>::run(step, (static_cast<void>(R), zero)..., (static_cast<void>(R), zero)..., (static_cast<void>(R), zero)...);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
