// Block: one allocation of a storage and the atomic count of the tensors that lie in it.
#ifndef COTENANT_SHARE_BLOCK_HPP
#define COTENANT_SHARE_BLOCK_HPP
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "cotenant/core/concepts.hpp"
#include "cotenant/core/error.hpp"
#include "cotenant/share/derived.hpp"

namespace cotenant {

// What must finish before the host reads a block: set by a backend that runs later than it is called.
class Completion {
 public:
  virtual ~Completion() = default;
  // Returns when the bytes are there. Safe from any number of threads; may throw what the work met.
  virtual void wait() = 0;
};

class Block {
 public:
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void* data() const noexcept { return allocation_.data; }
  // Bytes really taken, padding included.
  std::size_t bytes() const noexcept { return allocation_.bytes; }
  std::string_view storage_name() const noexcept { return storage_name_; }
  // Identifies the storage policy at run time.
  const void* storage_identity() const noexcept { return storage_identity_; }
  bool host_accessible() const noexcept { return host_accessible_; }
  // Handles on this block at this moment; other threads may change it at once.
  std::size_t references() const noexcept { return references_.load(std::memory_order_acquire); }

  // A block is private until a manager publishes it: from then on others may be reading, and nobody writes in place.
  bool published() const noexcept { return !writable_ || published_.load(std::memory_order_acquire); }
  void publish() noexcept { published_.store(true, std::memory_order_release); }

  // Returns once the bytes may be read by the host.
  void wait() const {
    if (!pending_.load(std::memory_order_acquire)) return;
    completion_->wait();
    pending_.store(false, std::memory_order_release);
  }
  // For backends, on a private block that nobody else reads yet.
  void set_pending(std::shared_ptr<Completion> completion) {
    completion_ = std::move(completion);
    pending_.store(true, std::memory_order_release);
  }

  // What was computed from these bytes and is kept with them. For a published block only: its bytes stay as they are.
  DerivedSet& derived() const {
    COTENANT_ASSERT(published());
    DerivedSet* set = derived_.load(std::memory_order_acquire);
    if (set != nullptr) return *set;
    auto fresh = std::make_unique<DerivedSet>();
    if (derived_.compare_exchange_strong(set, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
    return *set;  // another thread's
  }
  // The same where there is one, else null.
  const DerivedSet* derived_if_any() const noexcept { return derived_.load(std::memory_order_acquire); }
  // Elements in [data, data + bytes) will hardly be read again: where the storage can fetch them anew, their memory may go.
  virtual void drop_pages(const void* data, std::size_t bytes) const noexcept = 0;

  // The storage instance that these bytes came from. S must be the policy they were made with.
  template <Storage S> const S& storage() const;

 protected:
  Block(Allocation allocation, std::string_view storage_name, const void* identity, bool host_accessible, bool writable)
      : allocation_(allocation), storage_name_(storage_name), storage_identity_(identity), host_accessible_(host_accessible), writable_(writable) {}
  virtual ~Block() { delete derived_.load(std::memory_order_acquire); }

  Allocation allocation_;

 private:
  friend class BlockRef;
  std::atomic<std::size_t> references_{0};
  std::string_view storage_name_;
  const void* storage_identity_;
  bool host_accessible_;
  bool writable_;
  std::atomic<bool> published_{false};
  mutable std::atomic<bool> pending_{false};
  mutable std::atomic<DerivedSet*> derived_{nullptr};
  std::shared_ptr<Completion> completion_;
};

namespace detail {
template <class S> inline constexpr char storage_identity_of = 0;

template <Storage S> class StoredBlock final : public Block {
 public:
  StoredBlock(S storage, Allocation allocation)
      : Block(allocation, S::name(), &storage_identity_of<S>, S::host_accessible, S::writable), storage_(std::move(storage)) {}
  ~StoredBlock() override { storage_.deallocate(allocation_); }
  void drop_pages(const void* data, std::size_t bytes) const noexcept override {
    if constexpr (requires { storage_.drop_pages(data, bytes); }) storage_.drop_pages(data, bytes);
    else static_cast<void>(data), static_cast<void>(bytes);
  }
  const S& storage() const noexcept { return storage_; }

 private:
  [[no_unique_address]] S storage_;
};
}  // namespace detail

template <Storage S> const S& Block::storage() const {
  COTENANT_ASSERT(storage_identity_ == &detail::storage_identity_of<S>);
  return static_cast<const detail::StoredBlock<S>*>(this)->storage();
}

// A counted reference to a block. Copying costs one relaxed increment.
class BlockRef {
 public:
  BlockRef() = default;
  explicit BlockRef(Block* block) noexcept : block_(block) { retain(); }
  BlockRef(const BlockRef& other) noexcept : block_(other.block_) { retain(); }
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() {
    // Release orders this thread's reads before the count; acquire orders the others' before the destruction.
    if (block_ != nullptr && block_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete block_;
  }

  // New bytes of an allocating storage. Errors: OutOfMemory.
  template <AllocatingStorage S> static BlockRef allocate(S storage, std::size_t bytes) {
    const Allocation allocation = storage.allocate(bytes);
    return adopt(std::move(storage), allocation);
  }
  // Bytes that exist already; storage.deallocate() runs when the last reference is gone.
  // Errors: OutOfMemory where there is no room for the count; the bytes are given back first.
  template <Storage S> static BlockRef adopt(S storage, Allocation allocation) {
    void* room = ::operator new(sizeof(detail::StoredBlock<S>), std::nothrow);
    if (room == nullptr) {
      storage.deallocate(allocation);
      raise<OutOfMemory>("the system has no memory left for a tensor's reference count");
    }
    return BlockRef(new (room) detail::StoredBlock<S>(std::move(storage), allocation));
  }

  Block* get() const noexcept { return block_; }
  Block* operator->() const noexcept { return block_; }
  Block& operator*() const noexcept { return *block_; }
  explicit operator bool() const noexcept { return block_ != nullptr; }
  friend bool operator==(const BlockRef& a, const BlockRef& b) noexcept { return a.block_ == b.block_; }

 private:
  void retain() noexcept {
    if (block_ != nullptr) block_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  Block* block_ = nullptr;
};

}  // namespace cotenant

#endif
