// TensorStore: a folder of tensors by name that survives crashes, damage and full disks, and that processes may share.
#ifndef COTENANT_FILES_STORE_HPP
#define COTENANT_FILES_STORE_HPP
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cotenant/files/progressive_load.hpp"
#include "cotenant/files/safetensors_writer.hpp"
#include "cotenant/files/store_folder.hpp"
#include "cotenant/files/store_options.hpp"
#include "cotenant/files/store_writer.hpp"

namespace cotenant {

// Each commit writes one safetensors file with the tensors that it was given, then replaces manifest.json: whoever opens
// the folder, also after a crash at any moment, finds either all of them or the state before. Readers never wait;
// writers, of any process, wait for each other. A tensor that is replaced or removed keeps its bytes for who has loaded
// it. One damaged file costs its own tensors only.
//
// Every function may be called from any number of threads at once.
class TensorStore {
 public:
  // Touches nothing: the folder is made by the first commit, and one that may only be read can be loaded from.
  explicit TensorStore(std::filesystem::path folder, StoreOptions options = {})
      : options_(std::move(options)), folder_(std::move(folder)), writer_(folder_, options_) {}
  TensorStore(const TensorStore&) = delete;
  TensorStore& operator=(const TensorStore&) = delete;

  const std::filesystem::path& folder() const { return folder_.path(); }

  // ---- Writing. Errors of each: IoError (a full disk, a folder that may not be written to), BadFile (the manifest is
  // ---- damaged); the store is then as it was.

  // Stores one tensor of any layout, in row-major order, in place of any of that name; durable on return.
  // Errors: also InvalidArgument (an empty tensor, a name that is reserved or not UTF-8); BudgetExceeded, see StoreOptions.
  template <TensorLike X> CommitResult save(const std::string& name, const X& tensor) {
    return save(name, StoreWriter::item(name, as_tensor(tensor)));
  }
  // The same for elements of a type known at run time, in a block that the host may read.
  CommitResult save(const std::string& name, DType dtype, const BlockRef& block, const Layout& layout) {
    return save(name, StoreWriter::item(name, dtype, block, layout));
  }
  // Holds a handle on the tensor until synchronize() stores it with others in one commit. Until then it is not part
  // of the store, and its elements must not change. Errors: InvalidArgument.
  template <TensorLike X> void put(const std::string& name, const X& tensor) {
    auto item = StoreWriter::item(name, as_tensor(tensor));
    const std::lock_guard lock(mutex_);
    pending_.insert_or_assign(name, std::move(item));
  }
  // Tensors that were put() and wait for synchronize().
  std::size_t pending() const {
    const std::lock_guard lock(mutex_);
    return pending_.size();
  }
  // All that was put(), in one commit: durable on return. After an error they wait on. Errors: also BudgetExceeded.
  CommitResult synchronize() {
    Returning batch{*this, {}};
    {
      const std::lock_guard lock(mutex_);
      batch.items.swap(pending_);
    }
    if (batch.items.empty()) return {};
    const CommitResult result = writer_.store(batch.items);
    batch.items.clear();
    return result;
  }
  // False where there is no such tensor.
  bool remove(std::string_view name) { return !writer_.remove({std::string(name)}).empty(); }
  // Returns the names that were there.
  std::vector<std::string> remove(const std::vector<std::string>& names) { return writer_.remove(names); }
  // Removes tensors that nobody has loaded or saved for so long, and files that a dead process left. Last use is known
  // per file: tensors of one commit age together.
  SweepResult sweep(std::chrono::seconds unused_for) { return writer_.sweep(unused_for); }
  SweepResult sweep() { return sweep(options_.unused_for); }
  // Compresses tensors that nobody has loaded or saved for so long, where that makes them smaller, and returns their names.
  // Loading them copies and takes longer. Errors: also Unsupported without COTENANT_ZSTD.
  std::vector<std::string> compress(std::chrono::seconds unused_for) { return writer_.compress(unused_for); }

  // Writes files anew of which more than this share lies dead, because tensors were replaced or removed whose neighbours are still wanted:
  // one commit, and room on the disk, for one file at a time. A commit that would pass max_bytes does so by itself.
  CompactResult compact(double dead_share = 0.25) { return writer_.compact(dead_share); }
  // Where the manifest is lost or damaged: makes a new one from the tensors' files, every byte of which is read and proved by the
  // checksums that they carry. Of a name that several files hold the newest counts. A file that does not even say what it holds gets ".damaged"
  // after its name. A tensor that had been removed is back if a neighbour of it was still wanted. Does nothing where the manifest is good.
  RebuildResult rebuild() { return writer_.rebuild(); }

  // ---- Reading. Errors of each: BadFile, IoError, Unsupported where the manifest or a tensor cannot be read.

  bool contains(std::string_view name) { return find(name).has_value(); }
  std::vector<std::string> names() {
    const auto manifest = folder_.manifest();
    std::vector<std::string> result;
    for (const auto& [name, entry] : manifest->tensors) result.push_back(name);
    return result;
  }
  // What is known without reading the tensor; nothing where there is none.
  std::optional<StoredTensor> find(std::string_view name) {
    const auto manifest = folder_.manifest();
    const auto found = manifest->tensors.find(name);
    return found == manifest->tensors.end() ? std::nullopt : std::optional(found->second);
  }
  // The same. Errors: NotFound, with the nearest names.
  StoredTensor info(std::string_view name) {
    if (auto found = find(name)) return *std::move(found);
    return folder_.open(name).entry;
  }
  // What the files take together.
  std::size_t bytes() { return folder_.manifest()->file_bytes(); }

