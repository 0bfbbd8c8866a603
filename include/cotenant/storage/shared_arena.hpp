// SharedArena: memory for many tensors that is filled once and from then on can only be read, by any number of processes.
#ifndef COTENANT_STORAGE_SHARED_ARENA_HPP
#define COTENANT_STORAGE_SHARED_ARENA_HPP
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#if defined(__linux__)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "cotenant/storage/shared_memory.hpp"

namespace cotenant {

// Two kinds. create() makes memory without a name: its descriptor is passed on, seals forbid everybody to write, shrink or
// grow it, and it is gone with its last user. create_named() makes a POSIX shared-memory object that others open by its name: the
// system knows no seals for it, so its readers trust its owner, and it stays until the object that made it is
// destroyed; one that a killed process left behind is replaced by the next arena of that name.
class SharedArena {
 public:
  // Zeroed bytes for writing. `label` appears in /proc/<pid>/maps. Errors: IoError, OutOfMemory; Unsupported where this is not Linux.
  static SharedArena create(std::size_t bytes, const std::string& label = "cotenant");
  // The same under a name such as "/weights", for the user who makes it and for nobody else.
  // Errors: also InvalidArgument (a name that is empty, too long or has another slash); AlreadyRegistered (a living process has it).
  static SharedArena create_named(const std::string& name, std::size_t bytes);
  // Opens a named arena of this user for reading; `any_user` accepts anybody's.
  // Errors: NotFound; IoError (another user's, or not allowed); Unsupported.
  static Descriptor open_named(const std::string& name, bool any_user = false);

  SharedArena() = default;
  SharedArena(SharedArena&& other) noexcept
      : descriptor_(std::move(other.descriptor_)), name_(std::exchange(other.name_, {})), data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  SharedArena& operator=(SharedArena&& other) noexcept {
    if (this != &other) {
      end();
      descriptor_ = std::move(other.descriptor_);
      name_ = std::exchange(other.name_, {});
      data_ = std::exchange(other.data_, nullptr);
      bytes_ = other.bytes_;
    }
    return *this;
  }
  ~SharedArena() { end(); }

  explicit operator bool() const noexcept { return static_cast<bool>(descriptor_); }
  std::size_t bytes() const noexcept { return bytes_; }
  bool named() const noexcept { return !name_.empty(); }
  bool sealed() const noexcept { return data_ == nullptr; }
  // For writing; empty once sealed.
  std::span<std::byte> writable() const noexcept { return {static_cast<std::byte*>(data_), data_ == nullptr ? 0 : bytes_}; }
  const Descriptor& descriptor() const noexcept { return descriptor_; }
  // Nobody writes from now on: addresses from writable() are no longer valid. Errors: IoError.
  inline void seal();

 private:
  SharedArena(Descriptor descriptor, std::string name, std::size_t bytes) : descriptor_(std::move(descriptor)), name_(std::move(name)), bytes_(bytes) {}
  inline void map_for_writing();
  inline void end() noexcept;
  static inline void check_name(const std::string& name);

