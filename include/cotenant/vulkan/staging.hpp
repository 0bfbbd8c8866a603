// Staging: elements between host and device. The host's bytes are taken when a copy is called; a copy to the host is done when it is read.
#ifndef COTENANT_VULKAN_STAGING_HPP
#define COTENANT_VULKAN_STAGING_HPP
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "cotenant/core/layout.hpp"
#include "cotenant/vulkan/any_operand.hpp"
#include "cotenant/vulkan/copy_threads.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// Copies go through parts of staging memory, which the device moves at once and the host's threads fill or empty in pieces. Parts of 8 MiB reach
// 46 GB/s on an H100, of 4 MiB 44, of 1 MiB 30; smaller copies have at least eight, so that both sides move at a time. Pieces of 128 and 256 KiB
// reach 44.9 and 47.7 GB/s up and down, of 512 KiB 43.6 and 46.6. Stores past the caches reach 40 and 48: the device reads what the host wrote
// from its caches. The host's own copy of ordinary memory, which every byte takes, reaches 52 by twelve threads and 56 by sixteen.
inline constexpr std::size_t staging_bytes = std::size_t{8} << 20, host_piece = std::size_t{256} << 10;
inline constexpr std::size_t part_bytes_of(std::size_t bytes) { return std::clamp(std::bit_ceil(bytes / 8 + 1), std::size_t{1} << 20, staging_bytes); }
// What one copy takes of staging memory at a time: as much as the processor's cache keeps for the device to read (64 MiB reach no more,
// 16 less); and what a copy to the host may leave to whoever waits for it.
inline constexpr std::size_t upload_staging = std::size_t{32} << 20, download_staging = std::size_t{64} << 20;

