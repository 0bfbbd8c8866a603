// Batch: commands that are handed to the device together, and all that must live until they are done.
#ifndef COTENANT_VULKAN_BATCH_HPP
#define COTENANT_VULKAN_BATCH_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cotenant/share/block.hpp"
#include "cotenant/vulkan/chunk_cache.hpp"
#include "cotenant/vulkan/uses.hpp"

namespace cotenant::vulkan {

struct Batch {
  VkCommandBuffer commands = VK_NULL_HANDLE;
  std::uint64_t value = 0;  // what its stream's timeline is at when it is done
  VkPipeline bound = VK_NULL_HANDLE;
  std::size_t commands_recorded = 0;
  bool ended = false;       // recorded to the end; the driver had no memory to take it yet
  bool host_reads = false;  // the host will read what it copied
  Ref<Completion> completion;
  std::vector<StreamPoint> waits;
  std::vector<Block*> blocks;  // listed as used by its stream
  std::vector<BlockRef> kept;
  std::vector<std::shared_ptr<void>> held;
  std::shared_ptr<MemoryChunk> page;  // of parameters
  std::size_t page_used = 0;
  VkDescriptorPool descriptor_pool = VK_NULL_HANDLE;
  std::size_t descriptor_sets = 0, descriptor_count = 0;

  void wait_for(StreamPoint point) { add_point(waits, std::move(point)); }
  // Notes what a command of `stream` does: its blocks live until the batch is done, and who reads what it writes waits for that.
  void use(Uses& uses, Stream& stream, std::span<const BufferArgument> buffers) {
    const std::size_t known = blocks.size();
    uses.note(stream, value, buffers, blocks);
    for (std::size_t i = known; i < blocks.size(); ++i) kept.emplace_back(blocks[i]);
    for (const BufferArgument& buffer : buffers)
      if (buffer.block != nullptr && buffer.access != Access::read && !is_scratch(*buffer.block)) buffer.block->set_pending(completion);
  }

  // A set of storage buffers that lives as long as the batch. Errors: OutOfMemory.
  VkDescriptorSet descriptors(Driver& driver, VkDescriptorSetLayout layout, std::size_t count) {
    constexpr std::uint32_t sets = 64, buffers = 8 * sets;  // as many as LaunchPlan has room for; where kernels have more, fewer sets fit
    if (descriptor_pool == VK_NULL_HANDLE || descriptor_sets == sets || descriptor_count + count > buffers) {
      const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, std::max(buffers, static_cast<std::uint32_t>(count))};
      VkDescriptorPoolCreateInfo info{};
      info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
      info.maxSets = sets;
      info.poolSizeCount = 1;
      info.pPoolSizes = &size;
      driver.require(
          Step::create_descriptors, [&] { return vkCreateDescriptorPool(driver.handle(), &info, nullptr, &descriptor_pool); },
          [] { return "making room for descriptors"; });
      const auto destroy = [device = driver.handle(), pool = descriptor_pool](void*) { vkDestroyDescriptorPool(device, pool, nullptr); };
      held.push_back(std::shared_ptr<void>(nullptr, destroy));
      descriptor_sets = descriptor_count = 0;
    }
    VkDescriptorSetAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    info.descriptorPool = descriptor_pool;
    info.descriptorSetCount = 1;
    info.pSetLayouts = &layout;
    VkDescriptorSet set = VK_NULL_HANDLE;
    driver.require(
        Step::create_descriptors, [&] { return vkAllocateDescriptorSets(driver.handle(), &info, &set); }, [] { return "describing a kernel's buffers"; });
    ++descriptor_sets, descriptor_count += count;
    return set;
  }
};

}  // namespace cotenant::vulkan

#endif
