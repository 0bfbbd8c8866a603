// Which kernel multiplies: the choice of a tile by the product's extents and the device, and how its operands are read.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_PLAN_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_PLAN_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "cotenant/vulkan/kernels/matrix_product.hpp"
#include "cotenant/vulkan/kernels/product_cooperative.hpp"
#include "cotenant/vulkan/kernels/product_few.hpp"
#include "cotenant/vulkan/kernels/product_frame.hpp"
#include "cotenant/vulkan/kernels/product_simt.hpp"
#include "cotenant/vulkan/kernels/product_times.hpp"
#include "cotenant/vulkan/kernels/product_workgroup.hpp"

namespace cotenant::vulkan {

enum class ProductKernel : std::uint8_t { few, simt, cooperative, workgroup };

struct ProductPlan {
  ProductKernel kernel = ProductKernel::simt;
  FewTile few;
  SimtTile simt;
  CooperativeTile cooperative;
  WorkgroupTile workgroup;
  bool plain = false;      // every operand element by element: where compiling takes longer than computing
  std::size_t splits = 1;  // parts of depth, each of split_depth steps, computed beside each other
  std::size_t split_depth = 0;

  // f(tile) of the tile in use.
  template <class F> auto with_tile(F f) const {
    switch (kernel) {
      case ProductKernel::few: return f(few);
      case ProductKernel::cooperative: return f(cooperative);
      case ProductKernel::workgroup: return f(workgroup);
      case ProductKernel::simt: break;
    }
    return f(simt);
  }
  TileExtent extent() const { return with_tile([](const auto& tile) { return tile.extent(); }); }
  std::uint32_t depth() const { return extent().depth; }
  KernelKey key() const { return with_tile([](const auto& tile) { return tile.key(); }); }
  std::size_t tiles(const MatrixProduct& product) const {
    const TileExtent tile = extent();
    return (product.rows + tile.rows - 1) / tile.rows * ((product.columns + tile.columns - 1) / tile.columns) * product.batches();
  }
};

// As many rows as read the right side once each at less cost than a tile's idle ones.
inline constexpr std::size_t few_rows = 8;

namespace detail {

// How a side is read whose elements lie `step` apart along depth and `stride` apart across, in vectors of `vector` elements.
inline Fetch fetch_of(const MatrixOperand& x, std::ptrdiff_t step, std::ptrdiff_t stride, std::size_t depth, std::size_t across, std::size_t vector,
    std::size_t batch_rank, bool is_left) {
  const std::size_t bytes = vector * size_of(x.type);
  if (step == 1 && (depth % vector == 0 || x.padded) && x.aligned(bytes, is_left, batch_rank)) return Fetch::vector_depth;
  if (stride == 1 && (across % vector == 0 || x.padded) && x.aligned(bytes, !is_left, batch_rank)) return Fetch::vector_across;
  return std::abs(step) <= std::abs(stride) ? Fetch::scalar_depth : Fetch::scalar_across;
}
inline std::size_t round_up(std::size_t value, std::size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Workgroups that keep the device busy: one per multiprocessor; where their number is unknown, that of a middle-sized GPU.
inline std::size_t workgroups_at_once(const Capabilities& device) {
  if (device.multiprocessors != 0) return device.multiprocessors;
  return device.type == DeviceType::discrete ? 80 : 16;
}

// Whether the device has m x n x k matrices of these components in a subgroup of 32.
inline bool has_shape(const Capabilities& device, ComponentType a, ComponentType c, std::uint32_t m, std::uint32_t n, std::uint32_t k) {
  return std::any_of(device.matrix_shapes.begin(), device.matrix_shapes.end(), [&](const MatrixShape& s) {
    return s.scope == 3 && s.a == a && s.b == a && s.c == c && s.result == c && s.m == m && s.n == n && s.k == k && !s.saturating;
  });
}
// Whether both sides come in words of 16 bytes.
inline bool reads_words(const MatrixProduct& product) {
  const MatrixOperand &a = product.a(), &b = product.b();
  return is_vector(fetch_of(a, a.column, a.row, product.depth, product.rows, 16 / size_of(a.type), product.batch_rank, true)) &&
      is_vector(fetch_of(b, b.row, b.column, product.depth, product.columns, 16 / size_of(b.type), product.batch_rank, false));
}
inline bool may_cooperate(const Capabilities& device, DType a, DType b, bool integers) {
  if (!device.cooperative_matrix || !device.vulkan_memory_model) return false;
  if (device.subgroup_size != 32 && !(device.subgroup_size_control && device.min_subgroup_size <= 32 && device.max_subgroup_size >= 32)) return false;
  if (integers) return size_of(a) == 1 && size_of(b) == 1 && a != DType::i4x2 && b != DType::i4x2 &&
      has_shape(device, ComponentType::sint8, ComponentType::sint32, 16, 16, 32);
  if (a != b) return false;
  if (a == DType::f16) return has_shape(device, ComponentType::float16, ComponentType::float32, 16, 16, 16);
  return a == DType::bf16 && device.bfloat16_cooperative_matrix && has_shape(device, ComponentType::bfloat16, ComponentType::float32, 16, 16, 16);
}

// Whether its blocks, however operands are read, its strips and its threads find room.
inline bool fits(const Capabilities& device, const CooperativeTile& tile, DType a, DType b) {
  std::size_t words = tile.subgroups() * tile.strip();
  for (const Fetch fetch : {Fetch::vector_depth, Fetch::vector_across}) {
    const std::size_t block = CooperativeSide::Layout(tile, true, fetch, a).size() + CooperativeSide::Layout(tile, false, fetch, b).size();
    words = std::max(words, tile.blocks * block);
  }
  return words * 16 <= device.shared_memory_bytes && tile.threads() <= device.max_workgroup_invocations;
}
// The tile and the number of parts of depth that take the least time.
inline void choose_tile(const Capabilities& device, const MatrixProduct& product, std::size_t multiprocessors, ProductPlan& plan) {
  const MatrixOperand &a = product.a(), &b = product.b();
  // Half lines of the cache take as long as whole ones: blocks of fewer than 128 bytes of depth are for sides that lie across it.
  const bool along_depth = std::abs(a.column) <= std::abs(a.row) && std::abs(b.row) <= std::abs(b.column);
  plan.cooperative = for_elements(timed_tiles[0].tile, size_of(a.type));
  double least = 0;
  for (const TimedTile& choice : timed_tiles) {
    if (along_depth && choice.tile.depth < 64) continue;
    const TileTimes times(choice, product, multiprocessors);
    const auto consider = [&](std::size_t splits, double time) {
      if ((least != 0 && time > least) || !fits(device, times.tile(), a.type, b.type)) return;
      least = time, plan.cooperative = times.tile(), plan.splits = splits;
    };
    consider(1, times.of(1));
    const std::size_t most = times.most_splits(least);
    for (const std::size_t splits : {2, 3, 4, 6, 8, 12}) if (splits <= most) consider(splits, times.of(splits));
  }
}

}  // namespace detail

// The kernel for a product on a device, without any measurement; the same every time.
inline ProductPlan default_plan(const Capabilities& device, const MatrixProduct& product, bool integers, bool quantised) {
  ProductPlan plan;
  const std::size_t at_once = detail::workgroups_at_once(device);
  const bool software = device.type == DeviceType::software;
  plan.plain = software;
  const auto tiles_of = [&](std::size_t rows, std::size_t columns) {
    return (product.rows + rows - 1) / rows * ((product.columns + columns - 1) / columns) * product.batches();
  };
  const bool cooperates = !quantised && detail::may_cooperate(device, product.a().type, product.b().type, integers);
  // From three rows on one row of matrices multiplies as fast as memory brings the right side, if that comes in whole words.
  const bool matrices_of_few = cooperates && product.rows > 2 && detail::reads_words(product);
  if (product.rows <= few_rows && !matrices_of_few) {
    plan.kernel = ProductKernel::few;
    plan.few = choose_few_tile(device, product.rows, product.columns * product.batches(), product.b().type,
        std::abs(product.b().row) <= std::abs(product.b().column), at_once);
    return plan;
  }
  if (cooperates) {
    plan.kernel = ProductKernel::cooperative;
    if (product.rows > few_rows) {
      detail::choose_tile(device, product, at_once, plan);
      return plan;
    }
    // A row of matrices that reads the right side once each.
    plan.cooperative = detail::for_elements({16, 64, 128, 16, 16}, size_of(product.a().type));
  } else {
    plan.kernel = ProductKernel::simt;
    plan.simt = {8, 8, 1, 1, 16, false};
    if (!software && !quantised) {
      double least = 0;
      for (const auto& choice : detail::rated_tiles) {
        if (choice.tile.shared() * 16 > device.shared_memory_bytes || choice.tile.threads() > device.max_workgroup_invocations) continue;
        // Parts of four steps' depth at least, and no more than four workgroups for each multiprocessor.
        const std::size_t tiles = std::max<std::size_t>(tiles_of(choice.tile.rows(), choice.tile.columns()), 1);
        const std::size_t most = std::clamp<std::size_t>(std::min(product.depth / (4 * choice.tile.depth), 4 * at_once / tiles), 1, 16);
        for (std::size_t splits = 1; splits <= most; ++splits) {
          const double cost = detail::cost_of(choice, product, splits, at_once);
          if (least != 0 && cost >= least) continue;
          least = cost, plan.simt = choice.tile, plan.splits = splits;
        }
      }
      if (least != 0) return plan;
    }
  }
  // Where there are few tiles and many steps, several workgroups share a tile's depth.
  const std::size_t tiles = plan.tiles(product);
  if (!software && tiles * 2 <= at_once && product.depth >= 16 * plan.depth()) {
    const std::size_t most = std::min({2 * at_once / std::max<std::size_t>(tiles, 1), product.depth / (4 * plan.depth()), std::size_t{16}});
    plan.splits = std::max<std::size_t>(most, 1);
  }
  return plan;
}

// How the chosen kernel reads both sides and writes the result.
inline void choose_fetches(ProductPlan& plan, const MatrixProduct& product, ProductCode& code) {
  const bool cooperative = plan.kernel == ProductKernel::cooperative || plan.kernel == ProductKernel::workgroup;
  const auto vector = [&](const MatrixOperand& x) { return cooperative ? 16 / size_of(x.type) : std::size_t{4}; };
  const MatrixOperand &a = product.a(), &b = product.b(), &out = product.out();
  code.a = a.type, code.b = b.type, code.out = out.type;
  code.fetch_a = detail::fetch_of(a, a.column, a.row, product.depth, product.rows, vector(a), product.batch_rank, true);
  code.fetch_b = detail::fetch_of(b, b.row, b.column, product.depth, product.columns, vector(b), product.batch_rank, false);
  code.vector_out = out.column == 1 && product.columns % 4 == 0 && out.aligned(4 * size_of(out.type), true, product.batch_rank);
  if (plan.plain || code.element_a) code.fetch_a = Fetch::scalar_depth;
  if (plan.plain || code.element_b) code.fetch_b = Fetch::scalar_depth;
  if (plan.kernel == ProductKernel::few) {
    const Fetch wanted = plan.few.along_depth ? Fetch::vector_depth : Fetch::vector_across;
    if (code.fetch_b != wanted) code.fetch_b = plan.few.along_depth ? Fetch::scalar_depth : Fetch::scalar_across;
    if (code.fetch_a != Fetch::vector_depth) code.fetch_a = Fetch::scalar_depth;
    code.vector_out = false;
  }
  if (plan.plain) code.vector_out = false;
  for (std::size_t i = 3; i < product.operands.size(); ++i) {
    const MatrixOperand& x = product.operands[i];
    if (i - 3 < code.hidden()) {
      code.extra.push_back({x.type, Along::strided, false});
      continue;
    }
    Along along = Along::strided;
    if (x.column == 0) along = Along::repeated;
    else if (x.column == 1 && product.columns % 4 == 0 && x.aligned(4 * size_of(x.type), true, product.batch_rank))
      along = x.row == 0 ? Along::same : Along::dense;
    else code.vector_out = false;
    code.extra.push_back({x.type, along});
  }
  if (!code.vector_out) for (ProductCode::Extra& x : code.extra) x.along = Along::strided;
  // Two axes where there are fewer: one kernel less for each.
  code.batch_rank = product.batch_rank == 0 && !plan.plain ? 0 : std::max<std::size_t>(product.batch_rank, 2);
  if (plan.splits > 1) {
    plan.split_depth = detail::round_up((product.depth + plan.splits - 1) / plan.splits, plan.depth());
    plan.splits = (product.depth + plan.split_depth - 1) / plan.split_depth;
  }
  if (plan.splits <= 1) plan.splits = 1, plan.split_depth = std::max<std::size_t>(product.depth, 1);
}

}  // namespace cotenant::vulkan

#endif
