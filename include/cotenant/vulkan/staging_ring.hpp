// StagingRing: the staging memory of one copy between host and device, in parts that are used in turn.
#ifndef COTENANT_VULKAN_STAGING_RING_HPP
#define COTENANT_VULKAN_STAGING_RING_HPP
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// Copies go through parts of staging memory, which the device moves at once and the host's threads fill or empty in pieces. Parts of 8 MiB reach
// 46 GB/s on an H100, of 4 MiB 44, of 1 MiB 30; smaller copies have at least eight, so that both sides move at a time. Pieces of 128 and 256 KiB
// reach 44.9 and 47.7 GB/s up and down, of 512 KiB 43.6 and 46.6. Stores past the caches reach 40 and 48: the device reads what the host wrote
// from its caches. The host's own copy of ordinary memory, which every byte takes, reaches 52 by twelve threads and 56 by sixteen.
inline constexpr std::size_t staging_bytes = std::size_t{8} << 20, host_piece = std::size_t{256} << 10;
inline constexpr std::size_t part_bytes_of(std::size_t bytes) { return std::clamp(std::bit_ceil(bytes / 8 + 1), std::size_t{1} << 20, staging_bytes); }

namespace detail {

// Where a copy's tensor on the device lies.
struct DevicePart {
  Block* block;
  const void* address;
  MemoryPool::Place place;

  BufferArgument argument(std::size_t first, std::size_t bytes, Access access) const {
    return {block, static_cast<const char*>(address) + first, bytes, access};
  }
  MemoryPool::Place at(std::size_t first) const {
    MemoryPool::Place result = place;
    result.offset += first;
    return result;
  }
  // Queues the move of `bytes` from `first` on to or from the begin of a chunk that the host maps; handed over `at_once` or with what
  // follows. Gives where the timeline will be then. Errors: OutOfMemory, DeviceLost.
  std::uint64_t move(Stream& stream, Direction direction, std::size_t first, std::size_t bytes, const std::shared_ptr<MemoryChunk>& chunk, bool at_once) const {
    const auto there = reinterpret_cast<const void*>(chunk->address());
    const MemoryPool::Place staging{chunk->buffer(), 0, bytes, nullptr};
    const std::uint64_t value =
        direction == Direction::to_device
            ? stream.copy({nullptr, there, bytes, Access::read}, staging, argument(first, bytes, Access::write), at(first), chunk)
            : stream.copy(argument(first, bytes, Access::read), at(first), {nullptr, there, bytes, Access::write}, staging, chunk, true);
    if (at_once) stream.flush(value);
    return value;
  }
};

// Staging memory of one copy in parts, used in turn. Threads fill or empty pieces of them and wait for nobody who needs a lock.
class StagingRing {
 public:
  // At most `most` bytes at a time.
  StagingRing(Stream& stream, std::size_t bytes, std::size_t most)
      : stream_(stream), bytes_(bytes), part_(part_bytes_of(bytes)), parts_((bytes + part_ - 1) / part_), queued_(new std::atomic<std::uint64_t>[parts_]()),
        done_(new std::atomic<std::size_t>[parts_]()) {
    for (std::size_t i = 0; i < std::min(parts_, most / part_); ++i) chunks_.push_back(stream.device().staging().get(std::min(bytes, part_)));
  }
  std::size_t parts() const noexcept { return parts_; }
  std::size_t chunks() const noexcept { return chunks_.size(); }
  std::size_t pieces() const noexcept { return (bytes_ + host_piece - 1) / host_piece; }
  std::size_t pieces_in_a_part() const noexcept { return part_ / host_piece; }

  struct Piece {
    std::size_t part, first, bytes;  // in the tensor
    std::byte* staging;
  };
  Piece piece(std::size_t index) const noexcept {
    const std::size_t part = index / pieces_in_a_part(), first = index * host_piece;
    return {part, first, std::min(host_piece, bytes_ - first), static_cast<std::byte*>(chunk(part)->mapped()) + (first - part * part_)};
  }
  const std::shared_ptr<MemoryChunk>& chunk(std::size_t part) const noexcept { return chunks_[part % chunks_.size()]; }
  // One more piece of a part is filled or emptied; whether it was the last.
  bool finished(std::size_t part) noexcept {
    const std::size_t bytes = std::min(part_, bytes_ - part * part_);
    return done_[part].fetch_add(1, std::memory_order_acq_rel) + 1 == (bytes + host_piece - 1) / host_piece;
  }
  // Queues the device's move of a part, see DevicePart::move. Whoever waits for the part waits for no later work, which another thread may
  // not have handed over.
  void queue(std::size_t part, const DevicePart& tensor, Direction direction, bool at_once) {
    const std::size_t first = part * part_;
    queued_[part].store(tensor.move(stream_, direction, first, std::min(part_, bytes_ - first), chunk(part), at_once), std::memory_order_release);
  }
  // Returns when the device has moved a part, which another thread may not have queued yet. False where that thread failed.
  bool wait(std::size_t part) const {
    std::uint64_t value = 0;
    while ((value = queued_[part].load(std::memory_order_acquire)) == 0) {
      if (failed_.load()) return false;
      std::this_thread::yield();
    }
    stream_.poll(value);
    return true;
  }
  std::uint64_t queued(std::size_t part) const noexcept { return queued_[part].load(std::memory_order_acquire); }

  // Whoever waits for another thread's part must hear that it failed: f() did unless it returned.
  template <class F> void guard(const F& f) {
    struct Failure {
      std::atomic<bool>& failed;
      bool none = false;
      ~Failure() {
        if (!none) failed.store(true);
      }
    } failure{failed_};
    f();
    failure.none = true;
  }

 private:
  Stream& stream_;
  std::size_t bytes_, part_, parts_;
  std::vector<std::shared_ptr<MemoryChunk>> chunks_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> queued_;  // per part: where the timeline will be when the device has moved it; 0: not yet known
  std::unique_ptr<std::atomic<std::size_t>[]> done_;      // per part: pieces that the host has moved
  std::atomic<bool> failed_{false};
};

}  // namespace detail
}  // namespace cotenant::vulkan

#endif
