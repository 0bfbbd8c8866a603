// Turns: every other launch of a chain begins at the end of its work, with what the launch before it touched last.
#ifndef COTENANT_VULKAN_KERNELS_TURNS_HPP
#define COTENANT_VULKAN_KERNELS_TURNS_HPP
#include <array>
#include <cstddef>
#include <cstdint>

#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/kernels/axes.hpp"

namespace cotenant::vulkan {

// Devices begin with a launch's first workgroups; what they touched last is in the second-level cache when the next launch begins. Tensors
// larger than that cache would drive each other out of it if all were walked through in one direction: on an H100 (50 MiB of cache) copies of
// 134 MB take 91.5 µs each, to and fro 84.8. Launches that wait for each other have a barrier between them: their number tells the direction.
// Only speed depends on it.

// A launch's scalar for group_number(): 0, or the last group's number where the launch begins at the end.
constexpr std::uint32_t turn_of(const std::array<std::uint32_t, 3>& groups, std::size_t barriers) {
  return barriers % 2 == 0 ? 0 : groups[0] * groups[1] - 1;
}
// The number of this workgroup among those of folded_groups().
inline Value group_number(KernelBuilder& k, Value turn) {
  const Value number = k.workgroup_id(1) * static_cast<std::uint32_t>(groups_per_row) + k.workgroup_id(0);
  return spirv::select(turn == 0u, number, turn - number);
}

}  // namespace cotenant::vulkan

#endif
