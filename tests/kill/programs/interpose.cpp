// A library to preload that makes system calls fail: a full disk, a disk that cannot flush, no more descriptors.
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstring>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

namespace {
// Which call is to fail (see faults.cpp), after how many good ones, whether once or from then on, and with what.
const char* armed = nullptr;
long good_calls = 0;
bool stays = false;
int error_number = 0;
long fired = 0;

bool fails(const char* call) {
  if (armed == nullptr || std::strcmp(armed, call) != 0) return false;
  if (good_calls > 0) {
    --good_calls;
    return false;
  }
  if (fired != 0 && !stays) return false;
  ++fired;
  errno = error_number;
  return true;
}
template <class F> F next(const char* name) { return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name)); }
}  // namespace

extern "C" {
void interpose_arm(const char* call, long good, bool persistent, int error) {
  armed = call;
  good_calls = good;
  stays = persistent;
  error_number = error;
  fired = 0;
}
long interpose_disarm() {
  armed = nullptr;
  return fired;
}

ssize_t write(int descriptor, const void* data, size_t bytes) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  // A disk becomes full in the middle of a call: some of it is written, and the next call fails.
  if (armed != nullptr && std::strcmp(armed, "short write") == 0 && good_calls == 0 && fired == 0 && bytes > 1) {
    armed = "write";
    return real(descriptor, data, bytes / 2);
  }
  if (armed != nullptr && std::strcmp(armed, "short write") == 0 && good_calls > 0) --good_calls;
  return fails("write") ? -1 : real(descriptor, data, bytes);
}
ssize_t pwrite(int descriptor, const void* data, size_t bytes, off_t at) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  return fails("pwrite") ? -1 : real(descriptor, data, bytes, at);
}
int fsync(int descriptor) {
  static const auto real = next<int (*)(int)>("fsync");
  return fails("fsync") ? -1 : real(descriptor);
}
int rename(const char* from, const char* to) {
  static const auto real = next<int (*)(const char*, const char*)>("rename");
  return fails("rename") ? -1 : real(from, to);
}
int link(const char* from, const char* to) {
  static const auto real = next<int (*)(const char*, const char*)>("link");
  return fails("link") ? -1 : real(from, to);
}
int lock_file(int descriptor, int operation) __asm__("flock");  // a structure has that name too
int lock_file(int descriptor, int operation) {
  static const auto real = next<int (*)(int, int)>("flock");
  return fails("flock") ? -1 : real(descriptor, operation);
}
int close(int descriptor) {
  static const auto real = next<int (*)(int)>("close");
  // The descriptor is gone all the same.
  const bool failing = fails("close");
  const int status = real(descriptor);
  if (!failing) return status;
  errno = error_number;
  return -1;
}
int open(const char* path, int flags, ...) {
  static const auto real = next<int (*)(const char*, int, ...)>("open");
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return fails("open") ? -1 : real(path, flags, mode);
}
}
