// Scratch: memory for the time between two kernels of one stream, reused in the stream's order without waiting for the device.
#ifndef COTENANT_VULKAN_SCRATCH_HPP
#define COTENANT_VULKAN_SCRATCH_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "cotenant/vulkan/memory_pool.hpp"

namespace cotenant::vulkan {

// What an op drops may be the next op's at once: both are on this stream, and the second waits for the first where they touch the
// same bytes. (Tensors cannot be reused so: another stream, or the host, may be reading them.)
class Scratch {
 public:
  explicit Scratch(MemoryPool& memory) : memory_(memory) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { release(UINT64_MAX); }

  // Errors: OutOfMemory, DeviceLost.
  Allocation take(std::size_t bytes) {
    const std::size_t size = MemoryPool::padded(bytes);
    {
      const std::lock_guard lock(mutex_);
      auto best = idle_.end();
      // Twice as much would be a waste of the larger one.
      for (auto one = idle_.begin(); one != idle_.end(); ++one)
        if (one->memory.bytes >= size && one->memory.bytes <= 2 * size && (best == idle_.end() || one->memory.bytes < best->memory.bytes)) best = one;
      if (best != idle_.end()) {
        const Allocation memory = best->memory;
        idle_.erase(best);
        return memory;
      }
    }
    return memory_.allocate(size);
  }
  // Work up to `value` of the stream's timeline may still use it.
  void give_back(Allocation memory, std::uint64_t value) noexcept {
    const std::lock_guard lock(mutex_);
    idle_.push_back({memory, value});
  }
  // Frees what no work after `reached` uses.
  void release(std::uint64_t reached) noexcept {
    const std::lock_guard lock(mutex_);
    std::erase_if(idle_, [&](const Idle& one) {
      if (one.value > reached) return false;
      memory_.deallocate(one.memory);
      return true;
    });
  }

 private:
  struct Idle {
    Allocation memory;
    std::uint64_t value;
  };
  MemoryPool& memory_;
  std::mutex mutex_;
  std::vector<Idle> idle_;
};

}  // namespace cotenant::vulkan

#endif
