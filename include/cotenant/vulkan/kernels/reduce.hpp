// reduce on the device: sums, means and extrema over any set of axes.
#ifndef COTENANT_VULKAN_KERNELS_REDUCE_HPP
#define COTENANT_VULKAN_KERNELS_REDUCE_HPP
#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/plan.hpp"
#include "cotenant/vulkan/kernels/team.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/storage.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// What the code depends on. Computed in `number`: f32, i32 or i64. A mean is a sum divided by a scalar of the launch.
struct ReduceCode {
  DType in, out, number;
  Reduction kind;
  double start;  // of integer extrema: what no element of `in` exceeds
  std::size_t outer_rank, inner_rank;
  Team team;
};

// How results of one kind come together. NaN wins over every number: in maxima of magnitudes because its bits are the largest,
// in the other extrema because it is asked for.
class ReduceCombine {
 public:
  ReduceCombine(KernelBuilder& kernel, const ReduceCode& code) : k_(&kernel), code_(&code) {}

  Value start() const {
    const Type t = register_type(k_->module(), code_->number);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    switch (code_->kind) {
      case Reduction::maximum: return number(t, -infinity);
      case Reduction::minimum: return number(t, infinity);
      case Reduction::absolute_maximum: return bits(constant_of(t, 0));
      default: return constant_of(t, 0);
    }
  }
  // An element as it is combined.
  Value element(Value x) const {
    if (code_->number == DType::f32 && !x.type->is_float()) x = convert(shaped_as(x.type, k_->f32()), x);
    if (code_->kind != Reduction::absolute_maximum) return x;
    return x.type->is_float() ? bits(x) & 0x7FFFFFFFu : select(x < 0, constant_like(x, 0) - x, x);
  }
  Value operator()(Value a, Value b) const {
    const bool floats = a.type->is_float();
    switch (code_->kind) {
      case Reduction::maximum: return floats ? select((a > b) || is_nan(a), a, b) : select(a > b, a, b);
      case Reduction::minimum: return floats ? select((a < b) || is_nan(a), a, b) : select(a < b, a, b);
      case Reduction::absolute_maximum: return select(a > b, a, b);
      default: return a + b;
    }
  }
  // The same over a team.
  Value all(TeamFrame& frame, Value v) const {
    switch (code_->kind) {
      case Reduction::maximum: return v.type->is_float() ? from_ordered(frame.maximum(select(is_nan(v), ~0u, ordered(v)))) : frame.maximum(v);
      case Reduction::minimum: return v.type->is_float() ? from_ordered(frame.minimum(select(is_nan(v), 0u, ordered(v)))) : frame.minimum(v);
      case Reduction::absolute_maximum: return frame.maximum(v);
      default: return frame.sum(v);
    }
  }
  // The combined value as a number again.
  Value result(Value v) const { return code_->kind == Reduction::absolute_maximum && code_->number == DType::f32 ? bitcast(k_->f32(), v) : v; }

  // Unsigned numbers in the floats' order, and back; the least and the greatest come back as NaN.
  static Value ordered(Value x) {
    const Value b = bits(x);
    return b ^ select(b >= 0x80000000u, constant_like(b, 0xFFFFFFFFu), constant_like(b, 0x80000000u));
  }
  static Value from_ordered(Value u) {
    return bitcast(u.module().f32(), u ^ select(u >= 0x80000000u, constant_like(u, 0x80000000u), constant_like(u, 0xFFFFFFFFu)));
  }

 private:
  static Value bits(Value x) { return x.type->is_float() ? detail::bits_of(x) : x; }
  static Value is_nan(Value x) { return (bits(x) & 0x7FFFFFFFu) > 0x7F800000u; }
  Value number(Type t, double infinity) const { return t->is_float() ? constant_of(t, infinity) : integer_start(t); }
  Value integer_start(Type t) const {
    return t->bits == 64 ? k_->module().constant_bits(t, code_->kind == Reduction::maximum ? std::uint64_t{1} << 63 : ~std::uint64_t{0} >> 1)
                         : constant_of(t, code_->start);
  }

