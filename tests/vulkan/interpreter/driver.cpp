// A Vulkan driver that the loader finds by its manifest (VK_DRIVER_FILES): kernels run in the interpreter, which loses the device at the
// first fault and says why on stderr. As much of Vulkan as this library calls.
#include <chrono>
#include <string_view>

#include "claims.hpp"
#include "objects.hpp"

namespace {
using namespace cotenant::test::interpreter;

Device* device_of(VkDevice device) { return object<Device>(device); }

// ---- instance and devices
struct Instance : Dispatchable {
  Dispatchable physical;
};
VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo*, const VkAllocationCallbacks*, VkInstance* to) {
  *to = handle<VkInstance>(new Instance);
  return VK_SUCCESS;
}
void VKAPI_CALL destroy_instance(VkInstance instance, const VkAllocationCallbacks*) { delete object<Instance>(instance); }
VkResult VKAPI_CALL list_devices(VkInstance instance, std::uint32_t* count, VkPhysicalDevice* to) {
  if (to != nullptr && *count > 0) *to = handle<VkPhysicalDevice>(&object<Instance>(instance)->physical);
  *count = to == nullptr ? 1 : std::min(*count, 1u);
  return VK_SUCCESS;
}
VkResult VKAPI_CALL list_groups(VkInstance instance, std::uint32_t* count, VkPhysicalDeviceGroupProperties* to) {
  if (to != nullptr && *count > 0) to->physicalDeviceCount = 1, to->physicalDevices[0] = handle<VkPhysicalDevice>(&object<Instance>(instance)->physical);
  *count = to == nullptr ? 1 : std::min(*count, 1u);
  return VK_SUCCESS;
}
VkResult VKAPI_CALL get_version(std::uint32_t* version) { return *version = VK_API_VERSION_1_3, VK_SUCCESS; }
VkResult VKAPI_CALL list_instance_extensions(const char*, std::uint32_t* count, VkExtensionProperties*) { return *count = 0, VK_SUCCESS; }
VkResult VKAPI_CALL list_device_extensions(VkPhysicalDevice, const char*, std::uint32_t* count, VkExtensionProperties* to) {
  if (to == nullptr) return *count = extensions.size(), VK_SUCCESS;
  *count = std::min<std::uint32_t>(*count, extensions.size());
  for (std::uint32_t i = 0; i < *count; ++i) to[i] = {}, std::snprintf(to[i].extensionName, sizeof to[i].extensionName, "%s", extensions[i]), to[i].specVersion = 1;
  return VK_SUCCESS;
}
// The loader wants these of every driver: there are no images.
void VKAPI_CALL get_format(VkPhysicalDevice, VkFormat, VkFormatProperties* to) { *to = {}; }
VkResult VKAPI_CALL get_image_format(VkPhysicalDevice, VkFormat, VkImageType, VkImageTiling, VkImageUsageFlags, VkImageCreateFlags, VkImageFormatProperties*) {
  return VK_ERROR_FORMAT_NOT_SUPPORTED;
}
void VKAPI_CALL get_sparse_format(VkPhysicalDevice, VkFormat, VkImageType, VkSampleCountFlagBits, VkImageUsageFlags, VkImageTiling, std::uint32_t* count,
    VkSparseImageFormatProperties*) {
  *count = 0;
}
VkResult VKAPI_CALL create_device(VkPhysicalDevice, const VkDeviceCreateInfo*, const VkAllocationCallbacks*, VkDevice* to) {
  auto* const made = new Device;
  for (Queue& queue : made->queues) queue.worker = &made->worker;
  *to = handle<VkDevice>(made);
  return VK_SUCCESS;
}
void VKAPI_CALL destroy_device(VkDevice device, const VkAllocationCallbacks*) { delete device_of(device); }
void VKAPI_CALL get_queue(VkDevice device, std::uint32_t family, std::uint32_t index, VkQueue* to) { *to = handle<VkQueue>(&device_of(device)->queues[family * 4 + index]); }
VkResult VKAPI_CALL wait_idle(VkDevice device) { return device_of(device)->worker.lost() ? VK_ERROR_DEVICE_LOST : VK_SUCCESS; }

