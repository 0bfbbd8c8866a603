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

// What an op drops may be the next but one's at once, or the next's if it is large: both are on this stream, and the second waits for
// the first where they touch the same bytes. (Tensors cannot be reused so: another stream, or the host, may be reading them.)
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
      // Twice as much would be a waste of the larger one.
      const auto fits = [&](const Idle& one) { return one.memory.bytes >= size && one.memory.bytes <= 2 * size; };
      const auto oldest = std::find_if(idle_.begin(), idle_.end(), fits);
      // Two take turns: what an op puts aside need not wait until the op before has read its own. One alone serves what is too large to have twice.
      if (oldest != idle_.end() && (size > largest_of_two || std::find_if(oldest + 1, idle_.end(), fits) != idle_.end())) {
        const Allocation memory = oldest->memory;
        idle_.erase(oldest);
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
  // Ops whose second kernel is short (partial sums of a few rows) put aside less than this; packed operands are larger, and computing
  // with them takes so long that a wait is not seen.
  static constexpr std::size_t largest_of_two = std::size_t{4} << 20;

  MemoryPool& memory_;
  std::mutex mutex_;
  std::vector<Idle> idle_;  // the longest idle first
};

}  // namespace cotenant::vulkan

#endif
