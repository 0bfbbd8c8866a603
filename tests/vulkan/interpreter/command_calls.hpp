// Calls of the interpreter's driver that describe kernels, record them and run them.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_COMMAND_CALLS_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_COMMAND_CALLS_HPP
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "device_calls.hpp"

namespace cotenant::test::interpreter {

// ---- pipelines and descriptors
inline VkResult VKAPI_CALL create_shader(VkDevice, const VkShaderModuleCreateInfo* info, const VkAllocationCallbacks*, VkShaderModule* to) {
  *to = handle<VkShaderModule>(new Shader{{info->pCode, info->pCode + info->codeSize / 4}});
  return VK_SUCCESS;
}
inline VkResult VKAPI_CALL create_pipelines(VkDevice, VkPipelineCache, std::uint32_t count, const VkComputePipelineCreateInfo* infos,
    const VkAllocationCallbacks*, VkPipeline* to) {
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
inline VkResult VKAPI_CALL allocate_sets(VkDevice, const VkDescriptorSetAllocateInfo* info, VkDescriptorSet* to) {
  auto& sets = object<DescriptorPool>(info->descriptorPool)->sets;
  for (std::uint32_t i = 0; i < info->descriptorSetCount; ++i) to[i] = handle<VkDescriptorSet>(&sets.emplace_back());
  return VK_SUCCESS;
}
inline VkResult VKAPI_CALL create_descriptor_pool(VkDevice, const VkDescriptorPoolCreateInfo*, const VkAllocationCallbacks*, VkDescriptorPool* to) {
  *to = handle<VkDescriptorPool>(new DescriptorPool);
  return VK_SUCCESS;
}
inline void VKAPI_CALL update_sets(VkDevice, std::uint32_t count, const VkWriteDescriptorSet* writes, std::uint32_t, const VkCopyDescriptorSet*) {
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
inline VkResult VKAPI_CALL create_command_pool(VkDevice, const VkCommandPoolCreateInfo*, const VkAllocationCallbacks*, VkCommandPool* to) {
  *to = handle<VkCommandPool>(new CommandPool);
  return VK_SUCCESS;
}
inline VkResult VKAPI_CALL allocate_commands(VkDevice, const VkCommandBufferAllocateInfo* info, VkCommandBuffer* to) {
  for (std::uint32_t i = 0; i < info->commandBufferCount; ++i) to[i] = handle<VkCommandBuffer>(&object<CommandPool>(info->commandPool)->all.emplace_back());
  return VK_SUCCESS;
}
inline void VKAPI_CALL free_commands(VkDevice, VkCommandPool, std::uint32_t, const VkCommandBuffer*) {}  // with their pool
inline VkResult VKAPI_CALL begin_commands(VkCommandBuffer commands, const VkCommandBufferBeginInfo*) {
  Commands& all = *object<Commands>(commands);
  all.recorded.clear(), all.pipeline = nullptr, all.set = nullptr;
  return VK_SUCCESS;
}
inline VkResult VKAPI_CALL end_commands(VkCommandBuffer) { return VK_SUCCESS; }
inline void VKAPI_CALL bind_pipeline(VkCommandBuffer commands, VkPipelineBindPoint, VkPipeline pipeline) {
  object<Commands>(commands)->pipeline = object<Pipeline>(pipeline);
}
inline void VKAPI_CALL bind_sets(VkCommandBuffer commands, VkPipelineBindPoint, VkPipelineLayout, std::uint32_t, std::uint32_t,
    const VkDescriptorSet* sets, std::uint32_t, const std::uint32_t*) {
  object<Commands>(commands)->set = object<DescriptorSet>(sets[0]);
}
inline void VKAPI_CALL push_constants(VkCommandBuffer commands, VkPipelineLayout, VkShaderStageFlags, std::uint32_t offset, std::uint32_t bytes,
    const void* from) {
  std::memcpy(object<Commands>(commands)->push_constants.data() + offset, from, bytes);
}
// In the order in which they are recorded, each after the other: barriers are for devices that do not.
inline void VKAPI_CALL barrier(VkCommandBuffer, VkPipelineStageFlags, VkPipelineStageFlags, VkDependencyFlags, std::uint32_t, const VkMemoryBarrier*,
    std::uint32_t, const VkBufferMemoryBarrier*, std::uint32_t, const VkImageMemoryBarrier*) {}
inline void VKAPI_CALL barrier2(VkCommandBuffer, const VkDependencyInfo*) {}
inline void VKAPI_CALL copy_buffer(VkCommandBuffer commands, VkBuffer from, VkBuffer to, std::uint32_t count, const VkBufferCopy* regions) {
  const Buffer source = *object<Buffer>(from), target = *object<Buffer>(to);
  for (std::uint32_t i = 0; i < count; ++i)
    object<Commands>(commands)->recorded.push_back([source, target, region = regions[i]] {
      if (region.srcOffset + region.size > source.bytes || region.dstOffset + region.size > target.bytes) fault("a copy reaches beyond a buffer");
      std::memmove(target.begin + region.dstOffset, source.begin + region.srcOffset, region.size);
    });
}
// Commands do not know their device: the one whose queue takes them says which allocations there are.
inline thread_local Worker* running = nullptr;
// COTENANT_INTERPRETER=orders: each dispatch twice, the second time with everybody in the opposite order, for the same result.
inline void run(const Program& program, Arguments& arguments) {
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
inline void VKAPI_CALL record_dispatch(VkCommandBuffer commands, std::uint32_t x, std::uint32_t y, std::uint32_t z) {
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
inline VkResult VKAPI_CALL create_queries(VkDevice, const VkQueryPoolCreateInfo* info, const VkAllocationCallbacks*, VkQueryPool* to) {
  *to = handle<VkQueryPool>(new Queries{std::vector<std::uint64_t>(info->queryCount)});
  return VK_SUCCESS;
}
inline void VKAPI_CALL reset_queries(VkCommandBuffer, VkQueryPool, std::uint32_t, std::uint32_t) {}
inline void VKAPI_CALL write_timestamp(VkCommandBuffer commands, VkPipelineStageFlagBits, VkQueryPool pool, std::uint32_t at) {
  object<Commands>(commands)->recorded.push_back([pool, at] {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    object<Queries>(pool)->times[at] = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  });
}
inline VkResult VKAPI_CALL get_queries(VkDevice, VkQueryPool pool, std::uint32_t first, std::uint32_t count, std::size_t, void* to,
    VkDeviceSize, VkQueryResultFlags) {
  std::memcpy(to, object<Queries>(pool)->times.data() + first, count * sizeof(std::uint64_t));
  return VK_SUCCESS;
}

// ---- queues and semaphores
inline VkResult submit_to(VkQueue queue, Worker::Batch batch) {
  Worker& worker = *object<Queue>(queue)->worker;
  running = &worker;
  return worker.submit(std::move(batch));
}
inline VkResult VKAPI_CALL submit2(VkQueue queue, std::uint32_t count, const VkSubmitInfo2* infos, VkFence) {
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
inline VkResult VKAPI_CALL submit(VkQueue queue, std::uint32_t count, const VkSubmitInfo* infos, VkFence) {
  VkResult result = VK_SUCCESS;
  for (std::uint32_t i = 0; i < count && result >= 0; ++i) {
    Worker::Batch batch{queue, {}, {}, {}};
    const VkSubmitInfo& info = infos[i];
    const auto& timeline = *static_cast<const VkTimelineSemaphoreSubmitInfo*>(info.pNext);
    for (std::uint32_t w = 0; w < info.waitSemaphoreCount; ++w)
      batch.waits.emplace_back(object<Semaphore>(info.pWaitSemaphores[w]), timeline.pWaitSemaphoreValues[w]);
    for (std::uint32_t s = 0; s < info.signalSemaphoreCount; ++s)
      batch.signals.emplace_back(object<Semaphore>(info.pSignalSemaphores[s]), timeline.pSignalSemaphoreValues[s]);
    for (std::uint32_t c = 0; c < info.commandBufferCount; ++c) batch.commands.push_back(object<Commands>(info.pCommandBuffers[c]));
    result = submit_to(queue, std::move(batch));
  }
  return result;
}
inline VkResult VKAPI_CALL create_semaphore(VkDevice, const VkSemaphoreCreateInfo*, const VkAllocationCallbacks*, VkSemaphore* to) {
  *to = handle<VkSemaphore>(new Semaphore);
  return VK_SUCCESS;
}
inline VkResult VKAPI_CALL get_counter(VkDevice device, VkSemaphore semaphore, std::uint64_t* to) {
  *to = device_of(device)->worker.read(*object<Semaphore>(semaphore));
  return device_of(device)->worker.lost() ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
}
inline VkResult VKAPI_CALL wait_semaphores(VkDevice device, const VkSemaphoreWaitInfo* info, std::uint64_t) {
  VkResult result = VK_SUCCESS;
  for (std::uint32_t i = 0; i < info->semaphoreCount && result >= 0; ++i)
    result = device_of(device)->worker.wait(*object<Semaphore>(info->pSemaphores[i]), info->pValues[i]);
  return result;
}
inline VkResult VKAPI_CALL signal_semaphore(VkDevice device, const VkSemaphoreSignalInfo* info) {
  running = &device_of(device)->worker;
  return device_of(device)->worker.signal(*object<Semaphore>(info->semaphore), info->value);
}

}  // namespace cotenant::test::interpreter

#endif