// ---- what is only made and destroyed
template <class Object, class Handle> void VKAPI_CALL destroy(VkDevice, Handle made, const VkAllocationCallbacks*) { delete object<Object>(made); }
struct Nothing {};
template <class Info, class Handle> VkResult VKAPI_CALL create_nothing(VkDevice, const Info*, const VkAllocationCallbacks*, Handle* to) {
  *to = handle<Handle>(new Nothing);
  return VK_SUCCESS;
}
// Nothing but the header that every cache has.
VkResult VKAPI_CALL get_cache(VkDevice, VkPipelineCache, std::size_t* bytes, void* to) {
  VkPipelineCacheHeaderVersionOne header{};
  header.headerSize = sizeof header, header.headerVersion = VK_PIPELINE_CACHE_HEADER_VERSION_ONE;
  if (to != nullptr) std::memcpy(to, &header, *bytes = std::min(*bytes, sizeof header));
  else *bytes = sizeof header;
  return VK_SUCCESS;
}

// ---- memory
VkResult VKAPI_CALL allocate_memory(VkDevice, const VkMemoryAllocateInfo* info, const VkAllocationCallbacks*, VkDeviceMemory* to) {
  *to = handle<VkDeviceMemory>(new Memory(info->allocationSize));
  return VK_SUCCESS;
}
VkResult VKAPI_CALL map_memory(VkDevice, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize, VkMemoryMapFlags, void** to) {
  *to = object<Memory>(memory)->begin() + offset;
  return VK_SUCCESS;
}
VkResult VKAPI_CALL create_buffer(VkDevice, const VkBufferCreateInfo* info, const VkAllocationCallbacks*, VkBuffer* to) {
  *to = handle<VkBuffer>(new Buffer{info->size, nullptr});
  return VK_SUCCESS;
}
void VKAPI_CALL destroy_buffer(VkDevice device, VkBuffer buffer, const VkAllocationCallbacks*) {
  if (buffer != VK_NULL_HANDLE) device_of(device)->worker.forget(object<Buffer>(buffer));
  delete object<Buffer>(buffer);
}
void VKAPI_CALL get_requirements(VkDevice, VkBuffer buffer, VkMemoryRequirements* to) { *to = {(object<Buffer>(buffer)->bytes + 255) / 256 * 256, 256, 7}; }
VkResult VKAPI_CALL bind_memory(VkDevice device, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset) {
  object<Buffer>(buffer)->begin = object<Memory>(memory)->begin() + offset;
  device_of(device)->worker.place(object<Buffer>(buffer));
  return VK_SUCCESS;
}
VkDeviceAddress VKAPI_CALL get_address(VkDevice, const VkBufferDeviceAddressInfo* info) { return reinterpret_cast<std::uintptr_t>(object<Buffer>(info->buffer)->begin); }

// ---- pipelines and descriptors
VkResult VKAPI_CALL create_shader(VkDevice, const VkShaderModuleCreateInfo* info, const VkAllocationCallbacks*, VkShaderModule* to) {
  *to = handle<VkShaderModule>(new Shader{{info->pCode, info->pCode + info->codeSize / 4}});
  return VK_SUCCESS;
}
VkResult VKAPI_CALL create_pipelines(VkDevice, VkPipelineCache, std::uint32_t count, const VkComputePipelineCreateInfo* infos, const VkAllocationCallbacks*, VkPipeline* to) {
  for (std::uint32_t i = 0; i < count; ++i) {
    auto made = std::make_unique<Pipeline>();
    made->words = object<Shader>(infos[i].stage.module)->words;
    std::vector<std::array<std::uint32_t, 2>> constants;
    if (const VkSpecializationInfo* given = infos[i].stage.pSpecializationInfo)
      for (std::uint32_t e = 0; e < given->mapEntryCount; ++e) {
        constants.push_back({given->pMapEntries[e].constantID, 0});
        std::memcpy(&constants.back()[1], static_cast<const std::byte*>(given->pData) + given->pMapEntries[e].offset, 4);
      }
    try {
      made->program = std::make_unique<Program>(made->words, lanes, constants);
    } catch (const std::exception& what) {
      std::fprintf(stderr, "interpreter: %s\n", what.what());
      return VK_ERROR_INITIALIZATION_FAILED;
    }
    to[i] = handle<VkPipeline>(made.release());
  }
  return VK_SUCCESS;
}
VkResult VKAPI_CALL allocate_sets(VkDevice, const VkDescriptorSetAllocateInfo* info, VkDescriptorSet* to) {
  for (std::uint32_t i = 0; i < info->descriptorSetCount; ++i) to[i] = handle<VkDescriptorSet>(&object<DescriptorPool>(info->descriptorPool)->sets.emplace_back());
  return VK_SUCCESS;
}
VkResult VKAPI_CALL create_descriptor_pool(VkDevice, const VkDescriptorPoolCreateInfo*, const VkAllocationCallbacks*, VkDescriptorPool* to) {
  *to = handle<VkDescriptorPool>(new DescriptorPool);
  return VK_SUCCESS;
}
void VKAPI_CALL update_sets(VkDevice, std::uint32_t count, const VkWriteDescriptorSet* writes, std::uint32_t, const VkCopyDescriptorSet*) {
  for (std::uint32_t i = 0; i < count; ++i) {
    std::vector<Bytes>& bindings = object<DescriptorSet>(writes[i].dstSet)->bindings;
    bindings.resize(std::max<std::size_t>(bindings.size(), writes[i].dstBinding + 1));
    const VkDescriptorBufferInfo& info = *writes[i].pBufferInfo;
    const Buffer& buffer = *object<Buffer>(info.buffer);
    bindings[writes[i].dstBinding] = {buffer.begin + info.offset, info.range == VK_WHOLE_SIZE ? buffer.bytes - info.offset : info.range};
  }
}

