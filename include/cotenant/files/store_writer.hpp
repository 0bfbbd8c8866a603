// StoreWriter: what a TensorStore writes: commits, removals, sweeps, compression, and room for them.
#ifndef COTENANT_FILES_STORE_WRITER_HPP
#define COTENANT_FILES_STORE_WRITER_HPP
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "cotenant/files/file_record.hpp"
#include "cotenant/files/safetensors_writer.hpp"
#include "cotenant/files/store_commits.hpp"
#include "cotenant/files/store_folder.hpp"
#include "cotenant/files/store_options.hpp"
#include "cotenant/files/store_rewrite.hpp"

namespace cotenant::detail {

class StoreWriter {
 public:
  // A tensor of any type on its way to the disk.
  struct Item {
    DType dtype;
    BlockRef block;
    Layout layout;
  };
  using Batch = std::map<std::string, Item>;

  // Errors: InvalidArgument where it cannot be stored under this name.
  static Item item(const std::string& name, DType dtype, const BlockRef& block, const Layout& layout) {
    SafetensorsWriter().add(name, dtype, block, layout);
    return {dtype, block, layout};
  }
  template <Element T, Storage S> static Item item(const std::string& name, const SharedTensor<T, S>& tensor) {
    static_assert(S::host_accessible, "cotenant: only host tensors can be written to a file: copy_to<Heap>() it first");
    return item(name, dtype_of<T>, tensor.block(), tensor.layout());
  }

  StoreWriter(StoreFolder& folder, const StoreOptions& options) : folder_(folder), options_(options), commits_(folder, options) {}

  CommitResult store(const Batch& batch) {
    CommitResult result;
    commits_.change([&](Manifest& next, NewFiles& files) {
      SafetensorsWriter writer;
      for (const auto& [name, item] : batch) {
        writer.add(name, item.dtype, item.block, item.layout);
        next.tensors.erase(name);
      }
      next.drop_unused_files();
      std::map<std::string, StoredTensor> special;
      for (const auto& [name, item] : batch)
        if (item.dtype == DType::i4x2) special[name].dtype = item.dtype, special[name].shape = item.layout.shape;  // safetensors has no such type
      FileRecord::describe(writer, next.generation + 1, special);
      result.swept = make_room(next, files, writer.file_bytes());
      const NewFiles::Written fresh = files.write(next, writer, options_.now());
      for (const WrittenTensor& written : fresh.tensors) {
        const Item& item = batch.at(written.name);
        next.tensors[written.name] = {item.dtype, item.layout.shape, written.bytes, fresh.name, written.position, written.bytes, StoredEncoding::raw,
            written.checksums};
      }
      result.tensors = batch.size();
      result.bytes = next.files.at(fresh.name);
      return true;
    });
    return result;
  }

  std::vector<std::string> remove(const std::vector<std::string>& names) {
    std::vector<std::string> removed;
    const auto present = folder_.manifest();
    if (std::none_of(names.begin(), names.end(), [&](const std::string& name) { return present->tensors.count(name) != 0; })) return removed;
    commits_.change([&](Manifest& next, NewFiles&) {
      for (const std::string& name : names)
        if (next.tensors.erase(name) != 0) removed.push_back(name);
      return !removed.empty();
    });
    return removed;
  }

  SweepResult sweep(std::chrono::seconds unused_for) {
    SweepResult result;
    std::error_code error;
    if (!std::filesystem::exists(folder_.path(), error)) return result;
    result.freed_bytes = commits_.change([&](Manifest& next, NewFiles&) {
      const StoredFile::Time now = options_.now();
      for (const auto& [file, bytes] : next.files)
        if (now - last_used(file) > unused_for) erase_file(next, file, result.removed);
      return !result.removed.empty();
    }, true);
    return result;
  }

  std::vector<std::string> compress(std::chrono::seconds unused_for) {
    if (!Zstd::available) raise<Unsupported>("this program was built without zstd: define COTENANT_ZSTD and link libzstd to compress a store");
    std::vector<std::string> compressed;
    // A commit per file: a large store needs room for one of them, and what is done is done.
    const auto present = folder_.manifest();
    for (const auto& entry : present->files) {
      if (options_.now() - last_used(entry.first) <= unused_for) continue;
      commits_.change([&](Manifest& next, NewFiles& files) {
        const std::optional<StoredFile> opened = StoredFile::open(folder_.path() / entry.first);
        StoreRewrite rewrite = opened ? StoreRewrite::compressed(*opened, next) : StoreRewrite();
        for (const auto& tensor : rewrite.tensors) compressed.push_back(tensor.first);
        return move_into(next, files, std::move(rewrite));
      });
    }
    return compressed;
  }

