// softmax and log_softmax on the device: along any axis, rows of any length.
#ifndef COTENANT_VULKAN_KERNELS_SOFTMAX_HPP
#define COTENANT_VULKAN_KERNELS_SOFTMAX_HPP
#include <cstdint>
#include <limits>
#include <vector>

#include "cotenant/ops/softmax.hpp"
#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/plan.hpp"
#include "cotenant/vulkan/kernels/team.hpp"
#include "cotenant/vulkan/spirv_math.hpp"

namespace cotenant::vulkan {

// What the code depends on.
struct SoftmaxCode {
  DType in, out;
  std::size_t outer_rank;
  Team team;
  bool logarithm;
};

// With m the largest of a row: exp(x - m) / sum of exp(x - m), or (x - m) - log(that sum). A team that keeps its row reads it
// once; else once for the sum, as it goes along: a lane's sum s for its maximum m becomes s exp(m - m') where a larger m' comes.
inline spirv::Words emit_softmax(const Target& target, const SoftmaxCode& code) {
  const Team& team = code.team;
  KernelBuilder k(target, {.workgroup = team.threads()});
  RowElements in{Elements(k, code.in), {}, {}, team.vector}, out{Elements(k, code.out), {}, {}, team.vector};
  const Value first_in = k.scalar(), first_out = k.scalar(), rows = k.scalar(), length = k.scalar();
  in.stride = k.scalar(), out.stride = k.scalar();
  const AxesFrame<2> outer(k, code.outer_rank);
  TeamFrame frame(k, team, rows);
  const auto offset = outer.offsets(frame.row());
  in.base = first_in + offset[0], out.base = first_out + offset[1];

  constexpr float infinity = std::numeric_limits<float>::infinity();
  const auto larger = [](Value a, Value b) { return max(a, b); };
  const auto sum = [](Value a, Value b) { return a + b; };
  // -inf beyond the row's end: no maximum, and exp of it is 0.
  const auto chunk = [&](Value begin) {
    const Value inside = begin < length;
    return select(inside, in.load(select(inside, begin, 0u)), -infinity);
  };
  const auto write = [&](Value begin, Value value) { k.when(frame.has_row() && begin < length, [&] { out.store(begin, value); }); };

  if (team.kept != 0) {
    std::vector<Value> x;
    for (std::uint32_t c = 0; c < team.kept; ++c) x.push_back(chunk(frame.chunk_begin(c)));
    Value most = x[0];
    for (std::uint32_t c = 1; c < team.kept; ++c) most = max(most, x[c]);
    most = frame.maximum(within(most, larger));
    std::vector<Value> power;
    for (Value& value : x) power.push_back(exp(value = value - most));
    Value total = power[0];
    for (std::uint32_t c = 1; c < team.kept; ++c) total = total + power[c];
    total = frame.sum(within(total, sum));
    const Value last = code.logarithm ? log(total) : 1.f / total;
    for (std::uint32_t c = 0; c < team.kept; ++c) write(frame.chunk_begin(c), code.logarithm ? x[c] - last : power[c] * last);
    return k.finish();
  }
  const Value chunks = (length + (team.lanes * team.vector - 1)) / (team.lanes * team.vector);
  // Not the maximum itself where it is -inf: -inf - -inf is no number.
  const auto reference = [&](Value maximum) { return select(maximum == -infinity, 0.f, maximum); };
  const Variable most = k.variable(k.constant(-infinity)), total = k.variable(k.constant(0.f));
  k.loop(0, chunks, 1, [&](Value c) {
    const Value x = chunk(frame.chunk_begin(c)), before = most.get(), after = max(before, within(x, larger)), from = reference(after);
    total.set(total.get() * exp(before - from) + within(exp(x - from), sum));
    most.set(after);
  });
  const Value maximum = frame.maximum(most.get());
  const Value all = frame.sum(total.get() * exp(most.get() - reference(maximum)));
  const Value last = code.logarithm ? log(all) : 1.f / all;
  k.loop(0, chunks, 1, [&](Value c) {
    const Value begin = frame.chunk_begin(c), x = chunk(begin) - maximum;
    write(begin, code.logarithm ? x - last : exp(x) * last);
  });
  return k.finish();
}

namespace kernels {
// `chosen`: a team other than the usual one, for measuring; its vector must be 1 or what the rows allow.
template <class In, class Out> void softmax(Device& device, Stream& stream, const SoftmaxArguments<In, Out>& a, const Team* chosen = nullptr) {
  const Layout in = a.in.view.layout(), out = a.out.view.layout();
  const std::size_t rank = in.shape.rank(), size = a.out.view.size();
  if (size == 0) return;
  const auto outer = merged_axes<2>({&in, &out}, 0, rank - 1), inner = merged_axes<2>({&in, &out}, rank - 1, rank);
  const std::size_t length = in.shape.back(), rows = size / length;
  const bool vectors = has_vectors(a.in, 0, outer, inner) && has_vectors(a.out, 1, outer, inner);
  const Team team = chosen != nullptr ? *chosen : choose_team(device.capabilities(), rows, length, vectors ? 4 : 1, lies_across(0, outer, inner));
  const SoftmaxCode code{dtype_of<In>, dtype_of<Out>, outer.rank, team, a.logarithm};
  LaunchPlan plan(a.logarithm ? "log_softmax" : "softmax");
  plan.buffer(a.in, Access::read);
  plan.buffer(a.out, Access::write);
  plan.scalar(rows), plan.scalar(length);
  plan.stride(inner, 0), plan.stride(inner, 1);
  plan.axes(outer);
  plan.key += " " + team.key();
  plan.groups = team_groups(team, rows);
  plan.subgroup_size = team.subgroup;
  device.launch(stream, plan.launch(), [&](const Target& target) { return emit_softmax(target, code); });
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