// ---- commands
struct CommandPool {
  std::deque<Commands> all;
};
VkResult VKAPI_CALL create_command_pool(VkDevice, const VkCommandPoolCreateInfo*, const VkAllocationCallbacks*, VkCommandPool* to) {
  *to = handle<VkCommandPool>(new CommandPool);
  return VK_SUCCESS;
}
VkResult VKAPI_CALL allocate_commands(VkDevice, const VkCommandBufferAllocateInfo* info, VkCommandBuffer* to) {
  for (std::uint32_t i = 0; i < info->commandBufferCount; ++i) to[i] = handle<VkCommandBuffer>(&object<CommandPool>(info->commandPool)->all.emplace_back());
  return VK_SUCCESS;
}
void VKAPI_CALL free_commands(VkDevice, VkCommandPool, std::uint32_t, const VkCommandBuffer*) {}  // with their pool
VkResult VKAPI_CALL begin_commands(VkCommandBuffer commands, const VkCommandBufferBeginInfo*) {
  Commands& all = *object<Commands>(commands);
  all.recorded.clear(), all.pipeline = nullptr, all.set = nullptr;
  return VK_SUCCESS;
}
VkResult VKAPI_CALL end_commands(VkCommandBuffer) { return VK_SUCCESS; }
void VKAPI_CALL bind_pipeline(VkCommandBuffer commands, VkPipelineBindPoint, VkPipeline pipeline) { object<Commands>(commands)->pipeline = object<Pipeline>(pipeline); }
void VKAPI_CALL bind_sets(VkCommandBuffer commands, VkPipelineBindPoint, VkPipelineLayout, std::uint32_t, std::uint32_t, const VkDescriptorSet* sets, std::uint32_t,
    const std::uint32_t*) {
  object<Commands>(commands)->set = object<DescriptorSet>(sets[0]);
}
void VKAPI_CALL push_constants(VkCommandBuffer commands, VkPipelineLayout, VkShaderStageFlags, std::uint32_t offset, std::uint32_t bytes, const void* from) {
  std::memcpy(object<Commands>(commands)->push_constants.data() + offset, from, bytes);
}
// In the order in which they are recorded, each after the other: barriers are for devices that do not.
void VKAPI_CALL barrier(VkCommandBuffer, VkPipelineStageFlags, VkPipelineStageFlags, VkDependencyFlags, std::uint32_t, const VkMemoryBarrier*, std::uint32_t,
    const VkBufferMemoryBarrier*, std::uint32_t, const VkImageMemoryBarrier*) {}
