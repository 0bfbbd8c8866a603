// AttachedTensors: the tensors that another process exports, by name, on the memory that it filled; none of them is copied.
#ifndef COTENANT_IPC_ATTACHED_TENSORS_HPP
#define COTENANT_IPC_ATTACHED_TENSORS_HPP
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cotenant/core/nearest.hpp"
#include "cotenant/ipc/arena_manifest.hpp"
#include "cotenant/ipc/unix_socket.hpp"
#include "cotenant/share/quantized_tensor.hpp"
#include "cotenant/storage/shared_arena.hpp"

namespace cotenant {

struct AttachOptions {
  // Who attaches: the producer lists its consumers by this name.
  std::string model = {};
  // How long connecting and the producer's answer may take together.
  std::chrono::milliseconds timeout = std::chrono::seconds(5);
  // Where nobody listens yet: try again until the timeout.
  bool wait_for_producer = false;
  // Accepts a producer, or a named arena, of another user.
  bool other_users = false;
  // Accepts tensors that lie in files. Such bytes are as safe as a file that one opens oneself: they change when somebody writes the
  // file, and reading them is a fatal signal (SIGBUS) once it was cut short. Sealed memory knows neither.
  bool files = true;
  // Whether kernels may keep attached weights once more in the order that they read them in, which is memory of this process's own. False:
  // products read the shared bytes each time, and take longer with many rows.
  bool keep_packed = true;
};

namespace detail {

// The end of a consumer: its producer sees it closed when the last tensor is gone.
struct Connection {
  Descriptor socket;
  long process = 0;  // the producer's
};

// A bool that is neither 0 nor 1 must not be read as one. Looks at each byte once, however often a stride of 0 repeats it.
inline bool are_bools(const unsigned char* part, const Layout& layout) {
  const ElementRange range = element_range(layout);
  return std::all_of(part + range.first, part + range.last, [](unsigned char byte) { return byte <= 1; });
}

}  // namespace detail

// A handle on everything that was attached; cheap to copy. The tensors taken from it keep their memory and the connection for
// themselves: they stay valid when this object is gone, and when the producer is. Safe to read from any number of threads.
class AttachedTensors {
 public:
  using storage_type = SharedMemory;

  // In the order of their names.
  const std::vector<ArenaTensor>& tensors() const noexcept { return content_->manifest.tensors; }
  std::vector<std::string_view> names() const {
    std::vector<std::string_view> result;
    for (const ArenaTensor& tensor : tensors()) result.push_back(tensor.name);
    return result;
  }
  bool contains(std::string_view name) const noexcept { return find(name) != nullptr; }
  // Errors: NotFound, with the nearest names.
  const ArenaTensor& info(std::string_view name) const {
    const ArenaTensor* const found = find(name);
    if (found == nullptr)
      raise<NotFound>(content_->source + " exports no tensor '" + std::string(name) + "'; the nearest of its " + std::to_string(tensors().size()) +
                      " names are " + nearest_names(name, names()));
    return *found;
  }
  const Shape& shape(std::string_view name) const { return info(name).layout.shape; }
  DType dtype(std::string_view name) const { return info(name).dtype; }
  // What the producer said beside the tensors.
  const std::map<std::string, std::string>& metadata() const noexcept { return content_->manifest.metadata; }
  // Who exports them, as messages name it.
  const std::string& source() const noexcept { return content_->source; }

  // Errors: NotFound; TypeError where it holds another element type; BadFile for a bool that is neither 0 nor 1.
  template <Element T> SharedTensor<T, SharedMemory> tensor(std::string_view name) const {
    const ArenaTensor& found = info(name);
    if (found.dtype != dtype_of<T>)
      raise<TypeError>("tensor '" + found.name + "' of " + content_->source + " holds " + std::string(to_string(found.dtype)) + ", not " +
                       std::string(to_string(dtype_of<T>)) + ": ask for " + std::string(to_string(found.dtype)));
    const BlockRef& part = content_->parts[found.part];
    if constexpr (std::is_same_v<T, bool>)
      if (!detail::are_bools(static_cast<const unsigned char*>(part->data()), found.layout))
        raise<BadFile>("tensor '" + found.name + "' of " + content_->source + " is bool, but has a byte that is neither 0 nor 1");
    return SharedTensor<T, SharedMemory>(part, found.layout);
  }

