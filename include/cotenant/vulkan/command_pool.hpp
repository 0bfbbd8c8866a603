// CommandPool: buffers that commands are recorded into, used again when the device is done with them.
#ifndef COTENANT_VULKAN_COMMAND_POOL_HPP
#define COTENANT_VULKAN_COMMAND_POOL_HPP
#include <cstdint>
#include <utility>
#include <vector>

#include "cotenant/vulkan/driver.hpp"

namespace cotenant::vulkan {

// One thread at a time.
class CommandPool {
 public:
  // For queues of one family. Errors: OutOfMemory, DeviceLost.
  CommandPool(Driver& driver, std::uint32_t family) : driver_(driver) {
    VkCommandPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    info.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT | VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
    info.queueFamilyIndex = family;
    driver.require(Step::create_stream, [&] { return vkCreateCommandPool(driver.handle(), &info, nullptr, &pool_); }, [] { return "making a stream"; });
  }
  CommandPool(const CommandPool&) = delete;
  CommandPool& operator=(const CommandPool&) = delete;
  ~CommandPool() { vkDestroyCommandPool(driver_.handle(), pool_, nullptr); }

  // One that may be recorded into. Errors: OutOfMemory, DeviceLost.
  VkCommandBuffer begin() {
    if (prepared_ != VK_NULL_HANDLE) return std::exchange(prepared_, VK_NULL_HANDLE);
    const VkCommandBuffer commands = take();
    const VkResult result = begin_recording(commands);
    if (result < 0) idle_.push_back(commands), raise_result(result, "recording work");
    return commands;
  }
  // Makes one that is there ready for begin().
  void prepare() noexcept {
    if (prepared_ != VK_NULL_HANDLE || idle_.empty() || begin_recording(idle_.back()) < 0) return;
    prepared_ = idle_.back();
    idle_.pop_back();
  }
  // The device is done with it.
  void give_back(VkCommandBuffer commands) { idle_.push_back(commands); }
  // Recording was cut off in the middle: it is not used again.
  void drop(VkCommandBuffer commands) noexcept { vkFreeCommandBuffers(driver_.handle(), pool_, 1, &commands); }

 private:
  VkCommandBuffer take() {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    if (!idle_.empty()) {
      commands = idle_.back();
      idle_.pop_back();
      return commands;
    }
    VkCommandBufferAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = pool_;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    driver_.require(Step::record, [&] { return vkAllocateCommandBuffers(driver_.handle(), &info, &commands); }, [] { return "recording work"; });
    return commands;
  }
  VkResult begin_recording(VkCommandBuffer commands) {
    VkCommandBufferBeginInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    return driver_.call(Step::record, [&] { return vkBeginCommandBuffer(commands, &info); });
  }

  Driver& driver_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  std::vector<VkCommandBuffer> idle_;
  VkCommandBuffer prepared_ = VK_NULL_HANDLE;  // begun already
};

}  // namespace cotenant::vulkan

#endif
