// Team: how many threads share a row, which of its elements each one has, and how they bring their results together.
#ifndef COTENANT_VULKAN_KERNELS_TEAM_HPP
#define COTENANT_VULKAN_KERNELS_TEAM_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/kernel_key.hpp"
#include "cotenant/vulkan/kernels/axes.hpp"
#include "cotenant/vulkan/kernels/turns.hpp"

namespace cotenant::vulkan {

// Lane i of a team has the chunks i, i + lanes, i + 2 lanes, … of `vector` neighbouring elements each.
struct Team {
  std::uint32_t lanes = 8, rows = 32;  // of a workgroup
  bool across = false;                 // neighbouring threads have neighbouring rows: where those lie side by side
  std::uint32_t vector = 1;
  std::uint32_t kept = 0;              // chunks of a lane that stay in registers: all of them; 0: the row is read again
  std::uint32_t subgroup = 0;          // invocations per subgroup where the team is one or more of them; 0: no subgroup operations

  std::uint32_t threads() const { return lanes * rows; }
  KernelKey key() const { return KernelKey("lanes", lanes, 'x', rows, across ? "across" : "", " v", vector, " kept", kept, " sub", subgroup); }
};

// `rows` rows of `length` elements of `element_bytes`, read in chunks of `vector`. `across` where neighbouring rows, not a row's
// elements, lie side by side. Registers hold at most 32 elements of a lane. From bench/gpu/rows.cpp on an H100: f32 rows of 4096 take
// 181 µs with 64 to 512 lanes, 276 µs with 1024; f16 rows of 4096 take 93, 101 and 123 µs with 128, 256 and 512, because fewer
// lanes have more bytes under way each.
inline Team choose_team(const Capabilities& device, std::size_t rows, std::size_t length, std::uint32_t vector, bool across, std::size_t element_bytes = 4) {
  const std::size_t chunks = (length + vector - 1) / vector;
  Team team;
  team.vector = vector;
  team.across = across;
  const std::uint32_t subgroup =
      device.subgroup_arithmetic && (device.subgroup_size_control || device.min_subgroup_size == device.max_subgroup_size) ? device.subgroup_size : 0;
  // 32 subgroups to a workgroup are what every device allows where a size is asked for.
  const std::uint32_t most = std::min<std::uint32_t>({device.max_workgroup_invocations, 1024, subgroup == 0 ? 1024 : 32 * subgroup}),
                      workgroup = std::min<std::uint32_t>(most, 256);
  const std::size_t kept = 32 / vector;
  if (across) {
    team.lanes = chunks <= 16 ? 1 : 8;
    team.rows = workgroup / team.lanes;
  } else if (chunks <= 32) {
    team.lanes = 8;
    team.rows = workgroup / 8;
  } else if (subgroup >= 8 && chunks <= subgroup * kept && rows * subgroup >= 8192) {
    // A row of one subgroup needs no barrier. Only where there are rows enough to fill the device.
    team.lanes = team.subgroup = subgroup;
    team.rows = std::max<std::uint32_t>(1, 128 / subgroup);
  } else {
    team.lanes = chunks <= 128 * kept && vector > 1 && element_bytes == 2 ? std::min<std::uint32_t>(most, 128)
                 : chunks <= 256 * kept                                   ? workgroup
                 : chunks <= 512 * kept                                   ? std::min<std::uint32_t>(most, 512)
                                                                          : most;
    team.rows = 1;
    team.subgroup = subgroup;
  }
  const std::size_t each = (chunks + team.lanes - 1) / team.lanes;
  if (each > kept) return team;
  // Few different numbers: each is a pipeline of its own.
  team.kept = 1;
  while (team.kept < each) team.kept *= 2;
  if (vector > 1 && team.kept == 4 && each == 3) team.kept = 3;
  if (vector > 1 && team.kept == 8 && each <= 6) team.kept = 6;
  return team;
}
// How many groups a launch of so many rows has.
inline std::array<std::uint32_t, 3> team_groups(const Team& team, std::size_t rows) { return folded_groups((rows + team.rows - 1) / team.rows); }

// What one thread of a team knows. Threads without a row go along with the last row, for the barriers, and write nothing.
class TeamFrame {
 public:
  // `rows` is the launch's number of rows. The next scalar is the launch's turn.
  TeamFrame(KernelBuilder& kernel, const Team& team, Value rows) : k(kernel), team_(team) {
    const Value thread = k.local_index();
    Value place;  // of the row in the workgroup
    if (team.rows == 1) place = k.constant(0u), lane_ = thread;
    else if (team.subgroup != 0) place = k.subgroup_id(), lane_ = k.lane();
    else if (team.lanes == 1) place = thread, lane_ = k.constant(0u);
    else if (team.across) place = thread % team.rows, lane_ = thread / team.rows;
    else place = thread / team.lanes, lane_ = thread % team.lanes;
    place_ = place;
    const Value wanted = group_number(k, k.scalar()) * team.rows + place;
    has_row_ = wanted < rows;
    row_ = spirv::min(wanted, rows - 1u);
  }

