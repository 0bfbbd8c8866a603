// Checkpoint: the tensors of a model directory, as views of its mapped files, registered by name with a manager.
#ifndef COTENANT_FILES_CHECKPOINT_HPP
#define COTENANT_FILES_CHECKPOINT_HPP
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/json_field.hpp"
#include "cotenant/files/safetensors.hpp"
#include "cotenant/files/text_file.hpp"
#include "cotenant/share/manager.hpp"

namespace cotenant {

// A directory with model.safetensors, or with model.safetensors.index.json and the files that it names.
//
// Opened with a manager, every tensor is registered as "<checkpoint>/<tensor name>" and counted once, and every model that
// opens the same checkpoint leases the same tensors; so do models that open another one for the tensors that are equal. Names
// belong to nobody: what no model leases may be evicted, one tensor at a time, and the next lease finds its bytes in the file
// again. So a checkpoint may be larger than the budget, as long as what is leased together fits.
class Checkpoint {
 public:
  using storage_type = Mapped;

  // Errors: NotFound (no such directory or file), IoError, BadFile, Unsupported.
  static Checkpoint open(const std::filesystem::path& folder) { return Checkpoint(folder, nullptr, {}); }
  // The manager must outlive this object. `name` stands before every tensor's name; by default the directory's.
  // Errors: also AlreadyRegistered where the names are taken by a checkpoint with other tensors; BudgetExceeded.
  static Checkpoint open(const std::filesystem::path& folder, TensorSharingManager& manager, std::string name = {}) {
    return Checkpoint(folder, &manager, std::move(name));
  }

  const std::filesystem::path& folder() const { return folder_; }
  const std::string& name() const { return name_; }
  // Null where it was opened without one.
  TensorSharingManager* manager() const { return manager_; }

  std::vector<std::string_view> names() const {
    std::vector<std::string_view> result;
    for (const auto& [tensor, file] : index_) result.push_back(tensor);
    return result;
  }
  bool contains(std::string_view tensor) const { return index_.find(tensor) != index_.end(); }
  // Errors: NotFound, with the nearest names.
  const SafetensorsInfo& info(std::string_view tensor) const { return file_of(tensor).info(tensor); }
  const Shape& shape(std::string_view tensor) const { return info(tensor).shape; }
  // How messages name it.
  std::string source() const { return "checkpoint '" + folder_.string() + "'"; }
  // "<checkpoint>/<tensor name>"
  std::string registered_name(std::string_view tensor) const { return name_ + "/" + std::string(tensor); }

  // A view of the mapped file, the manager's where there is one. Errors: NotFound, TypeError, BadFile.
  template <Element T> SharedTensor<T, Mapped> tensor(std::string_view name) const {
    SharedTensor<T, Mapped> view = file_of(name).template tensor<T>(name);
    return manager_ == nullptr ? view : registered(name, std::move(view));
  }
  // The same tensor, leased to a model. Errors: also InvalidArgument without a manager or with an empty model.
  template <Element T> Lease<T, Mapped> lease(std::string_view name, std::string_view model) const {
    if (manager_ == nullptr)
      raise<InvalidArgument>("checkpoint '" + name_ + "' was opened without a manager, so there is nobody to lease '" + std::string(name) +
                             "' from: use tensor(), or open it with a manager");
    if (auto lease = manager_->try_get<T, Mapped>(registered_name(name), model)) return std::move(*lease);
    const auto held = tensor<T>(name);  // evicted since: registers it again
    return manager_->get<T, Mapped>(registered_name(name), model);
  }

