// layer_norm and rms_norm on the device, of a tensor or of a sum of two.
#ifndef COTENANT_VULKAN_KERNELS_NORM_HPP
#define COTENANT_VULKAN_KERNELS_NORM_HPP
#include <cstdint>
#include <optional>
#include <vector>

#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/plan.hpp"
#include "cotenant/vulkan/kernels/team.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/spirv_math.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// What the code depends on. Operands in the order in, residual, scale, bias, sum, out; the second, fourth and fifth may be missing.
struct NormCode {
  std::array<std::optional<DType>, 6> elements;
  std::size_t outer_rank;
  Team team;
  bool centered;
};

// The variance is that about the mean, found in a second pass: the difference of mean square and squared mean would cancel.
inline spirv::Words emit_norm(const Target& target, const NormCode& code) {
  enum { in, residual, scale, bias, sum, out };
  const Team& team = code.team;
  KernelBuilder k(target, {.workgroup = team.threads()});
  std::array<RowElements, 6> row;
  for (std::size_t i = 0; i < 6; ++i) if (code.elements[i]) row[i].elements = Elements(k, *code.elements[i]);
  for (std::size_t i = 0; i < 6; ++i) if (code.elements[i]) row[i].base = k.scalar(), row[i].stride = k.scalar(), row[i].vector = team.vector;
  const Value rows = k.scalar(), length = k.scalar(), epsilon = k.scalar(k.f32());
  const AxesFrame<6> outer(k, code.outer_rank);
  TeamFrame frame(k, team, rows);
  const auto offset = outer.offsets(frame.row());
  for (std::size_t i = 0; i < 6; ++i) if (code.elements[i] && i != scale && i != bias) row[i].base = row[i].base + offset[i];

  const Value count = convert(k.f32(), length);
  const auto add = [](Value a, Value b) { return a + b; };
  const auto place = [&](Value begin) { return select(begin < length, begin, 0u); };
  const auto load = [&](Value begin) {
    const Value at = place(begin), x = row[in].load(at);
    return code.elements[residual] ? x + row[residual].load(at) : x;
  };
  // 0 beyond the row's end.
  const auto counted = [&](Value begin, Value v) { return select(begin < length, v, 0.f); };
  const auto write = [&](Value begin, Value x, Value mean, Value factor) {
    const Value at = place(begin), normal = (code.centered ? x - mean : x) * factor, scaled = normal * row[scale].load(at);
    const Value result = code.elements[bias] ? scaled + row[bias].load(at) : scaled;
    k.when(frame.has_row() && begin < length, [&] {
      if (code.elements[sum]) row[sum].store(begin, x);
      row[out].store(begin, result);
    });
  };
  const auto factor_of = [&](Value squares) { return rsqrt(frame.sum(squares) / count + epsilon); };

  if (team.kept != 0) {
    std::vector<Value> x;
    for (std::uint32_t c = 0; c < team.kept; ++c) x.push_back(load(frame.chunk_begin(c)));
    const auto total = [&](auto each) {
      Value all;
      for (std::uint32_t c = 0; c < team.kept; ++c) {
        const Value v = counted(frame.chunk_begin(c), each(x[c]));
        all = c == 0 ? v : all + v;
      }
      return within(all, add);
    };
    const Value mean = code.centered ? frame.sum(total([](Value v) { return v; })) / count : k.constant(0.f);
    const Value factor = factor_of(total([&](Value v) {
      const Value distance = code.centered ? v - mean : v;
      return distance * distance;
    }));
    for (std::uint32_t c = 0; c < team.kept; ++c) write(frame.chunk_begin(c), x[c], mean, factor);
    return k.finish();
  }
  const Value chunks = (length + (team.lanes * team.vector - 1)) / (team.lanes * team.vector);
  const auto total = [&](auto each) {
    const Variable all = k.variable(k.constant(0.f));
    k.loop(0, chunks, 1, [&](Value c) {
      const Value begin = frame.chunk_begin(c);
      all.set(all.get() + within(counted(begin, each(load(begin))), add));
    });
    return all.get();
  };
  const Value mean = code.centered ? frame.sum(total([](Value v) { return v; })) / count : k.constant(0.f);
  const Value factor = factor_of(total([&](Value v) {
    const Value distance = code.centered ? v - mean : v;
    return distance * distance;
  }));
  // Only now may x's own place take the sum: until here every pass has read it.
  k.loop(0, chunks, 1, [&](Value c) {
    const Value begin = frame.chunk_begin(c);
    write(begin, load(begin), mean, factor);
  });
  return k.finish();
}

namespace kernels {
COTENANT_VULKAN_INLINE void norm(Stream& stream, const AnyNorm& a, const Team* chosen) {
  Device& device = stream.device();
  const std::size_t size = a.out.view.size();
  if (size == 0) return;
  const Shape& shape = a.out.shape();
  const std::size_t rank = shape.rank(), length = shape.back(), rows = size / length;
  // Parameters are the same for each row.
  const auto repeated = [&](const AnyOperand& parameter) {
    Layout layout{shape, Strides::filled(rank, 0), 0};
    layout.strides[rank - 1] = parameter.view.stride(0);
    return layout;
  };
  const bool has_residual = a.residual.block != nullptr, has_bias = a.bias.block != nullptr, has_sum = a.sum.block != nullptr;
  const Layout in = a.in.view.layout(), residual = a.residual.view.layout(), scale = repeated(a.scale), bias = has_bias ? repeated(a.bias) : Layout{},
               sum = a.sum.view.layout(), out = a.out.view.layout();
  const std::array<const Layout*, 6> layouts{&in, has_residual ? &residual : nullptr, &scale, has_bias ? &bias : nullptr, has_sum ? &sum : nullptr, &out};
  const auto outer = merged_axes<6>(layouts, 0, rank - 1), inner = merged_axes<6>(layouts, rank - 1, rank);
  const bool vectors = has_vectors(a.in, 0, outer, inner) && has_vectors(a.residual, 1, outer, inner) && has_vectors(a.scale, 2, outer, inner) &&
                       has_vectors(a.bias, 3, outer, inner) && has_vectors(a.sum, 4, outer, inner) && has_vectors(a.out, 5, outer, inner);
  const Team team = chosen != nullptr ? *chosen
                                      : choose_team(device.capabilities(), rows, length, vectors ? 4 : 1, lies_across(0, outer, inner), size_of(a.in.type()));
  NormCode code{{}, outer.rank, team, a.centered};
  LaunchPlan plan(a.centered ? "layer_norm" : "rms_norm");
  const auto operand = [&](std::size_t i, const char* name, const AnyOperand& x, Access access) {
    if (x.block == nullptr) return;
    code.elements[i] = x.type();
    plan.key.append(name);
    plan.buffer(x, access);
    plan.stride(inner, i);
  };
  operand(0, "", a.in, Access::read);
  operand(1, " residual", a.residual, Access::read);
  operand(2, " scale", a.scale, Access::read);
  operand(3, " bias", a.bias, Access::read);
  operand(4, " sum", a.sum, Access::write);
  operand(5, " out", a.out, Access::write);
  plan.scalar(rows), plan.scalar(length), plan.scalar(a.epsilon);
  plan.axes(outer);
  plan.key.append(' ', team.key());
  plan.spread(team_groups(team, rows), stream.barriers());
  plan.subgroup_size = team.subgroup;
  device.launch(stream, plan.launch(), [&](const Target& target) { return emit_norm(target, code); });
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
