// MemoryPool: device memory for tensors, cut from large allocations of the driver (each of which costs about 94 µs).
#ifndef COTENANT_VULKAN_MEMORY_POOL_HPP
#define COTENANT_VULKAN_MEMORY_POOL_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "cotenant/core/concepts.hpp"
#include "cotenant/share/attempt.hpp"
#include "cotenant/vulkan/device_statistics.hpp"
#include "cotenant/vulkan/imports.hpp"

namespace cotenant::vulkan {

class MemoryPool {
 public:
  // Kernels load 16 bytes at a time; 256 is also the largest offset alignment that Vulkan lets a device ask for.
  static constexpr std::size_t granule = 256;

  MemoryPool(Driver& driver, const VulkanOptions& options)
      : driver_(driver), mode_(options.mode), limit_(options.max_memory), host_visible_(options.zero_copy && driver.capabilities().unified_memory) {
    const Capabilities& device = driver.capabilities();
    constexpr std::size_t mebibyte = std::size_t{1} << 20;
    const std::size_t wished = mode_ == PriorityMode::speed ? 256 * mebibyte : mode_ == PriorityMode::balanced ? 64 * mebibyte : 16 * mebibyte;
    // Small devices must not lose a large part of their memory to the first tensor.
    chunk_bytes_ = std::clamp(device.device_memory / 32, mebibyte, wished);
    chunk_bytes_ = chunk_bytes_ / granule * granule;
    idle_limit_ = mode_ == PriorityMode::speed ? std::numeric_limits<std::size_t>::max() : mode_ == PriorityMode::balanced ? chunk_bytes_ : 0;
  }
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  // Whether the host sees the tensors' memory: then copies need no staging.
  bool host_visible() const noexcept { return host_visible_; }
  // Whether the host may read what kernels write: also in memory of its own.
  bool host_reads() const noexcept { return host_visible_ || imports_.any(); }
  // Pages of the host that the device sees.
  Imports& imports() noexcept { return imports_; }

  // Called, without any lock, when there is no room: finishes work so that what it keeps is freed.
  void set_pressure(std::function<void()> pressure) { pressure_ = std::move(pressure); }

  static std::size_t padded(std::size_t bytes) {
    if (bytes > std::numeric_limits<std::size_t>::max() - granule)
      raise<OutOfMemory>("cannot allocate " + std::to_string(bytes) + " bytes: more than an address can count");
    return (std::max<std::size_t>(bytes, 1) + granule - 1) / granule * granule;
  }

  // Errors: OutOfMemory, DeviceLost.
  Allocation allocate(std::size_t bytes) {
    driver_.check_usable();
    const std::size_t size = padded(bytes);
    const Capabilities& device = driver_.capabilities();
    if (size > device.max_allocation)
      raise<OutOfMemory>("a tensor of " + std::to_string(bytes) + " bytes is more than '" + device.name + "' takes at once, " +
          std::to_string(device.max_allocation));
    Allocation result;
    if (try_allocate(size, false, result)) return result;
    if (pressure_) pressure_();
    trim();
    if (try_allocate(size, true, result)) return result;
    const GpuMemoryUsage now = usage();
    raise<OutOfMemory>("no room for a tensor of " + std::to_string(bytes) + " bytes on '" + device.name + "': " + std::to_string(now.in_use) + " of " +
                       std::to_string(std::min(limit_, now.driver_budget)) + " bytes are in use by " + std::to_string(now.tensors) +
                       " tensors. Free some, give their manager a budget so that it evicts, or raise max_memory where that is the limit");
  }
  void deallocate(Allocation allocation) noexcept {
    const auto address = reinterpret_cast<VkDeviceAddress>(allocation.data);
    if (imports_.remove(address)) return;
    MemoryChunk freed;
    const std::lock_guard lock(mutex_);
    const auto found = holder(address);
    if (found == chunks_.end()) return;
    Part& part = found->second;
    --tensors_, in_use_ -= allocation.bytes, part.used -= allocation.bytes;
    part.give_back(address - part.chunk.address(), allocation.bytes);
    if (part.used > 0) return;
    idle_ += part.chunk.bytes();
    if (idle_ <= idle_limit_) return;
    freed = take(found);
  }

  // Where an address lies, for copies and descriptors.
  struct Place {
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceSize offset = 0, size = 0;  // size: of the whole buffer
    void* mapped = nullptr;             // the same byte for the host; null: it cannot see it
  };
  Place find(const void* data) const noexcept {
    const auto address = reinterpret_cast<VkDeviceAddress>(data);
    {
      const std::lock_guard lock(mutex_);
      const auto found = const_cast<MemoryPool*>(this)->holder(address);
      if (found != chunks_.end()) return place_in(found->second.chunk, address - found->first);
    }
    const Imports::Found imported = imports_.find(address);
    return imported.chunk ? place_in(*imported.chunk, imported.offset) : Place{};
  }

  // Gives what no tensor uses back to the driver; how much that was.
  std::size_t trim() noexcept {
    std::size_t freed = 0;
    for (;;) {
      MemoryChunk one;
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(chunks_.begin(), chunks_.end(), [](const auto& entry) { return entry.second.used == 0; });
      if (found == chunks_.end()) return freed;
      freed += found->second.chunk.bytes();
      one = take(found);
    }
  }

