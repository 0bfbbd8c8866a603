// AtomicFile: a file that appears under its name complete, or not at all.
#ifndef COTENANT_FILES_ATOMIC_FILE_HPP
#define COTENANT_FILES_ATOMIC_FILE_HPP
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
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

// Writes to a temporary file in the same folder; commit() makes its bytes durable and renames it. Without commit()
// the temporary file is removed and whatever lay under the name before stays as it was.
class AtomicFile {
 public:
  // Errors: IoError.
  explicit AtomicFile(std::filesystem::path path) : path_(std::move(path)), temporary_(path_) {
    static std::atomic<unsigned long> serial{0};
#if defined(_WIN32)
    temporary_ += ".tmp" + std::to_string(serial.fetch_add(1));
#else
    temporary_ += ".tmp" + std::to_string(::getpid()) + "-" + std::to_string(serial.fetch_add(1));
#endif
    file_ = std::fopen(temporary_.string().c_str(), "wb");
    if (file_ == nullptr) fail("create");
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    if (file_ != nullptr) std::fclose(file_);
    std::error_code ignored;
    if (!committed_) std::filesystem::remove(temporary_, ignored);
  }

  // Appends. Errors: IoError (a full disk, for one).
  void write(const void* data, std::size_t bytes) {
    if (bytes != 0 && std::fwrite(data, 1, bytes, file_) != bytes) fail("write");
  }
  void write(std::string_view text) { write(text.data(), text.size()); }

  // Errors: IoError; the file under the name is then the old one.
  void commit() {
    if (std::fflush(file_) != 0) fail("write");
#if !defined(_WIN32)
    if (::fsync(::fileno(file_)) != 0) fail("flush");
#endif
    if (std::fclose(std::exchange(file_, nullptr)) != 0) fail("close");
    std::error_code error;
    std::filesystem::rename(temporary_, path_, error);
    if (error) raise<IoError>("cannot rename '" + temporary_.string() + "' to '" + path_.string() + "': " + error.message());
    committed_ = true;
#if !defined(_WIN32)
    // The rename itself is durable only once the folder is. A system that cannot flush a folder has nothing better.
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) {
      static_cast<void>(::fsync(descriptor));
      ::close(descriptor);
    }
#endif
  }

 private:
  [[noreturn]] void fail(const char* action) const {
    const int reason = errno;
    raise<IoError>("cannot " + std::string(action) + " '" + temporary_.string() + "': " + std::strerror(reason));
  }

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::FILE* file_ = nullptr;
  bool committed_ = false;
};

}  // namespace cotenant

#endif