  // Whether the tensor is quantised values with their scale beside them, as "<name>.scale": see registered_tensors().
  bool is_quantized(std::string_view name) const {
    const ArenaTensor* const values = find(name);
    const ArenaTensor* const scale = find(std::string(name) + ".scale");
    return values != nullptr && scale != nullptr && scale->dtype == DType::f32 &&
        (values->dtype == DType::i8 || values->dtype == DType::u8 || values->dtype == DType::i4x2);
  }
  // Values with their scale and, where there is one, their zero point, on the memory that the producer filled. Errors: those of tensor(),
  // NotFound where there is no scale, ShapeError where it does not divide the values.
  template <QuantizedElement Q> Quantized<Q, SharedMemory> quantized(std::string_view name) const {
    const std::string zero_point = std::string(name) + ".zero_point";
    Quantized<Q, SharedMemory> result{tensor<Q>(name), tensor<float>(std::string(name) + ".scale"), {}};
    if (contains(zero_point)) result.zero_point = tensor<quantized_value<Q>>(zero_point);
    detail::check_ranges(result);
    return result;
  }

  // The producer's process; 0 where it is not known (a named arena). It may have ended since.
  long producer_process() const noexcept { return content_->connection ? content_->connection->process : 0; }
  // Whether the producer still holds its end of the connection. The tensors are valid either way.
  bool producer_is_alive() const {
#if defined(__linux__)
    return content_->connection && detail::is_connected(content_->connection->socket);
#else
    return false;
#endif
  }

 private:
  friend class ArenaOpener;
  struct Content {
    std::string source;
    ArenaManifest manifest;
    std::vector<BlockRef> parts;
    std::shared_ptr<const detail::Connection> connection;
  };
  explicit AttachedTensors(std::shared_ptr<const Content> content) : content_(std::move(content)) {}

  const ArenaTensor* find(std::string_view name) const noexcept {
    const auto before = [](const ArenaTensor& tensor, std::string_view wanted) { return tensor.name < wanted; };
    const auto found = std::lower_bound(tensors().begin(), tensors().end(), name, before);
    return found != tensors().end() && found->name == name ? &*found : nullptr;
  }

  std::shared_ptr<const Content> content_;
};

// For those who have the descriptors of an arena and of its files: checks them, maps them, and reads the manifest.
class ArenaOpener {
 public:
  bool need_seals = true;  // refuse an arena that anybody could still write or shorten
  bool files = true;
  bool keep_packed = true;

