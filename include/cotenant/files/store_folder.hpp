// StoreFolder: the reading side of a TensorStore: the manifest as it is now, and the file in which a tensor lies.
#ifndef COTENANT_FILES_STORE_FOLDER_HPP
#define COTENANT_FILES_STORE_FOLDER_HPP
#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/nearest.hpp"
#include "cotenant/files/manifest.hpp"
#include "cotenant/files/stored_file.hpp"

namespace cotenant::detail {

// Never waits for a writer: the manifest is replaced as a whole, and a file that it names stays readable for who has it
// open. Safe from any number of threads.
class StoreFolder {
 public:
  struct OpenTensor {
    StoredTensor entry;
    StoredFile file;
  };

  explicit StoreFolder(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path manifest_path() const { return path_ / Manifest::file_name; }

  // The last committed state; that of an empty store where there is none. Reads 64 bytes where nothing has changed.
  // Errors: BadFile, IoError, Unsupported.
  std::shared_ptr<const Manifest> manifest() {
    const std::optional<StoredFile> file = StoredFile::open(manifest_path());
    // The first commit makes a manifest before any file: where there are files there was one, or is by now.
    if (const std::size_t found = file ? 0 : data_files().size(); found != 0) {
      if (has_manifest()) return manifest();
      raise<BadFile>("store '" + path_.string() + "' has lost its manifest '" + Manifest::file_name.data() + "', though " + std::to_string(found) +
                     " files of tensors are there: TensorStore::rebuild() makes a new one from them");
    }
    std::string head(file ? std::min(file->bytes(), Manifest::head_bytes) : 0, '\0');
    if (file) head.resize(file->read(head.data(), head.size(), 0));
    {
      const std::lock_guard lock(mutex_);
      if (manifest_ && head == head_) return manifest_;
    }
    if (!file) return set({}, {});
    std::string text(file->bytes(), '\0');
    text.resize(file->read(text.data(), text.size(), 0));
    return set(Manifest::parse(text, file->path().string()), text);
  }
  bool has_manifest() const {
    std::error_code ignored;
    return std::filesystem::exists(manifest_path(), ignored);
  }
  // The complete files in the folder, whether a manifest names them or not.
  std::vector<std::string> data_files() const {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator at(path_, error), end; !error && at != end; at.increment(error))
      if (std::string name = at->path().filename().string(); Manifest::is_file_name(name)) names.push_back(std::move(name));
    std::sort(names.begin(), names.end());
    return names;
  }
  // What a writer has just committed.
  std::shared_ptr<const Manifest> set(Manifest manifest, std::string_view text) {
    auto fresh = std::make_shared<const Manifest>(std::move(manifest));
    const std::lock_guard lock(mutex_);
    manifest_ = fresh;
    head_ = text.substr(0, Manifest::head_bytes);
    for (auto at = verified_.begin(); at != verified_.end();) at = fresh->files.count(at->first) != 0 ? std::next(at) : verified_.erase(at);
    return fresh;
  }

  // Errors: NotFound, with the nearest names; BadFile where its file is gone or too short; IoError.
  OpenTensor open(std::string_view name) {
    for (;;) {
      const std::shared_ptr<const Manifest> now = manifest();
      const auto found = now->tensors.find(name);
      if (found == now->tensors.end()) {
        std::vector<std::string_view> names;
        for (const auto& [other, entry] : now->tensors) names.push_back(other);
        raise<NotFound>("store '" + path_.string() + "' has no tensor '" + std::string(name) + "'; the nearest of its " + std::to_string(names.size()) +
                        " names are " + nearest_names(name, names));
      }
      const StoredTensor& entry = found->second;
      std::optional<StoredFile> file = StoredFile::open(path_ / entry.file);
      if (file && file->bytes() >= entry.position && file->bytes() - entry.position >= entry.stored_bytes) return {entry, std::move(*file)};
      if (file) bad(name, entry,
          "is truncated: it has " + std::to_string(file->bytes()) + " bytes, and the tensor ends at " + std::to_string(entry.position + entry.stored_bytes));
      // A writer may have replaced the tensor since we read the manifest.
      if (manifest() == now) bad(name, entry, "is missing");
    }
  }

  [[noreturn]] void bad(std::string_view name, const StoredTensor& entry, const std::string& problem) const {
    raise<BadFile>("tensor '" + std::string(name) + "' cannot be loaded from '" + (path_ / entry.file).string() + "': the file " + problem);
  }

  // Whether these bytes were found good before. Files are never changed, so that once is enough.
  bool verified(const StoredTensor& entry) {
    const std::lock_guard lock(mutex_);
    return verified_.count({entry.file, entry.position}) != 0;
  }
  void set_verified(const StoredTensor& entry) {
    const std::lock_guard lock(mutex_);
    verified_.emplace(entry.file, entry.position);
  }

 private:
  std::filesystem::path path_;
  std::mutex mutex_;
  std::shared_ptr<const Manifest> manifest_;
  std::string head_;
  std::set<std::pair<std::string, std::size_t>> verified_;
};

}  // namespace cotenant::detail

#endif