void VKAPI_CALL barrier2(VkCommandBuffer, const VkDependencyInfo*) {}
void VKAPI_CALL copy_buffer(VkCommandBuffer commands, VkBuffer from, VkBuffer to, std::uint32_t count, const VkBufferCopy* regions) {
  const Buffer source = *object<Buffer>(from), target = *object<Buffer>(to);
  for (std::uint32_t i = 0; i < count; ++i)
    object<Commands>(commands)->recorded.push_back([source, target, region = regions[i]] {
      if (region.srcOffset + region.size > source.bytes || region.dstOffset + region.size > target.bytes) fault("a copy reaches beyond a buffer");
      std::memmove(target.begin + region.dstOffset, source.begin + region.srcOffset, region.size);
    });
}
// Commands do not know their device: the one whose queue takes them says which allocations there are.
thread_local Worker* running = nullptr;
// COTENANT_INTERPRETER=orders: each dispatch twice, the second time with everybody in the opposite order, for the same result.
void run(const Program& program, Arguments& arguments) {
  static const bool orders = asked("orders");
  BufferWrites& writes = *arguments.writes;
  writes.begin(orders);
  dispatch(program, arguments);
  if (!orders) return;
  const BufferWrites::Result once = writes.result();
  writes.undo();
  writes.begin(true);
  arguments.backwards = true;
  dispatch(program, arguments);
  if (writes.result() != once) fault("the result depends on the order in which workgroups and subgroups run");
}
void VKAPI_CALL record_dispatch(VkCommandBuffer commands, std::uint32_t x, std::uint32_t y, std::uint32_t z) {
  Commands& all = *object<Commands>(commands);
  all.recorded.push_back([pipeline = all.pipeline, set = all.set, constants = all.push_constants, x, y, z]() mutable {
    Arguments arguments;
    arguments.groups = {x, y, z};
    arguments.push_constants = {constants.data(), constants.size()};
    if (set != nullptr) arguments.bindings = set->bindings;
    arguments.allocation = [](std::uint64_t address) { return running->allocation(address); };
    arguments.writes = &running->writes;
    run(*pipeline->program, arguments);
  });
}

// ---- timestamps, in nanoseconds
struct Queries {
  std::vector<std::uint64_t> times;
};
VkResult VKAPI_CALL create_queries(VkDevice, const VkQueryPoolCreateInfo* info, const VkAllocationCallbacks*, VkQueryPool* to) {
  *to = handle<VkQueryPool>(new Queries{std::vector<std::uint64_t>(info->queryCount)});
  return VK_SUCCESS;
}
void VKAPI_CALL reset_queries(VkCommandBuffer, VkQueryPool, std::uint32_t, std::uint32_t) {}
void VKAPI_CALL write_timestamp(VkCommandBuffer commands, VkPipelineStageFlagBits, VkQueryPool pool, std::uint32_t at) {
  object<Commands>(commands)->recorded.push_back([pool, at] {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    object<Queries>(pool)->times[at] = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  });
}
VkResult VKAPI_CALL get_queries(VkDevice, VkQueryPool pool, std::uint32_t first, std::uint32_t count, std::size_t, void* to, VkDeviceSize, VkQueryResultFlags) {
  std::memcpy(to, object<Queries>(pool)->times.data() + first, count * sizeof(std::uint64_t));
  return VK_SUCCESS;
}

