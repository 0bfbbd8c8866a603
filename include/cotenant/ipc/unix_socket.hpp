// Packets with descriptors over Unix sockets: what a producer of shared tensors and its consumers talk through. Linux only.
#ifndef COTENANT_IPC_UNIX_SOCKET_HPP
#define COTENANT_IPC_UNIX_SOCKET_HPP
#if defined(__linux__)
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cotenant/core/error.hpp"
#include "cotenant/ipc/handshake.hpp"
#include "cotenant/storage/descriptor.hpp"

namespace cotenant::detail {

using Deadline = std::chrono::steady_clock::time_point;

// What poll() takes: rounded up, so that it does not return just before the deadline again and again.
inline int milliseconds_until(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1 << 30));
}

// Errors: InvalidArgument where the path is empty or longer than such an address may be.
inline ::sockaddr_un socket_address(const std::filesystem::path& path) {
  ::sockaddr_un address{};
  const std::string& text = path.native();
  if (text.empty() || text.find('\0') != text.npos || text.size() >= sizeof address.sun_path)
    raise<InvalidArgument>("a Unix socket's path must have 1 to " + std::to_string(sizeof address.sun_path - 1) + " bytes, but '" + text + "' has " +
                           std::to_string(text.size()));
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

// SOCK_SEQPACKET keeps a message whole: there are no partial reads, and one that is too long is seen to be.
inline Descriptor make_socket(int flags = 0) {
  Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  if (!socket) raise<IoError>(std::string("cannot make a Unix socket: ") + std::strerror(errno));
  return socket;
}

// Tries once; 0 or the system's reason.
inline int try_connect(const Descriptor& socket, const ::sockaddr_un& address) {
  int result = 0;
  do result = ::connect(socket.number(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address);
  while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

// A connection to whoever listens at `path`; `wait` for somebody to until the deadline.
// Errors: NotFound (nobody listens), IoError (timed out, not allowed), InvalidArgument.
inline Descriptor connect_to(const std::filesystem::path& path, Deadline deadline, bool wait) {
  const ::sockaddr_un address = socket_address(path);
  for (;;) {
    Descriptor socket = make_socket();
    // A producer with a full queue makes connect() wait, for as long as this says.
    const int left = std::max(1, milliseconds_until(deadline));
    const ::timeval limit{left / 1000, left % 1000 * 1000};
    ::setsockopt(socket.number(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const int reason = try_connect(socket, address);
    if (reason == 0) return socket;
    const bool nobody = reason == ENOENT || reason == ECONNREFUSED;
    if (nobody && wait && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (nobody) raise<NotFound>("no producer of shared tensors listens at '" + path.string() + "' (" + std::strerror(reason) + "): start it first");
    if (reason == EAGAIN) raise<IoError>("timed out while connecting to '" + path.string() + "': its producer accepts nobody");
    raise<IoError>("cannot connect to '" + path.string() + "': " + std::strerror(reason));
  }
}

// Who is at the other end, by the system's word.
struct Peer {
  ::pid_t process = 0;
  ::uid_t user = ::uid_t(-1);
};
inline Peer peer_of(const Descriptor& socket) {
  ::ucred credentials{};
  ::socklen_t bytes = sizeof credentials;
  if (::getsockopt(socket.number(), SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) return {};
  return {credentials.pid, credentials.uid};
}

// Sends one message, whole or not at all, without waiting: false where the peer is gone or does not read.
inline bool send_message(const Descriptor& socket, std::string_view message, const std::vector<int>& descriptors = {}) noexcept {
  alignas(::cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int) * max_parts)] = {};
  ::iovec part{const_cast<char*>(message.data()), message.size()};
  ::msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (descriptors.size() > max_parts) return false;
  if (!descriptors.empty()) {
    const std::size_t bytes = sizeof(int) * descriptors.size();
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(bytes);
    ::cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(bytes);
    std::memcpy(CMSG_DATA(rights), descriptors.data(), bytes);
  }
  ::ssize_t sent = 0;
  do sent = ::sendmsg(socket.number(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  return sent == static_cast<::ssize_t>(message.size());
}

struct Received {
  enum class Outcome { message, nothing_yet, closed } outcome = Outcome::closed;
  std::string message;
  std::vector<Descriptor> descriptors;
  bool truncated = false;  // longer than a message may be, or with more descriptors than this process may open
};

// One message where there is one. Descriptors that come along are owned at once; where they are not `wanted` the system closes them.
inline Received receive_message(const Descriptor& socket, bool wanted) {
  Received result;
  char bytes[max_message_bytes];
  alignas(::cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int) * max_parts)];
  ::iovec part{bytes, sizeof bytes};
  ::msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = wanted ? control : nullptr;
  header.msg_controllen = wanted ? sizeof control : 0;
  ::ssize_t got = 0;
  do got = ::recvmsg(socket.number(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) result.outcome = Received::Outcome::nothing_yet;
    return result;
  }
  for (::cmsghdr* item = CMSG_FIRSTHDR(&header); wanted && item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= item->cmsg_len; at += sizeof(int)) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(item) + at, sizeof number);
      result.descriptors.emplace_back(number);
    }
  }
  // An empty packet and the end of the connection look alike; neither is a message.
  if (got == 0 && result.descriptors.empty()) return result;
  result.outcome = Received::Outcome::message;
  result.truncated = (header.msg_flags & (MSG_TRUNC | (wanted ? MSG_CTRUNC : 0))) != 0;
  result.message.assign(bytes, static_cast<std::size_t>(got));
  return result;
}

// Waits for one message until the deadline.
inline Received receive_message(const Descriptor& socket, Deadline deadline) {
  for (;;) {
    Received received = receive_message(socket, true);
    if (received.outcome != Received::Outcome::nothing_yet || std::chrono::steady_clock::now() >= deadline) return received;
    ::pollfd ready{socket.number(), POLLIN, 0};
    ::poll(&ready, 1, milliseconds_until(deadline));
  }
}

// Whether the other end still has the connection open.
inline bool is_connected(const Descriptor& socket) {
  ::pollfd state{socket.number(), 0, 0};
  return ::poll(&state, 1, 0) == 0 || (state.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

}  // namespace cotenant::detail

#endif
#endif
