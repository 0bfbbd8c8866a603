// StoreSpill: a manager's tensors that nobody uses, kept in a TensorStore until somebody does.
#ifndef COTENANT_FILES_STORE_SPILL_HPP
#define COTENANT_FILES_STORE_SPILL_HPP
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "cotenant/files/store.hpp"
#include "cotenant/share/spill.hpp"
#include "cotenant/share/tensor.hpp"

namespace cotenant {

// Several managers and processes may use one folder: their keys differ. Each content is a file of its own under its key,
// of the tensor's element type and shape where the bytes are those of one tensor, else plain bytes. What a process left
// that died is removed once nobody has touched it for StoreOptions::unused_for, by the next one that begins.
class StoreSpill final : public SpillTarget {
 public:
  // What is moved out of memory need not survive a power failure.
  static StoreOptions default_options() {
    StoreOptions options;
    options.durable = false;
    return options;
  }
  // A store that is full refuses, whatever the options say: what it holds is nowhere else. Errors: IoError, BadFile.
  explicit StoreSpill(std::filesystem::path folder, StoreOptions options = default_options()) : store_(std::move(folder),
      refusing(std::move(options))) { store_.sweep(); }

  TensorStore& store() { return store_; }

  void save(const std::string& key, const void* data, std::size_t bytes, const SpillInfo& info) override {
    // Nothing is written through them: a tensor of borrowed memory is how the store takes bytes.
    const auto whole = borrow(std::span<std::uint8_t>(static_cast<std::uint8_t*>(const_cast<void*>(data)), bytes), {bytes});
    // A bool would be checked for values that no bool has, and padding may hold any.
    const bool is_tensor = info.dtype != DType::boolean && checked_multiply(element_count(info.shape), size_of(info.dtype), "the number of bytes") == bytes;
    if (is_tensor) store_.save(key, info.dtype, whole.block(), contiguous_layout(info.shape));
    else store_.save(key, whole);
  }
  void load(const std::string& key, void* data, std::size_t bytes) override { store_.read_bytes(key, data, bytes); }
  void erase(const std::string& key) noexcept override {
#if COTENANT_EXCEPTIONS
    try {
      store_.remove(key);
    } catch (const std::exception&) {
      // It stays on the disk until it is swept.
    }
#else
    store_.remove(key);
#endif
  }

 private:
  static StoreOptions refusing(StoreOptions options) {
    options.when_full = WhenFull::refuse;
    return options;
  }
  TensorStore store_;
};

}  // namespace cotenant

#endif
