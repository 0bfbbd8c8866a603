// Heap: ordinary memory of the process, aligned and, where large, recycled.
#ifndef COTENANT_STORAGE_HEAP_HPP
#define COTENANT_STORAGE_HEAP_HPP
#include "cotenant/core/config.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#if (defined(__linux__) || defined(__APPLE__)) && !COTENANT_ADDRESS_SANITIZER
#define COTENANT_HEAP_MAPS_PAGES
#include <sys/mman.h>
#endif

#include "cotenant/core/concepts.hpp"
#include "cotenant/core/error.hpp"
#include "cotenant/core/text.hpp"

namespace cotenant {

// Keeps freed large allocations for the next one of the same size: a fresh page costs a fault and a zeroing
// (about 0.25 µs per KiB), more than many element-wise kernels. Safe from any number of threads.
class HeapCache {
 public:
  // Small allocations: a multiple of a cache line, straight from malloc, which caches them itself.
  static constexpr std::size_t alignment = 64;
  // Large ones: whole pages.
  static constexpr std::size_t page = 4096;
  static constexpr std::size_t default_limit = std::size_t{64} << 20;

  // The bytes really taken for a request: cache lines below a page, then eight sizes per power of two, so
  // at most 1/8 is padding and one freed block fits the next request of nearly its size.
  static std::size_t padded(std::size_t bytes) {
    if (bytes == 0) return alignment;
    std::size_t unit = alignment;
    if (bytes >= page) unit = std::max(page, std::bit_floor(bytes) / 8);
    if (bytes > std::size_t(-1) - unit) raise<OutOfMemory>(Text{"cannot allocate ", bytes, " bytes: more than an address can count"});
    return (bytes + unit - 1) / unit * unit;
  }

  Allocation allocate(std::size_t bytes) {
    const std::size_t size = padded(bytes);
    if (size >= page) {
      const std::lock_guard lock(mutex_);
      Idle*& first = idle_[size_class(size)];
      if (first != nullptr) {
        idle_bytes_ -= size;
        return {std::exchange(first, first->next), size};
      }
    }
    void* data = obtain(size);
    if (data == nullptr) {
      trim();  // the kept blocks may be what is missing
      data = obtain(size);
    }
    if (data == nullptr) raise<OutOfMemory>(Text{"the system has no ", bytes, " bytes left"});
    return {data, size};
  }

  void deallocate(Allocation allocation) noexcept {
    if (allocation.bytes >= page) {
      const std::lock_guard lock(mutex_);
      if (idle_bytes_ + allocation.bytes <= limit_) {
        Idle*& first = idle_[size_class(allocation.bytes)];
        first = new (allocation.data) Idle{first, allocation.bytes};
        idle_bytes_ += allocation.bytes;
        return;
      }
    }
    give_back(allocation.data, allocation.bytes);
  }

  // Returns every kept block to the system and says how many bytes that were.
  std::size_t trim() noexcept {
    const std::lock_guard lock(mutex_);
    for (Idle*& first : idle_)
      while (first != nullptr) {
        Idle* const block = std::exchange(first, first->next);
        give_back(block, block->bytes);
      }
    return std::exchange(idle_bytes_, 0);
  }
  // Bytes kept for reuse at this moment.
  std::size_t idle_bytes() const {
    const std::lock_guard lock(mutex_);
    return idle_bytes_;
  }
  // The most bytes to keep; 0 keeps none. Does not trim what is kept already.
  void set_limit(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    limit_ = bytes;
  }

 private:
  // From here on pages come straight from the system and go straight back: malloc would keep them between its small
  // blocks. 128 KiB is where glibc begins to do so too, before it raises that bound by itself.
  static constexpr std::size_t mapped_from = std::size_t{128} << 10;

#if defined(COTENANT_HEAP_MAPS_PAGES)
  static void* map(std::size_t size) noexcept {
    void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    return data == MAP_FAILED ? nullptr : data;
  }
#if defined(MADV_HUGEPAGE)
  // Blocks that hold a huge page begin at one, and the system is asked for those: maps of 64 MiB ran 1.1 to 1.5 times as fast as on
  // pages of 4 KiB, whose table a virtual machine walks twice. What is left at the block's end has small pages: nothing is padded.
  static constexpr std::size_t huge_page = std::size_t{2} << 20;
  static void* map_on_huge_pages(std::size_t size) noexcept {
    auto* const first = static_cast<char*>(map(size + huge_page));
    if (first == nullptr) return nullptr;
    const std::size_t before = (huge_page - reinterpret_cast<std::uintptr_t>(first) % huge_page) % huge_page;
    if (before != 0) ::munmap(first, before);
    ::munmap(first + before + size, huge_page - before);
    ::madvise(first + before, size, MADV_HUGEPAGE);
    return first + before;
  }
#endif
#endif
  static void* obtain(std::size_t size) {
#if defined(COTENANT_HEAP_MAPS_PAGES)
#if defined(MADV_HUGEPAGE)
    if (size >= huge_page) return map_on_huge_pages(size);
#endif
    if (size >= mapped_from) return map(size);
#endif
    return ::operator new(size, std::align_val_t{size >= page ? page : alignment}, std::nothrow);
  }
  static void give_back(void* data, std::size_t size) noexcept {
#if defined(COTENANT_HEAP_MAPS_PAGES)
    if (size >= mapped_from) {
      ::munmap(data, size);
      return;
    }
#endif
    ::operator delete(data, std::align_val_t{size >= page ? page : alignment});
  }

  // A kept block begins with what says which one follows it in its list, so keeping it needs no memory.
  struct Idle {
    Idle* next;
    std::size_t bytes;
  };
  // The number of a size that padded() gives, from a page on: eight for each power of two.
  static std::size_t size_class(std::size_t size) {
    const std::size_t power = std::bit_floor(size);
    return 8 * static_cast<std::size_t>(std::countr_zero(power) - std::countr_zero(page)) + (size - power) / (power / 8);
  }

  mutable std::mutex mutex_;
  Idle* idle_[8 * (std::numeric_limits<std::size_t>::digits - std::countr_zero(page))] = {};
  std::size_t idle_bytes_ = 0;
  std::size_t limit_ = COTENANT_ADDRESS_SANITIZER ? 0 : default_limit;
};

// The cache behind Heap. Never destroyed: tensors of static storage duration may be freed after it would be.
inline HeapCache& heap_cache() {
  static HeapCache& cache = *new HeapCache;
  return cache;
}

struct Heap {
  using backend = HostBackend;
  using result = Heap;
  static constexpr bool host_accessible = true;
  static constexpr bool writable = true;
  static constexpr std::string_view name() { return "heap"; }
  Heap result_storage() const { return {}; }
  Allocation allocate(std::size_t bytes) { return heap_cache().allocate(bytes); }
  void deallocate(Allocation allocation) noexcept { heap_cache().deallocate(allocation); }
};
static_assert(AllocatingStorage<Heap>);

}  // namespace cotenant

#undef COTENANT_HEAP_MAPS_PAGES
#endif
