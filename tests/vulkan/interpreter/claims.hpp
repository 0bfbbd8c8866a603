// What the interpreter's device says of itself: the properties of an NVIDIA H100, as far as kernels are chosen by them.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_CLAIMS_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_CLAIMS_HPP
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cotenant/vulkan/api.hpp"

namespace cotenant::test::interpreter {

inline constexpr std::array extensions{"VK_KHR_cooperative_matrix", "VK_KHR_shader_bfloat16", "VK_NV_shader_sm_builtins", "VK_NV_cooperative_matrix2"};

// Of VK_NV_cooperative_matrix2 only conversions; COTENANT_INTERPRETER=khr: not those either.
inline bool converts() {
  const char* const mode = std::getenv("COTENANT_INTERPRETER");
  return mode == nullptr || std::strcmp(mode, "khr") != 0;
}

inline void VKAPI_CALL get_properties(VkPhysicalDevice, VkPhysicalDeviceProperties* to) {
  *to = {};
  to->apiVersion = VK_API_VERSION_1_3;
  to->driverVersion = 1;
  to->deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
  std::snprintf(to->deviceName, sizeof to->deviceName, "SPIR-V interpreter");
  VkPhysicalDeviceLimits& limits = to->limits;
  limits.maxMemoryAllocationCount = 4096;
  limits.maxStorageBufferRange = 0xFFFFFFFF;
  limits.minStorageBufferOffsetAlignment = 16;
  limits.maxPerStageDescriptorStorageBuffers = limits.maxDescriptorSetStorageBuffers = limits.maxPerStageResources = 1048576;
  limits.maxComputeSharedMemorySize = 49152;
  limits.maxPushConstantsSize = 256;
  limits.maxComputeWorkGroupInvocations = 1024;
  limits.maxComputeWorkGroupSize[0] = limits.maxComputeWorkGroupSize[1] = 1024, limits.maxComputeWorkGroupSize[2] = 64;
  limits.maxComputeWorkGroupCount[0] = 0x7FFFFFFF, limits.maxComputeWorkGroupCount[1] = limits.maxComputeWorkGroupCount[2] = 65535;
  limits.timestampPeriod = 1;
  limits.nonCoherentAtomSize = limits.minMemoryMapAlignment = 64;
}

template <class F> void each_in_chain(void* first, F f) {
  for (auto* one = static_cast<VkBaseOutStructure*>(first); one != nullptr; one = one->pNext) f(*one);
}
// Fills in `to` all but its place in the chain.
template <class T> void fill(VkBaseOutStructure& to, T with) {
  with.sType = to.sType, with.pNext = to.pNext;
  std::memcpy(&to, &with, sizeof with);
}

inline void VKAPI_CALL get_properties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2* to) {
  get_properties(device, &to->properties);
  each_in_chain(to->pNext, [](VkBaseOutStructure& one) {
    switch (one.sType) {
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES: {
        VkPhysicalDeviceVulkan11Properties all{};
        all.deviceUUID[0] = all.driverUUID[0] = 0xC7;
        all.subgroupSize = 32;
        all.subgroupSupportedStages = VK_SHADER_STAGE_COMPUTE_BIT;
        all.subgroupSupportedOperations = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_VOTE_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
            VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
        all.maxMemoryAllocationSize = std::uint64_t{4} << 30;
        fill(one, all);
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES: {
        VkPhysicalDeviceVulkan12Properties all{};
        std::snprintf(all.driverName, sizeof all.driverName, "interpreter");
        all.shaderDenormPreserveFloat32 = all.shaderDenormPreserveFloat16 = VK_TRUE;
        all.shaderSignedZeroInfNanPreserveFloat32 = all.shaderSignedZeroInfNanPreserveFloat16 = VK_TRUE;
        all.shaderRoundingModeRTEFloat32 = all.shaderRoundingModeRTEFloat16 = VK_TRUE;
        fill(one, all);
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES: {
        VkPhysicalDeviceVulkan13Properties all{};
        all.minSubgroupSize = all.maxSubgroupSize = 32;
        fill(one, all);
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV: {
        VkPhysicalDeviceShaderSMBuiltinsPropertiesNV all{};
        all.shaderSMCount = 132, all.shaderWarpsPerSM = 64;
        fill(one, all);
        break;
      }
      default: break;
    }
  });
}

inline void VKAPI_CALL get_features(VkPhysicalDevice, VkPhysicalDeviceFeatures* to) {
  *to = {};
  to->shaderInt16 = to->shaderInt64 = to->shaderFloat64 = VK_TRUE;
}
inline void VKAPI_CALL get_features2(VkPhysicalDevice device, VkPhysicalDeviceFeatures2* to) {
  get_features(device, &to->features);
  each_in_chain(to->pNext, [](VkBaseOutStructure& one) {
    using namespace vulkan::newer;
    switch (static_cast<std::uint32_t>(one.sType)) {
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES: {
        VkPhysicalDeviceVulkan11Features all{};
        all.storageBuffer16BitAccess = all.uniformAndStorageBuffer16BitAccess = VK_TRUE;
        fill(one, all);
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES: {
        VkPhysicalDeviceVulkan12Features all{};
        all.storageBuffer8BitAccess = all.uniformAndStorageBuffer8BitAccess = all.shaderInt8 = all.shaderFloat16 = VK_TRUE;
        all.scalarBlockLayout = all.timelineSemaphore = all.bufferDeviceAddress = all.vulkanMemoryModel = all.vulkanMemoryModelDeviceScope = VK_TRUE;
        all.shaderSubgroupExtendedTypes = VK_TRUE;
        fill(one, all);
        break;
      }
      case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES: {
        VkPhysicalDeviceVulkan13Features all{};
        all.subgroupSizeControl = all.computeFullSubgroups = all.synchronization2 = all.maintenance4 = VK_TRUE;
        fill(one, all);
        break;
      }
      case structure_type<1000506000>: reinterpret_cast<CooperativeMatrixFeatures&>(one).cooperativeMatrix = VK_TRUE; break;
      case structure_type<1000141000>: {
        auto& all = reinterpret_cast<Bfloat16Features&>(one);
        all.shaderBFloat16Type = all.shaderBFloat16CooperativeMatrix = VK_TRUE;
        break;
      }
      case structure_type<1000593000>: reinterpret_cast<CooperativeMatrix2Features&>(one).cooperativeMatrixConversions = converts() ? VK_TRUE : VK_FALSE; break;
      default: break;
    }
  });
}

// VkComponentTypeKHR: f16, f32, i8, i32, bf16. Scope 3: a subgroup.
inline VkResult VKAPI_CALL get_matrix_shapes(VkPhysicalDevice, std::uint32_t* count, vulkan::newer::CooperativeMatrixProperties* to) {
  constexpr std::uint32_t f16 = 0, f32 = 1, i8 = 3, i32 = 5, bf16 = 1000141000;
  struct Shape {
    std::uint32_t k, of, sum;
  };
  // The last one is of a device that cannot convert: it is another one than that GPU.
  constexpr std::array<Shape, 5> shapes{{{16, f16, f32}, {16, bf16, f32}, {32, i8, i32}, {16, f16, f16}, {16, bf16, bf16}}};
  const std::uint32_t there = converts() ? shapes.size() - 1 : shapes.size();
  if (to == nullptr) return *count = there, VK_SUCCESS;
  *count = std::min(*count, there);
  for (std::uint32_t i = 0; i < *count; ++i) {
    to[i].MSize = to[i].NSize = 16, to[i].KSize = shapes[i].k;
    to[i].AType = to[i].BType = shapes[i].of, to[i].CType = to[i].ResultType = shapes[i].sum;
    to[i].saturatingAccumulation = VK_FALSE, to[i].scope = 3;
  }
  return VK_SUCCESS;
}

// As on that GPU: a family that computes and one that only copies; memory of the device, of the host, and of the device that the host sees.
inline void VKAPI_CALL get_queue_families(VkPhysicalDevice, std::uint32_t* count, VkQueueFamilyProperties* to) {
  if (to == nullptr) return void(*count = 2);
  *count = std::min(*count, 2u);
  for (std::uint32_t i = 0; i < *count; ++i) {
    to[i] = {};
    to[i].queueFlags = i == 0 ? VK_QUEUE_COMPUTE_BIT | VK_QUEUE_TRANSFER_BIT : VK_QUEUE_TRANSFER_BIT;
    to[i].queueCount = 4, to[i].timestampValidBits = 64;
  }
}
inline void VKAPI_CALL get_memory_properties(VkPhysicalDevice, VkPhysicalDeviceMemoryProperties* to) {
  constexpr VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  constexpr VkMemoryPropertyFlags visible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  *to = {};
  to->memoryHeapCount = 2;
  to->memoryHeaps[0] = {std::uint64_t{8} << 30, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
  to->memoryHeaps[1] = {std::uint64_t{8} << 30, 0};
  to->memoryTypeCount = 3;
  to->memoryTypes[0] = {local, 0};
  to->memoryTypes[1] = {visible | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 1};
  to->memoryTypes[2] = {local | visible, 0};
}
inline void VKAPI_CALL get_memory_properties2(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2* to) {
  get_memory_properties(device, &to->memoryProperties);
}

}  // namespace cotenant::test::interpreter

#endif
