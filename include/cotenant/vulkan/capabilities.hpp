// Capabilities: what one Vulkan device is, can do, and how much of it; what kernels are chosen and emitted by.
#ifndef COTENANT_VULKAN_CAPABILITIES_HPP
#define COTENANT_VULKAN_CAPABILITIES_HPP
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cotenant/vulkan/api.hpp"

namespace cotenant::vulkan {

enum class DeviceType { other, integrated, discrete, virtual_gpu, software };

constexpr const char* to_string(DeviceType type) {
  switch (type) {
    case DeviceType::integrated: return "integrated";
    case DeviceType::discrete: return "discrete";
    case DeviceType::virtual_gpu: return "virtual";
    case DeviceType::software: return "software";
    case DeviceType::other: break;
  }
  return "other";
}

// Component types of cooperative matrices by their VkComponentTypeKHR values.
enum class ComponentType : std::uint32_t {
  float16 = 0, float32 = 1, float64 = 2, sint8 = 3, sint16 = 4, sint32 = 5, sint64 = 6, uint8 = 7, uint16 = 8,
  uint32 = 9, uint64 = 10, bfloat16 = 1000141000
};

// One shape that KHR cooperative matrices may have: rows of A × columns of B × depth; scope is VkScopeKHR (3 = subgroup).
struct MatrixShape {
  std::uint32_t m = 0, n = 0, k = 0;
  ComponentType a{}, b{}, c{}, result{};
  bool saturating = false;
  std::uint32_t scope = 0;
};
// NV cooperative_matrix2: multiples of these make a shape.
struct FlexibleShape {
  std::uint32_t m_granularity = 0, n_granularity = 0, k_granularity = 0;
  ComponentType a{}, b{}, c{}, result{};
  bool saturating = false;
  std::uint32_t scope = 0, workgroup_invocations = 0;
};

struct Capabilities {
  std::string name;    // of the device
  std::string driver;  // its name and version
  std::uint32_t vendor = 0, device = 0, api_version = 0, driver_version = 0;
  std::array<std::uint8_t, VK_UUID_SIZE> device_uuid{}, driver_uuid{}, pipeline_cache_uuid{};
  DeviceType type = DeviceType::other;

  std::size_t device_memory = 0;      // bytes of the largest device-local heap
  bool unified_memory = false;        // every device-local byte is the host's, too
  std::size_t max_allocation = 0, max_storage_buffer_range = 0, storage_buffer_alignment = 0, host_import_alignment = 0;
  std::uint32_t max_allocations = 0;
  std::uint32_t max_storage_buffers = 0;  // that one kernel may reach through descriptors
  std::uint32_t queues = 0;           // of the family that computes
  std::uint32_t transfer_queues = 0;  // of a family that only copies
  bool synchronization2 = false;
  double timestamp_period = 0;        // nanoseconds per tick; 0: no timestamps

  std::uint32_t subgroup_size = 0, min_subgroup_size = 0, max_subgroup_size = 0;
  bool subgroup_size_control = false;  // a kernel may ask for one of [min_subgroup_size, max_subgroup_size]
  bool subgroup_arithmetic = false, subgroup_shuffle = false, subgroup_ballot = false;  // in compute kernels
  std::size_t shared_memory_bytes = 0;
  std::uint32_t push_constant_bytes = 0, max_workgroup_invocations = 0;
  std::array<std::uint32_t, 3> max_workgroup_size{}, max_workgroup_count{};
  std::uint32_t multiprocessors = 0;   // 0: not known

  bool shader_int8 = false, shader_int16 = false, shader_int64 = false, shader_float16 = false, shader_float64 = false;
  bool storage_8bit = false, storage_16bit = false;
  bool denormals_preserved_f32 = false, denormals_preserved_f16 = false;
  bool specials_preserved_f32 = false, specials_preserved_f16 = false;  // -0, infinities and NaN
  bool rounds_to_even_f32 = false, rounds_to_even_f16 = false;
  bool fuses_multiply_add = true;  // Fma rounds once, as every GPU's does; where a CPU computes it may be two operations, and division rounds to nearest
  bool vulkan_memory_model = false, integer_dot_product = false, zero_initialize_shared_memory = false, workgroup_layout_explicit = false;
  bool bfloat16 = false, bfloat16_cooperative_matrix = false;
  bool cooperative_matrix = false;
  bool cooperative_matrix2 = false;    // workgroup scope, flexible dimensions and tensor addressing
  bool cooperative_matrix2_reductions = false, cooperative_matrix2_conversions = false, cooperative_matrix2_per_element = false,
      cooperative_matrix2_block_loads = false;
  std::uint32_t cooperative_matrix2_max_workgroup = 0, cooperative_matrix2_max_dimension = 0, cooperative_matrix2_reserved_shared = 0;
  std::vector<MatrixShape> matrix_shapes;
  std::vector<FlexibleShape> flexible_shapes;

  bool host_import = false;     // VK_EXT_external_memory_host
  bool memory_budget = false;   // VK_EXT_memory_budget
};

}  // namespace cotenant::vulkan

#endif
