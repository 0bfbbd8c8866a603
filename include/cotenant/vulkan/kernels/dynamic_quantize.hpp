// dynamic_quantize on the device: the ranges of the data, their scales and zero points, then the values.
#ifndef COTENANT_VULKAN_KERNELS_DYNAMIC_QUANTIZE_HPP
#define COTENANT_VULKAN_KERNELS_DYNAMIC_QUANTIZE_HPP
#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "cotenant/vulkan/kernels/quantize.hpp"
#include "cotenant/vulkan/kernels/team.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/storage.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// What the code depends on. Elements of a range come from `in`, or as lows and highs of its parts (f32 beside each other);
// results are such a pair for each part, or the range's scale and zero point.
struct RangeCode {
  DType in;
  bool from_parts = false, to_parts = false, affine = false;
  float steps = 127;  // between 0 and the highest value, or between the lowest and the highest
  std::size_t outer_rank, inner_rank;
  Team team;
};

// Scale (and zero point) of a range from its lowest and highest number, 0 among them; each as an f32.
struct RangeParameters {
  Value scale, zero;
};
inline RangeParameters range_parameters(KernelBuilder& k, Value low, Value high, bool affine, float steps) {
  const Value extent = affine ? high - low : max(-low, high);
  const Value scale = select(extent > 0.f, spirv::divide(extent, k.constant(steps)), 1.f);
  if (!affine) return {scale, {}};
  const Value wanted = spirv::divide(-low, scale);
  return {scale, select(spirv::is_nan(wanted), 0.f, spirv::round(min(max(wanted, 0.f), 255.f)))};
}

inline spirv::Words emit_range(const Target& target, const RangeCode& code) {
  const Team& team = code.team;
  KernelBuilder k(target, {.workgroup = team.threads()});
  const bool writes_zero = code.affine && !code.to_parts;
  const Elements in(k, code.in), scale(k, DType::f32), zero = writes_zero ? Elements(k, DType::u8) : Elements();
  const Value first_in = k.scalar(), first_scale = k.scalar(), first_zero = writes_zero ? k.scalar() : Value{};
  const Value rows = k.scalar(), length = k.scalar(), part = k.scalar();
  const AxesFrame<3> outer(k, code.outer_rank);
  const AxesFrame<1> inner(k, team.vector == 1 ? code.inner_rank : 0);
  TeamFrame frame(k, team, rows);
  const auto offset = outer.offsets(frame.row());
  const Value base = first_in + offset[0], split = k.workgroup_id(2), begin = split * part, end = min(begin + part, length);

  constexpr std::uint32_t unrolled = 4;
  const Type t = k.vector(k.f32(), team.vector);
  const Variable lows = k.variable(constant_of(t, 0)), highs = k.variable(constant_of(t, 0));
  k.loop(begin, end, team.lanes * team.vector * unrolled, [&](Value from) {
    std::vector<Value> low, high;
    for (std::uint32_t c = 0; c < unrolled; ++c) {
      const Value at = from + frame.chunk_begin(c), inside = at < end, safe = select(inside, at, begin);
      const Value place = base + (team.vector == 1 ? inner.offsets(safe)[0] : safe);
      const Value x = team.vector == 1 ? in.load(place) : in.load_vectors(place >> 2u, 1)[0];
      low.push_back(select(inside, x, 0.f));
      high.push_back(code.from_parts ? select(inside, in.load(place + 1u), 0.f) : low[c]);
    }
    // NaN is neither less nor greater.
    Value least = lows.get(), most = highs.get();
    for (const Value& x : low) least = select(x < least, x, least);
    for (const Value& x : high) most = select(x > most, x, most);
    lows.set(least), highs.set(most);
  });
  const Value low = frame.minimum(within(lows.get(), [](Value a, Value b) { return min(a, b); }));
  const Value high = frame.maximum(within(highs.get(), [](Value a, Value b) { return max(a, b); }));
  k.when(frame.has_row() && frame.lane() == 0u, [&] {
    const Value at = first_scale + offset[1];
    if (code.to_parts) {
      scale.store(at + split * 2u, low), scale.store(at + split * 2u + 1u, high);
      return;
    }
    const RangeParameters parameters = range_parameters(k, low, high, code.affine, code.steps);
    scale.store(at, parameters.scale);
    if (writes_zero) zero.store(first_zero + offset[2], parameters.zero);
  });
  return k.finish();
}

