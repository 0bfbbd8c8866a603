// StoreLock: one writer of a folder at a time, among threads and processes; a process that dies gives it up.
#ifndef COTENANT_FILES_STORE_LOCK_HPP
#define COTENANT_FILES_STORE_LOCK_HPP
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "cotenant/core/error.hpp"

namespace cotenant {

// Holds an exclusive flock() on the file "lock" in a folder; others wait for it. The system ends it with the process.
class StoreLock {
 public:
  // Waits until the lock is free. Errors: IoError (a folder that cannot be written to, for one); Unsupported on Windows.
  explicit StoreLock(const std::filesystem::path& folder) {
#if defined(_WIN32)
    raise<Unsupported>("a tensor store needs POSIX file locks, which this system lacks: '" + folder.string() + "'");
#else
    const std::filesystem::path path = folder / "lock";
    for (;;) {
      descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
      if (descriptor_ < 0) fail("open", path);
      int status = 0;
      do status = ::flock(descriptor_, LOCK_EX);
      while (status != 0 && errno == EINTR);
      if (status != 0) fail("lock", path);
      // Someone may have removed the file while we waited: then its lock excludes nobody.
      struct ::stat held {}, named {};
      if (::fstat(descriptor_, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev) break;
      ::close(descriptor_);
    }
    char mark = 0;
    previous_died_ = ::pread(descriptor_, &mark, 1, 0) == 1 && mark == busy;
    set(busy);
#endif
  }
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;
  ~StoreLock() {
#if !defined(_WIN32)
    set(idle);
    ::close(descriptor_);
#endif
  }

  // Whether the process that held it last ended without giving it up: it may have left files that nobody needs.
  bool previous_died() const { return previous_died_; }

 private:
  static constexpr char busy = '1', idle = '0';
#if !defined(_WIN32)
  // A mark that could not be written costs nothing but a later search for such files.
  void set(char mark) const {
    if (::pwrite(descriptor_, &mark, 1, 0) != 1) return;
  }
  [[noreturn]] void fail(const char* action, const std::filesystem::path& path) const {
    const int reason = errno;
    if (descriptor_ >= 0) ::close(descriptor_);
    raise<IoError>("cannot " + std::string(action) + " '" + path.string() + "': " + std::strerror(reason));
  }
  int descriptor_ = -1;
#endif
  bool previous_died_ = false;
};

}  // namespace cotenant

#endif
