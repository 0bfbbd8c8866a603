// Staging: elements between host and device. The host's bytes are taken when a copy is called; a copy to the host is done when it is read.
#ifndef COTENANT_VULKAN_STAGING_HPP
#define COTENANT_VULKAN_STAGING_HPP
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>

#include "cotenant/vulkan/any_operand.hpp"
#include "cotenant/vulkan/copy_threads.hpp"
#include "cotenant/vulkan/dense_elements.hpp"
#include "cotenant/vulkan/staging_ring.hpp"

namespace cotenant::vulkan {

// What one copy takes of staging memory at a time: as much as the processor's cache keeps for the device to read (64 MiB reach no more,
// 16 less); and what a copy to the host may leave to whoever waits for it.
inline constexpr std::size_t upload_staging = std::size_t{32} << 20, download_staging = std::size_t{64} << 20;

// Smaller copies stay among the kernels: a hop to another queue and back costs tens of µs, and these take 80 at 50 GB/s.
inline constexpr std::size_t large_copy = std::size_t{4} << 20;
// From here on a device that has nothing else to do fetches pinned bytes faster, handed over and waited for in 17 µs and 50 GB/s, than the
// host copies them to staging memory at 20.
inline constexpr std::size_t direct_copy = std::size_t{512} << 10;

namespace detail {
// Where a copy goes: large ones run beside the stream's kernels, and are ordered by the blocks that both touch. Scratch is ordered by its
// own stream alone. Where there is nothing to run beside, the stream's own queue is the faster one: 48 to 52 GB/s on an H100, where queues that
// only copy have 49 and 51 beside kernels but 29 and 35 once it has idled for 0.1 s. (Its clock was at 345 to 750 of 1980 MHz then: likely the cause.)
inline Stream& copying_stream(Stream& stream, Direction direction, const Block* block, std::size_t bytes) {
  return bytes < large_copy || block == nullptr || is_scratch(*block) || stream.device().idle() ? stream : stream.copies(direction);
}

// The host's elements, where they lie in a row on pages that the device sees.
inline Imports::Found pinned(Device& device, const AnyView& host) {
  return host.contiguous() ? device.memory().imports().find_host(host.data(), host.bytes()) : Imports::Found{};
}
inline MemoryPool::Place place_of(const Imports::Found& pages, std::size_t bytes) { return {pages.chunk->buffer(), pages.offset, bytes, nullptr}; }
}  // namespace detail

// Queues a copy of the host's elements, row-major, to [address, …) of a block on the device. The host may change its
// bytes when this returns. Errors: OutOfMemory, DeviceLost.
inline void upload(Stream& asking, const AnyView& host, Block* block, const void* address) {
  Device& device = asking.device();
  const detail::DevicePart there{block, address, device.memory().find(address)};
  const std::size_t bytes = host.bytes(), element = size_of(host.type());
  if (bytes == 0) return;
  if (there.place.mapped != nullptr && (block == nullptr || !is_scratch(*block))) {
    // Nothing on the device touches the block, as nothing touches fresh ones: the host writes where the tensor lies.
    if (!device.uses().idle(block)) asking.retire();
    if (device.uses().idle(block)) return pack(host, 0, host.size(), there.place.mapped);
  }
  Stream& stream = detail::copying_stream(asking, Direction::to_device, block, bytes);
  const bool alone = bytes >= large_copy;  // not among kernels that will be handed over soon
  if (alone || (bytes >= direct_copy && device.idle())) {
    if (const Imports::Found pages = detail::pinned(device, host); pages.chunk) {
      const BufferArgument from{nullptr, reinterpret_cast<const void*>(pages.address()), bytes, Access::read};
      stream.copy(from, detail::place_of(pages, bytes), there.argument(0, bytes, Access::write), there.at(0), pages.chunk);
      return stream.wait(stream.queued());
    }
  }
  detail::StagingRing ring(stream, bytes, upload_staging);
  device.copy_threads().for_each(ring.pieces(), [&](std::size_t index) {
    ring.guard([&] {
      const auto piece = ring.piece(index);
      if (piece.part >= ring.chunks() && !ring.wait(piece.part - ring.chunks())) return;
      pack(host, piece.first / element, piece.bytes / element, piece.staging);
      if (ring.finished(piece.part)) ring.queue(piece.part, there, Direction::to_device, alone);
    });
  });
}

namespace detail {
// A copy to the host: what is left to do is to wait for the device and to move the bytes where they belong.
class Download final : public Completion {
 public:
  Download(Stream& stream, const DevicePart& from, const AnyView& host, bool alone)
      : stream_(stream.shared_from_this()), from_(from), host_(host), alone_(alone), ring_(stream, host.bytes(), download_staging),
        moved_(new std::atomic<bool>[ring_.pieces()]()) {
    for (std::size_t part = 0; part < ring_.chunks(); ++part) queue(part);
    // What there is no staging memory for takes that of what is moved now.
    last_ = (ring_.parts() - ring_.chunks()) * ring_.pieces_in_a_part();
    if (last_ > 0) move(0, last_);
    from_.block = nullptr;  // the stream keeps it
  }
  void wait() override {
    const std::lock_guard lock(mutex_);
    move(last_, ring_.pieces());
  }