// Where a range is a row that its team keeps: range and values in one kernel, the row is read once. Operands in the order in,
// values, scale, zero point (affine only).
struct DynamicRowsCode {
  DType in, out;
  bool affine;
  float steps, low, high;
  std::size_t outer_rank;
  Team team;
};
inline spirv::Words emit_dynamic_rows(const Target& target, const DynamicRowsCode& code) {
  const Team& team = code.team;
  KernelBuilder k(target, {.workgroup = team.threads()});
  RowElements in{Elements(k, code.in), {}, {}, team.vector}, out{Elements(k, code.out), {}, {}, team.vector};
  const Elements scale(k, DType::f32), zero = code.affine ? Elements(k, DType::u8) : Elements();
  const Value first_in = k.scalar(), first_out = k.scalar(), first_scale = k.scalar(), first_zero = code.affine ? k.scalar() : Value{};
  const Value rows = k.scalar(), length = k.scalar();
  in.stride = k.scalar(), out.stride = k.scalar();
  const AxesFrame<4> outer(k, code.outer_rank);
  TeamFrame frame(k, team, rows);
  const auto offset = outer.offsets(frame.row());
  in.base = first_in + offset[0], out.base = first_out + offset[1];

  std::vector<Value> x;
  for (std::uint32_t c = 0; c < team.kept; ++c) {
    const Value begin = frame.chunk_begin(c), inside = begin < length;
    x.push_back(select(inside, in.load(select(inside, begin, 0u)), 0.f));
  }
  // NaN is neither less nor greater.
  Value least = constant_like(x[0], 0), most = least;
  for (const Value& v : x) least = select(v < least, v, least), most = select(v > most, v, most);
  const Value low = frame.minimum(within(least, [](Value a, Value b) { return min(a, b); })),
              high = frame.maximum(within(most, [](Value a, Value b) { return max(a, b); }));
  const RangeParameters parameters = range_parameters(k, low, high, code.affine, code.steps);
  for (std::uint32_t c = 0; c < team.kept; ++c) {
    const Value begin = frame.chunk_begin(c);
    const Value q = quantized_value_of(k, x[c], parameters.scale, parameters.zero, k.constant(code.low), k.constant(code.high));
    k.when(frame.has_row() && begin < length, [&] { out.store(begin, convert(shaped_as(q.type, k.i32()), q)); });
  }
  k.when(frame.has_row() && frame.lane() == 0u, [&] {
    scale.store(first_scale + offset[2], parameters.scale);
    if (code.affine) zero.store(first_zero + offset[3], parameters.zero);
  });
  return k.finish();
}