// Calls f(offset of the first, elements in a row, its index) for elements [first, first + count) of a layout in row-major order;
// elements in a row lie one stride of the last axis apart.
template <class F> void for_each_row(const AnyView& view, std::size_t first, std::size_t count, F&& f) {
  const Shape& shape = view.shape();
  const std::size_t rank = shape.rank();
  if (rank == 0) return f(std::ptrdiff_t{0}, std::size_t{1}, std::size_t{0});
  const std::size_t row = shape[rank - 1];
  std::array<std::size_t, max_rank> index{};
  std::size_t left = first;
  for (std::size_t axis = rank; axis-- > 0;) index[axis] = left % shape[axis], left /= shape[axis];
  for (std::size_t done = 0; done < count;) {
    const std::size_t length = std::min(row - index[rank - 1], count - done);
    std::ptrdiff_t offset = 0;
    for (std::size_t axis = 0; axis < rank; ++axis) offset += static_cast<std::ptrdiff_t>(index[axis]) * view.stride(axis);
    f(offset, length, done);
    done += length;
    index[rank - 1] = 0;
    for (std::size_t axis = rank - 1; axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}
namespace detail {
// Elements of so many bytes between a view's rows and dense ones.
template <std::ptrdiff_t Bytes, bool Pack> void move_rows(const AnyView& view, std::size_t first, std::size_t count, std::byte* dense) {
  const std::ptrdiff_t step = view.rank() == 0 ? 1 : view.stride(view.rank() - 1);
  for_each_row(view, first, count, [&](std::ptrdiff_t offset, std::size_t length, std::size_t at) {
    std::byte* element = static_cast<std::byte*>(view.data()) + offset * Bytes;
    std::byte* packed = dense + at * Bytes;
    for (std::size_t i = 0; i < length; ++i, element += step * Bytes, packed += Bytes) {
      if constexpr (Pack) std::memcpy(packed, element, Bytes);
      else std::memcpy(element, packed, Bytes);
    }
  });
}
template <bool Pack> void move_elements(const AnyView& view, std::size_t first, std::size_t count, std::byte* dense) {
  const std::size_t bytes = size_of(view.type());
  if (view.contiguous()) {
    std::byte* const elements = static_cast<std::byte*>(view.data()) + first * bytes;
    static_cast<void>(Pack ? std::memcpy(dense, elements, count * bytes) : std::memcpy(elements, dense, count * bytes));
    return;
  }
  switch (bytes) {
    case 1: return move_rows<1, Pack>(view, first, count, dense);
    case 2: return move_rows<2, Pack>(view, first, count, dense);
    case 4: return move_rows<4, Pack>(view, first, count, dense);
    default: return move_rows<8, Pack>(view, first, count, dense);
  }
}
}  // namespace detail
// Elements [first, first + count) of a view, in row-major order, to or from `dense` ones.
inline void pack(const AnyView& view, std::size_t first, std::size_t count, void* dense) {
  detail::move_elements<true>(view, first, count, static_cast<std::byte*>(dense));
}
inline void unpack(const void* dense, const AnyView& view, std::size_t first, std::size_t count) {
  detail::move_elements<false>(view, first, count, static_cast<std::byte*>(const_cast<void*>(dense)));
}

// Smaller copies stay among the kernels: a hop to another queue and back costs tens of µs, and these take 80 at 50 GB/s.
inline constexpr std::size_t large_copy = std::size_t{4} << 20;

namespace detail {
// Where a copy goes: large ones run beside the stream's kernels, and are ordered by the blocks that both touch. Scratch is ordered by its
// own stream alone. Where there is nothing to run beside, the stream's own queue is the faster one: 48 to 52 GB/s on an H100, where queues that
// only copy have 49 and 51 beside kernels but 29 and 35 once it has idled for 0.1 s. (Its clock was at 345 to 750 of 1980 MHz then: likely the cause.)
inline Stream& copying_stream(Stream& stream, Direction direction, const Block* block, std::size_t bytes) {
  return bytes < large_copy || block == nullptr || is_scratch(*block) || stream.device().idle() ? stream : stream.copies(direction);
}

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
  // Calls copy(part's first byte, its bytes, its chunk), which queues the device's move of it and gives where the timeline will be then:
  // whoever waits for the part waits for no later work, which another thread may not have handed over.
  template <class Copy> void queue(std::size_t part, const Copy& copy) {
    queued_[part].store(copy(part * part_, std::min(part_, bytes_ - part * part_), chunk(part)), std::memory_order_release);
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
};
inline BufferArgument whole(const MemoryChunk& chunk, std::size_t bytes, Access access) {
  return {nullptr, reinterpret_cast<const void*>(chunk.address()), bytes, access};
}
inline MemoryPool::Place place_of(const MemoryChunk& chunk, std::size_t offset, std::size_t bytes) { return {chunk.buffer(), offset, bytes, nullptr}; }

// The host's elements, where they lie in a row on pages that the device sees.
inline Imports::Found pinned(Device& device, const AnyView& host) {
  return host.contiguous() ? device.memory().imports().find_host(host.data(), host.bytes()) : Imports::Found{};
}
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
  if (alone) {
    if (const Imports::Found pages = detail::pinned(device, host); pages.chunk) {
      const BufferArgument from{nullptr, reinterpret_cast<const void*>(pages.address()), bytes, Access::read};
      stream.copy(from, detail::place_of(*pages.chunk, pages.offset, bytes), there.argument(0, bytes, Access::write), there.at(0), pages.chunk);
      return stream.wait(stream.queued());
    }
  }
  detail::StagingRing ring(stream, bytes, upload_staging);
  device.copy_threads().for_each(ring.pieces(), [&](std::size_t index) {
    ring.guard([&] {
      const auto piece = ring.piece(index);
      if (piece.part >= ring.chunks() && !ring.wait(piece.part - ring.chunks())) return;
      pack(host, piece.first / element, piece.bytes / element, piece.staging);
      if (!ring.finished(piece.part)) return;
      ring.queue(piece.part, [&](std::size_t first, std::size_t count, const std::shared_ptr<MemoryChunk>& chunk) {
        const std::uint64_t value = stream.copy(detail::whole(*chunk, count, Access::read), detail::place_of(*chunk, 0, count),
                                                there.argument(first, count, Access::write), there.at(first), chunk);
        if (alone) stream.flush(value);
        return value;
      });
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
  void queue(std::size_t part) {
    ring_.queue(part, [&](std::size_t first, std::size_t count, const std::shared_ptr<MemoryChunk>& chunk) {
      const std::uint64_t value = stream_->copy(from_.argument(first, count, Access::read), from_.at(first), whole(*chunk, count, Access::write),
                                                place_of(*chunk, 0, count), chunk, true);
      if (alone_) stream_->flush(value);
      return value;
    });
  }
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
  stream.copy({block, address, bytes, Access::read}, place, to, detail::place_of(*pages.chunk, pages.offset, bytes), pages.chunk, true);
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
