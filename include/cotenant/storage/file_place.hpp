// FilePlace: where in which file bytes lie, so that what is known of a file need not be found out from its bytes again.
#ifndef COTENANT_STORAGE_FILE_PLACE_HPP
#define COTENANT_STORAGE_FILE_PLACE_HPP
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>

#if !defined(_WIN32)
#include <sys/stat.h>
#endif

namespace cotenant {

// A file that was mapped: how to open it once more, and to see that it is still the same one, as it was.
struct MappedFile {
  std::string path;  // absolute
  std::size_t device = 0, inode = 0;
  const void* data = nullptr;  // where its first byte is mapped
  std::size_t bytes = 0;
  std::int64_t modified = 0;  // nanoseconds since 1970, when it was mapped

  // Whether the path still leads to this file, and nobody has written to it since.
  bool is_unchanged() const noexcept {
#if defined(_WIN32)
    return false;
#else
    struct ::stat status {};
    return ::stat(path.c_str(), &status) == 0 && static_cast<std::size_t>(status.st_dev) == device && static_cast<std::size_t>(status.st_ino) == inode &&
           static_cast<std::size_t>(status.st_size) == bytes && time_of(status) == modified;
#endif
  }
#if !defined(_WIN32)
  static std::int64_t time_of(const struct ::stat& status) noexcept {
#if defined(__APPLE__)
    const auto& time = status.st_mtimespec;
#else
    const auto& time = status.st_mtim;
#endif
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
  }
#endif
};

struct FilePlace {
  const MappedFile* file;  // lives as long as the storage that said so
  std::size_t offset = 0;  // bytes from the file's beginning

  // The place in this state of the file, for a table.
  auto key() const { return std::tuple(file->device, file->inode, file->bytes, file->modified, offset); }
  // Two private mappings of one file show the same pages, whatever happens to it. Its state counts all the same: a file system of layers
  // (overlayfs) gives a file that is written to other pages under the same number.
  friend bool same_bytes(const FilePlace& a, const FilePlace& b) { return a.key() == b.key(); }
};

}  // namespace cotenant

#endif
