// softmax and log_softmax on the device: along any axis, rows of any length.
#ifndef COTENANT_VULKAN_KERNELS_SOFTMAX_HPP
#define COTENANT_VULKAN_KERNELS_SOFTMAX_HPP
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/plan.hpp"
#include "cotenant/vulkan/kernels/team.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/spirv_math.hpp"
#include "cotenant/vulkan/storage.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// What the code depends on.
//   whole    a team has a row
//   maxima   first of two kernels where a few long rows are shared out: group z finds maximum and sum of part z of its row
//   parts    second: group z brings them all together and writes its part
enum class SoftmaxStep : std::uint8_t { whole, maxima, parts };
struct SoftmaxCode {
  DType in, out;
  std::size_t outer_rank;
  Team team;
  bool logarithm;
  SoftmaxStep step;
};

// A maximum and the sum of the powers of e of what it was found among, less the maximum. One sum becomes that of a larger
// maximum m' by a factor of exp(m - m'). -inf is no reference: -inf - -inf is no number.
class RunningSum {
 public:
  explicit RunningSum(KernelBuilder& k) : most_(k.variable(k.constant(lowest))), total_(k.variable(k.constant(0.f))) {}
  static constexpr float lowest = -std::numeric_limits<float>::infinity();

  void add(const std::vector<Value>& chunks) const {
    const auto larger = [](Value a, Value b) { return max(a, b); };
    Value most = chunks[0];
    for (std::size_t i = 1; i < chunks.size(); ++i) most = max(most, chunks[i]);
    const Value before = most_.get(), after = max(before, within(most, larger)), from = reference(after);
    Value sum;
    for (const Value& x : chunks) sum = sum.exists() ? sum + exp(x - from) : exp(x - from);
    total_.set(total_.get() * exp(before - from) + within(sum, [](Value a, Value b) { return a + b; }));
    most_.set(after);
  }
  // Another's maximum and sum.
  void add(Value maximum, Value sum) const {
    const Value before = most_.get(), after = max(before, maximum), from = reference(after);
    total_.set(total_.get() * exp(before - from) + sum * exp(maximum - from));
    most_.set(after);
  }
  struct Result {
    Value maximum, sum;
  };
  // Those of the whole team.
  Result all(TeamFrame& frame) const {
    const Value maximum = frame.maximum(most_.get());
    return {maximum, frame.sum(total_.get() * exp(most_.get() - reference(maximum)))};
  }

 private:
  static Value reference(Value maximum) { return select(maximum == lowest, 0.f, maximum); }
  Variable most_, total_;
};

// With m the largest of a row: exp(x - m) / sum of exp(x - m), or (x - m) - log(that sum). A team that keeps its row reads it
// once, another one twice.
inline spirv::Words emit_softmax(const Target& target, const SoftmaxCode& code) {
  const Team& team = code.team;
  KernelBuilder k(target, {.workgroup = team.threads()});
  const bool whole = code.step == SoftmaxStep::whole, writes = code.step != SoftmaxStep::maxima;
  RowElements in{Elements(k, code.in), {}, {}, team.vector}, out{writes ? Elements(k, code.out) : Elements(), {}, {}, team.vector};
  // Pairs of a maximum and a sum, for each part of each row.
  const Elements pairs = whole ? Elements() : Elements(k, DType::f32);
  const Value first_in = k.scalar(), first_out = k.scalar(), rows = k.scalar(), length = k.scalar(), part = k.scalar(), parts = k.scalar();
  in.stride = k.scalar(), out.stride = k.scalar();
  const AxesFrame<2> outer(k, code.outer_rank);
  TeamFrame frame(k, team, rows);
  const auto offset = outer.offsets(frame.row());
  in.base = first_in + offset[0], out.base = first_out + offset[1];
  const Value z = k.workgroup_id(2), begin = whole ? k.constant(0u) : z * part, end = whole ? length : min(begin + part, length);

  const auto sum = [](Value a, Value b) { return a + b; };
  // -inf beyond the end: no maximum, and exp of it is 0.
  const auto chunk = [&](Value at) {
    const Value inside = at < end;
    return select(inside, in.load(select(inside, at, begin)), RunningSum::lowest);
  };
  const auto write = [&](Value at, Value value) { k.when(frame.has_row() && at < end, [&] { out.store(at, value); }); };

  if (whole && team.kept != 0) {
    std::vector<Value> x;
    for (std::uint32_t c = 0; c < team.kept; ++c) x.push_back(chunk(frame.chunk_begin(c)));
    Value most = x[0];
    for (std::uint32_t c = 1; c < team.kept; ++c) most = max(most, x[c]);
    most = frame.maximum(within(most, [](Value a, Value b) { return max(a, b); }));
    std::vector<Value> power;
    for (Value& value : x) power.push_back(exp(value = value - most));
    Value total = power[0];
    for (std::uint32_t c = 1; c < team.kept; ++c) total = total + power[c];
    total = frame.sum(within(total, sum));
    const Value last = code.logarithm ? log(total) : 1.f / total;
    for (std::uint32_t c = 0; c < team.kept; ++c) write(frame.chunk_begin(c), code.logarithm ? x[c] - last : power[c] * last);
    return k.finish();
  }
  // Four loads are under way at a time.
  constexpr std::uint32_t unrolled = 4;
  const auto each_chunks = [&](auto body) {
    k.loop(begin, end, team.lanes * team.vector * unrolled, [&](Value from) {
      std::vector<Value> places, chunks;
      for (std::uint32_t c = 0; c < unrolled; ++c) places.push_back(from + frame.chunk_begin(c)), chunks.push_back(chunk(places[c]));
      body(places, chunks);
    });
  };
  const RunningSum running(k);
  const Value first_pair = frame.row() * parts;
  if (code.step != SoftmaxStep::parts) each_chunks([&](const std::vector<Value>&, const std::vector<Value>& chunks) { running.add(chunks); });
  else k.loop(frame.lane(), parts, team.lanes, [&](Value i) { running.add(pairs.load((first_pair + i) * 2u), pairs.load((first_pair + i) * 2u + 1u)); });
  const RunningSum::Result all = running.all(frame);
  if (code.step == SoftmaxStep::maxima) {
    k.when(frame.has_row() && frame.lane() == 0u, [&] {
      pairs.store((first_pair + z) * 2u, all.maximum);
      pairs.store((first_pair + z) * 2u + 1u, all.sum);
    });
    return k.finish();
  }
  const Value last = code.logarithm ? log(all.sum) : 1.f / all.sum;
  each_chunks([&](const std::vector<Value>& places, const std::vector<Value>& chunks) {
    for (std::uint32_t c = 0; c < unrolled; ++c) {
      const Value x = chunks[c] - all.maximum;
      write(places[c], code.logarithm ? x - last : exp(x) * last);
    }
  });
  return k.finish();
}