  KernelBuilder* k_;
  const ReduceCode* code_;
};

// Group z of the grid has the elements [z part, (z + 1) part) of its rows, and writes `z` elements after the row's place.
inline spirv::Words emit_reduce(const Target& target, const ReduceCode& code) {
  const Team& team = code.team;
  KernelBuilder k(target, {.workgroup = team.threads()});
  const Elements in(k, code.in), out(k, code.out);
  const Value first_in = k.scalar(), first_out = k.scalar(), rows = k.scalar(), length = k.scalar(), part = k.scalar(), divisor = k.scalar(k.f32());
  const AxesFrame<2> outer(k, code.outer_rank);
  const AxesFrame<1> inner(k, team.vector == 1 ? code.inner_rank : 0);
  TeamFrame frame(k, team, rows);
  const auto offset = outer.offsets(frame.row());
  const Value base = first_in + offset[0], split = k.workgroup_id(2), begin = split * part, end = min(begin + part, length);
  const ReduceCombine combine(k, code);

  const auto chunk = [&](Value at) {
    const Value inside = at < end, safe = select(inside, at, begin);
    const Value x = team.vector == 1 ? in.load(base + inner.offsets(safe)[0]) : in.load_vectors((base + safe) >> 2u, 1)[0];
    return select(inside, combine.element(x), combine.start());
  };
  const auto tree = [&](std::vector<Value> values) {
    while (values.size() > 1) {
      for (std::size_t i = 0; i < values.size() / 2; ++i) values[i] = combine(values[2 * i], values[2 * i + 1]);
      if (values.size() % 2 != 0) values[values.size() / 2] = values.back();
      values.resize((values.size() + 1) / 2);
    }
    return within(values[0], combine);
  };
  Value mine;
  if (team.kept != 0) {
    std::vector<Value> chunks;
    for (std::uint32_t c = 0; c < team.kept; ++c) chunks.push_back(chunk(begin + frame.chunk_begin(c)));
    mine = tree(chunks);
  } else {
    // Four loads are under way at a time.
    constexpr std::uint32_t unrolled = 4;
    const Variable so_far = k.variable(combine.start());
    k.loop(begin, end, team.lanes * team.vector * unrolled, [&](Value from) {
      std::vector<Value> chunks;
      for (std::uint32_t c = 0; c < unrolled; ++c) chunks.push_back(chunk(from + frame.chunk_begin(c)));
      so_far.set(combine(so_far.get(), tree(chunks)));
    });
    mine = so_far.get();
  }
  const Value all = combine.result(combine.all(frame, mine));
  const Value value = code.kind == Reduction::mean ? all / divisor : all;
  k.when(frame.has_row() && frame.lane() == 0u, [&] { out.store(first_out + offset[1] + split, value); });
  return k.finish();
}