  GpuMemoryUsage usage() const {
    GpuMemoryUsage result;
    {
      const std::lock_guard lock(mutex_);
      result.in_use = in_use_, result.tensors = tensors_, result.peak = peak_, result.reserved = reserved_;
    }
    result.imported = imports_.bytes();
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
    budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    VkPhysicalDeviceMemoryProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    const bool known = driver_.capabilities().memory_budget;
    if (known) properties.pNext = &budget;
    vkGetPhysicalDeviceMemoryProperties2(driver_.physical(), &properties);
    for (std::uint32_t i = 0; i < properties.memoryProperties.memoryHeapCount; ++i) {
      const VkMemoryHeap& heap = properties.memoryProperties.memoryHeaps[i];
      if ((heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) == 0 || heap.size != driver_.capabilities().device_memory) continue;
      result.driver_budget = known ? budget.heapBudget[i] : heap.size;
      result.driver_used = known ? budget.heapUsage[i] : 0;
      break;
    }
    return result;
  }

 private:
  struct Part {
    MemoryChunk chunk;
    std::map<std::size_t, std::size_t> gaps;  // offset → bytes
    std::size_t used = 0;

    // The smallest gap that fits.
    bool take(std::size_t bytes, std::size_t& offset) {
      if (chunk.bytes() - used < bytes) return false;
      auto best = gaps.end();
      for (auto gap = gaps.begin(); gap != gaps.end(); ++gap)
        if (gap->second >= bytes && (best == gaps.end() || gap->second < best->second)) best = gap;
      if (best == gaps.end()) return false;
      offset = best->first;
      const std::size_t left = best->second - bytes;
      gaps.erase(best);
      if (left > 0) gaps[offset + bytes] = left;
      used += bytes;
      return true;
    }
    void give_back(std::size_t offset, std::size_t bytes) {
      auto next = gaps.lower_bound(offset);
      if (next != gaps.end() && offset + bytes == next->first) bytes += next->second, next = gaps.erase(next);
      if (next != gaps.begin()) {
        const auto before = std::prev(next);
        if (before->first + before->second == offset) {
          before->second += bytes;
          return;
        }
      }
      gaps[offset] = bytes;
    }
  };
  using Chunks = std::map<VkDeviceAddress, Part>;

  static Place place_in(const MemoryChunk& chunk, VkDeviceSize offset) noexcept {
    return {chunk.buffer(), offset, chunk.bytes(), chunk.mapped() == nullptr ? nullptr : static_cast<char*>(chunk.mapped()) + offset};
  }

  // The chunk that an address lies in.
  Chunks::iterator holder(VkDeviceAddress address) noexcept {
    auto found = chunks_.upper_bound(address);
    if (found == chunks_.begin()) return chunks_.end();
    --found;
    return address - found->first < found->second.chunk.bytes() ? found : chunks_.end();
  }
  MemoryChunk take(Chunks::iterator at) noexcept {
    MemoryChunk chunk = std::move(at->second.chunk);
    idle_ -= chunk.bytes(), reserved_ -= chunk.bytes();
    chunks_.erase(at);
    return chunk;
  }
  // False where there is no room; with `last` also a chunk of just these bytes is asked of the driver.
  bool try_allocate(std::size_t size, bool last, Allocation& result) {
    const std::lock_guard lock(mutex_);
    if (limit_ - std::min(limit_, in_use_) < size) return false;
    for (auto& [address, part] : chunks_) {
      std::size_t offset = 0;
      if (!part.take(size, offset)) continue;
      if (part.used == size) idle_ -= part.chunk.bytes();
      result = count(address + offset, size);
      return true;
    }
    // Large tensors get a chunk of their own: nothing of it stays unused.
    const std::size_t bytes = size > chunk_bytes_ / 2 || last ? size : chunk_bytes_;
    std::exception_ptr failure;
    MemoryChunk chunk;
    if (!cotenant::detail::attempt(failure, [&] { chunk = MemoryChunk(driver_, bytes, MemoryKind::device, host_visible_); })) {
      driver_.check_not_lost();
      return false;
    }
    const VkDeviceAddress address = chunk.address();
    Part& part = chunks_[address];
    part.chunk = std::move(chunk);
    part.used = size;
    if (bytes > size) part.gaps[size] = bytes - size;
    reserved_ += bytes;
    result = count(address, size);
    return true;
  }
  Allocation count(VkDeviceAddress address, std::size_t size) noexcept {
    ++tensors_, in_use_ += size;
    peak_ = std::max(peak_, in_use_);
    return {reinterpret_cast<void*>(address), size};
  }

  Driver& driver_;
  PriorityMode mode_;
  std::size_t limit_, chunk_bytes_ = 0, idle_limit_ = 0;
  bool host_visible_;
  std::function<void()> pressure_;
  Imports imports_;
  mutable std::mutex mutex_;
  Chunks chunks_;
  std::size_t in_use_ = 0, peak_ = 0, tensors_ = 0, reserved_ = 0, idle_ = 0;
};

}  // namespace cotenant::vulkan

#endif
