// AtomicFile: a file that appears under its name complete, or not at all.
#ifndef COTENANT_FILES_ATOMIC_FILE_HPP
#define COTENANT_FILES_ATOMIC_FILE_HPP
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#if !defined(_WIN32)
#include <fcntl.h>
#include <unistd.h>
#endif

#include "cotenant/core/error.hpp"

namespace cotenant {

// Writes to a temporary file in the same folder; commit() makes its bytes durable and renames it. Without commit(), or
// where that fails, the temporary file is removed and whatever lay under the name before stays as it was.
// A process that is killed meanwhile leaves a file whose name goes on with ".tmp".
class AtomicFile {
 public:
  // What a power failure right after commit() may cost. not_durable: the file may then be missing or damaged, for files
  // that nobody needs after the system has stopped; a killed process costs nothing either way.
  enum class Durability { durable, not_durable };

  // Errors: IoError.
  explicit AtomicFile(std::filesystem::path path, Durability durability = Durability::durable) : path_(std::move(path)), durability_(durability) {
    static std::atomic<unsigned long> serial{0};
    for (;;) {
      temporary_ = path_;
#if defined(_WIN32)
      temporary_ += ".tmp" + std::to_string(serial.fetch_add(1));
      file_ = std::fopen(temporary_.string().c_str(), "wb");
      if (file_ == nullptr) fail("create");
      return;
#else
      temporary_ += ".tmp" + std::to_string(::getpid()) + "-" + std::to_string(serial.fetch_add(1));
      // Exclusively: another process may have this one's number, long ago or in another container.
      file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (file_ >= 0) return;
      if (errno != EEXIST) fail("create");
#endif
    }
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    static_cast<void>(close());
    std::error_code ignored;
    if (!committed_) std::filesystem::remove(temporary_, ignored);
  }

  // Appends. Errors: IoError (a full disk, for one).
  void write(const void* data, std::size_t bytes) {
    const auto* at = static_cast<const char*>(data);
    if (bytes >= buffer_bytes - held_) {
      drain();
      if (bytes >= buffer_bytes) return write_through(at, bytes);
    }
    if (bytes == 0) return;
    if (!buffer_) buffer_ = std::make_unique<char[]>(buffer_bytes);
    std::memcpy(buffer_.get() + held_, at, bytes);
    held_ += bytes;
  }
  void write(std::string_view text) { write(text.data(), text.size()); }
  // Writes once more what was written at `position`, for what is known only at the end. Errors: IoError.
  void rewrite(std::size_t position, std::string_view text) {
    drain();
#if defined(_WIN32)
    if (std::fseek(file_, static_cast<long>(position), SEEK_SET) != 0) fail("write");
    write_through(text.data(), text.size());
    if (std::fseek(file_, 0, SEEK_END) != 0) fail("write");
#else
    while (!text.empty()) {
      const auto written = ::pwrite(file_, text.data(), text.size(), static_cast<::off_t>(position));
      if (written < 0 && errno == EINTR) continue;
      if (written == 0) errno = ENOSPC;
      if (written <= 0) fail("write");
      text.remove_prefix(static_cast<std::size_t>(written));
      position += static_cast<std::size_t>(written);
    }
#endif
  }

  // Errors: IoError; the file under the name is then the old one.
  void commit() {
    drain();
    flush();
    if (!close()) fail("close");
#if defined(_WIN32)
    rename();
#else
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
    // The rename itself is durable only once the folder is. A system that cannot open or flush a folder has nothing better.
    const int descriptor = durability_ == Durability::durable ? ::open(folder.c_str(), O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0) return rename();
    // Flushing may fail after the rename: then the old file comes back, from a second name that it has meanwhile.
    std::filesystem::path old = temporary_;
    old += ".old";
    ::unlink(old.c_str());
    const bool saved = ::link(path_.c_str(), old.c_str()) == 0;
    const bool was_absent = !saved && errno == ENOENT;
    const bool renamed = try_rename();
    int reason = errno;
    bool flushed = renamed;
    if (renamed && ::fsync(descriptor) != 0 && errno != EINVAL && errno != EROFS) {
      reason = errno;
      flushed = false;
      if (saved) ::rename(old.c_str(), path_.c_str());
      else if (was_absent) ::unlink(path_.c_str());
    }
    if (saved) ::unlink(old.c_str());  // gone already where it came back
    ::close(descriptor);
    errno = reason;
    if (!renamed) fail_rename();
    if (!flushed) fail("flush the folder of");
    committed_ = true;
#endif
  }

 private:
  static constexpr std::size_t buffer_bytes = std::size_t{64} << 10;

  bool try_rename() {
#if defined(_WIN32)
    std::error_code error;
    std::filesystem::rename(temporary_, path_, error);
    return !error;
#else
    return ::rename(temporary_.c_str(), path_.c_str()) == 0;
#endif
  }
  void rename() {
    if (!try_rename()) fail_rename();
    committed_ = true;
  }
  void drain() {
    if (held_ != 0) write_through(buffer_.get(), std::exchange(held_, 0));
  }
#if defined(_WIN32)
  void write_through(const char* data, std::size_t bytes) {
    if (std::fwrite(data, 1, bytes, file_) != bytes) fail("write");
  }
  void flush() {
    if (std::fflush(file_) != 0) fail("flush");
  }
  bool close() { return file_ == nullptr || std::fclose(std::exchange(file_, nullptr)) == 0; }
  std::FILE* file_ = nullptr;
#else
  void write_through(const char* data, std::size_t bytes) {
    while (bytes != 0) {
      // Some systems refuse more than 2 GiB at once.
      const auto written = ::write(file_, data, std::min(bytes, std::size_t{1} << 30));
      if (written < 0 && errno == EINTR) continue;
      if (written == 0) errno = ENOSPC;
      if (written <= 0) fail("write");
      data += written;
      bytes -= static_cast<std::size_t>(written);
    }
  }
  void flush() {
    if (durability_ == Durability::not_durable) return;
    int status = 0;
    do status = ::fsync(file_);
    while (status != 0 && errno == EINTR);
    if (status != 0) fail("flush");
  }
  // Not repeated after an interruption: Linux has closed it by then, and another thread may have the number.
  bool close() { return file_ < 0 || ::close(std::exchange(file_, -1)) == 0 || errno == EINTR; }
  int file_ = -1;
#endif

  [[noreturn]] void fail(const char* action) const {
    const int reason = errno;
    raise<IoError>("cannot " + std::string(action) + " '" + temporary_.string() + "': " + std::strerror(reason));
  }
  [[noreturn]] void fail_rename() const {
    const int reason = errno;
    raise<IoError>("cannot rename '" + temporary_.string() + "' to '" + path_.string() + "': " + std::strerror(reason));
  }

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  Durability durability_;
  std::unique_ptr<char[]> buffer_;
  std::size_t held_ = 0;
  bool committed_ = false;
};

}  // namespace cotenant

#endif