namespace kernels {

// One launch. The result of part z of a row lies z elements after the row's place in `out`.
inline void reduce_once(Device& device, Stream& stream, Reduction kind, DType number, const AnyOperand& in, std::size_t reduced_rank, const AnyOperand& out,
                        const BufferArgument& whole_out, std::size_t part, float divisor, const Team& team) {
  const Layout from = in.view.layout();
  Layout to = out.view.layout();
  const std::size_t kept_rank = from.shape.rank() - reduced_rank;
  for (std::size_t axis = 0; axis < reduced_rank; ++axis) to.strides.append(0);
  const auto outer = merged_axes<2>({&from, &to}, 0, kept_rank);
  const auto inner = merged_axes<1>({&from}, kept_rank, from.shape.rank());
  const std::size_t rows = outer.count(), length = inner.count();
  double start = 0;
  with_element(in.type(), [&]<class T>(std::type_identity<T>) {
    if constexpr (std::is_integral_v<T>)
      start = static_cast<double>(kind == Reduction::maximum ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max());
  });
  const ReduceCode code{in.type(), out.type(), number, kind, start, outer.rank, inner.rank, team};
  LaunchPlan plan("reduce");
  plan.key.append(static_cast<int>(kind), " in ", to_string(number));
  if (length != 0) plan.buffer(in, Access::read);
  else plan.unused_buffer(whole_out, in.type());
  plan.buffer(out, Access::write);
  plan.buffers.back() = whole_out;
  plan.scalar(rows), plan.scalar(length), plan.scalar(part), plan.scalar(divisor);
  plan.axes(outer);
  if (team.vector == 1) plan.axes(inner);
  plan.key.append(' ', team.key());
  plan.spread(team_groups(team, rows), stream.barriers());
  plan.groups[2] = static_cast<std::uint32_t>(length == 0 ? 1 : (length + part - 1) / part);
  plan.subgroup_size = team.subgroup;
  device.launch(stream, plan.launch(), [&](const Target& target) { return emit_reduce(target, code); });
}

COTENANT_VULKAN_INLINE void reduce(Stream& stream, const AnyReduce& a) {
  Device& device = stream.device();
  const Reduction kind = a.kind;
  const DType number = a.number;
  const std::size_t number_bytes = size_of(number);
  const std::size_t rows = a.out.view.size();
  if (rows == 0) return;
  const Layout from = a.in.view.layout();
  const std::size_t rank = from.shape.rank(), kept_rank = rank - a.reduced_rank;
  const auto outer = merged_axes<1>({&from}, 0, kept_rank), inner = merged_axes<1>({&from}, kept_rank, rank);
  const std::size_t length = inner.count();
  const Capabilities& capabilities = device.capabilities();
  const std::uint32_t vector = size_of(a.in.type()) <= 4 && length != 0 && has_vectors(a.in, 0, outer, inner) ? 4 : 1;
  const auto team_of = [&](std::size_t some_length, std::uint32_t some_vector, bool across) {
    Team team = choose_team(capabilities, rows, some_length, some_vector, across);
    if (some_length == 0) team.kept = 0;  // a loop that never runs
    // Subgroups reduce 32-bit numbers everywhere, wider ones not.
    if (number_bytes == 8 && team.subgroup != 0)
      team.lanes = std::min<std::uint32_t>(capabilities.max_workgroup_invocations, 256), team.rows = 1, team.kept = team.subgroup = 0;
    return team;
  };
  const bool across = lies_across(0, outer, inner);
  const Team team = team_of(length, vector, across);
  const Reach reach = reach_of(a.out.view);
  const BufferArgument whole_out{a.out.block, reach.address, reach.bytes, Access::write};
  const auto divisor = static_cast<float>(length);
  // Few rows do not fill the device: they are shared out among groups, and a second launch brings the parts together.
  const std::size_t groups = (rows + team.rows - 1) / team.rows, enough = 512, least = std::size_t{4096} * team.lanes / 32;
  std::size_t splits = groups >= enough ? 1 : std::min<std::size_t>((length + least - 1) / std::max<std::size_t>(least, 1), enough / groups);
  if (splits <= 1) return reduce_once(device, stream, kind, number, a.in, a.reduced_rank, a.out, whole_out, std::max<std::size_t>(length, 1), divisor, team);
  const std::size_t part = (length / splits + 4) / 4 * 4;
  splits = (length + part - 1) / part;
  const BlockRef partial = temporary(stream, rows * splits * number_bytes);
  void* const memory = partial->data();
  const BufferArgument whole_partial{partial.get(), memory, rows * splits * number_bytes, Access::write};
  Layout places{from.shape.part(0, kept_rank), contiguous_strides(from.shape.part(0, kept_rank)), 0};
  for (std::size_t axis = 0; axis < kept_rank; ++axis) places.strides[axis] *= static_cast<std::ptrdiff_t>(splits);
  reduce_once(device, stream, kind == Reduction::mean ? Reduction::sum : kind, number, a.in, a.reduced_rank,
                          {AnyView(number, memory, places.shape, places.strides), partial.get()}, whole_partial, part, 1, team_of(part, vector, across));
  Layout parts = places;
  parts.shape.append(splits), parts.strides.append(1);
  reduce_once(device, stream, kind, number, {AnyView(number, memory, parts.shape, parts.strides), partial.get()}, 1, a.out, whole_out, splits, divisor,
              team_of(splits, 1, false));
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