  CompactResult compact(double dead_share) {
    CompactResult result;
    const auto present = folder_.manifest();
    for (const auto& entry : present->files) {
      if (!is_worth_moving(*present, entry.first, dead_share)) continue;
      commits_.change([&](Manifest& next, NewFiles& files) {
        const auto known = next.files.find(entry.first);
        if (known == next.files.end() || !is_worth_moving(next, entry.first, dead_share)) return false;
        const std::optional<StoredFile> opened = StoredFile::open(folder_.path() / entry.first);
        const std::size_t before = next.file_bytes();
        if (!move_into(next, files, opened ? StoreRewrite::compacted(*opened, next) : StoreRewrite())) return false;
        next.drop_unused_files();
        ++result.files;
        result.freed_bytes += before - std::min(before, next.file_bytes());
        return true;
      });
    }
    return result;
  }

  RebuildResult rebuild() { return commits_.rebuild(); }

 private:
  using NewFiles = StoreCommits::NewFiles;

  // The distant past where the file is gone.
  StoredFile::Time last_used(const std::string& file) const {
    const auto opened = StoredFile::open(folder_.path() / file);
    return opened ? opened->last_used() : StoredFile::Time{};
  }
  static void erase_file(Manifest& manifest, const std::string& file, std::vector<std::string>& names) {
    for (auto at = manifest.tensors.begin(); at != manifest.tensors.end();) {
      if (at->second.file == file) {
        names.push_back(at->first);
        at = manifest.tensors.erase(at);
      } else {
        ++at;
      }
    }
  }

  // Returns the names that had to go. Errors: BudgetExceeded.
  std::vector<std::string> make_room(Manifest& next, NewFiles& files, std::size_t wanted) {
    std::vector<std::string> swept;
    std::size_t taken = next.file_bytes();
    const auto fits = [&] { return wanted <= options_.max_bytes && taken <= options_.max_bytes - wanted; };
    if (fits()) return swept;
    // First what nobody misses.
    const std::map<std::string, std::size_t, std::less<>> present = next.files;
    for (const auto& entry : present) {
      if (fits()) return swept;
      if (wanted > options_.max_bytes || !is_worth_moving(next, entry.first, 0)) continue;
      const std::optional<StoredFile> opened = StoredFile::open(folder_.path() / entry.first);
      if (!opened || !move_into(next, files, StoreRewrite::compacted(*opened, next))) continue;
      next.drop_unused_files();
      taken = next.file_bytes();
    }
    if (fits()) return swept;
    if (wanted > options_.max_bytes || options_.when_full == WhenFull::refuse)
      raise<BudgetExceeded>("the store '" + folder_.path().string() + "' may take " + std::to_string(options_.max_bytes) + " bytes and holds " +
          std::to_string(taken) +
                            ", so " + std::to_string(wanted) + " more do not fit. Remove tensors, raise max_bytes, or let WhenFull::sweep_oldest make room");
    std::vector<std::pair<StoredFile::Time, std::string>> oldest;
    for (const auto& [file, bytes] : next.files) oldest.emplace_back(last_used(file), file);
    std::sort(oldest.begin(), oldest.end());
    for (auto at = oldest.begin(); at != oldest.end() && !fits(); ++at) {
      erase_file(next, at->second, swept);
      taken -= next.files.at(at->second);
    }
    next.drop_unused_files();
    return swept;
  }

  // Whether a file without its dead tensors would be smaller by this share of it, and by more than its header's own changes.
  static bool is_worth_moving(const Manifest& manifest, const std::string& file, double dead_share) {
    constexpr std::size_t least = 4096;
    const std::size_t dead = StoreRewrite::dead_bytes(manifest, file);
    return dead > least && static_cast<double>(dead) > dead_share * static_cast<double>(manifest.files.at(file));
  }
  // False, and nothing done, where there is nothing to move.
  bool move_into(Manifest& next, NewFiles& files, StoreRewrite rewrite) const {
    if (!rewrite) return false;
    FileRecord::describe(rewrite.writer, next.generation + 1, rewrite.tensors);
    const NewFiles::Written fresh = files.write(next, rewrite.writer, rewrite.last_used);
    for (const WrittenTensor& written : fresh.tensors) {
      StoredTensor& entry = next.tensors[written.name] = std::move(rewrite.tensors.at(written.name));
      entry.file = fresh.name;
      entry.position = written.position;
      entry.stored_bytes = written.bytes;
    }
    return true;
  }

  StoreFolder& folder_;
  const StoreOptions& options_;
  StoreCommits commits_;
};

}  // namespace cotenant::detail

#endif
