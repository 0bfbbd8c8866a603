// ChunkCache: memory that the host writes or reads on its way to and from a device, recycled by size.
#ifndef COTENANT_VULKAN_CHUNK_CACHE_HPP
#define COTENANT_VULKAN_CHUNK_CACHE_HPP
#include <algorithm>
#include <bit>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cotenant/vulkan/memory_chunk.hpp"

namespace cotenant::vulkan {

class ChunkCache {
 public:
  // Keeps up to `keep` bytes that nobody uses for the next one who asks.
  ChunkCache(Driver& driver, MemoryKind kind, std::size_t smallest, std::size_t keep) : driver_(driver), kind_(kind), smallest_(smallest), keep_(keep) {}
  ChunkCache(const ChunkCache&) = delete;
  ChunkCache& operator=(const ChunkCache&) = delete;

  // At least `bytes`, mapped; comes back when the last reference is gone, which must be before this cache is. Errors: OutOfMemory.
  std::shared_ptr<MemoryChunk> get(std::size_t bytes) {
    const std::size_t size = std::bit_ceil(std::max(bytes, smallest_));
    std::unique_ptr<MemoryChunk> chunk;
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(idle_.begin(), idle_.end(), [&](const auto& idle) { return idle->bytes() == size; });
      if (found != idle_.end()) {
        chunk = std::move(*found);
        *found = std::move(idle_.back());
        idle_.pop_back();
        idle_bytes_ -= size;
      }
    }
    if (!chunk) chunk = std::make_unique<MemoryChunk>(driver_, size, kind_);
    return std::shared_ptr<MemoryChunk>(chunk.release(), [this](MemoryChunk* done) { put_back(std::unique_ptr<MemoryChunk>(done)); });
  }
  // Frees what nobody uses; how much that was.
  std::size_t trim() noexcept {
    std::vector<std::unique_ptr<MemoryChunk>> freed;
    const std::lock_guard lock(mutex_);
    freed.swap(idle_);
    return std::exchange(idle_bytes_, 0);
  }

 private:
  void put_back(std::unique_ptr<MemoryChunk> chunk) {
    const std::lock_guard lock(mutex_);
    if (idle_bytes_ + chunk->bytes() > keep_) return;
    idle_bytes_ += chunk->bytes();
    idle_.push_back(std::move(chunk));
  }

  Driver& driver_;
  MemoryKind kind_;
  std::size_t smallest_, keep_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<MemoryChunk>> idle_;  // a few
  std::size_t idle_bytes_ = 0;
};

}  // namespace cotenant::vulkan

#endif
