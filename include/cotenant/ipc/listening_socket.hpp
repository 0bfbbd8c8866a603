// ListeningSocket: a Unix socket at a path that is this process's alone; what a dead process left there is replaced safely.
#ifndef COTENANT_IPC_LISTENING_SOCKET_HPP
#define COTENANT_IPC_LISTENING_SOCKET_HPP
#if defined(__linux__)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "cotenant/ipc/unix_socket.hpp"

namespace cotenant::detail {

// While it lives the file "<path>.lock" is locked; both files are removed with it. The lock decides who may replace a
// socket that is already there: the system ends it with its process, and its file is removed only by who holds it.
class ListeningSocket {
 public:
  // Errors: AlreadyRegistered (a living process listens there, or it is no socket), IoError, InvalidArgument.
  ListeningSocket(const std::filesystem::path& path, bool other_users) : path_(absolute(path)), lock_path_(path_) {
    const ::sockaddr_un address = socket_address(path_);
    lock_path_ += ".lock";
    take_lock();
    remove_stale(address);
    socket_ = make_socket(SOCK_NONBLOCK);
    // Set before the name exists, so that there is no moment at which others could connect.
    const ::mode_t mode = other_users ? 0666 : 0600;
    if (::fchmod(socket_.number(), mode) != 0 || ::bind(socket_.number(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address) != 0)
      fail("make the socket");
    if (other_users) ::chmod(path_.c_str(), mode);  // what the umask took
    if (::lstat(path_.c_str(), &place_) != 0) fail("examine the socket");
    bound_ = true;
    // The queue of those who are not accepted yet; the system cuts it to its own limit.
    if (::listen(socket_.number(), 4096) != 0) fail("listen at");
  }
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;
  ~ListeningSocket() { end(); }

  const Descriptor& descriptor() const noexcept { return socket_; }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  static std::filesystem::path absolute(const std::filesystem::path& path) {
    std::error_code error;
    const std::filesystem::path result = std::filesystem::absolute(path, error);
    return error ? path : result;
  }
  [[noreturn]] void fail(const char* action) {
    const int reason = errno;
    end();
    raise<IoError>(std::string("cannot ") + action + " '" + path_.string() + "': " + std::strerror(reason));
  }

  void take_lock() {
    for (;;) {
      lock_ = Descriptor(::open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
      if (!lock_) raise<IoError>("cannot open '" + lock_path_.string() + "': " + std::strerror(errno));
      if (::flock(lock_.number(), LOCK_EX | LOCK_NB) != 0) {
        lock_.close();
        raise<AlreadyRegistered>("another process exports tensors at '" + path_.string() + "': choose another path, or end that process");
      }
      struct ::stat mine {}, there {};
      if (::fstat(lock_.number(), &mine) == 0 && ::lstat(lock_path_.c_str(), &there) == 0 && mine.st_dev == there.st_dev && mine.st_ino == there.st_ino) return;
      // Its holder removed it between our opening and our locking: look again.
    }
  }

  void remove_stale(const ::sockaddr_un& address) {
    struct ::stat there {};
    if (::lstat(path_.c_str(), &there) != 0) return;
    if (!S_ISSOCK(there.st_mode)) {
      end();
      raise<AlreadyRegistered>("'" + path_.string() + "' is there and is no socket: it is not replaced. Choose another path");
    }
    // A socket of another program has no lock of ours. Only one that refuses has nobody behind it.
    const int reason = try_connect(make_socket(SOCK_NONBLOCK), address);
    if (reason != ECONNREFUSED) {
      end();
      raise<AlreadyRegistered>("'" + path_.string() + "' is the socket of a living process: choose another path");
    }
    ::unlink(path_.c_str());
  }

  void end() noexcept {
    struct ::stat there {};
    // Somebody may have put something else there since.
    if (bound_ && ::lstat(path_.c_str(), &there) == 0 && there.st_dev == place_.st_dev && there.st_ino == place_.st_ino) ::unlink(path_.c_str());
    bound_ = false;
    socket_.close();
    if (lock_) ::unlink(lock_path_.c_str());
    lock_.close();
  }

  std::filesystem::path path_, lock_path_;
  Descriptor lock_, socket_;
  struct ::stat place_ {};
  bool bound_ = false;
};

}  // namespace cotenant::detail

#endif
#endif