  Value row() const { return row_; }
  Value lane() const { return lane_; }
  Value has_row() const { return has_row_; }
  // The first element of a lane's chunk `index`.
  Value chunk_begin(Value index) const { return (lane_ + index * team_.lanes) * team_.vector; }
  Value chunk_begin(std::uint32_t index) const { return (lane_ + index * team_.lanes) * team_.vector; }

  // The lanes' values brought together by `combine`, which takes them in any order; every lane gets the result. `across_subgroup` is
  // the same over a subgroup, or null where the device has no instruction for it. `again`: the call is in a loop.
  template <class Combine, class Subgroup> Value all(Value v, Combine combine, Subgroup across_subgroup, bool again = false) {
    if (team_.lanes == 1) return v;
    if (team_.subgroup != 0) {
      v = across_subgroup(v);
      if (team_.lanes == team_.subgroup) return v;
      const std::uint32_t count = team_.lanes / team_.subgroup;
      const Shared shared = k.shared(v.type, count);
      if (again) k.barrier();
      k.when(k.lane() == 0u, [&] { shared.store(k.subgroup_id(), v); });
      k.barrier();
      return gather(count, [&](std::uint32_t i) { return shared.load(k.constant(i)); }, combine);
    }
    const std::uint32_t threads = team_.threads();
    const Shared shared = k.shared(v.type, threads);
    const Value thread = k.local_index();
    const auto index = [&](Value lane) { return team_.across ? lane * team_.rows + place_ : place_ * team_.lanes + lane; };
    if (again) k.barrier();
    shared.store(thread, v);
    k.barrier();
    std::uint32_t left = team_.lanes;
    for (; left > 8; left /= 2) {
      k.when(lane_ < left / 2, [&] { shared.store(thread, combine(shared.load(thread), shared.load(index(lane_ + left / 2)))); });
      k.barrier();
    }
    return gather(left, [&](std::uint32_t i) { return shared.load(index(k.constant(i))); }, combine);
  }
  Value sum(Value v, bool again = false) {
    return all(v, [](Value a, Value b) { return a + b; }, [](Value x) { return spirv::subgroup_add(x); }, again);
  }
  // Of floats without NaN, or where it does not matter whether NaN is the result.
  Value maximum(Value v, bool again = false) {
    return all(v, [](Value a, Value b) { return spirv::max(a, b); }, [](Value x) { return spirv::subgroup_max(x); }, again);
  }
  Value minimum(Value v, bool again = false) {
    return all(v, [](Value a, Value b) { return spirv::min(a, b); }, [](Value x) { return spirv::subgroup_min(x); }, again);
  }

 private:
  // A balanced tree, so that no result waits for all others in turn.
  template <class At, class Combine> static Value gather(std::uint32_t count, At at, Combine combine) {
    std::vector<Value> values;
    for (std::uint32_t i = 0; i < count; ++i) values.push_back(at(i));
    while (values.size() > 1) {
      std::vector<Value> half;
      for (std::size_t i = 0; i < values.size(); i += 2) half.push_back(i + 1 < values.size() ? combine(values[i], values[i + 1]) : values[i]);
      values = std::move(half);
    }
    return values[0];
  }

  KernelBuilder& k;
  Team team_;
  Value lane_, place_, row_, has_row_;
};

}  // namespace cotenant::vulkan

#endif
