// WriteLease: a model's exclusive hold on a registered tensor, to give it new elements and with them a new version.
#ifndef COTENANT_SHARE_WRITE_LEASE_HPP
#define COTENANT_SHARE_WRITE_LEASE_HPP
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "cotenant/share/writing.hpp"

namespace cotenant {

class TensorSharingManager;

// Made by TensorSharingManager::write. Move-only; may outlive the manager. It ends with commit() or its destruction.
//
// It begins with the elements of the present version. Where anybody else holds those bytes (a lease, a view under
// another name, an equal tensor, a handle outside the manager) they are copied first: readers keep the version that they hold,
// get() gives the old one until the write ends, and everybody who leases the tensor afterwards gets the new one. Where
// nobody does, the bytes are written in place, and get() of this name waits until the write has ended.
// Artefacts such as packed weights belong to the bytes that they were made of. A private copy begins without any; bytes
// that are written in place lose theirs before the write begins. So nobody is ever served one of another version.
template <Element T, AllocatingStorage S = Heap> class WriteLease {
 public:
  WriteLease() = default;
  WriteLease(WriteLease&& other) noexcept
      : registry_(std::exchange(other.registry_, nullptr)), writing_(std::move(other.writing_)), tensor_(std::move(other.tensor_)),
          next_(std::move(other.next_)) {}
  WriteLease& operator=(WriteLease&& other) noexcept {
    if (this != &other) {
      commit();
      registry_ = std::exchange(other.registry_, nullptr);
      writing_ = std::move(other.writing_);
      tensor_ = std::move(other.tensor_);
      next_ = std::move(other.next_);
    }
    return *this;
  }
  ~WriteLease() { commit(); }

  explicit operator bool() const noexcept { return registry_ != nullptr; }
  // The tensor being written, for ops that write into one. No handle on it may be written through after the lease has ended.
  // Errors of all: InvalidArgument on a lease that has ended.
  const SharedTensor<T, S>& operator*() const {
    require();
    return tensor_;
  }
  const SharedTensor<T, S>* operator->() const { return &**this; }
  View<T> view() {
    require();
    return tensor_.mutable_view();
  }
  const std::string& name() const {
    require();
    return writing_.entry->name;
  }
  const std::string& model() const {
    require();
    return writing_.model;
  }
  // Whether the tensor's own bytes are written, because nobody else held them.
  bool in_place() const {
    require();
    return writing_.in_place;
  }
  // The version that the tensor will have.
  std::size_t version() const {
    require();
    return writing_.entry->version + 1;
  }

  // Publishes the new version and lets the next writer in. Nothing where it has ended.
  void commit() noexcept { end(false); }
  // Gives up what was written. False, and nothing happens, where it was written in place: then there is no old version left.
  bool discard() noexcept {
    if (registry_ == nullptr || writing_.in_place) return false;
    end(true);
    return true;
  }

 private:
  friend class TensorSharingManager;

  // For the manager, after begin_write. Errors: OutOfMemory; the write is given up then.
  WriteLease(std::shared_ptr<detail::Registry> registry, detail::Registry::Writing writing) : registry_(std::move(registry)), writing_(std::move(writing)) {
    const auto& entry = static_cast<const detail::TypedEntry<T, S>&>(*writing_.entry);
    if (writing_.in_place) {
      tensor_ = entry.tensor;
      return;
    }
    std::exception_ptr failure;
    if (!detail::attempt(failure, [&] { copy(entry); })) {
      end(true);
      detail::throw_again(failure);
    }
  }
  void copy(const detail::TypedEntry<T, S>& entry) {
    const Layout& from = entry.tensor.layout();
    ElementRange cover = element_range(from);
    // A scale lies beside its values, and stays with them.
    if (entry.parameters) cover = {0, static_cast<std::ptrdiff_t>(entry.block->bytes() / sizeof(T))};
    const std::size_t count = static_cast<std::size_t>(cover.last - cover.first);
    Layout layout = from;
    layout.offset -= cover.first;
    const BlockRef& old = entry.tensor.block();
    const S& storage = old->template storage<S>();
    const auto first = static_cast<std::size_t>(cover.first);
    BlockRef block;
    if constexpr (std::same_as<typename S::result, S>) block = Block::allocate(storage.result_storage(), count * sizeof(T));
    else block = Block::allocate(storage, count * sizeof(T));
    if constexpr (!S::host_accessible) storage.copy_between(dtype_of<T>, *old, first, *block, count);
    else if (old->wait(); count != 0) std::memcpy(block->data(), static_cast<const T*>(old->data()) + first, count * sizeof(T));
    tensor_ = SharedTensor<T, S>(std::move(block), layout);
    next_ = std::make_shared<detail::TypedEntry<T, S>>(entry.name, tensor_, entry.parameters);
  }
  void end(bool failed) noexcept {
    if (registry_ == nullptr) return;
    const std::shared_ptr<detail::Registry> registry = std::exchange(registry_, nullptr);
    tensor_ = {};
    registry->end_write(writing_, std::move(next_), failed);
  }
  void require() const {
    if (registry_ == nullptr) raise<InvalidArgument>("this write lease has ended: it was committed, discarded or moved from. Call write() for a new one");
  }

  std::shared_ptr<detail::Registry> registry_;
  detail::Registry::Writing writing_;
  SharedTensor<T, S> tensor_;
  std::shared_ptr<detail::Entry> next_;
};

}  // namespace cotenant

#endif
