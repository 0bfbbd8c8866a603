// Options of devices for tests: every call validated, both ways to address buffers, nothing kept on the disk.
// COTENANT_TEST_VULKAN=plain leaves validation out, for machines without the layer; =discrete has the kernels of a large GPU chosen
// (those without matrices) and launched as there, whatever computes: tiles, parts of depth, packed and turned sides; =least leaves a
// device no more than Vulkan 1.2 promises of one with addresses and timelines: words alone in memory, few threads, little shared memory;
// =least,discrete both.
#ifndef COTENANT_TESTS_VULKAN_CHECKED_OPTIONS_HPP
#define COTENANT_TESTS_VULKAN_CHECKED_OPTIONS_HPP
#include <cstdlib>
#include <string>

#include "cotenant/vulkan/storage_class.hpp"

namespace cotenant::test {

// The least that Vulkan 1.2 allows of each (limits: its table "Required Limits"), and none of what is optional but a clock, which tests read.
inline void leave_the_least(vulkan::Capabilities& device) {
  device.api_version = VK_API_VERSION_1_2;
  device.shader_int8 = device.shader_int16 = device.shader_int64 = device.shader_float16 = device.shader_float64 = false;
  device.storage_8bit = device.storage_16bit = false;
  device.denormals_preserved_f32 = device.denormals_preserved_f16 = device.specials_preserved_f32 = device.specials_preserved_f16 = false;
  device.rounds_to_even_f32 = device.rounds_to_even_f16 = false;
  device.subgroup_arithmetic = device.subgroup_shuffle = device.subgroup_ballot = device.subgroup_size_control = false;
  device.vulkan_memory_model = device.integer_dot_product = device.zero_initialize_shared_memory = device.workgroup_layout_explicit = false;
  device.cooperative_matrix = device.cooperative_matrix2 = device.bfloat16 = device.bfloat16_cooperative_matrix = false;
  device.matrix_shapes.clear(), device.flexible_shapes.clear();
  device.host_import = device.memory_budget = device.synchronization2 = false;
  device.shared_memory_bytes = 16384;
  device.max_workgroup_invocations = 128;
  device.max_workgroup_size = {128, 128, 64};
  device.max_workgroup_count = {65535, 65535, 65535};
  device.max_storage_buffer_range = std::size_t{1} << 27;
  device.storage_buffer_alignment = 256;
  device.queues = 1, device.transfer_queues = 0;
}

inline void be_discrete(vulkan::Capabilities& device) { device.type = vulkan::DeviceType::discrete, device.multiprocessors = 132; }

inline VulkanOptions checked_options(bool descriptors = false) {
  const char* const chosen = std::getenv("COTENANT_TEST_VULKAN");
  const std::string mode = chosen != nullptr ? chosen : "";
  const auto says = [&](const char* word) { return mode.find(word) != std::string::npos; };
  const bool plain = says("plain") || says("discrete");
  VulkanOptions options;
  if (says("least") && says("discrete")) options.pretend = [](vulkan::Capabilities& device) { leave_the_least(device), be_discrete(device); };
  else if (says("least")) options.pretend = leave_the_least;
  else if (says("discrete")) options.pretend = be_discrete;
  options.validation = !plain;
  options.synchronization_validation = !plain && descriptors;
  options.addressing = descriptors ? vulkan::Addressing::descriptors : vulkan::Addressing::pointers;
  options.zero_copy = false;
  options.cache_folder = "-";
  return options;
}

}  // namespace cotenant::test

#endif