// ---- queues and semaphores
VkResult submit_to(VkQueue queue, Worker::Batch batch) {
  Worker& worker = *object<Queue>(queue)->worker;
  running = &worker;
  return worker.submit(std::move(batch));
}
VkResult VKAPI_CALL submit2(VkQueue queue, std::uint32_t count, const VkSubmitInfo2* infos, VkFence) {
  VkResult result = VK_SUCCESS;
  for (std::uint32_t i = 0; i < count && result >= 0; ++i) {
    Worker::Batch batch{queue, {}, {}, {}};
    const VkSubmitInfo2& info = infos[i];
    for (std::uint32_t w = 0; w < info.waitSemaphoreInfoCount; ++w)
      batch.waits.emplace_back(object<Semaphore>(info.pWaitSemaphoreInfos[w].semaphore), info.pWaitSemaphoreInfos[w].value);
    for (std::uint32_t s = 0; s < info.signalSemaphoreInfoCount; ++s)
      batch.signals.emplace_back(object<Semaphore>(info.pSignalSemaphoreInfos[s].semaphore), info.pSignalSemaphoreInfos[s].value);
    for (std::uint32_t c = 0; c < info.commandBufferInfoCount; ++c) batch.commands.push_back(object<Commands>(info.pCommandBufferInfos[c].commandBuffer));
    result = submit_to(queue, std::move(batch));
  }
  return result;
}
VkResult VKAPI_CALL submit(VkQueue queue, std::uint32_t count, const VkSubmitInfo* infos, VkFence) {
  VkResult result = VK_SUCCESS;
  for (std::uint32_t i = 0; i < count && result >= 0; ++i) {
    Worker::Batch batch{queue, {}, {}, {}};
    const VkSubmitInfo& info = infos[i];
    const auto& timeline = *static_cast<const VkTimelineSemaphoreSubmitInfo*>(info.pNext);
    for (std::uint32_t w = 0; w < info.waitSemaphoreCount; ++w) batch.waits.emplace_back(object<Semaphore>(info.pWaitSemaphores[w]), timeline.pWaitSemaphoreValues[w]);
    for (std::uint32_t s = 0; s < info.signalSemaphoreCount; ++s)
      batch.signals.emplace_back(object<Semaphore>(info.pSignalSemaphores[s]), timeline.pSignalSemaphoreValues[s]);
    for (std::uint32_t c = 0; c < info.commandBufferCount; ++c) batch.commands.push_back(object<Commands>(info.pCommandBuffers[c]));
    result = submit_to(queue, std::move(batch));
  }
  return result;
}
VkResult VKAPI_CALL create_semaphore(VkDevice, const VkSemaphoreCreateInfo*, const VkAllocationCallbacks*, VkSemaphore* to) {
  *to = handle<VkSemaphore>(new Semaphore);
  return VK_SUCCESS;
}
VkResult VKAPI_CALL get_counter(VkDevice device, VkSemaphore semaphore, std::uint64_t* to) {
  *to = device_of(device)->worker.read(*object<Semaphore>(semaphore));
  return device_of(device)->worker.lost() ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
}
VkResult VKAPI_CALL wait_semaphores(VkDevice device, const VkSemaphoreWaitInfo* info, std::uint64_t) {
  VkResult result = VK_SUCCESS;
  for (std::uint32_t i = 0; i < info->semaphoreCount && result >= 0; ++i)
    result = device_of(device)->worker.wait(*object<Semaphore>(info->pSemaphores[i]), info->pValues[i]);
  return result;
}
VkResult VKAPI_CALL signal_semaphore(VkDevice device, const VkSemaphoreSignalInfo* info) {
  running = &device_of(device)->worker;
  return device_of(device)->worker.signal(*object<Semaphore>(info->semaphore), info->value);
}

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
      COTENANT_ENTRY(vkGetPhysicalDeviceMemoryProperties2, get_memory_properties2), COTENANT_ENTRY(vkGetPhysicalDeviceQueueFamilyProperties, get_queue_families),
      COTENANT_ENTRY(vkGetPhysicalDeviceFormatProperties, get_format), COTENANT_ENTRY(vkGetPhysicalDeviceImageFormatProperties, get_image_format),
      COTENANT_ENTRY(vkGetPhysicalDeviceSparseImageFormatProperties, get_sparse_format), COTENANT_ENTRY(vkCreateDevice, create_device), COTENANT_ENTRY(vkDestroyDevice, destroy_device), COTENANT_ENTRY(vkGetDeviceQueue, get_queue),
      COTENANT_ENTRY(vkDeviceWaitIdle, wait_idle), COTENANT_ENTRY(vkAllocateMemory, allocate_memory), COTENANT_ENTRY(vkFreeMemory, destroy<Memory>),
      COTENANT_ENTRY(vkMapMemory, map_memory), COTENANT_ENTRY(vkCreateBuffer, create_buffer), COTENANT_ENTRY(vkDestroyBuffer, destroy_buffer),
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
      COTENANT_ENTRY(vkCmdBindPipeline, bind_pipeline), COTENANT_ENTRY(vkCmdBindDescriptorSets, bind_sets), COTENANT_ENTRY(vkCmdPushConstants, push_constants),
      COTENANT_ENTRY(vkCmdPipelineBarrier, barrier), COTENANT_ENTRY(vkCmdPipelineBarrier2, barrier2), COTENANT_ENTRY(vkCmdCopyBuffer, copy_buffer),
      COTENANT_ENTRY(vkCmdDispatch, record_dispatch), COTENANT_ENTRY(vkQueueSubmit2, submit2), COTENANT_ENTRY(vkQueueSubmit, submit),
      COTENANT_ENTRY(vkCreateQueryPool, create_queries), COTENANT_ENTRY(vkDestroyQueryPool, destroy<Queries>), COTENANT_ENTRY(vkCmdResetQueryPool, reset_queries),
      COTENANT_ENTRY(vkCmdWriteTimestamp, write_timestamp), COTENANT_ENTRY(vkGetQueryPoolResults, get_queries), COTENANT_ENTRY(vkCreateSemaphore, create_semaphore),
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
