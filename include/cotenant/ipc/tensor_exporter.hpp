// TensorExporter: serves tensors to any number of processes for as long as it lives, from one thread that sleeps between visitors.
#ifndef COTENANT_IPC_TENSOR_EXPORTER_HPP
#define COTENANT_IPC_TENSOR_EXPORTER_HPP
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/eventfd.h>
#endif

#include "cotenant/ipc/attached_tensors.hpp"
#include "cotenant/ipc/listening_socket.hpp"
#include "cotenant/ipc/tensor_arena.hpp"

namespace cotenant {

// A process that holds exported tensors.
struct Consumer {
  std::string model;  // as it called itself
  long process = 0;   // by the system's word, as is the user
  long user = 0;
};

struct ExportOptions {
  // Appears in /proc/<pid>/maps of every process that has the memory.
  std::string label = "cotenant";
  // What consumers read as AttachedTensors::metadata(): a configuration, a vocabulary.
  std::map<std::string, std::string> metadata = {};
  FileTensors file_tensors = FileTensors::pass_on;
  // More are refused with a message.
  std::size_t max_consumers = 1024;
  // Accepts consumers of other users; the socket's permissions are then 0666 instead of 0600.
  bool other_users = false;
  // How long a visitor may take to say who it is.
  std::chrono::milliseconds greeting_timeout = std::chrono::seconds(2);
  // Called on the serving thread when a consumer has attached (true) or is gone (false). Must not throw, nor destroy the exporter.
  std::function<void(const Consumer&, bool attached)> on_change = {};
};

// Consumers never wait for each other, and the exporter for none of them: all it does is to hand out descriptors. What is exported
// does not change; tensors that were copied into the arena may be given up by whoever had them, local() has them too. When
// the exporter is destroyed, or its process killed, those who attached keep their tensors, and nobody can attach any more.
class TensorExporter {
 public:
  // Errors: AlreadyRegistered (another process exports at this path, or something else lies there); InvalidArgument (two tensors of
  // one name, a name that is empty or not UTF-8, too long a path); IoError, OutOfMemory; Unsupported where this is not Linux.
  TensorExporter(const std::vector<NamedTensor>& tensors, const std::filesystem::path& path, ExportOptions options = {});
  TensorExporter(TensorExporter&&) noexcept = default;
  TensorExporter& operator=(TensorExporter&& other) noexcept {
    std::swap(server_, other.server_);
    return *this;
  }

  const std::filesystem::path& path() const noexcept;
  // Who is attached at this moment.
  std::vector<Consumer> consumers() const;
  std::size_t consumer_count() const { return consumers().size(); }
  // The same tensors in this process, on the same memory.
  const AttachedTensors& local() const noexcept;

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

// Serves `tensors` at a Unix socket. Each of them is copied once, into one arena of sealed memory; those that lie in a mapped file are not
// copied at all. Errors: those of TensorExporter's constructor.
[[nodiscard]] inline TensorExporter export_tensors(const std::vector<NamedTensor>& tensors, const std::filesystem::path& path, ExportOptions options = {}) {
  return TensorExporter(tensors, path, std::move(options));
}

#if defined(__linux__)

class TensorExporter::Server {
 public:
  Server(const std::vector<NamedTensor>& tensors, const std::filesystem::path& path, ExportOptions options)
      : options_(std::move(options)),
        socket_(path, options_.other_users),
        arena_(detail::ArenaPlan(tensors, options_.file_tensors).write({}, options_.label, std::move(options_.metadata))),
        local_(open_here()),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!wake_) raise<IoError>(std::string("cannot make an eventfd: ") + std::strerror(errno));
    thread_ = std::thread([this] { serve(); });
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    const std::uint64_t one = 1;
    while (::write(wake_.number(), &one, sizeof one) < 0 && errno == EINTR) {
    }
    if (thread_.joinable()) thread_.join();
  }

  const std::filesystem::path& path() const noexcept { return socket_.path(); }
  const AttachedTensors& local() const noexcept { return local_; }
  std::vector<Consumer> consumers() const {
    const std::lock_guard lock(mutex_);
    std::vector<Consumer> result;
    for (const Visitor& visitor : visitors_) if (visitor.attached) result.push_back(visitor.consumer);
    return result;
  }

 private:
  struct Visitor {
    Descriptor socket;
    Consumer consumer;
    bool attached = false;
    detail::Deadline deadline;  // of its greeting
    std::string refusal;        // why it will be sent away when it has greeted; before, its hello would hide the answer
  };
  // Visitors that have not greeted yet; the next ones wait in the system's queue until these have or are timed out.
  static constexpr std::size_t max_unknown = 64;
  // How long nobody is accepted after the system had no descriptor left for one.
  static constexpr std::chrono::milliseconds pause{50};

  AttachedTensors open_here() const {
    std::vector<Descriptor> parts;
    parts.emplace_back(::fcntl(arena_.memory.descriptor().number(), F_DUPFD_CLOEXEC, 0));
    for (const Descriptor& file : arena_.files) parts.emplace_back(::fcntl(file.number(), F_DUPFD_CLOEXEC, 0));
    return ArenaOpener().open(std::move(parts), "the exporter at '" + path().string() + "'");
  }

