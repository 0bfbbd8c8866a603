// StoredFile: a file opened for reading, of which a part may be mapped or read; and when it was last used.
#ifndef COTENANT_FILES_STORED_FILE_HPP
#define COTENANT_FILES_STORED_FILE_HPP
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "cotenant/core/error.hpp"
#include "cotenant/share/block.hpp"
#include "cotenant/storage/mapped.hpp"

namespace cotenant {

class StoredFile {
 public:
  using Time = std::chrono::system_clock::time_point;

  StoredFile(StoredFile&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), bytes_(other.bytes_), last_used_(other.last_used_) {}
  StoredFile& operator=(StoredFile&&) = delete;
  ~StoredFile() {
#if !defined(_WIN32)
    if (descriptor_ >= 0) ::close(descriptor_);
#endif
  }

  // Nothing where there is no such file. Errors: IoError; Unsupported on Windows.
  static std::optional<StoredFile> open(std::filesystem::path path) {
#if defined(_WIN32)
    raise<Unsupported>("a tensor store needs POSIX files, which this system lacks: '" + path.string() + "'");
#else
    StoredFile file(std::move(path));
    file.descriptor_ = ::open(file.path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file.descriptor_ < 0) {
      if (errno == ENOENT) return std::nullopt;
      file.fail("open");
    }
    struct ::stat status {};
    if (::fstat(file.descriptor_, &status) != 0) file.fail("look at");
    if (!S_ISREG(status.st_mode)) {
      errno = EINVAL;
      file.fail("read");
    }
    file.bytes_ = static_cast<std::size_t>(status.st_size);
#if defined(__APPLE__)
    const auto& modified = status.st_mtimespec;
#else
    const auto& modified = status.st_mtim;
#endif
    file.last_used_ = Time(std::chrono::duration_cast<Time::duration>(std::chrono::seconds(modified.tv_sec) + std::chrono::nanoseconds(modified.tv_nsec)));
    return file;
#endif
  }

  const std::filesystem::path& path() const { return path_; }
  std::size_t bytes() const { return bytes_; }
  // The time of last modification: a file of a store is never modified, so that the field is free to say this.
  Time last_used() const { return last_used_; }
  // Says so; does nothing where the folder may not be written to.
  void set_last_used(Time time) const noexcept {
#if defined(_WIN32)
    static_cast<void>(time);
#else
    const auto since = time.time_since_epoch();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
    struct ::timespec times[2] {};
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = static_cast<std::time_t>(seconds.count());
    times[1].tv_nsec = static_cast<long>(std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds).count());
    static_cast<void>(::futimens(descriptor_, times));
#endif
  }

  // Bytes [first, first + bytes), fewer where the file ends before; returns how many. Errors: IoError.
  std::size_t read(void* to, std::size_t bytes, std::size_t first) const {
    std::size_t done = 0;
#if defined(_WIN32)
    static_cast<void>(to), static_cast<void>(bytes), static_cast<void>(first);
#else
    while (done < bytes) {
      const auto got = ::pread(descriptor_, static_cast<char*>(to) + done, std::min(bytes - done, std::size_t{1} << 30), static_cast<off_t>(first + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("read");
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
#endif
    return done;
  }

  // Bytes [first, first + bytes), which must lie inside the file, as a block of the pages that hold them.
  struct Part {
    BlockRef block;
    std::size_t offset = 0;  // bytes from the block's beginning
    const void* data() const { return block->data() == nullptr ? nullptr : static_cast<const char*>(block->data()) + offset; }
  };
  // Errors: IoError.
  Part map(std::size_t first, std::size_t bytes) const {
    COTENANT_ASSERT(first <= bytes_ && bytes <= bytes_ - first);
    if (bytes == 0) return {Block::adopt(Mapped{}, {}), 0};
#if defined(_WIN32)
    fail("map");
#else
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t offset = first % page, length = offset + bytes;
    void* data = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, descriptor_, static_cast<off_t>(first - offset));
    if (data == MAP_FAILED) fail("map");
    // Faults bring in 64 KiB each: MADV_POPULATE_READ for all that will be read took as long (6 ms per 100 MB).
    return {Block::adopt(Mapped{}, {data, length}), offset};
#endif
  }

 private:
  explicit StoredFile(std::filesystem::path path) : path_(std::move(path)) {}
  [[noreturn]] void fail(const char* action) const {
    const int reason = errno;
    raise<IoError>("cannot " + std::string(action) + " '" + path_.string() + "': " + std::strerror(reason));
  }

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::size_t bytes_ = 0;
  Time last_used_{};
};

}  // namespace cotenant

#endif
