// Imports: pages of the host that the device reads and writes without a copy, found by their addresses on either side.
#ifndef COTENANT_VULKAN_IMPORTS_HPP
#define COTENANT_VULKAN_IMPORTS_HPP
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cotenant/core/concepts.hpp"
#include "cotenant/vulkan/memory_chunk.hpp"

namespace cotenant::vulkan {

// Few at a time: they are looked for one by one. Safe from any number of threads.
class Imports {
 public:
  // Pages that hold an address, and how far into them it is. Work that uses them keeps the chunk.
  struct Found {
    std::shared_ptr<MemoryChunk> chunk;  // null: none
    std::size_t offset = 0;
    VkDeviceAddress address() const noexcept { return chunk->address() + offset; }
  };

  // Where the device sees them. Errors: Unsupported, OutOfMemory.
  Allocation add(Driver& driver, void* pages, std::size_t bytes) {
    auto chunk = std::make_shared<MemoryChunk>(driver, pages, bytes);
    const Allocation result{reinterpret_cast<void*>(chunk->address()), bytes};
    const std::lock_guard lock(mutex_);
    chunks_.push_back(std::move(chunk));
    any_.store(true, std::memory_order_relaxed);
    return result;
  }
  // False where no import begins there.
  bool remove(VkDeviceAddress address) noexcept {
    return remove_if([&](const MemoryChunk& chunk) { return chunk.address() == address; });
  }
  bool remove_host(const void* pages) noexcept {
    return remove_if([&](const MemoryChunk& chunk) { return chunk.mapped() == pages; });
  }
  Found find(VkDeviceAddress address) const noexcept {
    return find_if([&](const MemoryChunk& chunk) { return address - chunk.address(); }, 1);
  }
  // Pages that hold all of [first, first + bytes) of the host.
  Found find_host(const void* first, std::size_t bytes) const noexcept {
    return find_if([&](const MemoryChunk& chunk) { return reinterpret_cast<std::uintptr_t>(first) - reinterpret_cast<std::uintptr_t>(chunk.mapped()); }, bytes);
  }
  std::size_t bytes() const noexcept {
    const std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const auto& chunk : chunks_) sum += chunk->bytes();
    return sum;
  }
  // Whether there ever were some.
  bool any() const noexcept { return any_.load(std::memory_order_relaxed); }

 private:
  template <class Is> bool remove_if(const Is& is) noexcept {
    if (!any()) return false;
    std::shared_ptr<MemoryChunk> removed;  // freed after the lock is given back
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(chunks_.begin(), chunks_.end(), [&](const auto& chunk) { return is(*chunk); });
    if (found == chunks_.end()) return false;
    removed = std::move(*found);
    chunks_.erase(found);
    return true;
  }
  // An offset that would be negative is larger than any chunk.
  template <class Offset> Found find_if(const Offset& offset_in, std::size_t bytes) const noexcept {
    if (!any()) return {};
    const std::lock_guard lock(mutex_);
    for (const auto& chunk : chunks_)
      if (const std::size_t offset = offset_in(*chunk); offset <= chunk->bytes() && bytes <= chunk->bytes() - offset) return {chunk, offset};
    return {};
  }

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<MemoryChunk>> chunks_;
  std::atomic<bool> any_{false};
};

}  // namespace cotenant::vulkan

#endif