  Descriptor descriptor_;
  std::string name_;  // empty for memory without one
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

namespace detail {
#if defined(__linux__)
#if !defined(MFD_NOEXEC_SEAL)
inline constexpr unsigned memory_not_executable = 0x0008u;  // MFD_NOEXEC_SEAL, in Linux since 6.3
#else
inline constexpr unsigned memory_not_executable = MFD_NOEXEC_SEAL;
#endif
inline constexpr int all_seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

inline bool same_file(const struct ::stat& a, const struct ::stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }
#endif

// Whether nobody, its maker included, can change or shorten this memory any more.
inline bool is_sealed(const Descriptor& descriptor) {
#if defined(__linux__)
  const int seals = ::fcntl(descriptor.number(), F_GET_SEALS);
  constexpr int needed = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
  return seals >= 0 && (seals & needed) == needed;
#else
  static_cast<void>(descriptor);
  return false;
#endif
}
}  // namespace detail

inline SharedArena SharedArena::create(std::size_t bytes, const std::string& label) {
#if defined(__linux__)
  // Where the administrator forbids executable memory only the first call works; older systems know only the second.
  int number = ::memfd_create(label.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING | detail::memory_not_executable);
  if (number < 0 && errno == EINVAL) number = ::memfd_create(label.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING);
  SharedArena arena(Descriptor(number), {}, bytes);
  if (number < 0) raise<IoError>("cannot make shared memory labelled '" + label + "': " + std::strerror(errno));
  if (::ftruncate(number, static_cast<::off_t>(bytes)) != 0)
    raise<OutOfMemory>("cannot make shared memory of " + std::to_string(bytes) + " bytes: " + std::strerror(errno));
  arena.map_for_writing();
  return arena;
#else
  static_cast<void>(bytes), static_cast<void>(label);
  detail::raise_only_on_linux("a shared arena");
#endif
}

inline void SharedArena::check_name(const std::string& name) {
  // 255: NAME_MAX of the file system that these names lie in.
  if (name.size() < 2 || name.size() > 255 || name[0] != '/' || name.find('/', 1) != name.npos || name.find('\0') != name.npos || name == "/." || name == "/..")
    raise<InvalidArgument>("a named arena is called '/' and up to 254 other characters without a slash, but '" + name + "' was given");
}

inline SharedArena SharedArena::create_named(const std::string& name, std::size_t bytes) {
#if defined(__linux__)
  check_name(name);
  // Whoever holds the lock on the object that has the name owns the name; the system ends the lock with its process. Taking a lock
  // and finding the name on another object means that someone was faster: look again.
  for (;;) {
    int number = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    const bool fresh = number >= 0;
    if (!fresh && errno == EEXIST) number = ::shm_open(name.c_str(), O_RDONLY | O_CLOEXEC, 0);
    if (number < 0) {
      if (errno == ENOENT) continue;  // removed since
      raise<IoError>("cannot make the shared arena '" + name + "': " + std::strerror(errno));
    }
    Descriptor descriptor(number);
    if (::flock(number, LOCK_EX | LOCK_NB) != 0) {
      if (fresh) continue;
      raise<AlreadyRegistered>("the shared arena '" + name + "' belongs to a process that is alive: choose another name, or end that one");
    }
    struct ::stat mine {}, there {};
    const Descriptor again(::shm_open(name.c_str(), O_RDONLY | O_CLOEXEC, 0));
    if (::fstat(number, &mine) != 0 || !again || ::fstat(again.number(), &there) != 0 || !detail::same_file(mine, there)) continue;
    if (!fresh) {
      if (mine.st_uid != ::geteuid()) raise<IoError>("the shared arena '" + name + "' was left behind by another user: choose another name");
      ::shm_unlink(name.c_str());
      continue;
    }
    SharedArena arena(std::move(descriptor), name, bytes);
    // Reserved now: this file system has a limit, and reaching it later would be a signal.
    const int reason = bytes == 0 ? 0 : ::posix_fallocate(number, 0, static_cast<::off_t>(bytes));
    if (reason != 0) raise<OutOfMemory>("cannot reserve " + std::to_string(bytes) + " bytes for the shared arena '" + name + "': " + std::strerror(reason));
    arena.map_for_writing();
    return arena;
  }
#else
  static_cast<void>(name), static_cast<void>(bytes);
  detail::raise_only_on_linux("a named shared arena");
#endif
}

inline Descriptor SharedArena::open_named(const std::string& name, bool any_user) {
#if defined(__linux__)
  check_name(name);
  Descriptor descriptor(::shm_open(name.c_str(), O_RDONLY | O_CLOEXEC, 0));
  if (!descriptor) {
    const int reason = errno;
    const std::string message = "cannot open the shared arena '" + name + "': " + std::strerror(reason);
    if (reason == ENOENT) raise<NotFound>(message);
    raise<IoError>(message);
  }
  struct ::stat status {};
  if (::fstat(descriptor.number(), &status) != 0) raise<IoError>("cannot examine the shared arena '" + name + "': " + std::strerror(errno));
  if (!any_user && status.st_uid != ::geteuid())
    raise<IoError>("the shared arena '" + name + "' belongs to user " + std::to_string(status.st_uid) + ", not to this one: say so if that is wanted");
  return descriptor;
#else
  static_cast<void>(name), static_cast<void>(any_user);
  detail::raise_only_on_linux("a named shared arena");
#endif
}

inline void SharedArena::map_for_writing() {
#if defined(__linux__)
  if (bytes_ == 0) return;
  void* data = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.number(), 0);
  if (data == MAP_FAILED) raise<OutOfMemory>("cannot map shared memory of " + std::to_string(bytes_) + " bytes: " + std::strerror(errno));
  data_ = data;
#endif
}

inline void SharedArena::seal() {
#if defined(__linux__)
  if (!descriptor_) raise<InvalidArgument>("there is no shared arena to seal: it was moved from");
  // The system refuses to seal what anybody could still write through a mapping.
  if (data_ != nullptr) ::munmap(std::exchange(data_, nullptr), bytes_);
  if (named()) {
    if (::fchmod(descriptor_.number(), S_IRUSR) != 0) raise<IoError>("cannot make the shared arena '" + name_ + "' read-only: " + std::strerror(errno));
  } else if (::fcntl(descriptor_.number(), F_ADD_SEALS, detail::all_seals) != 0 && !detail::is_sealed(descriptor_)) {
    raise<IoError>(std::string("cannot seal shared memory: ") + std::strerror(errno));
  }
#endif
}

inline void SharedArena::end() noexcept {
#if defined(__linux__)
  if (data_ != nullptr) ::munmap(std::exchange(data_, nullptr), bytes_);
  if (!name_.empty()) ::shm_unlink(name_.c_str());  // ours: we hold its lock
  name_.clear();
#endif
  descriptor_.close();
}

}  // namespace cotenant

#endif