 private:
  Checkpoint(const std::filesystem::path& folder, TensorSharingManager* manager, std::string name)
      : folder_(folder), name_(std::move(name)), manager_(manager) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(folder, ignored)) raise<NotFound>("there is no directory '" + folder.string() + "' to open a checkpoint from");
    // "models/bert/" and "." have names too.
    if (name_.empty()) name_ = std::filesystem::weakly_canonical(folder, ignored).filename().string();
    if (name_.empty()) name_ = folder.string();
    open_files();
    for (std::size_t i = 0; i < files_.size(); ++i)
      for (const SafetensorsInfo& info : files_[i].tensors())
        if (!index_.emplace(info.name, i).second)
          raise<BadFile>("tensor '" + info.name + "' is both in '" + files_[index_.at(info.name)].path() + "' and in '" + files_[i].path() + "'");
    if (manager_ != nullptr) register_all();
  }

  void open_files() {
    std::error_code ignored;
    const std::filesystem::path index = folder_ / "model.safetensors.index.json";
    if (!std::filesystem::exists(folder_ / "model.safetensors", ignored) && std::filesystem::exists(index, ignored)) {
      const json::Value value = json::parse(read_text_file(index), index.string());
      const json::Field map = json::Field(value, index.string())["weight_map"];
      std::vector<std::string> parts;
      for (const json::Member& member : map.object().members()) parts.push_back(json::Field(member.value, map.path() + "." + member.key).string());
      std::sort(parts.begin(), parts.end());
      parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
      for (const std::string& part : parts) {
        // A name with a folder in it could point anywhere on the machine.
        if (part.empty() || std::filesystem::path(part).filename().string() != part || part == "..")
          raise<BadFile>("'" + index.string() + "' names the file '" + part + "', which is no plain file name");
        files_.push_back(SafetensorsFile::open(folder_ / part));
      }
    } else {
      files_.push_back(SafetensorsFile::open(folder_ / "model.safetensors"));
    }
  }

  void register_all() {
    // What this call registered, forgotten again where it cannot finish.
    struct Undo {
      TensorSharingManager& manager;
      std::vector<std::string> names;
      ~Undo() { for (const std::string& name : names) manager.forget(name); }
    } undo{*manager_, {}};
    for (SafetensorsFile& file : files_) {
      std::vector<std::shared_ptr<const void>> wholes;
      std::shared_ptr<const void> own;
      Unread unread;
      for (const SafetensorsInfo& info : file.tensors()) {
        if (!info.dtype) continue;
        with_element(*info.dtype, [&]<class T>(std::type_identity<T>) {
          const std::string name = registered_name(info.name);
          const bool is_new = !manager_->contains(name);
          const SharedTensor<T, Mapped> view = file.template tensor<T>(info.name), tensor = registered(info.name, view, &own);
          if (tensor.unchecked_view().data() != view.unchecked_view().data()) unread.add(view.block(), info.position, info.end - info.begin);
          if (is_new) undo.names.push_back(name);
          wholes.push_back(tensor.block()->template storage<Mapped>().whole);
        });
      }
      // Someone opened this file before: one mapping is enough. Where only some tensors are another file's, both are needed.
      if (!wholes.empty() && wholes.front() &&
          std::all_of(wholes.begin(), wholes.end(), [&](const auto& whole) { return whole && mapping(whole) == mapping(wholes.front()); }))
        file.use_mapping(mapping(wholes.front()));
    }
    undo.names.clear();
  }
  // Bytes of a file that nobody will read, because another file's are as good. Their pages leave together at the end: looking at one
  // tensor brings in pages of its neighbours (Linux maps 64 KiB around each that is touched).
  class Unread {
   public:
    void add(const BlockRef& file, std::size_t first, std::size_t bytes) {
      if (first != last_) drop();
      file_ = file;
      if (first != last_) first_ = first;
      last_ = first + bytes;
    }
    ~Unread() { drop(); }

   private:
    void drop() const {
      if (file_ && file_->droppable()) file_->drop_pages(static_cast<const char*>(file_->data()) + first_, last_ - first_);
    }
    BlockRef file_;
    std::size_t first_ = 0, last_ = 0;
  };
  static const BlockRef& mapping(const std::shared_ptr<const void>& whole) { return *static_cast<const BlockRef*>(whole.get()); }

  // The tensor on a block of its own inside the mapping, so that a manager counts it, drops its pages and finds its equal in another
  // file without the rest. `whole` keeps the mapping: one object for all parts of a file that are made together. A copied data
  // section stays one block: its parts could not leave memory alone.
  template <Element T> static SharedTensor<T, Mapped> part(const SharedTensor<T, Mapped>& view, std::shared_ptr<const void>& whole) {
    if (!view.block()->droppable()) return view;
    if (!whole) whole = std::make_shared<const BlockRef>(view.block());
    Mapped storage = view.block()->template storage<Mapped>();  // with the file that other processes may be given
    storage.whole = whole;
    const Allocation bytes{const_cast<T*>(static_cast<const T*>(view.unchecked_view().data())), view.bytes()};
    return SharedTensor<T, Mapped>(Block::adopt(std::move(storage), bytes), contiguous_layout(view.shape()));
  }

  template <Element T>
  SharedTensor<T, Mapped> registered(std::string_view name, const SharedTensor<T, Mapped>& view, std::shared_ptr<const void>* whole = nullptr) const {
    std::shared_ptr<const void> own;
    SharedTensor<T, Mapped> tensor = manager_->register_tensor(registered_name(name), part(view, whole != nullptr ? *whole : own));
    // Two checkpoints of one shape may have one name by accident. Comparing a page of each tensor tells different
    // weights apart at a cost that does not grow with the file.
    constexpr std::size_t compared = 4096;
    if (tensor.unchecked_view().data() != view.unchecked_view().data() && view.bytes() != 0 &&
        std::memcmp(tensor.unchecked_view().data(), view.unchecked_view().data(), std::min(compared, view.bytes())) != 0)
      raise<AlreadyRegistered>("'" + registered_name(name) + "' is registered with other values than '" + folder_.string() +
                               "' holds: two checkpoints have the name '" + name_ + "'. Open one of them under another name");
    return tensor;
  }

  const SafetensorsFile& file_of(std::string_view tensor) const {
    const auto found = index_.find(tensor);
    if (found == index_.end())
      raise<NotFound>("checkpoint '" + folder_.string() + "' has no tensor '" + std::string(tensor) + "'; the nearest of its " + std::to_string(index_.size()) +
                      " names are " + nearest_names(tensor, names()));
    return files_[found->second];
  }

  std::filesystem::path folder_;
  std::string name_;
  TensorSharingManager* manager_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

}  // namespace cotenant

#endif
