// Calls of the interpreter's driver that open devices and give memory.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_DEVICE_CALLS_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_DEVICE_CALLS_HPP
#include <algorithm>
#include <cstdio>
#include <memory>

#include "claims.hpp"
#include "objects.hpp"

namespace cotenant::test::interpreter {

inline Device* device_of(VkDevice device) { return object<Device>(device); }

// ---- instance and devices
struct Instance : Dispatchable {
  Dispatchable physical;
};
inline VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo*, const VkAllocationCallbacks*, VkInstance* to) {
  *to = handle<VkInstance>(new Instance);
  return VK_SUCCESS;
}
inline void VKAPI_CALL destroy_instance(VkInstance instance, const VkAllocationCallbacks*) { delete object<Instance>(instance); }
inline VkResult VKAPI_CALL list_devices(VkInstance instance, std::uint32_t* count, VkPhysicalDevice* to) {
  if (to != nullptr && *count > 0) *to = handle<VkPhysicalDevice>(&object<Instance>(instance)->physical);
  *count = to == nullptr ? 1 : std::min(*count, 1u);
  return VK_SUCCESS;
}
inline VkResult VKAPI_CALL list_groups(VkInstance instance, std::uint32_t* count, VkPhysicalDeviceGroupProperties* to) {
  if (to != nullptr && *count > 0) to->physicalDeviceCount = 1, to->physicalDevices[0] = handle<VkPhysicalDevice>(&object<Instance>(instance)->physical);
  *count = to == nullptr ? 1 : std::min(*count, 1u);
  return VK_SUCCESS;
}
inline VkResult VKAPI_CALL get_version(std::uint32_t* version) { return *version = VK_API_VERSION_1_3, VK_SUCCESS; }
inline VkResult VKAPI_CALL list_instance_extensions(const char*, std::uint32_t* count, VkExtensionProperties*) { return *count = 0, VK_SUCCESS; }
inline VkResult VKAPI_CALL list_device_extensions(VkPhysicalDevice, const char*, std::uint32_t* count, VkExtensionProperties* to) {
  if (to == nullptr) return *count = extensions.size(), VK_SUCCESS;
  *count = std::min<std::uint32_t>(*count, extensions.size());
  for (std::uint32_t i = 0; i < *count; ++i) {
    to[i] = {};
    std::snprintf(to[i].extensionName, sizeof to[i].extensionName, "%s", extensions[i]), to[i].specVersion = 1;
  }
  return VK_SUCCESS;
}
// The loader wants these of every driver: there are no images.
inline void VKAPI_CALL get_format(VkPhysicalDevice, VkFormat, VkFormatProperties* to) { *to = {}; }
inline VkResult VKAPI_CALL get_image_format(VkPhysicalDevice, VkFormat, VkImageType, VkImageTiling, VkImageUsageFlags, VkImageCreateFlags,
    VkImageFormatProperties*) {
  return VK_ERROR_FORMAT_NOT_SUPPORTED;
}
inline void VKAPI_CALL get_sparse_format(VkPhysicalDevice, VkFormat, VkImageType, VkSampleCountFlagBits, VkImageUsageFlags, VkImageTiling, std::uint32_t* count,
    VkSparseImageFormatProperties*) {
  *count = 0;
}
inline VkResult VKAPI_CALL create_device(VkPhysicalDevice, const VkDeviceCreateInfo*, const VkAllocationCallbacks*, VkDevice* to) {
  auto* const made = new Device;
  for (Queue& queue : made->queues) queue.worker = &made->worker;
  *to = handle<VkDevice>(made);
  return VK_SUCCESS;
}
inline void VKAPI_CALL destroy_device(VkDevice device, const VkAllocationCallbacks*) { delete device_of(device); }
inline void VKAPI_CALL get_queue(VkDevice device, std::uint32_t family, std::uint32_t index, VkQueue* to) {
  *to = handle<VkQueue>(&device_of(device)->queues[family * 4 + index]);
}
inline VkResult VKAPI_CALL wait_idle(VkDevice device) { return device_of(device)->worker.lost() ? VK_ERROR_DEVICE_LOST : VK_SUCCESS; }

// ---- what is only made and destroyed
template <class Object, class Handle> void VKAPI_CALL destroy(VkDevice, Handle made, const VkAllocationCallbacks*) { delete object<Object>(made); }
struct Nothing {};
template <class Info, class Handle> VkResult VKAPI_CALL create_nothing(VkDevice, const Info*, const VkAllocationCallbacks*, Handle* to) {
  *to = handle<Handle>(new Nothing);
  return VK_SUCCESS;
}
// Nothing but the header that every cache has.
inline VkResult VKAPI_CALL get_cache(VkDevice, VkPipelineCache, std::size_t* bytes, void* to) {
  VkPipelineCacheHeaderVersionOne header{};
  header.headerSize = sizeof header, header.headerVersion = VK_PIPELINE_CACHE_HEADER_VERSION_ONE;
  if (to != nullptr) std::memcpy(to, &header, *bytes = std::min(*bytes, sizeof header));
  else *bytes = sizeof header;
  return VK_SUCCESS;
}

// ---- memory
inline VkResult VKAPI_CALL allocate_memory(VkDevice, const VkMemoryAllocateInfo* info, const VkAllocationCallbacks*, VkDeviceMemory* to) {
  *to = handle<VkDeviceMemory>(new Memory(info->allocationSize));
  return VK_SUCCESS;
}
inline VkResult VKAPI_CALL map_memory(VkDevice, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize, VkMemoryMapFlags, void** to) {
  *to = object<Memory>(memory)->begin() + offset;
  return VK_SUCCESS;
}
inline VkResult VKAPI_CALL create_buffer(VkDevice, const VkBufferCreateInfo* info, const VkAllocationCallbacks*, VkBuffer* to) {
  *to = handle<VkBuffer>(new Buffer{info->size, nullptr});
  return VK_SUCCESS;
}
inline void VKAPI_CALL destroy_buffer(VkDevice device, VkBuffer buffer, const VkAllocationCallbacks*) {
  if (buffer != VK_NULL_HANDLE) device_of(device)->worker.forget(object<Buffer>(buffer));
  delete object<Buffer>(buffer);
}
inline void VKAPI_CALL get_requirements(VkDevice, VkBuffer buffer, VkMemoryRequirements* to) {
  *to = {(object<Buffer>(buffer)->bytes + 255) / 256 * 256, 256, 7};
}
inline VkResult VKAPI_CALL bind_memory(VkDevice device, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset) {
  object<Buffer>(buffer)->begin = object<Memory>(memory)->begin() + offset;
  device_of(device)->worker.place(object<Buffer>(buffer));
  return VK_SUCCESS;
}
inline VkDeviceAddress VKAPI_CALL get_address(VkDevice, const VkBufferDeviceAddressInfo* info) {
  return reinterpret_cast<std::uintptr_t>(object<Buffer>(info->buffer)->begin);
}

}  // namespace cotenant::test::interpreter

#endif