  // The tensor as a view of its file, without a copy; only compressed ones are unpacked into memory. The first load of a
  // tensor reads it all and checks it. Errors: NotFound, TypeError; BadFile (names the file and the tensor).
  template <Element T> SharedTensor<T, Mapped> load(std::string_view name) {
    detail::StoreFolder::OpenTensor opened = open<T>(name);
    if (opened.entry.encoding != StoredEncoding::raw) return ProgressiveLoad<T>(chunks(name, std::move(opened))).finish();
    const bool known = !options_.verify || folder_.verified(opened.entry);
    if (!known || std::is_same_v<T, bool>) return ProgressiveLoad<T>(chunks(name, std::move(opened))).finish();
    Layout layout = contiguous_layout(opened.entry.shape);
    StoredFile::Part part = opened.file.map(opened.entry.position, opened.entry.bytes);
    layout.offset = static_cast<std::ptrdiff_t>(part.offset / sizeof(T));
    return SharedTensor<T, Mapped>(std::move(part.block), layout);
  }
  // A copy in new memory, checked on the way where it was not yet. Errors: as load(); OutOfMemory.
  template <Element T, AllocatingStorage S = Heap> requires(S::host_accessible) SharedTensor<T, S> read(std::string_view name, S storage = {}) {
    detail::ChunkReader reader = chunks(name, open<T>(name));
    SharedTensor<T, S> tensor = empty<T>(reader.entry().shape, std::move(storage));
    auto* to = reinterpret_cast<unsigned char*>(tensor.unchecked_view().data());
    while (reader.done() != reader.entry().bytes) reader.read_next(to);
    return tensor;
  }
  // The bytes of its elements, of whichever type, to memory that has room for exactly them.
  // Errors: as load(); InvalidArgument where `bytes` is not their number.
  void read_bytes(std::string_view name, void* to, std::size_t bytes) {
    detail::ChunkReader reader = chunks(name, open_any(name));
    if (bytes != reader.entry().bytes)
      raise<InvalidArgument>("tensor '" + std::string(name) + "' in store '" + folder().string() + "' has " + std::to_string(reader.entry().bytes) +
          " bytes, but room was given for " + std::to_string(bytes));
    while (reader.done() != bytes) reader.read_next(static_cast<unsigned char*>(to));
  }
  // The tensor piece by piece, its first rows usable before the last are read. Errors: as load().
  template <Element T> ProgressiveLoad<T> load_progressively(std::string_view name) { return ProgressiveLoad<T>(chunks(name, open<T>(name))); }

  // Reads and checks every tensor, and says which are damaged, each with the sentence that load() would raise.
  // Needs exceptions: without them the first damaged one ends the program.
  std::map<std::string, std::string> damaged() {
    std::map<std::string, std::string> result;
    for (const std::string& name : names()) {
#if COTENANT_EXCEPTIONS
      try {
        check(name);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found) result.emplace(name, error.what());  // removed meanwhile
      }
#else
      check(name);
#endif
    }
    return result;
  }

 private:
  using StoreWriter = detail::StoreWriter;
  CommitResult save(const std::string& name, StoreWriter::Item item) {
    StoreWriter::Batch batch;
    batch.emplace(name, std::move(item));
    return writer_.store(batch);
  }
  // Gives back what could not be stored, unless a newer tensor of that name was put meanwhile.
  struct Returning {
    TensorStore& store;
    StoreWriter::Batch items;
    ~Returning() {
      if (items.empty()) return;
      const std::lock_guard lock(store.mutex_);
      store.pending_.merge(items);
    }
  };

  detail::ChunkReader chunks(std::string_view name, detail::StoreFolder::OpenTensor opened) {
    return detail::ChunkReader(folder_, std::string(name), std::move(opened), options_.verify);
  }
  template <Element T> detail::StoreFolder::OpenTensor open(std::string_view name) {
    detail::StoreFolder::OpenTensor opened = open_any(name);
    if (opened.entry.dtype != dtype_of<T>)
      raise<TypeError>("tensor '" + std::string(name) + "' in store '" + folder().string() + "' holds " + std::string(to_string(opened.entry.dtype)) +
          ", not " + std::string(to_string(dtype_of<T>)) + ": ask for " + std::string(to_string(opened.entry.dtype)));
    return opened;
  }
  detail::StoreFolder::OpenTensor open_any(std::string_view name) {
    detail::StoreFolder::OpenTensor opened = folder_.open(name);
    // Being read is not a write each time: once an hour is enough to tell days apart.
    const StoredFile::Time now = options_.now();
    if (now - opened.file.last_used() > std::chrono::hours(1)) opened.file.set_last_used(now);
    return opened;
  }
  void check(const std::string& name) {
    detail::ChunkReader reader(folder_, name, folder_.open(name), true);
    std::vector<unsigned char> room;
    StoredFile::Part part;
    const bool raw = reader.entry().encoding == StoredEncoding::raw;
    if (raw) part = reader.map();
    else room.resize(reader.entry().bytes);
    while (reader.done() != reader.entry().bytes) raw ? reader.check_next(static_cast<const unsigned char*>(part.data())) : reader.read_next(room.data());
  }

  StoreOptions options_;
  detail::StoreFolder folder_;
  StoreWriter writer_;
  mutable std::mutex mutex_;
  StoreWriter::Batch pending_;
};

}  // namespace cotenant

#endif