namespace kernels {
COTENANT_VULKAN_INLINE void softmax(Stream& stream, const AnySoftmax& a, const Team* chosen) {
  Device& device = stream.device();
  const Layout in = a.in.view.layout(), out = a.out.view.layout();
  const std::size_t rank = in.shape.rank(), size = a.out.view.size();
  if (size == 0) return;
  const auto outer = merged_axes<2>({&in, &out}, 0, rank - 1), inner = merged_axes<2>({&in, &out}, rank - 1, rank);
  const std::size_t length = in.shape.back(), rows = size / length;
  const bool vectors = has_vectors(a.in, 0, outer, inner) && has_vectors(a.out, 1, outer, inner);
  Team team = chosen != nullptr ? *chosen
                                : choose_team(device.capabilities(), rows, length, vectors ? 4 : 1, lies_across(0, outer, inner), size_of(a.in.type()));
  // Rows that are too long to be kept, and too few for every multiprocessor to have one.
  const std::size_t groups = (rows + team.rows - 1) / team.rows;
  const std::size_t wanted = team.kept != 0 || groups >= 256 ? 1 : std::min<std::size_t>(length / (std::size_t{4096} * team.lanes / 32), 512 / groups);
  const std::size_t part = wanted <= 1 ? length : (length / wanted + 4) / 4 * 4, parts = (length + part - 1) / part;
  BlockRef pairs;
  if (parts > 1) {
    if (team.rows == 1) team.lanes = std::min<std::uint32_t>(team.lanes, 256);
    pairs = temporary(stream, rows * parts * 2 * sizeof(float));
  }
  const auto launch = [&](SoftmaxStep step) {
    const SoftmaxCode code{a.in.type(), a.out.type(), outer.rank, team, a.logarithm, step};
    LaunchPlan plan(a.logarithm ? "log_softmax" : "softmax");
    plan.key.append(static_cast<int>(step));
    plan.buffer(a.in, Access::read);
    if (step != SoftmaxStep::maxima) plan.buffer(a.out, Access::write);
    else plan.scalar(std::size_t{0});
    if (step != SoftmaxStep::whole) plan.buffers.push_back(whole(pairs, step == SoftmaxStep::maxima ? Access::write : Access::read));
    plan.scalar(rows), plan.scalar(length), plan.scalar(part), plan.scalar(parts);
    plan.stride(inner, 0), plan.stride(inner, 1);
    plan.axes(outer);
    plan.key.append(' ', team.key());
    plan.spread(team_groups(team, rows), stream.barriers());
    plan.groups[2] = static_cast<std::uint32_t>(step == SoftmaxStep::whole ? 1 : parts);
    plan.subgroup_size = team.subgroup;
    device.launch(stream, plan.launch(), [&](const Target& target) { return emit_softmax(target, code); });
  };
  if (parts == 1) return launch(SoftmaxStep::whole);
  launch(SoftmaxStep::maxima);
  launch(SoftmaxStep::parts);
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
