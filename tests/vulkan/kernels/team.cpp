#include "cotenant/vulkan/kernels/team.hpp"

#include <doctest/doctest.h>

#include "../test_device.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

namespace {
Capabilities some_device() {
  Capabilities device;
  device.subgroup_arithmetic = device.subgroup_size_control = true;
  device.subgroup_size = device.min_subgroup_size = device.max_subgroup_size = 32;
  device.max_workgroup_invocations = 1024;
  return device;
}
}  // namespace

TEST_CASE("short rows share a workgroup, medium ones are a subgroup's, long ones a workgroup's") {
  const Capabilities device = some_device();
  const Team few = choose_team(device, 100, 20, 1, false);
  CHECK(few.lanes == 8);
  CHECK(few.threads() == 256);
  CHECK(few.kept == 4);
  const Team medium = choose_team(device, 32768, 1024, 4, false);
  CHECK(medium.lanes == 32);
  CHECK(medium.subgroup == 32);
  CHECK(medium.kept == 8);
  const Team large = choose_team(device, 4096, 4096, 4, false);
  CHECK(large.lanes == 256);
  CHECK(large.rows == 1);
  CHECK(large.kept == 4);
  CHECK(choose_team(device, 4096, 4096, 4, false, 2).lanes == 128);
  CHECK(choose_team(device, 2, 1000000, 4, false).kept == 0);
  CHECK(choose_team(device, 1000, 1000, 1, true).across);
}

TEST_CASE("a device without subgroup operations of a known size brings teams together in shared memory") {
  Capabilities device = some_device();
  device.subgroup_size_control = false;
  device.min_subgroup_size = 8;
  for (const std::size_t length : {10, 1000, 100000}) CHECK(choose_team(device, 100000, length, 1, false).subgroup == 0);
  device.max_workgroup_invocations = 128;
  CHECK(choose_team(device, 1, 100000, 1, false).threads() <= 128);
}

TEST_CASE("every kind of team adds up its rows") {
  const test::Checked gpu;
  const std::uint32_t subgroup = gpu->capabilities().subgroup_arithmetic ? gpu->capabilities().subgroup_size : 0;
  for (Team team : {Team{8, 4, false, 1, 1, 0}, Team{8, 4, true, 1, 1, 0}, Team{1, 32, false, 1, 1, 0}, Team{64, 1, false, 1, 1, 0},
                    Team{64, 1, false, 1, 1, subgroup}, Team{subgroup, 4, false, 1, 1, subgroup}})
    for (const std::size_t barriers : {0u, 1u}) {
      if (team.lanes == 0) continue;
      const std::uint32_t rows = 2 * team.rows - (team.rows > 1 ? 1 : 0);
      const auto out = empty<float>({rows}, *gpu);
      const BufferArgument buffers[] = {{out.block().get(), out.unchecked_view().data(), rows * sizeof(float), Access::write}};
      const auto groups = team_groups(team, rows);
      const std::uint32_t scalars[] = {rows, turn_of(groups, barriers)};
      const KernelKey key("test: team ", team.key());
      gpu->device().launch(*gpu->shared_stream(), {key, buffers, scalars, groups, team.subgroup}, [&](const Target& target) {
        KernelBuilder k(target, {.workgroup = team.threads()});
        const Buffer y = k.buffer(k.f32());
        const Value count = k.scalar();
        TeamFrame frame(k, team, count);
        // row + lane: the sum over the lanes is known, and so are its extremes.
        const Value mine = convert(k.f32(), frame.row() + frame.lane());
        const Value result = frame.sum(mine) + frame.maximum(mine) * 1000.f - frame.minimum(mine);
        k.when(frame.has_row() && frame.lane() == 0u, [&] { y.store(frame.row(), result); });
        return k.finish();
      });
      const auto got = test::to_host(out);
      for (std::uint32_t row = 0; row < rows; ++row) {
        const float lanes = static_cast<float>(team.lanes), r = static_cast<float>(row);
        CHECK(got[row] == lanes * r + lanes * (lanes - 1) / 2 + (r + lanes - 1) * 1000 - r);
      }
    }
}
