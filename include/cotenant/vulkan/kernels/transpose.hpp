// transpose_bits(): a copy whose rows are the other side's columns, in square tiles of shared memory.
#ifndef COTENANT_VULKAN_KERNELS_TRANSPOSE_HPP
#define COTENANT_VULKAN_KERNELS_TRANSPOSE_HPP
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/element_bits.hpp"
#include "cotenant/vulkan/kernels/map_plan.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// Neighbours along axis `column` lie side by side in the result, along axis `row` in the operand: read and written straight, one
// of the two would move 32 bytes for each element. The other axes are walked group by group.
struct TransposePlan {
  std::size_t batch_rank = 0;
  std::vector<BufferArgument> buffers;
  std::vector<std::uint32_t> scalars;  // in the order of TransposeFrame
  std::array<std::uint32_t, 3> groups{1, 1, 1};

  static constexpr std::uint32_t threads = 256;
  // Of a tile: lines of 128 bytes, what a GPU moves at once; bytes keep to what shared memory everywhere has room for.
  static constexpr std::uint32_t side(std::uint32_t element_bytes) { return element_bytes <= 2 ? 64 : 32; }
};

// Nothing where the copy is no transposition, or is too small or too large for this kernel.
inline std::optional<TransposePlan> plan_transpose(const Shape& shape, const MapOperand& out, const MapOperand& in) {
  const std::array operands{out, in};
  const detail::MapAxes axes(shape, operands);
  const detail::MapAxes::Walk &to = axes.walks[0], &from = axes.walks[1];
  const std::size_t rank = axes.rank();
  if (rank < 2 || to.stride[rank - 1] != 1 || from.stride[rank - 1] == 1 || from.stride[rank - 1] == 0) return {};
  std::size_t row = rank;
  for (std::size_t axis = 0; axis + 1 < rank; ++axis) if (from.stride[axis] == 1 && axes.extent[axis] >= 8) row = axis;
  if (row == rank || axes.extent[rank - 1] < 8) return {};
  std::size_t count = 1;
  for (const std::size_t extent : axes.extent) count *= extent;
  count = std::max({count, to.reach, from.reach});
  if (count >= std::size_t{1} << 31) return {};

  TransposePlan plan;
  plan.buffers.push_back({out.block, to.address, to.reach * out.element_bytes, Access::write});
  plan.buffers.push_back({in.block, from.address, from.reach * in.element_bytes, Access::read});
  const std::size_t side = TransposePlan::side(out.element_bytes);
  const auto tiles = [side](std::size_t extent) { return (extent + side - 1) / side; };
  const std::size_t column_tiles = tiles(axes.extent[rank - 1]), row_tiles = tiles(axes.extent[row]);
  std::size_t groups = column_tiles * row_tiles;
  std::vector<std::uint32_t> batch;
  // Few different ranks: each is a kernel of its own.
  plan.batch_rank = rank == 2 ? 0 : rank <= 4 ? 2 : max_rank - 2;
  for (std::size_t added = plan.batch_rank - (rank - 2); added > 0; --added) batch.insert(batch.end(), {1, 0, 0});
  for (std::size_t axis = 0; axis + 1 < rank; ++axis) {
    if (axis == row) continue;
    groups *= axes.extent[axis];
    batch.insert(batch.end(), {static_cast<std::uint32_t>(axes.extent[axis]), wrapped(to.stride[axis]), wrapped(from.stride[axis])});
  }
  for (const std::size_t value : {groups, column_tiles, row_tiles, axes.extent[rank - 1], axes.extent[row]})
    plan.scalars.push_back(static_cast<std::uint32_t>(value));
  for (const std::ptrdiff_t value : {to.start, from.start, to.stride[row], from.stride[rank - 1]}) plan.scalars.push_back(wrapped(value));
  plan.scalars.insert(plan.scalars.end(), batch.begin(), batch.end());
  plan.groups = folded_groups(groups);
  return plan;
}

inline spirv::Words emit_transpose(const Target& target, std::size_t batch_rank, std::uint32_t bytes) {
  const std::uint32_t side = TransposePlan::side(bytes), rows_at_once = TransposePlan::threads / side;
  KernelBuilder k(target, {.workgroup = TransposePlan::threads});
  const ElementBits out(k, bytes), in(k, bytes);
  const Value groups = k.scalar(), column_tiles = k.scalar(), row_tiles = k.scalar(), columns = k.scalar(), rows = k.scalar();
  const Value out_start = k.scalar(), in_start = k.scalar(), out_row = k.scalar(), in_column = k.scalar();
  struct Axis {
    Value extent, out, in;
  };
  std::vector<Axis> batch;
  for (std::size_t axis = 0; axis < batch_rank; ++axis) {
    const Value extent = k.scalar(), out_stride = k.scalar(), in_stride = k.scalar();
    batch.push_back({extent, out_stride, in_stride});
  }
  // A column more than the tile has: the lanes of a subgroup reach different banks along either side.
  const Type kept = bytes == 8 ? out.type() : k.u32();
  const Shared tile = k.shared(kept, side * (side + 1));
  const Value group = k.workgroup_id(1) * static_cast<std::uint32_t>(groups_per_row) + k.workgroup_id(0);
  const Value across = k.local_index() % side, down = k.local_index() / side;
  k.when(group < groups, [&] {
    const Value column = group % column_tiles * side, rest = group / column_tiles, row = rest % row_tiles * side;
    Value outer = rest / row_tiles, from = in_start, to = out_start;
    for (std::size_t axis = batch_rank; axis-- > 0;) {
      const Value index = axis == 0 ? outer : outer % batch[axis].extent;
      if (axis != 0) outer = outer / batch[axis].extent;
      from = from + index * batch[axis].in;
      to = to + index * batch[axis].out;
    }
    for (std::uint32_t step = 0; step < side; step += rows_at_once) {
      const Value r = row + across, c = column + down + step;
      k.when(r < rows && c < columns, [&] { tile.store((down + step) * (side + 1) + across, spirv::convert(kept, in.load(from + c * in_column + r))); });
    }
    k.barrier();
    for (std::uint32_t step = 0; step < side; step += rows_at_once) {
      const Value r = row + down + step, c = column + across;
      k.when(r < rows && c < columns, [&] { out.store(to + r * out_row + c, spirv::convert(out.type(), tile.load(across * (side + 1) + down + step))); });
    }
  });
  return k.finish();
}

}  // namespace cotenant::vulkan

#endif
