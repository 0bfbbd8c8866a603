// The Vulkan API as this folder uses it: the structs that older headers lack, and VkResult as a typed error.
#ifndef COTENANT_VULKAN_API_HPP
#define COTENANT_VULKAN_API_HPP
#include <vulkan/vulkan.h>

#include <cstdint>
#include <string>

#include "cotenant/core/error.hpp"

#if !defined(VK_VERSION_1_3) || VK_HEADER_VERSION < 200
#error "cotenant's Vulkan backend needs the headers of Vulkan 1.3.200 or newer (Debian: libvulkan-dev)"
#endif

namespace cotenant::vulkan {

// Declared here because Debian 12's headers (1.3.239) do not have them. The numbers are those of the Vulkan registry.
namespace newer {
template <std::uint32_t Number> inline constexpr auto structure_type = static_cast<VkStructureType>(Number);

// VK_KHR_cooperative_matrix
struct CooperativeMatrixFeatures {
  VkStructureType sType = structure_type<1000506000>;
  void* pNext = nullptr;
  VkBool32 cooperativeMatrix = VK_FALSE;
  VkBool32 cooperativeMatrixRobustBufferAccess = VK_FALSE;
};
struct CooperativeMatrixProperties {
  VkStructureType sType = structure_type<1000506001>;
  void* pNext = nullptr;
  std::uint32_t MSize = 0, NSize = 0, KSize = 0;
  std::uint32_t AType = 0, BType = 0, CType = 0, ResultType = 0;  // VkComponentTypeKHR
  VkBool32 saturatingAccumulation = VK_FALSE;
  std::uint32_t scope = 0;  // VkScopeKHR
};
using GetCooperativeMatrixProperties = VkResult(VKAPI_PTR*)(VkPhysicalDevice, std::uint32_t*, CooperativeMatrixProperties*);

// VK_KHR_shader_bfloat16
struct Bfloat16Features {
  VkStructureType sType = structure_type<1000141000>;
  void* pNext = nullptr;
  VkBool32 shaderBFloat16Type = VK_FALSE;
  VkBool32 shaderBFloat16DotProduct = VK_FALSE;
  VkBool32 shaderBFloat16CooperativeMatrix = VK_FALSE;
};

// VK_NV_cooperative_matrix2
struct CooperativeMatrix2Features {
  VkStructureType sType = structure_type<1000593000>;
  void* pNext = nullptr;
  VkBool32 cooperativeMatrixWorkgroupScope = VK_FALSE;
  VkBool32 cooperativeMatrixFlexibleDimensions = VK_FALSE;
  VkBool32 cooperativeMatrixReductions = VK_FALSE;
  VkBool32 cooperativeMatrixConversions = VK_FALSE;
  VkBool32 cooperativeMatrixPerElementOperations = VK_FALSE;
  VkBool32 cooperativeMatrixTensorAddressing = VK_FALSE;
  VkBool32 cooperativeMatrixBlockLoads = VK_FALSE;
};
struct FlexibleDimensionsProperties {
  VkStructureType sType = structure_type<1000593001>;
  void* pNext = nullptr;
  std::uint32_t MGranularity = 0, NGranularity = 0, KGranularity = 0;
  std::uint32_t AType = 0, BType = 0, CType = 0, ResultType = 0;
  VkBool32 saturatingAccumulation = VK_FALSE;
  std::uint32_t scope = 0, workgroupInvocations = 0;
};
struct CooperativeMatrix2Properties {
  VkStructureType sType = structure_type<1000593002>;
  void* pNext = nullptr;
  std::uint32_t cooperativeMatrixWorkgroupScopeMaxWorkgroupSize = 0;
  std::uint32_t cooperativeMatrixFlexibleDimensionsMaxDimension = 0;
  std::uint32_t cooperativeMatrixWorkgroupScopeReservedSharedMemory = 0;
};
using GetFlexibleDimensionsProperties = VkResult(VKAPI_PTR*)(VkPhysicalDevice, std::uint32_t*, FlexibleDimensionsProperties*);
}  // namespace newer

inline std::string to_string(VkResult result) {
  switch (result) {
    case VK_SUCCESS: return "VK_SUCCESS";
    case VK_NOT_READY: return "VK_NOT_READY";
    case VK_TIMEOUT: return "VK_TIMEOUT";
    case VK_INCOMPLETE: return "VK_INCOMPLETE";
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED: return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_INVALID_EXTERNAL_HANDLE: return "VK_ERROR_INVALID_EXTERNAL_HANDLE";
    default: return "VkResult " + std::to_string(static_cast<int>(result));
  }
}

// Raises what `result` means; `what` says what was asked for: "allocating 64.0 MiB on 'NVIDIA H100'".
// Errors: OutOfMemory, DeviceLost, Unsupported.
[[noreturn]] inline void raise_result(VkResult result, const std::string& what) {
  const std::string text = what + " failed with " + to_string(result);
  switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_TOO_MANY_OBJECTS:
    case VK_ERROR_MEMORY_MAP_FAILED:
      raise<OutOfMemory>(text + ": free tensors on this device, give its managers a smaller budget, or call optimize_memory()");
    case VK_ERROR_DEVICE_LOST:
      raise<DeviceLost>(text + ": the driver reset the device or a kernel ran too long. What lies only on the device is gone; go on with the copies "
                               "on the host, on the CPU or on a device opened anew with Vulkan::open()");
    default: raise<Unsupported>(text);
  }
}
inline void check(VkResult result, const char* what) {
  if (result < 0) raise_result(result, what);
}

}  // namespace cotenant::vulkan

#endif