 private:
  void queue(std::size_t part) { ring_.queue(part, from_, Direction::to_host, alone_); }
  void move(std::size_t begin, std::size_t end) {
    if (begin == end) return;
    // The first is waited for by this thread alone: it may come after much work.
    stream_->wait(ring_.queued(begin / ring_.pieces_in_a_part()));
    stream_->flush();
    stream_->device().copy_threads().for_each(end - begin, [&](std::size_t i) {
      // One that was moved is moved only once: the host may have written to its bytes since.
      if (moved_[begin + i].load(std::memory_order_relaxed)) return;
      ring_.guard([&] {
        const auto piece = ring_.piece(begin + i);
        if (!ring_.wait(piece.part)) return;
        const std::size_t element = size_of(host_.type());
        unpack(piece.staging, host_, piece.first / element, piece.bytes / element);
        moved_[begin + i].store(true, std::memory_order_relaxed);
        if (ring_.finished(piece.part) && piece.part + ring_.chunks() < ring_.parts()) queue(piece.part + ring_.chunks());
      });
    });
  }

  std::mutex mutex_;
  std::shared_ptr<Stream> stream_;  // its device owns the chunks
  DevicePart from_;
  AnyView host_;
  bool alone_;
  StagingRing ring_;
  std::unique_ptr<std::atomic<bool>[]> moved_;  // per piece
  std::size_t last_ = 0;                        // the first piece that wait() moves
};
}  // namespace detail

// Queues a copy of row-major elements at [address, …) of a block on the device; what it gives moves them to the host when it is
// waited for. Of more than 64 MiB the first are there when this returns. Errors: OutOfMemory, DeviceLost.
inline Ref<Completion> begin_download(Stream& asking, Block* block, const void* address, const AnyView& host) {
  const std::size_t bytes = host.bytes();
  Stream& stream = detail::copying_stream(asking, Direction::to_host, block, bytes);
  return make_ref<detail::Download>(stream, detail::DevicePart{block, address, asking.device().memory().find(address)}, host,
                                       &stream != &asking || bytes > staging_bytes);
}

// The same into a block of the host, whose bytes come in when it is waited for; onto pinned pages by themselves.
inline void download(Stream& asking, Block* block, const void* address, const AnyView& host, Block* host_block) {
  host_block->wait();  // an earlier copy to other elements of the same block
  Device& device = asking.device();
  const MemoryPool::Place place = device.memory().find(address);
  if (place.mapped != nullptr) {
    if (is_scratch(*block)) asking.finish();
    else block->wait();
    return unpack(place.mapped, host, 0, host.size());
  }
  const Imports::Found pages = detail::pinned(device, host);
  if (!pages.chunk) return host_block->set_pending(begin_download(asking, block, address, host));
  const std::size_t bytes = host.bytes();
  Stream& stream = detail::copying_stream(asking, Direction::to_host, block, bytes);
  const BufferArgument to{host_block, reinterpret_cast<const void*>(pages.address()), bytes, Access::write};
  stream.copy({block, address, bytes, Access::read}, place, to, detail::place_of(pages, bytes), pages.chunk, true);
  if (bytes >= large_copy) stream.flush();
}

// Bytes that no work is under way on, at once. Errors: OutOfMemory, DeviceLost.
inline void read_bytes(Stream& stream, const Allocation& from, std::byte* to) {
  const AnyView host(DType::u8, to, {from.bytes}, Strides{1});
  begin_download(stream, nullptr, from.data, host)->wait();
}
inline void write_bytes(Stream& stream, const std::byte* from, const Allocation& to) {
  const AnyView host(DType::u8, const_cast<std::byte*>(from), {to.bytes}, Strides{1});
  upload(stream, host, nullptr, to.data);
  stream.finish();
}

}  // namespace cotenant::vulkan

#endif