namespace kernels {
// One launch. `scale` takes pairs, `part` elements of a range each, where the code says so.
inline void find_ranges(Device& device, Stream& stream, RangeCode code, const AnyOperand& in, std::size_t inner_rank, const AnyOperand& scale,
                        const BufferArgument& whole_scale, const AnyOperand& zero, std::size_t part) {
  const Layout from = in.view.layout();
  Layout to = scale.view.layout(), to_zero = zero.view.layout();
  const std::size_t rank = from.shape.rank(), kept_rank = rank - inner_rank;
  const auto outer = merged_axes<3>({&from, &to, code.affine && !code.to_parts ? &to_zero : nullptr}, 0, kept_rank);
  const auto inner = merged_axes<1>({&from}, kept_rank, rank);
  const std::size_t rows = outer.count(), length = inner.count();
  code.outer_rank = outer.rank, code.inner_rank = inner.rank;
  LaunchPlan plan("range");
  plan.key.append(code.from_parts ? " from parts" : "", code.to_parts ? " to parts" : "", code.affine ? " affine" : "", static_cast<int>(code.steps));
  if (length != 0) plan.buffer(in, Access::read);
  else plan.unused_buffer(whole_scale, in.type());
  if (code.from_parts) plan.buffers.back().bytes += sizeof(float);  // the last high
  plan.buffer(scale, Access::write);
  plan.buffers.back() = whole_scale;
  if (code.affine && !code.to_parts) plan.buffer(zero, Access::write);
  plan.scalar(rows), plan.scalar(length), plan.scalar(part);
  plan.axes(outer);
  if (code.team.vector == 1) plan.axes(inner);
  plan.key.append(' ', code.team.key());
  plan.spread(team_groups(code.team, rows), stream.barriers());
  plan.groups[2] = static_cast<std::uint32_t>(length == 0 ? 1 : (length + part - 1) / part);
  plan.subgroup_size = code.team.subgroup;
  device.launch(stream, plan.launch(), [&](const Target& target) { return emit_range(target, code); });
}

// The ranges' own axes are first in all operands. False where a range is no row that a team keeps.
inline bool dynamic_rows(Device& device, Stream& stream, const AnyOperand& in, const AnyOperand& out, const AnyOperand& scale, const AnyOperand& zero,
                         float high, std::size_t kept_rank, std::size_t rows, std::size_t length) {
  const bool affine = out.type() == DType::u8;
  const Layout from = in.view.layout(), to = out.view.layout(), to_scale = scale.view.layout(), to_zero = zero.view.layout();
  const auto outer = merged_axes<4>({&from, &to, &to_scale, affine ? &to_zero : nullptr}, 0, kept_rank);
  const auto inner = merged_axes<4>({&from, &to, nullptr, nullptr}, kept_rank, from.shape.rank());
  if (inner.rank > 1) return false;
  const bool vectors = has_vectors(in, 0, outer, inner) && has_vectors(out, 1, outer, inner);
  const Team team = choose_team(device.capabilities(), rows, length, vectors ? 4 : 1, lies_across(0, outer, inner));
  if (team.kept == 0) return false;
  const DynamicRowsCode code{in.type(), out.type(), affine, affine ? 255.f : high, affine ? 0.f : -high, high, outer.rank, team};
  LaunchPlan plan("dynamic rows");
  plan.buffer(in, Access::read), plan.buffer(out, Access::write), plan.buffer(scale, Access::write);
  if (affine) plan.buffer(zero, Access::write);
  plan.scalar(rows), plan.scalar(length);
  plan.stride(inner, 0), plan.stride(inner, 1);
  plan.axes(outer);
  plan.key.append(' ', team.key());
  plan.spread(team_groups(team, rows), stream.barriers());
  plan.subgroup_size = team.subgroup;
  device.launch(stream, plan.launch(), [&](const Target& target) { return emit_dynamic_rows(target, code); });
  return true;
}

COTENANT_VULKAN_INLINE void dynamic_quantize(Stream& stream, const AnyDynamicQuantize& a) {
  Device& device = stream.device();
  const bool affine = a.values.type() == DType::u8;
  const auto high = static_cast<float>(a.highest);
  // Axes along which the scale is one come last: they are the range.
  Layout in{}, scale{}, zero{}, to{};
  std::size_t inner_rank = 0;
  for (const bool repeated : {false, true})
    for (std::size_t axis = 0; axis < a.in.view.rank(); ++axis) {
      if ((a.scale.view.stride(axis) == 0) != repeated) continue;
      in.shape.append(a.in.view.shape(axis)), in.strides.append(a.in.view.stride(axis));
      to.shape.append(a.values.view.shape(axis)), to.strides.append(a.values.view.stride(axis));
      inner_rank += repeated;
      if (repeated) continue;
      scale.strides.append(a.scale.view.stride(axis));
      zero.strides.append(affine ? a.zero_point.view.stride(axis) : 0);
    }
  const std::size_t rank = in.shape.rank(), kept_rank = rank - inner_rank;
  scale.shape = zero.shape = in.shape.part(0, kept_rank);
  const std::size_t rows = element_count(scale.shape);
  if (rows == 0) return;
  const AnyOperand values = a.in.with(in), scales = a.scale.with(scale);
  const AnyOperand zeros = affine ? a.zero_point.with(zero) : a.zero_point;
  const auto outer = merged_axes<1>({&in}, 0, kept_rank), inner = merged_axes<1>({&in}, kept_rank, rank);
  const std::size_t length = inner.count();
  const auto team_of = [&](std::size_t some_length, std::uint32_t vector, bool across) {
    Team team = choose_team(device.capabilities(), rows, some_length, vector, across);
    team.kept = 0;
    return team;
  };
  const std::uint32_t vector = length != 0 && has_vectors(values, 0, outer, inner) ? 4 : 1;
  const bool across = lies_across(0, outer, inner);
  RangeCode code{a.in.type(), false, false, affine, affine ? 255.f : high, 0, 0, team_of(length, vector, across)};
  if (a.values.type() != DType::i4x2 && length != 0)
    if (dynamic_rows(device, stream, values, a.values.with(to), scales, zeros, high, kept_rank, rows, length)) return;
  const Reach reach = reach_of(scales.view);
  const BufferArgument whole_scale{a.scale.block, reach.address, reach.bytes, Access::write};
  // As in reduce(): few ranges are shared out among groups.
  const std::size_t groups = (rows + code.team.rows - 1) / code.team.rows, enough = 512, least = std::size_t{4096} * code.team.lanes / 32;
  std::size_t splits = groups >= enough ? 1 : std::min<std::size_t>((length + least - 1) / std::max<std::size_t>(least, 1), enough / groups);
  if (splits <= 1) {
    find_ranges(device, stream, code, values, inner_rank, scales, whole_scale, zeros, std::max<std::size_t>(length, 1));
  } else {
    const std::size_t part = (length / splits + 4) / 4 * 4;
    splits = (length + part - 1) / part;
    const BlockRef parts = temporary(stream, rows * splits * 2 * sizeof(float));
    auto* const memory = static_cast<float*>(parts->data());
    Layout places{scale.shape, contiguous_strides(scale.shape), 0};
    for (std::size_t axis = 0; axis < kept_rank; ++axis) places.strides[axis] *= static_cast<std::ptrdiff_t>(2 * splits);
    RangeCode partial = code;
    partial.to_parts = true, partial.team = team_of(part, vector, across);
    find_ranges(device, stream, partial, values, inner_rank, {AnyView(DType::f32, memory, places.shape, places.strides), parts.get()},
                BufferArgument{parts.get(), memory, rows * splits * 2 * sizeof(float), Access::write}, zeros, part);
    places.shape.append(splits), places.strides.append(2);
    code.in = DType::f32, code.from_parts = true, code.team = team_of(splits, 1, false);
    find_ranges(device, stream, code, {AnyView(DType::f32, memory, places.shape, places.strides), parts.get()}, 1, scales, whole_scale, zeros, splits);
  }
  AnyQuantize q;
  q.in = a.in, q.scale = a.scale, q.zero_point = a.zero_point, q.out = a.values, q.low = affine ? 0 : -a.highest, q.high = a.highest;
  quantize(stream, q);
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
