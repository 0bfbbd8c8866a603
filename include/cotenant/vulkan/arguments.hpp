// Arguments: how the addresses and scalars of a launch reach its kernel: push constants, a block of memory, descriptors.
#ifndef COTENANT_VULKAN_ARGUMENTS_HPP
#define COTENANT_VULKAN_ARGUMENTS_HPP
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "cotenant/vulkan/batch.hpp"
#include "cotenant/vulkan/device.hpp"

namespace cotenant::vulkan {

// Puts the arguments of one launch into a batch, as Launch describes it.
class Arguments {
 public:
  Arguments(Device& device, Batch& batch, const Pipeline& pipeline, const Launch& launch)
      : device_(device), batch_(batch), pipeline_(pipeline), launch_(launch), bytes_(launch.parameter_bytes()) {}

  // Errors: OutOfMemory.
  void put() {
    const bool described = launch_.foreign || device_.options().addressing == Addressing::descriptors;
    if (in_memory()) block_ = piece(bytes_);
    std::array<std::byte, max_push_constants> small;
    std::byte* const to = in_memory() ? block_.host : small.data();
    if (described) bind_descriptors(to);
    else
      for (std::size_t i = 0; i < launch_.buffers.size(); ++i) put_word(to, i, reinterpret_cast<std::uintptr_t>(launch_.buffers[i].address));
    const std::size_t addresses = launch_.foreign ? 0 : launch_.buffers.size() * sizeof(std::uint64_t);
    if (!launch_.scalars.empty()) std::memcpy(to + addresses, launch_.scalars.data(), launch_.scalars.size_bytes());
    if (!in_memory()) push(small.data(), bytes_);
    else if (!described) push(&block_.address, sizeof block_.address);
  }

 private:
  // Bytes of host memory that the kernel reads; the batch keeps them.
  struct Piece {
    std::byte* host = nullptr;
    VkDeviceAddress address = 0;
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceSize offset = 0;
  };
  bool in_memory() const noexcept { return bytes_ > max_push_constants; }
  static void put_word(std::byte* to, std::size_t index, std::uint64_t word) { std::memcpy(to + index * sizeof word, &word, sizeof word); }
  void push(const void* data, std::size_t bytes) const {
    if (bytes > 0) vkCmdPushConstants(batch_.commands, pipeline_.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, static_cast<std::uint32_t>(bytes), data);
  }
  Piece piece(std::size_t bytes) {
    const std::size_t alignment = device_.capabilities().storage_buffer_alignment;
    std::size_t offset = (batch_.page_used + alignment - 1) / alignment * alignment;
    if (!batch_.page || offset + bytes > batch_.page->bytes()) {
      batch_.page = device_.parameters().get(bytes);
      batch_.held.push_back(batch_.page);
      offset = 0;
    }
    batch_.page_used = offset + bytes;
    return {static_cast<std::byte*>(batch_.page->mapped()) + offset, batch_.page->address() + offset, batch_.page->buffer(), offset};
  }

  // Binds the buffers, and the block of parameters behind them; where in its binding each buffer starts goes to `to`.
  void bind_descriptors(std::byte* to) {
    const std::size_t count = launch_.buffers.size(), alignment = device_.capabilities().storage_buffer_alignment;
    std::vector<VkDescriptorBufferInfo> places(count + (in_memory() ? 1 : 0));
    for (std::size_t i = 0; i < count; ++i) {
      const BufferArgument& argument = launch_.buffers[i];
      std::uint64_t remainder = 0;
      if (argument.bytes == 0) {
        // A kernel that has no use for this buffer may still name it: it gets one that nobody writes to.
        const Piece nothing = piece(16);
        places[i] = {nothing.buffer, nothing.offset, 16};
      } else {
        const MemoryPool::Place place = device_.memory().find(argument.address);
        remainder = place.offset % alignment;
        // Whole words: kernels reach single bytes through them.
        places[i] = {place.buffer, place.offset - remainder, (remainder + argument.bytes + 3) / 4 * 4};
      }
      if (!launch_.foreign) put_word(to, i, remainder);
    }
    if (in_memory()) places[count] = {block_.buffer, block_.offset, (bytes_ + 3) / 4 * 4};
    const VkDescriptorSet set = batch_.descriptors(device_.driver(), pipeline_.bindings, places.size());
    std::vector<VkWriteDescriptorSet> writes(places.size());
    for (std::uint32_t i = 0; i < writes.size(); ++i) {
      writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
      writes[i].dstSet = set;
      writes[i].dstBinding = i;
      writes[i].descriptorCount = 1;
      writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
      writes[i].pBufferInfo = &places[i];
    }
    vkUpdateDescriptorSets(device_.driver().handle(), static_cast<std::uint32_t>(writes.size()), writes.data(), 0, nullptr);
    vkCmdBindDescriptorSets(batch_.commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_.layout, 0, 1, &set, 0, nullptr);
  }

  Device& device_;
  Batch& batch_;
  const Pipeline& pipeline_;
  const Launch& launch_;
  std::size_t bytes_;
  Piece block_;
};

}  // namespace cotenant::vulkan

#endif
