// Uses: which stream last read and wrote each block, so that streams wait for each other where they share one.
#ifndef COTENANT_VULKAN_USES_HPP
#define COTENANT_VULKAN_USES_HPP
#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cotenant/vulkan/launch.hpp"
#include "cotenant/vulkan/stream_point.hpp"

namespace cotenant::vulkan {

// Whether a block is scratch of a stream; the storage defines it.
bool is_scratch(const Block& block) noexcept;

// A block is listed while work that is not known to be done touches it; the work itself keeps the block alive.
class Uses {
 public:
  // What `stream` must wait for before it touches these buffers. `lock(Stream&)` gives a counted reference, null where the stream is being destroyed.
  template <class Lock> std::vector<StreamPoint> foreign(const Stream& stream, std::span<const BufferArgument> buffers, Lock&& lock) const {
    for (;;) {
      std::vector<StreamPoint> result;
      bool dying = false;
      {
        const std::lock_guard guard(mutex_);
        for (const BufferArgument& buffer : buffers) {
          const auto found = blocks_.find(buffer.block);
          if (found == blocks_.end()) continue;
          for (const Use& use : found->second) {
            if (use.stream == &stream) continue;
            const std::uint64_t value = buffer.access == Access::read ? use.written : use.touched;
            if (value == 0) continue;
            if (std::shared_ptr<Stream> other = lock(*use.stream)) add_point(result, {std::move(other), value});
            else dying = true;
          }
        }
      }
      if (!dying) return result;
      std::this_thread::yield();  // its destructor is waiting for that very work
    }
  }
  // Work of `stream` that is done at `value` touches these blocks. Those that it touches for the first time at this value are appended to
  // `first`. A stream's own scratch is not listed: its bytes alone order it, and it outlives its blocks.
  void note(Stream& stream, std::uint64_t value, std::span<const BufferArgument> buffers, std::vector<Block*>& first) {
    const std::lock_guard guard(mutex_);
    for (const BufferArgument& buffer : buffers) {
      if (buffer.block == nullptr || is_scratch(*buffer.block)) continue;
      std::vector<Use>& uses = blocks_[buffer.block];
      auto use = std::find_if(uses.begin(), uses.end(), [&](const Use& one) { return one.stream == &stream; });
      if (use == uses.end()) use = uses.insert(uses.end(), Use{&stream, 0, 0});
      if (use->touched != value) first.push_back(buffer.block);
      use->touched = value;
      if (buffer.access != Access::read) use->written = value;
    }
  }
  // Whether no work is listed that touches the block.
  bool idle(const Block* block) const noexcept {
    const std::lock_guard guard(mutex_);
    return blocks_.find(block) == blocks_.end();
  }
  // The work of `stream` up to `value` is done; `blocks` are those that note() gave for it.
  void done(const Stream& stream, std::uint64_t value, std::span<Block* const> blocks) noexcept {
    const std::lock_guard guard(mutex_);
    for (Block* const block : blocks) {
      const auto found = blocks_.find(block);
      if (found == blocks_.end()) continue;
      std::erase_if(found->second, [&](const Use& use) { return use.stream == &stream && use.touched <= value; });
      if (found->second.empty()) blocks_.erase(found);
    }
  }

 private:
  struct Use {
    Stream* stream;
    std::uint64_t touched, written;
  };

  mutable std::mutex mutex_;
  std::unordered_map<const Block*, std::vector<Use>> blocks_;
};

}  // namespace cotenant::vulkan

#endif
