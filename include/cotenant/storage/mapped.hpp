// Mapped: a read-only file in memory; its pages are shared with the page cache and cost no copy.
#ifndef COTENANT_STORAGE_MAPPED_HPP
#define COTENANT_STORAGE_MAPPED_HPP
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#if defined(_WIN32)
#include <fstream>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "cotenant/core/concepts.hpp"
#include "cotenant/core/error.hpp"
#include "cotenant/storage/file_place.hpp"
#include "cotenant/storage/heap.hpp"

namespace cotenant {

struct Mapped {
  using backend = HostBackend;
  using result = Heap;
  static constexpr bool host_accessible = true;
  static constexpr bool writable = false;
  static constexpr std::string_view name() { return "mapped"; }
  Heap result_storage() const { return {}; }

  bool from_file = true;  // false where the pages are anonymous()
  // Where these bytes are a part of another mapping: what keeps that. The part is not unmapped by itself.
  std::shared_ptr<const void> whole = {};
  const void* origin() const noexcept { return whole.get(); }

  using File = MappedFile;
  std::shared_ptr<const File> file = {};  // where the pages come from; null where that is not known
  // Where in the file an address of this mapping lies; nothing where that is not known.
  std::optional<FilePlace> place_of(const void* address) const {
    if (!file || file->data == nullptr) return std::nullopt;
    const auto begin = reinterpret_cast<std::uintptr_t>(file->data), at = reinterpret_cast<std::uintptr_t>(address);
    if (at < begin || at - begin > file->bytes) return std::nullopt;
    return FilePlace{file.get(), static_cast<std::size_t>(at - begin)};
  }

  // The whole file, read-only. Zero bytes give a null address. Fills in `file` where one is given and the system knows.
  // The file must not be truncated while it is mapped: the system answers such a read with a signal.
  // Errors: NotFound, IoError.
  static Allocation map(const std::filesystem::path& path, std::shared_ptr<const File>* file = nullptr) {
#if defined(_WIN32)
    // Without a port of mmap the file is read once into page-aligned memory.
    static_cast<void>(file);
    std::ifstream stream(path, std::ios::binary | std::ios::ate);
    if (!stream) raise<NotFound>("cannot open '" + path.string() + "'");
    const auto bytes = static_cast<std::size_t>(stream.tellg());
    if (bytes == 0) return {};
    const Allocation allocation = heap_cache().allocate(bytes);
    stream.seekg(0);
    if (!stream.read(static_cast<char*>(allocation.data), static_cast<std::streamsize>(bytes))) {
      heap_cache().deallocate(allocation);
      raise<IoError>("cannot read '" + path.string() + "'");
    }
    return {allocation.data, bytes};
#else
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
      const int reason = errno;
      const std::string message = "cannot open '" + path.string() + "': " + std::strerror(reason);
      if (reason == ENOENT) raise<NotFound>(message);
      raise<IoError>(message);
    }
    struct ::stat status {};
    void* data = nullptr;
    int reason = 0;
    if (::fstat(descriptor, &status) != 0) reason = errno;
    else if (!S_ISREG(status.st_mode)) reason = EINVAL;
    else if (status.st_size > 0) {
      data = ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (data == MAP_FAILED) reason = errno;
    }
    ::close(descriptor);  // the mapping keeps the file
    if (reason != 0) raise<IoError>("cannot map '" + path.string() + "': " + std::strerror(reason));
    if (file != nullptr) {
      std::error_code error;
      const std::filesystem::path absolute = std::filesystem::absolute(path, error);
      const auto device = static_cast<std::size_t>(status.st_dev), inode = static_cast<std::size_t>(status.st_ino);
      if (!error) *file = std::make_shared<const File>(File{absolute.string(), device, inode, data, static_cast<std::size_t>(status.st_size),
          File::time_of(status)});
    }
    return {data, static_cast<std::size_t>(status.st_size)};
#endif
  }

  // Zeroed pages without a file, for readers that must lay a file's content out anew before they hand it out.
  // Errors: OutOfMemory.
  static Allocation anonymous(std::size_t bytes) {
    if (bytes == 0) return {};
#if defined(_WIN32)
    const Allocation allocation = heap_cache().allocate(bytes);
    std::memset(allocation.data, 0, bytes);
    return {allocation.data, bytes};
#else
    void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) raise<OutOfMemory>("the system has no " + std::to_string(bytes) + " bytes left");
    return {data, bytes};
#endif
  }

  // Whether drop_pages() gives memory back and a later read finds the same bytes.
  bool droppable() const noexcept {
#if defined(_WIN32)
    return false;
#else
    return from_file;
#endif
  }
  // The whole pages inside [data, data + bytes) leave this process; a later read fetches them from the file. Which they are.
  std::span<const std::byte> drop_pages(const void* data, std::size_t bytes) const noexcept {
#if defined(_WIN32)
    return static_cast<void>(data), static_cast<void>(bytes), std::span<const std::byte>();
#else
    if (!from_file) return {};  // these bytes are nowhere else
    const long size = ::sysconf(_SC_PAGESIZE);
    if (size <= 0) return {};
    const auto page = static_cast<std::size_t>(size), address = reinterpret_cast<std::size_t>(data);
    const std::size_t first = (address + page - 1) / page * page, last = (address + bytes) / page * page;
    if (first >= last || ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) != 0) return {};
    return {reinterpret_cast<const std::byte*>(first), last - first};
#endif
  }

  void deallocate(Allocation allocation) noexcept {
    if (allocation.data == nullptr || whole) return;
#if defined(_WIN32)
    heap_cache().deallocate({allocation.data, HeapCache::padded(allocation.bytes)});
#else
    ::munmap(allocation.data, allocation.bytes);
#endif
  }
};
static_assert(Storage<Mapped> && !AllocatingStorage<Mapped>);

}  // namespace cotenant

#endif
