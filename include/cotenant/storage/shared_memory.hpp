// SharedMemory: bytes that several processes map read-only and none of them copies.
#ifndef COTENANT_STORAGE_SHARED_MEMORY_HPP
#define COTENANT_STORAGE_SHARED_MEMORY_HPP
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "cotenant/core/concepts.hpp"
#include "cotenant/core/error.hpp"
#include "cotenant/storage/descriptor.hpp"
#include "cotenant/storage/heap.hpp"
#include "cotenant/storage/mapped.hpp"

namespace cotenant {

namespace detail {
// What every entry point into memory between processes answers where it is not to be had.
[[noreturn]] inline void raise_only_on_linux(const char* what) {
  raise<Unsupported>(std::string(what) + " needs Linux (memfd_create, sealing, descriptors over Unix sockets): copy the tensors, or open the same file");
}
}  // namespace detail

// Where tensors lie that another process made: a sealed arena, or a file whose descriptor was passed on. The system frees the
// memory when the last process has unmapped it, in whichever order they end.
struct SharedMemory {
  using backend = HostBackend;
  using result = Heap;
  static constexpr bool host_accessible = true;
  static constexpr bool writable = false;
  static constexpr std::string_view name() { return "shared_memory"; }
  Heap result_storage() const { return {}; }

  // Lives as long as any tensor on these bytes: the connection by which their producer knows that someone is attached.
  std::shared_ptr<const void> connection = {};
  // Whether kernels may keep the weights once more in their own order, as they do with a process's own: fast, but then there is a copy.
  bool keeps_packed = true;

  // `bytes` from the beginning of what the descriptor stands for, read-only; the mapping keeps them when the descriptor is closed.
  // MAP_PRIVATE, because systems before Linux 6.7 refuse a shared mapping of a sealed descriptor that was opened for writing;
  // pages that nobody writes are the same physical pages either way.
  // Errors: IoError; Unsupported where this is not Linux.
  static Allocation map(const Descriptor& descriptor, std::size_t bytes) {
#if defined(__linux__)
    if (bytes == 0) return {};
    void* data = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor.number(), 0);
    if (data == MAP_FAILED) raise<IoError>("cannot map " + std::to_string(bytes) + " bytes of shared memory: " + std::strerror(errno));
    return {data, bytes};
#else
    static_cast<void>(descriptor), static_cast<void>(bytes);
    detail::raise_only_on_linux("shared memory");
#endif
  }

  // Another process, or a file, has the bytes: this process's share of the memory can be given back.
  bool droppable() const noexcept { return true; }
  // The whole pages inside [data, data + bytes) no longer count as this process's; a later read finds them where they are shared.
  std::span<const std::byte> drop_pages(const void* data, std::size_t bytes) const noexcept { return Mapped{}.drop_pages(data, bytes); }

  void deallocate(Allocation allocation) noexcept {
#if defined(__linux__)
    if (allocation.data != nullptr) ::munmap(allocation.data, allocation.bytes);
#else
    static_cast<void>(allocation);
#endif
  }
};
static_assert(Storage<SharedMemory> && !AllocatingStorage<SharedMemory>);

}  // namespace cotenant

#endif
