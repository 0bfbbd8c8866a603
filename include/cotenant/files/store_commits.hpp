// StoreCommits: changes of a tensor store's folder, one at a time, each of them all of it or nothing.
#ifndef COTENANT_FILES_STORE_COMMITS_HPP
#define COTENANT_FILES_STORE_COMMITS_HPP
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#if !defined(_WIN32)
#include <fcntl.h>
#include <unistd.h>
#endif

#include "cotenant/files/atomic_file.hpp"
#include "cotenant/files/safetensors_writer.hpp"
#include "cotenant/files/store_folder.hpp"
#include "cotenant/files/store_lock.hpp"
#include "cotenant/files/store_options.hpp"
#include "cotenant/files/store_rebuild.hpp"
#include "cotenant/files/stored_file.hpp"

namespace cotenant::detail {

class StoreCommits {
 public:
  StoreCommits(StoreFolder& folder, const StoreOptions& options) : folder_(folder), options_(options) {}

  // Files of a commit that is not complete yet: removed again unless keep() says that it is.
  struct NewFiles {
    const StoreCommits& owner;
    std::vector<std::filesystem::path> paths = {};

    struct Written {
      std::string name;
      std::vector<WrittenTensor> tensors;
    };

    ~NewFiles() {
      std::error_code ignored;
      for (const std::filesystem::path& path : paths) std::filesystem::remove(path, ignored);
    }
    void keep() { paths.clear(); }

    // Writes a file of its own, and enters it with its size.
    Written write(Manifest& next, const SafetensorsWriter& writer, StoredFile::Time used) {
      // Before the first file, so that files without a manifest are known to have lost it.
      if (!owner.folder_.has_manifest()) owner.write_manifest(Manifest{});
      // The number never comes again in one manifest; chance tells apart what two lives of a folder called alike.
      std::random_device chance;
      char name[64];
      std::snprintf(name, sizeof name, "tensors-%08llx-%08x.safetensors", static_cast<unsigned long long>(next.generation + 1),
          static_cast<unsigned>(chance()));
      const std::filesystem::path path = owner.folder_.path() / name;
      paths.push_back(path);
      Written written{name, writer.write(path, owner.durability())};
      if (const auto file = StoredFile::open(path)) file->set_last_used(used);
      next.files[name] = writer.file_bytes();
      return written;
    }
  };

  // Runs edit(next manifest, new files) as the only writer; commits where it returns true. Returns the bytes of the files
  // that were removed.
  template <class Edit> std::size_t change(Edit edit, bool search_strays = false) {
    const std::lock_guard writer(mutex_);
    make_folder(folder_.path());
    const StoreLock lock(folder_.path());
    const std::shared_ptr<const Manifest> before = folder_.manifest();
    std::size_t freed = 0;
    if (search_strays || !searched_ || lock.previous_died()) freed += remove_strays(*before);
    searched_ = true;
    Manifest next = *before;
    NewFiles files{*this};
    if (!edit(next, files)) return freed;
    next.drop_unused_files();
    ++next.generation;
    const std::shared_ptr<const Manifest> after = write_manifest(std::move(next));
    files.keep();
    std::error_code ignored;
    for (const auto& [name, bytes] : before->files)
      if (after->files.count(name) == 0 && std::filesystem::remove(folder_.path() / name, ignored)) freed += bytes;
    return freed;
  }

  // A new manifest from what the files say about themselves. Errors: IoError; nothing has changed then.
  RebuildResult rebuild() {
    RebuildResult result;
    const std::lock_guard writer(mutex_);
    std::error_code ignored;
    if (!std::filesystem::is_directory(folder_.path(), ignored)) return result;
    const StoreLock lock(folder_.path());
#if COTENANT_EXCEPTIONS
    try {
      static_cast<void>(StoreFolder(folder_.path()).manifest());  // as it is there, not as it is known
      return result;  // there is nothing to do
    } catch (const BadFile&) {
    }
#endif
    Manifest next = manifest_of_files(folder_, result);
    // Out of the way of the next writer, who would remove what no manifest names; somebody may still want to look at them.
    for (const auto& [file, problem] : result.damaged_files) std::filesystem::rename(folder_.path() / file, folder_.path() / (file + ".damaged"), ignored);
    remove_strays(*write_manifest(std::move(next)));
    result.rebuilt = true;
    result.tensors = folder_.manifest()->tensors.size();
    return result;
  }

 private:
  AtomicFile::Durability durability() const { return options_.durable ? AtomicFile::Durability::durable : AtomicFile::Durability::not_durable; }

  std::shared_ptr<const Manifest> write_manifest(Manifest manifest) const {
    const std::string text = manifest.text();
    AtomicFile file(folder_.manifest_path(), durability());
    file.write(text);
    file.commit();
    return folder_.set(std::move(manifest), text);
  }

  // Every level that is missing, each made durable in the one above.
  void make_folder(const std::filesystem::path& path) const {
    std::error_code error, ignored;
    if (path.empty() || std::filesystem::is_directory(path, ignored)) return;
    const std::filesystem::path above = path.parent_path();
    if (above != path) make_folder(above);
    std::filesystem::create_directory(path, error);
    if (error && !std::filesystem::is_directory(path, ignored))
      raise<IoError>("cannot make the folder '" + path.string() + "' of a tensor store: " + error.message());
#if !defined(_WIN32)
    const int descriptor = options_.durable ? ::open(above.empty() ? "." : above.c_str(), O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0) return;
    static_cast<void>(::fsync(descriptor));
    ::close(descriptor);
#endif
  }

  // Under the lock nobody else writes: a temporary file, or one that no manifest names, is what a dead process left.
  std::size_t remove_strays(const Manifest& manifest) const {
    std::size_t freed = 0;
    std::error_code error;
    std::vector<std::filesystem::path> strays;
    for (std::filesystem::directory_iterator at(folder_.path(), error), end; !error && at != end; at.increment(error)) {
      const std::string name = at->path().filename().string();
      const bool temporary = name.find(".tmp") != std::string::npos &&
                             (name.rfind(Manifest::file_prefix, 0) == 0 || name.rfind(std::string(Manifest::file_name) + ".tmp", 0) == 0);
      if (temporary || (Manifest::is_file_name(name) && manifest.files.count(name) == 0)) strays.push_back(at->path());
    }
    for (const std::filesystem::path& path : strays) {
      const auto bytes = std::filesystem::file_size(path, error);
      if (const bool known = !error; std::filesystem::remove(path, error) && known) freed += static_cast<std::size_t>(bytes);
    }
    return freed;
  }

  StoreFolder& folder_;
  const StoreOptions& options_;
  std::mutex mutex_;
  bool searched_ = false;
};

}  // namespace cotenant::detail

#endif
