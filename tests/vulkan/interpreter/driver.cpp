// A Vulkan driver that the loader finds by its manifest (VK_DRIVER_FILES): kernels run in the interpreter, which loses the device at the
// first fault and says why on stderr. As much of Vulkan as this library calls.
// COTENANT_INTERPRETER=on goes on behind a fault; =orders runs each dispatch in two orders; =khr has cooperative matrices without conversions.
#include <algorithm>
#include <string_view>

#include "command_calls.hpp"

namespace {
using namespace cotenant::test::interpreter;

PFN_vkVoidFunction find(std::string_view name);
PFN_vkVoidFunction VKAPI_CALL get_instance_function(VkInstance, const char* name) { return find(name); }
PFN_vkVoidFunction VKAPI_CALL get_device_function(VkDevice, const char* name) { return find(name); }

PFN_vkVoidFunction find(std::string_view name) {
  struct Entry {
    const char* name;
    PFN_vkVoidFunction function;
  };
#define COTENANT_ENTRY(name, function) {#name, reinterpret_cast<PFN_vkVoidFunction>(static_cast<PFN_##name>(function))}
  static const Entry entries[] = {
      COTENANT_ENTRY(vkGetInstanceProcAddr, get_instance_function), COTENANT_ENTRY(vkGetDeviceProcAddr, get_device_function),
      COTENANT_ENTRY(vkCreateInstance, create_instance), COTENANT_ENTRY(vkDestroyInstance, destroy_instance),
      COTENANT_ENTRY(vkEnumerateInstanceVersion, get_version), COTENANT_ENTRY(vkEnumeratePhysicalDeviceGroups, list_groups),
      COTENANT_ENTRY(vkEnumerateInstanceExtensionProperties, list_instance_extensions), COTENANT_ENTRY(vkEnumeratePhysicalDevices, list_devices),
      COTENANT_ENTRY(vkEnumerateDeviceExtensionProperties, list_device_extensions), COTENANT_ENTRY(vkGetPhysicalDeviceProperties, get_properties),
      COTENANT_ENTRY(vkGetPhysicalDeviceProperties2, get_properties2), COTENANT_ENTRY(vkGetPhysicalDeviceFeatures, get_features),
      COTENANT_ENTRY(vkGetPhysicalDeviceFeatures2, get_features2), COTENANT_ENTRY(vkGetPhysicalDeviceMemoryProperties, get_memory_properties),
      COTENANT_ENTRY(vkGetPhysicalDeviceMemoryProperties2, get_memory_properties2),
      COTENANT_ENTRY(vkGetPhysicalDeviceQueueFamilyProperties, get_queue_families), COTENANT_ENTRY(vkGetPhysicalDeviceFormatProperties, get_format),
      COTENANT_ENTRY(vkGetPhysicalDeviceImageFormatProperties, get_image_format),
      COTENANT_ENTRY(vkGetPhysicalDeviceSparseImageFormatProperties, get_sparse_format), COTENANT_ENTRY(vkCreateDevice, create_device),
      COTENANT_ENTRY(vkDestroyDevice, destroy_device), COTENANT_ENTRY(vkGetDeviceQueue, get_queue), COTENANT_ENTRY(vkDeviceWaitIdle, wait_idle),
      COTENANT_ENTRY(vkAllocateMemory, allocate_memory), COTENANT_ENTRY(vkFreeMemory, destroy<Memory>), COTENANT_ENTRY(vkMapMemory, map_memory),
      COTENANT_ENTRY(vkCreateBuffer, create_buffer), COTENANT_ENTRY(vkDestroyBuffer, destroy_buffer),
      COTENANT_ENTRY(vkGetBufferMemoryRequirements, get_requirements), COTENANT_ENTRY(vkBindBufferMemory, bind_memory),
      COTENANT_ENTRY(vkGetBufferDeviceAddress, get_address), COTENANT_ENTRY(vkCreateShaderModule, create_shader),
      COTENANT_ENTRY(vkDestroyShaderModule, destroy<Shader>), COTENANT_ENTRY(vkCreateComputePipelines, create_pipelines),
      COTENANT_ENTRY(vkDestroyPipeline, destroy<Pipeline>), COTENANT_ENTRY(vkCreatePipelineLayout, create_nothing),
      COTENANT_ENTRY(vkDestroyPipelineLayout, destroy<Nothing>), COTENANT_ENTRY(vkCreateDescriptorSetLayout, create_nothing),
      COTENANT_ENTRY(vkDestroyDescriptorSetLayout, destroy<Nothing>), COTENANT_ENTRY(vkCreatePipelineCache, create_nothing),
      COTENANT_ENTRY(vkDestroyPipelineCache, destroy<Nothing>), COTENANT_ENTRY(vkGetPipelineCacheData, get_cache),
      COTENANT_ENTRY(vkCreateDescriptorPool, create_descriptor_pool), COTENANT_ENTRY(vkDestroyDescriptorPool, destroy<DescriptorPool>),
      COTENANT_ENTRY(vkAllocateDescriptorSets, allocate_sets), COTENANT_ENTRY(vkUpdateDescriptorSets, update_sets),
      COTENANT_ENTRY(vkCreateCommandPool, create_command_pool), COTENANT_ENTRY(vkDestroyCommandPool, destroy<CommandPool>),
      COTENANT_ENTRY(vkAllocateCommandBuffers, allocate_commands), COTENANT_ENTRY(vkFreeCommandBuffers, free_commands),
      COTENANT_ENTRY(vkBeginCommandBuffer, begin_commands), COTENANT_ENTRY(vkEndCommandBuffer, end_commands),
      COTENANT_ENTRY(vkCmdBindPipeline, bind_pipeline), COTENANT_ENTRY(vkCmdBindDescriptorSets, bind_sets),
      COTENANT_ENTRY(vkCmdPushConstants, push_constants), COTENANT_ENTRY(vkCmdPipelineBarrier, barrier), COTENANT_ENTRY(vkCmdPipelineBarrier2, barrier2),
      COTENANT_ENTRY(vkCmdCopyBuffer, copy_buffer), COTENANT_ENTRY(vkCmdDispatch, record_dispatch), COTENANT_ENTRY(vkQueueSubmit2, submit2),
      COTENANT_ENTRY(vkQueueSubmit, submit), COTENANT_ENTRY(vkCreateQueryPool, create_queries), COTENANT_ENTRY(vkDestroyQueryPool, destroy<Queries>),
      COTENANT_ENTRY(vkCmdResetQueryPool, reset_queries), COTENANT_ENTRY(vkCmdWriteTimestamp, write_timestamp),
      COTENANT_ENTRY(vkGetQueryPoolResults, get_queries), COTENANT_ENTRY(vkCreateSemaphore, create_semaphore),
      COTENANT_ENTRY(vkDestroySemaphore, destroy<Semaphore>), COTENANT_ENTRY(vkGetSemaphoreCounterValue, get_counter),
      COTENANT_ENTRY(vkWaitSemaphores, wait_semaphores), COTENANT_ENTRY(vkSignalSemaphore, signal_semaphore)};
#undef COTENANT_ENTRY
  for (const Entry& entry : entries) if (name == entry.name) return entry.function;
  if (name == "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR") return reinterpret_cast<PFN_vkVoidFunction>(get_matrix_shapes);
  return nullptr;
}

}  // namespace

// The loader's interface to drivers, version 5.
extern "C" {
VKAPI_ATTR VkResult VKAPI_CALL vk_icdNegotiateLoaderICDInterfaceVersion(std::uint32_t* version) {
  *version = std::min(*version, 5u);
  return VK_SUCCESS;
}
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vk_icdGetInstanceProcAddr(VkInstance, const char* name) { return find(name); }
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vk_icdGetPhysicalDeviceProcAddr(VkInstance, const char* name) {
  return std::string_view(name).starts_with("vkGetPhysicalDevice") ? find(name) : nullptr;
}
}