  void serve() {
    std::vector<::pollfd> ready;
    detail::Deadline paused_until{};
    for (;;) {
      const auto now = std::chrono::steady_clock::now();
      ready.assign({{wake_.number(), POLLIN, 0}});
      std::size_t unknown = 0;
      detail::Deadline wake_at = detail::Deadline::max();
      for (const Visitor& visitor : visitors_) {
        ready.push_back({visitor.socket.number(), POLLIN, 0});
        if (visitor.attached) continue;
        ++unknown;
        wake_at = std::min(wake_at, visitor.deadline);
      }
      const bool paused = now < paused_until;
      if (paused) wake_at = std::min(wake_at, paused_until);
      const bool accepting = !paused && unknown < max_unknown;
      if (accepting) ready.push_back({socket_.descriptor().number(), POLLIN, 0});
      ::poll(ready.data(), static_cast<::nfds_t>(ready.size()), wake_at == detail::Deadline::max() ? -1 : detail::milliseconds_until(wake_at));
      if (ready[0].revents != 0) return;
      std::size_t at = 1;
      for (auto visitor = visitors_.begin(); visitor != visitors_.end(); ++at) {
        const auto next = std::next(visitor);
        const bool stays = ready[at].revents != 0 ? hear(*visitor) : visitor->attached || std::chrono::steady_clock::now() < visitor->deadline;
        if (!stays) dismiss(visitor);
        visitor = next;
      }
      if (accepting && ready.back().revents != 0 && !accept()) paused_until = std::chrono::steady_clock::now() + pause;
    }
  }

  // False where the system has no room for another descriptor.
  bool accept() {
    Visitor visitor;
    visitor.socket = Descriptor(::accept4(socket_.descriptor().number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!visitor.socket) return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
    const detail::Peer peer = detail::peer_of(visitor.socket);
    visitor.consumer.process = peer.process;
    visitor.consumer.user = static_cast<long>(peer.user);
    visitor.deadline = std::chrono::steady_clock::now() + options_.greeting_timeout;
    if (!options_.other_users && peer.user != ::geteuid()) visitor.refusal = "it serves only user " + std::to_string(::geteuid());
    const std::lock_guard lock(mutex_);
    visitors_.push_back(std::move(visitor));
    return true;
  }

  // What a visitor says, or that it hung up. False where it must go.
  bool hear(Visitor& visitor) {
    const detail::Received received = detail::receive_message(visitor.socket, false);
    if (received.outcome == detail::Received::Outcome::nothing_yet) return true;
    if (received.outcome == detail::Received::Outcome::closed || received.truncated || visitor.attached) return false;  // a consumer has nothing to say
    auto hello = detail::read_hello(received.message);
    if (!hello) return false;
    if (visitor.refusal.empty() && hello->version != detail::handshake_version)
      visitor.refusal = "it speaks version " + std::to_string(detail::handshake_version) + " of the handshake, not version " + std::to_string(hello->version);
    if (visitor.refusal.empty() && attached_ >= options_.max_consumers)
      visitor.refusal = "it serves at most " + std::to_string(options_.max_consumers) + " consumers";
    std::vector<int> parts;
    detail::Welcome welcome{detail::handshake_version, visitor.refusal.empty(), 0, visitor.refusal};
    if (welcome.accepted) {
      parts.push_back(arena_.memory.descriptor().number());
      for (const Descriptor& file : arena_.files) parts.push_back(file.number());
      welcome.descriptors = static_cast<std::uint32_t>(parts.size());
      // Attached before the answer leaves: who has it finds itself listed.
      const std::lock_guard lock(mutex_);
      visitor.consumer.model = std::move(hello->model);
      visitor.attached = true;
      ++attached_;
    }
    if (welcome.accepted && options_.on_change) options_.on_change(visitor.consumer, true);
    return detail::send_message(visitor.socket, detail::write_welcome(welcome), parts) && welcome.accepted;
  }

  void dismiss(std::list<Visitor>::iterator visitor) {
    std::list<Visitor> gone;
    {
      const std::lock_guard lock(mutex_);
      gone.splice(gone.begin(), visitors_, visitor);
      if (gone.front().attached) --attached_;
    }
    if (gone.front().attached && options_.on_change) options_.on_change(gone.front().consumer, false);
  }

  ExportOptions options_;
  detail::ListeningSocket socket_;
  TensorArena arena_;
  AttachedTensors local_;
  Descriptor wake_;
  mutable std::mutex mutex_;     // for consumers(): only the serving thread changes what it guards
  std::list<Visitor> visitors_;
  std::size_t attached_ = 0;     // the serving thread's alone
  std::thread thread_;
};

#else

class TensorExporter::Server {
 public:
  Server(const std::vector<NamedTensor>&, const std::filesystem::path&, ExportOptions) { detail::raise_only_on_linux("exporting tensors to other processes"); }
  const std::filesystem::path& path() const noexcept { return path_; }
  const AttachedTensors& local() const noexcept { return *local_; }
  std::vector<Consumer> consumers() const { return {}; }

 private:
  std::filesystem::path path_;
  std::unique_ptr<AttachedTensors> local_;
};

#endif

inline TensorExporter::TensorExporter(const std::vector<NamedTensor>& tensors, const std::filesystem::path& path, ExportOptions options)
    : server_(std::make_unique<Server>(tensors, path, std::move(options))) {}
inline const std::filesystem::path& TensorExporter::path() const noexcept { return server_->path(); }
inline std::vector<Consumer> TensorExporter::consumers() const { return server_->consumers(); }
inline const AttachedTensors& TensorExporter::local() const noexcept { return server_->local(); }

}  // namespace cotenant

#endif