  // Parts in the order of the manifest. They are closed in every case: a mapping does not need them.
  // Errors: BadFile (what was sent contradicts itself or is not sealed), ShapeError (a tensor outside its part), Unsupported (another
  // format; not Linux), IoError.
  AttachedTensors open(std::vector<Descriptor> parts, std::string source, std::shared_ptr<const detail::Connection> connection = nullptr) const;
};

inline AttachedTensors ArenaOpener::open(std::vector<Descriptor> parts, std::string source, std::shared_ptr<const detail::Connection> connection) const {
#if defined(__linux__)
  const auto bad = [&](const std::string& problem) { raise<BadFile>(source + " sent what cannot be used: " + problem); };
  const auto size_of_regular = [&](const Descriptor& descriptor, const std::string& what) {
    struct ::stat status {};
    if (!descriptor || ::fstat(descriptor.number(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 0)
      bad(what + " is neither a file nor shared memory");
    return static_cast<std::size_t>(status.st_size);
  };
  const auto map = [&](const Descriptor& descriptor, std::size_t bytes) {
    return Block::adopt(SharedMemory{connection, keep_packed}, SharedMemory::map(descriptor, bytes));
  };
  if (parts.empty()) bad("no descriptor");
  auto content = std::make_shared<AttachedTensors::Content>();
  // Sealed first, measured then: afterwards nobody can change the size.
  if (need_seals && !detail::is_sealed(parts[0])) bad("memory that is not sealed. Reading it would be a fatal signal once its owner shortens it");
  const std::size_t arena_bytes = size_of_regular(parts[0], "the arena");
  if (arena_bytes < detail::arena_header_bytes) bad("an arena of " + std::to_string(arena_bytes) + " bytes, fewer than the 64 of its header");
  content->parts.push_back(map(parts[0], arena_bytes));
  // Whoever sees the beginning of a named arena sees all that was written before it.
  static_cast<void>(__atomic_load_n(static_cast<const std::uint64_t*>(content->parts[0]->data()), __ATOMIC_ACQUIRE));
  content->manifest = detail::read_arena({static_cast<const char*>(content->parts[0]->data()), arena_bytes}, source);
  const std::vector<std::size_t>& sizes = content->manifest.part_bytes;
  if (sizes.size() != parts.size()) bad(std::to_string(parts.size() - 1) + " files, but its manifest names " + std::to_string(sizes.size() - 1));
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string what = "file " + std::to_string(i);
    if (!files) bad("a file, and this program accepts only sealed memory: let the producer copy its files' tensors");
    if ((::fcntl(parts[i].number(), F_GETFL) & O_ACCMODE) == O_WRONLY) bad(what + " cannot be read");
    const std::size_t bytes = size_of_regular(parts[i], what);
    if (bytes != sizes[i]) bad(what + " has " + std::to_string(bytes) + " bytes, but its manifest says " + std::to_string(sizes[i]));
    content->parts.push_back(map(parts[i], bytes));
  }
  std::sort(content->manifest.tensors.begin(), content->manifest.tensors.end(), [](const ArenaTensor& a, const ArenaTensor& b) { return a.name < b.name; });
  content->source = std::move(source);
  content->connection = std::move(connection);
  return AttachedTensors(std::move(content));
#else
  static_cast<void>(parts), static_cast<void>(source), static_cast<void>(connection);
  detail::raise_only_on_linux("attaching tensors of another process");
#endif
}

// The tensors that a process exports at a Unix socket (ipc/tensor_exporter.hpp). Takes about as long as reading the manifest: no tensor
// is read or copied. The producer knows this consumer until the last of its tensors is gone.
// Errors: NotFound (nobody listens there); IoError (refused, with the producer's reason; timed out; another user's); those of ArenaOpener::open.
inline AttachedTensors attach(const std::filesystem::path& path, const AttachOptions& options = {}) {
#if defined(__linux__)
  const detail::Deadline deadline = std::chrono::steady_clock::now() + options.timeout;
  const std::string source = "the producer at '" + path.string() + "'";
  auto connection = std::make_shared<detail::Connection>();
  connection->socket = detail::connect_to(path, deadline, options.wait_for_producer);
  const detail::Peer peer = detail::peer_of(connection->socket);
  if (!options.other_users && peer.user != ::geteuid())
    raise<IoError>(source + " belongs to user " + std::to_string(peer.user) + ", not to this one: set other_users where that is wanted");
  connection->process = peer.process;
  if (!detail::send_message(connection->socket, detail::write_hello({detail::handshake_version, options.model})))
    raise<IoError>(source + " closed the connection before it was greeted");
  detail::Received answer = detail::receive_message(connection->socket, deadline);
  if (answer.outcome == detail::Received::Outcome::nothing_yet)
    raise<IoError>("timed out: " + source + " did not answer within " + std::to_string(options.timeout.count()) + " ms");
  if (answer.outcome == detail::Received::Outcome::closed) raise<IoError>(source + " closed the connection without an answer");
  if (answer.truncated)
    raise<BadFile>(source + " sent a message that is too long, or more descriptors than this process may open (" + std::to_string(answer.descriptors.size()) +
                   " came, and are closed)");
  const detail::Welcome welcome = detail::read_welcome(answer.message, source);
  if (!welcome.accepted) raise<IoError>(source + " refused: " + welcome.reason);
  if (welcome.descriptors != answer.descriptors.size())
    raise<BadFile>(source + " announced " + std::to_string(welcome.descriptors) + " descriptors and sent " + std::to_string(answer.descriptors.size()));
  return ArenaOpener{true, options.files, options.keep_packed}.open(std::move(answer.descriptors), source, std::move(connection));
#else
  static_cast<void>(path), static_cast<void>(options);
  detail::raise_only_on_linux("attaching tensors of another process");
#endif
}

// The tensors of a named arena (ipc/named_arena.hpp). There is no connection: its producer does not know who is attached. Nor are
// there seals: who owns the arena could write or shorten it while it is read, so only this user's are accepted unless options say otherwise.
// Errors: NotFound (no such arena, or it is not filled yet), IoError, those of ArenaOpener::open.
inline AttachedTensors attach_named(const std::string& name, const AttachOptions& options = {}) {
  std::vector<Descriptor> parts;
  parts.push_back(SharedArena::open_named(name, options.other_users));
  return ArenaOpener{false, false, options.keep_packed}.open(std::move(parts), "the shared arena '" + name + "'");
}

}  // namespace cotenant

#endif
