// StoreSpill: a manager's spill target that is a TensorStore, so that what leaves memory is checked when it comes back.
#ifndef COTENANT_FILES_STORE_SPILL_HPP
#define COTENANT_FILES_STORE_SPILL_HPP
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "cotenant/files/store.hpp"
#include "cotenant/share/spill.hpp"

namespace cotenant {

// Each block is a tensor of bytes in the store, under the manager's key and in a file of its own. They are removed when the manager
// needs them no more; what a killed process left goes with TensorStore::sweep(). Other tensors may live in the same store.
//
//   ManagerOptions{.max_memory = 2_GiB, .spill = std::make_shared<StoreSpill>("/var/tmp/spill")}
class StoreSpill final : public SpillTarget {
 public:
  explicit StoreSpill(std::shared_ptr<TensorStore> store) : store_(std::move(store)) {}
  // A store of its own that does not wait for the disk: these bytes need not survive the program.
  explicit StoreSpill(const std::filesystem::path& folder) : store_(std::make_shared<TensorStore>(folder, StoreOptions{.durable = false})) {}

  TensorStore& store() { return *store_; }

  // Errors: IoError (a full disk), BudgetExceeded (the store's max_bytes).
  void save(const std::string& key, const void* data, std::size_t bytes, const SpillInfo&) override {
    auto* const first = static_cast<std::uint8_t*>(const_cast<void*>(data));  // only read
    store_->save(key, borrow(std::span<std::uint8_t>(first, bytes), Shape{bytes}));
  }
  // Errors: BadFile where the bytes are not those that were saved; NotFound, IoError.
  void load(const std::string& key, void* data, std::size_t bytes) override {
    const SharedTensor<std::uint8_t, Mapped> saved = store_->load<std::uint8_t>(key);
    if (saved.bytes() != bytes)
      raise<BadFile>("store '" + store_->folder().string() + "' has " + std::to_string(saved.bytes()) + " bytes as '" + key + "', but " + std::to_string(bytes) + " were saved");
    if (bytes != 0) std::memcpy(data, saved.view().data(), bytes);
  }
  void erase(const std::string& key) noexcept override {
#if COTENANT_EXCEPTIONS
    try {
      store_->remove(key);
    } catch (...) {  // it stays until a sweep
    }
#else
    store_->remove(key);
#endif
  }

 private:
  std::shared_ptr<TensorStore> store_;
};

}  // namespace cotenant

#endif
