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
#include <utility>
#include <vector>

#include "cotenant/core/layout.hpp"
#include "cotenant/core/view.hpp"
#include "cotenant/vulkan/copy_threads.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// Large copies go in pieces, which the host's threads fill or empty while the device moves others: at the 35 GB/s that 16 threads reach
// together, one of these comes every 30 µs. The device brings several of them at once into each piece of staging memory.
inline constexpr std::size_t host_piece = std::size_t{1} << 20, staging_piece = 8 * host_piece;

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

// Smaller copies stay among the kernels: a hop to another queue and back costs about what 1 MiB takes on its way (20 µs at 50 GB/s).
inline constexpr std::size_t large_copy = std::size_t{1} << 20;

namespace detail {
// Where a copy goes: large ones run beside the stream's kernels, and are ordered by the blocks that both touch. Scratch is ordered by its own stream alone.
inline Stream& copying_stream(Stream& stream, Direction direction, const Block* block, std::size_t bytes) {
  return bytes < large_copy || block == nullptr || is_scratch(*block) ? stream : stream.copies(direction);
}
}  // namespace detail

// Queues a copy of the host's elements, row-major, to [address, …) of a block on the device. The host may change its
// bytes when this returns. Errors: OutOfMemory, DeviceLost.
template <class T> void upload(Stream& asking, const View<const T>& host, Block* block, const void* address) {
  Device& device = asking.device();
  const MemoryPool::Place place = device.memory().find(address);
  const std::size_t count = host.size(), piece = host_piece / sizeof(T);
  if (place.mapped != nullptr && (block == nullptr || !is_scratch(*block))) {
    // Nothing on the device touches the block, as nothing touches fresh ones: the host writes where the tensor lies.
    if (!device.uses().idle(block)) asking.retire();
    if (device.uses().idle(block)) return pack(host, 0, count, static_cast<T*>(place.mapped));
  }
  Stream& stream = detail::copying_stream(asking, Direction::to_device, block, count * sizeof(T));
  const std::size_t pieces = (count + piece - 1) / piece, threads = copy_threads(pieces), ahead = 2 * threads;
  const std::unique_ptr<std::atomic<std::uint64_t>[]> queued(new std::atomic<std::uint64_t>[pieces]());
  for_each_piece(pieces, threads, [&](std::size_t i) {
    // No more staging memory than each thread can fill while the device empties another.
    if (i >= ahead) stream.wait(queued[i - ahead]);
    const std::size_t first = i * piece, part = std::min(piece, count - first), bytes = part * sizeof(T);
    std::shared_ptr<MemoryChunk> chunk = device.staging().get(bytes);
    pack(host, first, part, static_cast<T*>(chunk->mapped()));
    const BufferArgument from{nullptr, reinterpret_cast<const void*>(chunk->address()), bytes, Access::read};
    const BufferArgument to{block, static_cast<const char*>(address) + first * sizeof(T), bytes, Access::write};
    MemoryPool::Place destination = place;
    destination.offset += first * sizeof(T);
    const VkBuffer buffer = chunk->buffer();
    stream.copy(from, {buffer, 0, bytes, nullptr}, to, destination, std::move(chunk));
    queued[i] = stream.queued();
    if (pieces > 1) stream.feed();
  });
  if (&stream != &asking || pieces > 1) stream.flush();
}

namespace detail {
// A copy to the host: what is left to do is to wait for the device and to move the bytes where they belong.
template <class T> class Download final : public Completion {
 public:
  Download(std::shared_ptr<Stream> stream, const View<T>& host) : stream_(std::move(stream)), host_(host) {}
  // The next `count` elements come into this memory.
  void add(const std::shared_ptr<MemoryChunk>& chunk, const std::shared_ptr<Completion>& done, std::size_t count) {
    constexpr std::size_t piece = host_piece / sizeof(T);
    for (std::size_t at = 0; at < count; at += piece) pieces_.push_back({chunk, done, first_ + at, std::min(piece, count - at), at});
    first_ += count;
  }
  void wait() override {
    const std::lock_guard lock(mutex_);
    for_each_piece(pieces_.size(), copy_threads(pieces_.size()), [&](std::size_t i) {
      Piece& piece = pieces_[i];
      // One that was moved is moved only once: the host may have written to its bytes since.
      if (!piece.chunk) return;
      piece.done->wait();
      unpack(static_cast<const T*>(piece.chunk->mapped()) + piece.offset, host_, piece.first, piece.count);
      piece.chunk.reset();
    });
  }

 private:
  struct Piece {
    std::shared_ptr<MemoryChunk> chunk;  // null: moved
    std::shared_ptr<Completion> done;
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
  const std::size_t count = host.size(), piece = staging_piece / sizeof(T);
  Stream& stream = detail::copying_stream(asking, Direction::to_host, block, count * sizeof(T));
  auto download = std::make_shared<detail::Download<T>>(stream.shared_from_this(), host);
  for (std::size_t first = 0; first < count; first += piece) {
    const std::size_t part = std::min(piece, count - first), bytes = part * sizeof(T);
    std::shared_ptr<MemoryChunk> chunk = device.staging().get(bytes);
    const BufferArgument from{block, static_cast<const char*>(address) + first * sizeof(T), bytes, Access::read};
    const BufferArgument to{nullptr, reinterpret_cast<const void*>(chunk->address()), bytes, Access::write};
    MemoryPool::Place source = place;
    source.offset += first * sizeof(T);
    stream.copy(from, source, to, {chunk->buffer(), 0, bytes, nullptr}, chunk, true);
    download->add(chunk, stream.completion(), part);
    if (&stream != &asking || count > piece) stream.flush();
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
