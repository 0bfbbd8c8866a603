// attention on a Vulkan device: which of its kernels runs, and with what.
#ifndef COTENANT_VULKAN_KERNELS_ATTENTION_HPP
#define COTENANT_VULKAN_KERNELS_ATTENTION_HPP
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "cotenant/vulkan/kernels/attention_code.hpp"
#include "cotenant/vulkan/kernels/attention_cooperative.hpp"
#include "cotenant/vulkan/kernels/attention_simt.hpp"
#include "cotenant/vulkan/kernels/matmul.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

namespace detail {

inline AttentionTile attention_tile(const Capabilities& device, std::size_t queries, std::size_t width) {
  AttentionTile tile;
  const bool small = device.type == DeviceType::software || device.max_workgroup_invocations < 256 || queries <= 32;
  if (small) tile.threads_down = tile.threads_over = 8, tile.unrolled = device.type != DeviceType::software;
  // All of a row of the values where registers and shared memory (32 KiB) have room; else workgroups share it out.
  const std::size_t groups = (width + tile.keys() - 1) / tile.keys();
  tile.width_groups = groups <= 1 ? 1 : groups <= 2 || !small ? 2 : 4;
  return tile;
}

// Whether fragments can be all that there is of scores and weights: elements of 16 bits everywhere, the result's too (weights are rounded
// to the values' elements), and rows that registers have room for. Lines are read whether they are asked for or not: there must be one.
inline bool may_attend_cooperatively(const Capabilities& device, const MatrixProduct& product, std::size_t keys) {
  if (keys == 0 || product.depth == 0) return false;
  const DType type = product.a().type;
  if (product.b().type != type || product.operands[3].type != type || product.out().type != type) return false;
  if (!may_cooperate(device, type, type, false) || product.depth > 128 || device.shared_memory_bytes < 49152) return false;
  const ComponentType component = type == DType::f16 ? ComponentType::float16 : ComponentType::bfloat16;
  return device.cooperative_matrix2_conversions || has_shape(device, component, component, 16, 16, 16);
}
// From measurements on an H100: 64 queries in parts of 16 and 64 keys at a time are as fast as twice the queries or parts of 32 (333 µs
// against 316 to 350 for 4x16x2048x64), and faster where there are few queries (11 against 15 to 20 µs for 1x12x512x64). Two blocks of
// wider keys and values have room in 48 KiB of shared memory with half as many.
inline CooperativeAttentionTile cooperative_attention_tile(const Capabilities& device, const MatrixProduct& product) {
  CooperativeAttentionTile tile;
  tile.depth = static_cast<std::uint32_t>(round_up(std::max<std::size_t>(product.depth, 1), 16));
  tile.width = static_cast<std::uint32_t>(std::min<std::size_t>(round_up(product.columns, 16), 128));
  if (tile.depth + tile.width > 128) tile.keys = 32;
  tile.converts = device.cooperative_matrix2_conversions;
  return tile;
}

// How the chosen kernel reads its operands. `vector`: elements of one access, 0 where every element is read alone.
inline AttentionCode attention_code(const MatrixProduct& product, std::size_t keys, bool cooperates, std::size_t vector, MaskKind mask, bool causal) {
  AttentionCode code;
  ProductCode& p = code.product;
  const auto fetch = [&](const MatrixOperand& x, bool left, std::size_t depth, std::size_t across) {
    if (vector == 0) return Fetch::scalar_depth;
    return left ? fetch_of(x, x.column, x.row, depth, across, vector, product.batch_rank, true)
                : fetch_of(x, x.row, x.column, depth, across, vector, product.batch_rank, false);
  };
  const MatrixOperand &out = product.out(), &v = product.operands[3];
  p.a = product.a().type, p.b = product.b().type, p.out = out.type;
  p.fetch_a = fetch(product.a(), true, product.depth, product.rows);
  p.fetch_b = fetch(product.b(), false, product.depth, keys);
  code.fetch_v = fetch(v, false, keys, product.columns);
  p.vector_out = vector != 0 && out.column == 1 && product.columns % 4 == 0 && out.aligned(4 * size_of(out.type), true, product.batch_rank);
  p.batch_rank = std::max<std::size_t>(product.batch_rank, 2);
  for (std::size_t i = 3; i < product.operands.size(); ++i) p.extra.push_back({product.operands[i].type, Along::strided, false});
  p.epilogue = plain_epilogue;
  code.mask = mask, code.causal = causal;
  if (!cooperates) return code;
  code.mask_per_key = mask != MaskKind::none && product.operands[4].row == 0;
  // Words lie along the elements of one position; else those are read one by one, whatever lies beside each other.
  if (p.fetch_a != Fetch::vector_depth) p.fetch_a = Fetch::scalar_depth;
  if (p.fetch_b != Fetch::vector_depth) p.fetch_b = Fetch::scalar_depth;
  if (code.fetch_v != Fetch::vector_across) code.fetch_v = Fetch::scalar_depth;
  return code;
}

// `given`: the tile to measure; else the choice is made here.
inline void run_attention(Device& device, Stream& stream, MatrixProduct product, std::size_t keys, float scale, bool causal, MaskKind mask,
                          const CooperativeAttentionTile* given = nullptr) {
  if (product.empty()) return;
  check_reach(product);
  product.merge_batches(false);
  const Capabilities& capabilities = device.capabilities();
  const bool cooperates = given != nullptr || may_attend_cooperatively(capabilities, product, keys);
  const CooperativeAttentionTile fragments = given != nullptr ? *given : cooperative_attention_tile(capabilities, product);
  const AttentionTile tile = attention_tile(capabilities, product.rows, product.columns);
  const std::uint32_t queries = cooperates ? fragments.queries : tile.queries(), width = cooperates ? fragments.width : tile.width();
  // The result may be q itself: with one workgroup for all of a row, that is read before it is written.
  BlockRef copied;
  if (product.columns > width && product.a().reach.address == product.out().reach.address) {
    MatrixOperand& q = product.a();
    copied = temporary(stream, q.reach.bytes);
    stream.copy({q.block, q.reach.address, q.reach.bytes, Access::read}, device.memory().find(q.reach.address), whole(copied, Access::write),
        device.memory().find(copied->data()), nullptr);
    q.block = copied.get(), q.reach.address = copied->data();
  }
  const AttentionCode code = attention_code(product, keys, cooperates, cooperates ? 8 : capabilities.type == DeviceType::software ? 0 : 4, mask, causal);
  const KernelKey key = (cooperates ? fragments.key() : tile.key()).append(' ', code.key());
  auto scalars = product_scalars(product, code.product, std::max<std::size_t>(product.depth, 1));
  scalars.push_back(static_cast<std::uint32_t>(keys));
  scalars.push_back(__builtin_bit_cast(std::uint32_t, scale));
  scalars.push_back(static_cast<std::uint32_t>(keys - product.rows));  // as a signed number
  const auto buffers = buffer_arguments(product);
  const std::size_t tiles = (product.rows + queries - 1) / queries * ((product.columns + width - 1) / width) * product.batches();
  device.launch(stream, {key, buffers, scalars, folded_groups(tiles), cooperates ? fragments.subgroup : 0}, [&](const Target& target) {
    return cooperates ? CooperativeAttentionEmitter(target, code, fragments).emit() : AttentionEmitter(target, code, tile).emit();
  });
}

}  // namespace detail

namespace kernels {

COTENANT_VULKAN_INLINE void attention(Stream& stream, const AnyAttention& x, const CooperativeAttentionTile* tile) {
  const std::size_t rank = x.k.shape().rank(), keys = x.k.shape()[rank - 2], depth = x.q.shape().back();
  const AnyOperand transposed = x.k.with(transpose(x.k.view.layout(), -1, -2));
  const bool has_mask = x.mask.block != nullptr;
  const std::array extra{x.v, x.mask};
  const MatrixProduct product = matrix_product(depth, x.q, transposed, x.out, std::span(extra).first(has_mask ? 2 : 1));
  const MaskKind mask = !has_mask ? MaskKind::none : x.mask.type() == DType::boolean ? MaskKind::keep : MaskKind::add;
  vulkan::detail::run_attention(stream.device(), stream, product, keys, x.scale, x.causal, mask, tile);
}

}  // namespace kernels
}  // namespace cotenant::vulkan

#endif
