// top_k on the device: the largest elements of each row, one after another.
#ifndef COTENANT_VULKAN_KERNELS_TOP_K_HPP
#define COTENANT_VULKAN_KERNELS_TOP_K_HPP
#include <algorithm>
#include <cstdint>

#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/plan.hpp"
#include "cotenant/vulkan/kernels/team.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/spirv_math.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// What the code depends on.
struct TopKCode {
  DType element;
  std::size_t outer_rank;
  Team team;
};

// An unsigned number in the elements' order: NaN above all, -0 as 0.
inline Value sort_key(Value x) {
  if (x.type->is_float()) {
    const Value bits = spirv::inner::float_bits(x), size = bits & 0x7FFFFFFFu;
    const Value key = select(size == 0u, 0x80000000u, select(bits >= 0x80000000u, ~bits, bits | 0x80000000u));
    return select(size > 0x7F800000u, 0xFFFFFFFFu, key);
  }
  const Type t = x.module().integer(x.type->scalar().bits, false);
  return bitcast(shaped_as(x.type, t), x) ^ x.module().constant_bits(shaped_as(x.type, t), std::uint64_t{1} << (t->bits - 1));
}

// A lane knows the first of its own elements: the largest key, at its lowest index. The first of all lanes' is the next result, and
// that lane alone looks for the one that follows it among its own: less, or equal at a higher index.
inline spirv::Words emit_top_k(const Target& target, const TopKCode& code) {
  constexpr std::uint32_t none = ~0u, unrolled = 4;
  const Team& team = code.team;
  KernelBuilder k(target, {.workgroup = team.threads()});
  RowElements in{Elements(k, code.element), {}, {}, team.vector};
  const Elements values(k, code.element), indices(k, DType::i32);
  const Value first_in = k.scalar(), first_values = k.scalar(), first_indices = k.scalar();
  const Value rows = k.scalar(), length = k.scalar(), count = k.scalar();
  in.stride = k.scalar();
  const Value values_stride = k.scalar(), indices_stride = k.scalar();
  const AxesFrame<3> outer(k, code.outer_rank);
  TeamFrame frame(k, team, rows);
  const auto offset = outer.offsets(frame.row());
  in.base = first_in + offset[0];

  const Type key_type = code.element == DType::i64 ? k.u64() : k.u32();
  const Variable last_key = k.variable(key_type), last_index = k.variable(k.u32()), best_key = k.variable(key_type), best_index = k.variable(k.u32());
  last_key.set(constant_of(key_type, 0)), last_index.set(k.constant(none)), best_key.set(constant_of(key_type, 0)), best_index.set(k.constant(none));
  const auto search = [&](Value j) {
    const Value last = last_key.get(), behind = last_index.get();
    best_key.set(constant_of(key_type, 0)), best_index.set(k.constant(none));
    const auto consider = [&](Value key, Value index, Value inside) {
      const Value follows = j == 0u || key < last || (key == last && index > behind);
      const Value better = inside && follows && (best_index.get() == none || key > best_key.get());
      best_key.set(select(better, key, best_key.get()));
      best_index.set(select(better, index, best_index.get()));
    };
    k.loop(0, length, team.lanes * team.vector * unrolled, [&](Value from) {
      std::vector<Value> begin, inside, keys;
      for (std::uint32_t c = 0; c < unrolled; ++c) {
        begin.push_back(from + frame.chunk_begin(c));
        inside.push_back(begin[c] < length);
        keys.push_back(sort_key(in.load(select(inside[c], begin[c], 0u))));
      }
      for (std::uint32_t c = 0; c < unrolled; ++c)
        for (std::uint32_t i = 0; i < team.vector; ++i) consider(extract(keys[c], i), begin[c] + i, inside[c]);
    });
  };
  k.loop(0, count, 1, [&](Value j) {
    k.when(j == 0u || best_index.get() == last_index.get(), [&] { search(j); });
    const Value key = frame.maximum(best_key.get(), true);
    const Value index = frame.minimum(select(best_index.get() != none && best_key.get() == key, best_index.get(), none), true);
    k.when(frame.has_row() && frame.lane() == 0u, [&] {
      values.store(first_values + offset[1] + j * values_stride, in.elements.load(in.base + (team.vector == 1 ? index * in.stride : index)));
      indices.store(first_indices + offset[2] + j * indices_stride, bitcast(k.i32(), index));
    });
    last_key.set(key), last_index.set(index);
  });
  return k.finish();
}

namespace kernels {
COTENANT_VULKAN_INLINE void top_k(Stream& stream, const AnyTopK& a) {
  Device& device = stream.device();
  if (a.values.view.size() == 0) return;
  const Layout in = a.in.view.layout(), values = a.values.view.layout(), indices = a.indices.view.layout();
  const std::size_t rank = in.shape.rank(), length = in.shape.back(), count = values.shape.back(), rows = a.values.view.size() / count;
  // The results' last axis is shorter than the input's: only their strides along it are used.
  const auto outer = merged_axes<3>({&in, &values, &indices}, 0, rank - 1), inner = merged_axes<3>({&in, nullptr, nullptr}, rank - 1, rank);
  const bool vectors = size_of(a.in.type()) <= 4 && has_vectors(a.in, 0, outer, inner);
  Team team = choose_team(device.capabilities(), rows, length, vectors ? 4 : 1, lies_across(0, outer, inner));
  team.kept = 0;
  // Subgroups compare 32-bit numbers everywhere, wider ones not.
  if (size_of(a.in.type()) == 8 && team.subgroup != 0)
    team.lanes = std::min<std::uint32_t>(device.capabilities().max_workgroup_invocations, 256), team.rows = 1, team.subgroup = 0;
  const TopKCode code{a.in.type(), outer.rank, team};
  LaunchPlan plan("top_k");
  plan.buffer(a.in, Access::read), plan.buffer(a.values, Access::write), plan.buffer(a.indices, Access::write);
  plan.scalar(rows), plan.scalar(length), plan.scalar(count);
  plan.stride(inner, 0);
  plan.scalars.push_back(wrapped(values.strides[rank - 1])), plan.scalars.push_back(wrapped(indices.strides[rank - 1]));
  plan.axes(outer);
  plan.key.append(' ', team.key());
  plan.spread(team_groups(team, rows), stream.barriers());
  plan.subgroup_size = team.subgroup;
  device.launch(stream, plan.launch(), [&](const Target& target) { return emit_top_k(target, code); });
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
