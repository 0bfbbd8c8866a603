// Staging: elements between host and device. The host's bytes are taken when a copy is called; a copy to the host is done when it is read.
#ifndef COTENANT_VULKAN_STAGING_HPP
#define COTENANT_VULKAN_STAGING_HPP
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "cotenant/core/layout.hpp"
#include "cotenant/core/view.hpp"
#include "cotenant/vulkan/copy_threads.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// Large copies go through staging memory of this size, which the device moves at once, and the host's threads fill or empty in pieces: with
// few of either, one would wait for the other; with many, handing over would take longer than moving.
inline constexpr std::size_t staging_bytes = std::size_t{8} << 20, host_piece = std::size_t{1} << 20;

// Calls f(host element pointer, elements in a row, index of the first) for elements [first, first + count) of a layout in
// row-major order; elements in a row lie `step` elements apart.
template <class T, class F> void for_each_row(const View<T>& view, std::size_t first, std::size_t count, F&& f) {
  const Shape& shape = view.shape();
  const std::size_t rank = shape.rank();
  if (rank == 0) return f(view.data(), std::size_t{1}, std::ptrdiff_t{1}, std::size_t{0});
  const std::size_t row = shape[rank - 1];
  std::array<std::size_t, max_rank> index{};
  std::size_t left = first;
  for (std::size_t axis = rank; axis-- > 0;) index[axis] = left % shape[axis], left /= shape[axis];
  for (std::size_t done = 0; done < count;) {
    const std::size_t length = std::min(row - index[rank - 1], count - done);
    std::ptrdiff_t offset = 0;
    for (std::size_t axis = 0; axis < rank; ++axis) offset += static_cast<std::ptrdiff_t>(index[axis]) * view.strides()[axis];
    f(view.data() + offset, length, view.strides()[rank - 1], done);
    done += length;
    index[rank - 1] = 0;
    for (std::size_t axis = rank - 1; axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}
template <class T> void pack(const View<const T>& view, std::size_t first, std::size_t count, T* out) {
  if (view.contiguous()) {
    std::memcpy(static_cast<void*>(out), view.data() + first, count * sizeof(T));
    return;
  }
  for_each_row(view, first, count, [&](const T* from, std::size_t length, std::ptrdiff_t step, std::size_t at) {
    for (std::size_t i = 0; i < length; ++i) out[at + i] = from[static_cast<std::ptrdiff_t>(i) * step];
  });
}
template <class T> void unpack(const T* in, const View<T>& view, std::size_t first, std::size_t count) {
  if (view.contiguous()) {
    std::memcpy(static_cast<void*>(view.data() + first), in, count * sizeof(T));
    return;
  }
  for_each_row(view, first, count, [&](T* to, std::size_t length, std::ptrdiff_t step, std::size_t at) {
    for (std::size_t i = 0; i < length; ++i) to[static_cast<std::ptrdiff_t>(i) * step] = in[at + i];
  });
}

// Smaller copies stay among the kernels: a hop to another queue and back costs tens of µs, and these take 80 at 50 GB/s.
inline constexpr std::size_t large_copy = std::size_t{4} << 20;

namespace detail {
// Where a copy goes: large ones run beside the stream's kernels, and are ordered by the blocks that both touch. Scratch is ordered by its own stream alone.
inline Stream& copying_stream(Stream& stream, Direction direction, const Block* block, std::size_t bytes) {
  return bytes < large_copy || block == nullptr || is_scratch(*block) ? stream : stream.copies(direction);
}
}  // namespace detail

namespace detail {
// Staging memory of one upload, used in turn. Threads fill pieces of it and wait for nobody who needs a lock: the last one in each
// hands it over, and it is filled again when the device has read it.
class UploadRing {
 public:
  UploadRing(Stream& stream, std::size_t bytes, std::size_t threads)
      : stream_(stream), bytes_(bytes), parts_(count_of(bytes)), handed_over_(new std::atomic<std::uint64_t>[parts_]()), filled_(new std::atomic<std::size_t>[parts_]()) {
    // What the threads fill, what the device reads, and what waits for it.
    const std::size_t chunks = std::min(parts_, threads * host_piece / staging_bytes + 3);
    for (std::size_t i = 0; i < chunks; ++i) chunks_.push_back(stream.device().staging().get(std::min(bytes, staging_bytes)));
  }
  // Calls fill(first byte, bytes, where to) for a piece, then send(part's first byte, its bytes, chunk) where it was a part's last.
  template <class Fill, class Send> void piece(std::size_t index, const Fill& fill, const Send& send) {
    constexpr std::size_t pieces = staging_bytes / host_piece;
    const std::size_t part = index / pieces, first = part * staging_bytes, part_bytes = std::min(staging_bytes, bytes_ - first), from = index % pieces * host_piece;
    const std::shared_ptr<MemoryChunk>& chunk = chunks_[part % chunks_.size()];
    Failure failure{failed_};
    if (part >= chunks_.size()) {
      std::uint64_t value = 0;
      while ((value = handed_over_[part - chunks_.size()].load(std::memory_order_acquire)) == 0) {
        if (failed_.load()) return;
        std::this_thread::yield();
      }
      stream_.poll(value);
    }
    fill(first + from, std::min(host_piece, part_bytes - from), static_cast<std::byte*>(chunk->mapped()) + from);
    if (filled_[part].fetch_add(1, std::memory_order_acq_rel) + 1 == (part_bytes + host_piece - 1) / host_piece) {
      send(first, part_bytes, chunk);
      handed_over_[part].store(stream_.queued(), std::memory_order_release);
    }
    failure.none = true;
  }

 private:
  // Whoever waits for another thread's part must hear that it failed.
  struct Failure {
    std::atomic<bool>& failed;
    bool none = false;
    ~Failure() {
      if (!none) failed.store(true);
    }
  };
  static std::size_t count_of(std::size_t bytes) { return (bytes + staging_bytes - 1) / staging_bytes; }

  Stream& stream_;
  std::size_t bytes_, parts_;
  std::vector<std::shared_ptr<MemoryChunk>> chunks_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> handed_over_;  // per part: where the timeline will be when the device has read it; 0: not yet known
  std::unique_ptr<std::atomic<std::size_t>[]> filled_;         // per part: pieces
  std::atomic<bool> failed_{false};
};
}  // namespace detail

// Queues a copy of the host's elements, row-major, to [address, …) of a block on the device. The host may change its
// bytes when this returns. Errors: OutOfMemory, DeviceLost.
template <class T> void upload(Stream& asking, const View<const T>& host, Block* block, const void* address) {
  Device& device = asking.device();
  const MemoryPool::Place place = device.memory().find(address);
  const std::size_t bytes = host.size() * sizeof(T);
  if (bytes == 0) return;
  if (place.mapped != nullptr && (block == nullptr || !is_scratch(*block))) {
    // Nothing on the device touches the block, as nothing touches fresh ones: the host writes where the tensor lies.
    if (!device.uses().idle(block)) asking.retire();
    if (device.uses().idle(block)) return pack(host, 0, host.size(), static_cast<T*>(place.mapped));
  }
  Stream& stream = detail::copying_stream(asking, Direction::to_device, block, bytes);
  const bool alone = &stream != &asking || bytes > staging_bytes;  // not among kernels that will be handed over soon
  const std::size_t pieces = (bytes + host_piece - 1) / host_piece, threads = copy_threads(pieces);
  detail::UploadRing ring(stream, bytes, threads);
  const auto fill = [&](std::size_t first, std::size_t count, std::byte* to) { pack(host, first / sizeof(T), count / sizeof(T), reinterpret_cast<T*>(to)); };
  const auto send = [&](std::size_t first, std::size_t count, const std::shared_ptr<MemoryChunk>& chunk) {
    const BufferArgument from{nullptr, reinterpret_cast<const void*>(chunk->address()), count, Access::read};
    const BufferArgument to{block, static_cast<const char*>(address) + first, count, Access::write};
    MemoryPool::Place destination = place;
    destination.offset += first;
    stream.copy(from, {chunk->buffer(), 0, count, nullptr}, to, destination, chunk);
    if (alone) stream.flush();
  };
  for_each_piece(pieces, threads, [&](std::size_t i) { ring.piece(i, fill, send); });
}

namespace detail {
// A copy to the host: what is left to do is to wait for the device and to move the bytes where they belong.
template <class T> class Download final : public Completion {
 public:
  Download(std::shared_ptr<Stream> stream, const View<T>& host) : stream_(std::move(stream)), host_(host) {}
  // The next `count` elements are in this memory when the stream's timeline is at `value`.
  void add(const std::shared_ptr<MemoryChunk>& chunk, std::uint64_t value, std::size_t count) {
    constexpr std::size_t piece = host_piece / sizeof(T);
    for (std::size_t at = 0; at < count; at += piece) pieces_.push_back({chunk, value, first_ + at, std::min(piece, count - at), at});
    first_ += count;
  }
  void wait() override {
    const std::lock_guard lock(mutex_);
    // The first is waited for by this thread alone: it may come after much work.
    if (!pieces_.empty()) stream_->wait(pieces_.front().value), stream_->flush(pieces_.back().value);
    for_each_piece(pieces_.size(), copy_threads(pieces_.size()), [&](std::size_t i) {
      Piece& piece = pieces_[i];
      // One that was moved is moved only once: the host may have written to its bytes since.
      if (!piece.chunk) return;
      stream_->poll(piece.value);
      unpack(static_cast<const T*>(piece.chunk->mapped()) + piece.offset, host_, piece.first, piece.count);
      piece.chunk.reset();
    });
  }

 private:
  struct Piece {
    std::shared_ptr<MemoryChunk> chunk;  // null: moved
    std::uint64_t value;
    std::size_t first, count, offset;  // elements, in the tensor and in the chunk
  };
  std::mutex mutex_;
  std::shared_ptr<Stream> stream_;  // its device owns the chunks
  View<T> host_;
  std::vector<Piece> pieces_;
  std::size_t first_ = 0;
};
}  // namespace detail

// Queues a copy of row-major elements at [address, …) of a block on the device; what it gives moves them to the host when it is
// waited for. Errors: OutOfMemory, DeviceLost.
template <class T> std::shared_ptr<detail::Download<T>> begin_download(Stream& asking, Block* block, const void* address, const View<T>& host) {
  Device& device = asking.device();
  const MemoryPool::Place place = device.memory().find(address);
  const std::size_t bytes = host.size() * sizeof(T);
  Stream& stream = detail::copying_stream(asking, Direction::to_host, block, bytes);
  const bool alone = &stream != &asking || bytes > staging_bytes;
  auto download = std::make_shared<detail::Download<T>>(stream.shared_from_this(), host);
  for (std::size_t first = 0; first < bytes; first += staging_bytes) {
    const std::size_t part = std::min(staging_bytes, bytes - first);
    const std::shared_ptr<MemoryChunk> chunk = device.staging().get(part);
    const BufferArgument from{block, static_cast<const char*>(address) + first, part, Access::read};
    const BufferArgument to{nullptr, reinterpret_cast<const void*>(chunk->address()), part, Access::write};
    MemoryPool::Place source = place;
    source.offset += first;
    stream.copy(from, source, to, {chunk->buffer(), 0, part, nullptr}, chunk, true);
    download->add(chunk, stream.queued(), part / sizeof(T));
    if (alone) stream.flush();
  }
  return download;
}

// The same into a block of the host, whose bytes come in when it is waited for.
template <class T> void download(Stream& stream, Block* block, const void* address, const View<T>& host, Block* host_block) {
  host_block->wait();  // an earlier copy to other elements of the same block
  const MemoryPool::Place place = stream.device().memory().find(address);
  if (place.mapped == nullptr) return host_block->set_pending(begin_download(stream, block, address, host));
  if (is_scratch(*block)) stream.finish();
  else block->wait();
  unpack(static_cast<const T*>(place.mapped), host, 0, host.size());
}

// Bytes that no work is under way on, at once. Errors: OutOfMemory, DeviceLost.
inline void read_bytes(Stream& stream, const Allocation& from, std::byte* to) {
  const auto host = View<std::uint8_t>::unchecked(reinterpret_cast<std::uint8_t*>(to), contiguous_layout({from.bytes}));
  begin_download(stream, nullptr, from.data, host)->wait();
}
inline void write_bytes(Stream& stream, const std::byte* from, const Allocation& to) {
  const auto host = View<const std::uint8_t>::unchecked(reinterpret_cast<const std::uint8_t*>(from), contiguous_layout({to.bytes}));
  upload(stream, host, nullptr, to.data);
  stream.finish();
}

}  // namespace cotenant::vulkan

#endif
