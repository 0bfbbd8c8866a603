// A copy of one side of a product that tiles read fast: lines at multiples of 16 bytes, padded with what counts as 0, quantised values as
// numbers; or turned, so that neighbours lie along the axis that the tiles want.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_PACK_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_PACK_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/copy.hpp"
#include "cotenant/vulkan/kernels/product_frame.hpp"
#include "cotenant/vulkan/kernels/product_plan.hpp"
#include "cotenant/vulkan/storage.hpp"

namespace cotenant::vulkan {

inline constexpr std::uint32_t pack_tile_lines = 8, pack_tile_words = 32;

// Rows are the lines, columns the elements of a padded line, depth those of a line before. `along_depth`: lines go along the
// product's depth; `left`: the side that a hook is told.
inline spirv::Words emit_pack(const Target& target, const ProductCode& code, bool left, bool along_depth) {
  KernelBuilder k(target, {.workgroup = pack_tile_lines * pack_tile_words});
  ProductFrame frame(k, code);
  const auto per_word = static_cast<std::uint32_t>(16 / size_of(code.out));
  // Matrices of bytes take unsigned ones 128 less.
  const std::uint32_t padding = code.integers && (left ? code.a : code.b) == DType::u8 ? 128 : 0;
  frame.for_tile(pack_tile_lines, pack_tile_words * per_word, [&] {
    const Value thread = k.local_index(), line = frame.row0 + thread / pack_tile_words, first = frame.column0 + thread % pack_tile_words * per_word;
    const OperandCode &in = frame.operands[left ? 0 : 1], &out = frame.operands[2];
    const EmitElement& hook = left ? code.element_a : code.element_b;
    k.when(line < frame.rows && first < frame.columns, [&] {
      std::vector<Value> parts;
      const std::uint32_t bits = 128 / per_word;
      for (std::uint32_t e = 0; e < per_word; ++e) {
        const Value place = first + e, at = spirv::min(place, frame.depth - 1u);
        Value element;
        if (hook) element = spirv::bitcast(k.u32(), hook(frame, left, along_depth ? line : at, along_depth ? at : line));
        else element = in.elements.load_bits(in.base + line * (left ? in.row : in.column) + at * (left ? in.column : in.row));
        element = spirv::select(place < frame.depth, element, padding);
        if (e * bits % 32 == 0) parts.push_back(element);
        else parts.back() = parts.back() | element << (e * bits % 32);
      }
      out.elements.buffer().as(k.vector(k.u32(), 4)).store((out.base + line * out.row + first) / per_word, spirv::make_vector(parts));
    });
  });
  return k.finish();
}

namespace detail {

// Whether tiles read an operand's lines along depth twice as fast as any other way: the hardware turns halves as it reads them, not bytes.
constexpr bool wants_depth(DType type) { return size_of(type) == 1; }

// Whether a side is worth a copy: tiles would read it element by element, and many of them do.
inline bool worth_packing(const Capabilities& device, const MatrixProduct& product, const ProductCode& code, bool left) {
  if (device.type == DeviceType::software || product.rows <= few_rows || product.depth < 64) return false;
  const bool cooperates = may_cooperate(device, product.a().type, product.b().type, code.integers);
  if (code.integers && (!cooperates || code.element_a || code.element_b)) return false;
  const std::size_t reuse = left ? product.columns : product.rows;
  if (left ? code.element_a : code.element_b) return reuse >= 64;
  const MatrixOperand& x = left ? product.a() : product.b();
  const std::size_t vector = cooperates ? 16 / size_of(x.type) : 4;
  const Fetch fetch = left ? fetch_of(x, x.column, x.row, product.depth, product.rows, vector, product.batch_rank, true)
                           : fetch_of(x, x.row, x.column, product.depth, product.columns, vector, product.batch_rank, false);
  return !is_vector(fetch) && reuse >= 512;
}

// Replaces one side by its packed copy; the block must live until the product is launched. Errors: OutOfMemory.
inline BlockRef pack_side(Device& device, Stream& stream, MatrixProduct& product, ProductCode& code, bool left) {
  MatrixOperand& x = left ? product.a() : product.b();
  EmitElement& hook = left ? code.element_a : code.element_b;
  const std::ptrdiff_t across = left ? x.row : x.column, step = left ? x.column : x.row;
  const bool along_depth = (!hook && wants_depth(x.type)) || std::abs(step) <= std::abs(across);
  const std::size_t extent = left ? product.rows : product.columns;
  MatrixProduct copy = product;
  copy.rows = along_depth ? extent : product.depth;
  copy.depth = along_depth ? product.depth : extent;
  MatrixOperand packed;
  packed.type = hook ? DType::f32 : x.type;
  packed.padded = true;
  const std::size_t per_word = 16 / size_of(packed.type);
  copy.columns = round_up(copy.depth, per_word);
  packed.row = static_cast<std::ptrdiff_t>(copy.columns), packed.column = 1;
  std::size_t count = copy.rows * copy.columns;
  // What repeats along the batch is packed once.
  for (std::size_t axis = product.batch_rank; axis-- > 0;) {
    bool repeats = x.batch[axis] == 0;
    if (hook) for (std::size_t i = 0; i < code.parameters; ++i) repeats = repeats && product.operands[3 + i].batch[axis] == 0;
    if (repeats) copy.batch[axis] = 1;
    else packed.batch[axis] = static_cast<std::ptrdiff_t>(count), count *= copy.batch[axis];
  }
  const BlockRef block = temporary(stream, count * size_of(packed.type));
  packed.block = block.get();
  packed.reach = {block->data(), count * size_of(packed.type), 0, count};
  copy.out() = packed;
  // Rows and columns of the source are the copy's own where lines go across; a hook knows sides and axes by itself.
  if (!hook && !along_depth) std::swap(copy.operands[0].row, copy.operands[0].column), std::swap(copy.operands[1].row, copy.operands[1].column);
  copy.operands.resize(3 + (hook ? code.parameters : 0));
  ProductCode reader = code;
  reader.a = copy.a().type, reader.b = copy.b().type, reader.out = packed.type, reader.fetch_a = reader.fetch_b = Fetch::scalar_depth;
  reader.batch_rank = std::max<std::size_t>(product.batch_rank, 2);
  reader.extra.clear();
  for (std::size_t i = 3; i < copy.operands.size(); ++i) reader.extra.push_back({copy.operands[i].type, Along::strided, false});
  reader.scalars.clear(), reader.epilogue_text = "copy", reader.epilogue = plain_epilogue;
  if (!hook) reader.element_text.clear(), reader.element_scalars.clear();
  const KernelKey key("pack ", left ? "left " : "right ", along_depth ? "depth " : "across ", reader.key());
  Few<BufferArgument, 8> buffers;
  for (std::size_t i = 0; i < copy.operands.size(); ++i)
    buffers.push_back({copy.operands[i].block, copy.operands[i].reach.address, copy.operands[i].reach.bytes, i == 2 ? Access::write : Access::read});
  const auto scalars = product_scalars(copy, reader, std::max<std::size_t>(copy.depth, 1));
  const std::size_t width = pack_tile_words * per_word;
  const std::size_t tiles = (copy.rows + pack_tile_lines - 1) / pack_tile_lines * ((copy.columns + width - 1) / width) * copy.batches();
  device.launch(stream, {key, buffers, scalars, folded_groups(tiles)}, [&](const Target& target) { return emit_pack(target, reader, left, along_depth); });
  // [across][depth] or [depth][across], as the product's side has them.
  if (along_depth != left) std::swap(packed.row, packed.column);
  x = packed;
  hook = (left ? code.four_a : code.four_b) = nullptr;
  return block;
}

// Whether a turned copy pays. Ordinary arithmetic wants neighbours across: transposing in every tile costs an H100 5 % of a large product
// by a row-major left side, 12 % where both sides are so; the copy costs 70 / reuse of it, and 4 us. Matrices of bytes want them along
// depth: where one side lies across, a product of 1024^3 to 4096^3 takes twice as long.
inline bool worth_turning(const Device& device, const MatrixProduct& product, const ProductCode& code, bool left) {
  constexpr std::size_t most_bytes = std::size_t{256} << 20;
  const MatrixOperand& x = left ? product.a() : product.b();
  if (device.capabilities().type != DeviceType::discrete || device.options().mode == PriorityMode::memory) return false;
  if (code.element_a || code.element_b || product.batch_rank != 0) return false;
  const std::size_t reuse = left ? product.columns : product.rows, extent = left ? product.rows : product.columns;
  if (extent * product.depth * size_of(x.type) > most_bytes) return false;
  const double operations = static_cast<double>(product.rows) * static_cast<double>(product.columns) * static_cast<double>(product.depth);
  const std::ptrdiff_t across = left ? x.row : x.column, step = left ? x.column : x.row;
  if (wants_depth(x.type))
    return may_cooperate(device.capabilities(), product.a().type, product.b().type, code.integers) && across == 1 && step != 1 &&
        product.depth % 16 == 0 && reuse >= 512 && operations >= 0x1p29;
  if (x.type != DType::f32 || step != 1 || reuse < 2048 || operations < 0x1p33) return false;
  // Only the largest tile is the faster for it.
  return default_plan(device.capabilities(), product, false, false).simt.rows() == rated_tiles[0].tile.rows();
}

// Replaces one side by its turned copy; the block must live until the product is launched. Errors: OutOfMemory.
inline BlockRef turn_side(Device& device, Stream& stream, MatrixProduct& product, bool left) {
  MatrixOperand& x = left ? product.a() : product.b();
  std::ptrdiff_t &across = left ? x.row : x.column, &step = left ? x.column : x.row;
  const bool to_depth = wants_depth(x.type);
  const std::size_t extent = left ? product.rows : product.columns, bytes = size_of(x.type);
  const std::size_t lines = to_depth ? extent : product.depth, length = to_depth ? product.depth : extent, line = round_up(length, 16 / bytes);
  std::ptrdiff_t &of_line = to_depth ? across : step, &in_line = to_depth ? step : across;
  const Strides from{of_line, in_line}, to{static_cast<std::ptrdiff_t>(line), 1};
  const BlockRef block = temporary(stream, lines * line * bytes);
  const auto element_bytes = static_cast<std::uint32_t>(bytes);
  kernels::copy_bits(device, stream, Shape{lines, length}, {block.get(), block->data(), &to, element_bytes},
                     {x.block, static_cast<const std::byte*>(x.reach.address) + static_cast<std::ptrdiff_t>(x.reach.first * bytes), &from, element_bytes});
  x.block = block.get();
  x.reach = {block->data(), lines * line * bytes, 0, lines * line};
  // Behind a line's end lie columns whose sums are never stored; lines along depth have none there.
  x.padded = true;
  of_line = static_cast<std::ptrdiff_t>(line), in_line = 1;
  return block;
}

// Brings both sides into the layout that the product's kernel is to read: their copies, if any, must live until it is launched.
inline std::array<BlockRef, 2> prepare_sides(Device& device, Stream& stream, MatrixProduct& product, ProductCode& code) {
  std::array<BlockRef, 2> copies;
  for (const bool left : {true, false})
    if (worth_turning(device, product, code, left)) copies[left ? 0 : 1] = turn_side(device, stream, product, left);
    else if (worth_packing(device.capabilities(), product, code, left)) copies[left ? 0 : 1] = pack_side(device, stream, product, code, left);
  return copies;
}

}  // namespace detail
}  // namespace cotenant::vulkan

#endif
