// Block: one allocation of a storage and the atomic count of the tensors that lie in it.
#ifndef COTENANT_SHARE_BLOCK_HPP
#define COTENANT_SHARE_BLOCK_HPP
#include <atomic>
#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cotenant/core/concepts.hpp"
#include "cotenant/core/error.hpp"
#include "cotenant/share/derived.hpp"
#include "cotenant/share/storage_identity.hpp"
#include "cotenant/storage/file_place.hpp"

namespace cotenant {

// What must finish before the host reads a block: set by a backend that runs later than it is called.
class Completion : public Counted {
 public:
  // Returns when the bytes are there. Safe from any number of threads; may throw what the work met.
  virtual void wait() = 0;

 protected:
  ~Completion() = default;
};

class Block;
// Copying one costs one relaxed increment; the last one frees the block.
using BlockRef = Ref<Block>;

namespace detail {
// What a storage is and does with its blocks, in a table for each policy: pointers, not virtual functions, see Counted.
struct BlockActions {
  std::string_view (*name)() noexcept;
  StorageIdentity identity;
  bool host_accessible, writable;
  std::span<const std::byte> (*drop_pages)(const Block& block, const void* data, std::size_t bytes) noexcept;
  bool (*droppable)(const Block& block) noexcept;
  bool restorable, retreats;
  void (*retreat)(Block& block);
  void (*come_back)(Block& block, Allocation room);
  void (*settle)(const Block& block) noexcept;
  const void* (*origin)(const Block& block) noexcept;
  std::optional<FilePlace> (*place_of)(const Block& block, const void* address);
  Allocation (*room_again)(Block& block);
  void (*give_back)(Block& block, Allocation allocation) noexcept;
};
}  // namespace detail

class Block : public Counted {
 public:
  // New bytes of an allocating storage. Errors: OutOfMemory.
  template <AllocatingStorage S> static BlockRef allocate(S storage, std::size_t bytes) {
    const Allocation allocation = storage.allocate(bytes);
    return adopt(std::move(storage), allocation);
  }
  // Bytes that exist already; storage.deallocate() runs when the last reference is gone.
  // Errors: OutOfMemory where there is no room for the count; the bytes are given back first.
  template <Storage S> static BlockRef adopt(S storage, Allocation allocation);

  void* data() const noexcept { return allocation_.data; }
  // Bytes really taken, padding included.
  std::size_t bytes() const noexcept { return allocation_.bytes; }
  std::string_view storage_name() const noexcept { return actions_.name(); }
  StorageIdentity storage_identity() const noexcept { return actions_.identity; }
  bool host_accessible() const noexcept { return actions_.host_accessible; }

  // A block is private until a manager publishes it: from then on others may be reading, and nobody writes in place. One that
  // nobody can write is published from the beginning. Two blocks of the same bytes are published together.
  bool published() const noexcept {
    return published_.load(std::memory_order_acquire) || (behind_ != nullptr && behind_->published());
  }
  void publish() noexcept {
    published_.store(true, std::memory_order_release);
    if (behind_ != nullptr) behind_->publish();
  }
  // The block that these bytes belong to, where this one is another storage's look at them, as a device's is at the host's memory; else null.
  Block* behind() const noexcept { return behind_; }
  // Whether a kernel may keep these bytes once more in the order that it reads them in. Not where they are another process's, and were
  // asked for so that this one has none of its own.
  bool keeps_packed() const noexcept { return keeps_packed_; }

  // Returns once the bytes may be read by the host.
  void wait() const {
    if (!pending_.load(std::memory_order_acquire)) return;
    completion_->wait();
    pending_.store(false, std::memory_order_release);
  }
  // For backends, on a private block that nobody else reads yet.
  void set_pending(Ref<Completion> completion) {
    completion_ = std::move(completion);
    pending_.store(true, std::memory_order_release);
  }

  // What was computed from these bytes and is kept with them. For a published block only: its bytes stay as they are.
  DerivedSet& derived() const {
    COTENANT_ASSERT(published());
    DerivedSet* set = derived_.load(std::memory_order_acquire);
    if (set != nullptr) return *set;
    auto fresh = std::make_unique<DerivedSet>(&observer_);
    if (derived_.compare_exchange_strong(set, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
    return *set;  // another thread's
  }
  // The same where there is one, else null.
  const DerivedSet* derived_if_any() const noexcept { return derived_.load(std::memory_order_acquire); }
  // Who hears of artefacts from now on; the first one that is named.
  void observe_derived(Ref<const DerivedObserver> observer) noexcept {
    const DerivedObserver* none = nullptr;
    if (observer_.compare_exchange_strong(none, observer.get(), std::memory_order_acq_rel)) static_cast<void>(observer.detach());
  }
  // Elements in [data, data + bytes) will hardly be read again: where the storage can fetch them anew, their memory may go. What went.
  std::span<const std::byte> drop_pages(const void* data, std::size_t bytes) const noexcept { return actions_.drop_pages(*this, data, bytes); }

  // Whether the bytes have come in: wait() would return at once.
  bool ready() const noexcept { return !pending_.load(std::memory_order_acquire); }

  // What follows is for a manager that sends a block away and brings it back, while no handle but the manager's exists
  // and nobody can get one.
  // Whether drop_pages() gives the memory back and a later read fetches the same bytes from the file behind it.
  bool droppable() const noexcept { return actions_.droppable(*this); }
  // Whether the bytes may be copied out, their memory freed (take) and other memory put in its place (install).
  bool restorable() const noexcept { return actions_.restorable; }
  // Whether the bytes can wait in the host's memory while their own is given away: those of devices, which the host cannot read in
  // place. retreat() copies them there and keeps them, come_back() copies them to `room`. Errors: the device's; nothing is lost then.
  bool retreats() const noexcept { return actions_.retreats; }
  void retreat() { actions_.retreat(*this); }
  void come_back(Allocation room) { actions_.come_back(*this, room); }
  // Work under way on a device keeps the blocks that it reads; returns when that is done.
  void settle() const noexcept { actions_.settle(*this); }
  // The same for blocks that are parts of one whole, such as a file.
  const void* origin() const noexcept { return actions_.origin(*this); }
  // Where in which file these bytes lie, from an address inside the block; nothing where that is not known.
  std::optional<FilePlace> place_of(const void* address) const { return actions_.place_of(*this, address); }
  // All artefacts, for whoever frees them.
  std::unique_ptr<DerivedSet> take_artefacts() noexcept { return std::unique_ptr<DerivedSet>(derived_.exchange(nullptr, std::memory_order_acq_rel)); }
  // The memory, for give_back(). Artefacts must go first: they are found by its addresses.
  Allocation take() noexcept { return {std::exchange(allocation_.data, nullptr), allocation_.bytes}; }
  void install(Allocation allocation) noexcept { allocation_.data = allocation.data; }
  // Memory for install(): bytes() of the block's own storage. Errors: OutOfMemory.
  Allocation room_again() { return actions_.room_again(*this); }
  void give_back(Allocation allocation) noexcept { actions_.give_back(*this, allocation); }
  // Takes publish() back, for a writer. What was made from the bytes will not be true any more, so the artefacts go too.
  std::unique_ptr<DerivedSet> make_private() noexcept {
    published_.store(!actions_.writable, std::memory_order_release);
    return take_artefacts();
  }
  // Artefacts that nobody uses at this moment, appended to `unused`; they are made again when they are wanted. Their bytes.
  // Without `all` only those whose going makes room.
  std::size_t take_unused_artefacts(std::vector<Ref<const Derived>>& unused, bool all) const {
    DerivedSet* const set = derived_.load(std::memory_order_acquire);
    return set == nullptr ? 0 : set->take_unused(unused, all);
  }

  // The storage instance that these bytes came from. S must be the policy they were made with.
  template <Storage S> const S& storage() const;

 protected:
  Block(const detail::BlockActions& actions, Allocation allocation, bool keeps_packed, Block* behind)
      : allocation_(allocation), actions_(actions), keeps_packed_(keeps_packed), behind_(behind), published_(!actions.writable) {}
  ~Block() {
    delete derived_.load(std::memory_order_acquire);
    Ref<const DerivedObserver>::attach(observer_.load(std::memory_order_acquire));
  }

  Allocation allocation_;

 private:
  const detail::BlockActions& actions_;
  const bool keeps_packed_;
  Block* const behind_;  // which the storage holds
  std::atomic<bool> published_;
  mutable std::atomic<bool> pending_{false};
  mutable std::atomic<DerivedSet*> derived_{nullptr};
  std::atomic<const DerivedObserver*> observer_{nullptr};
  Ref<Completion> completion_;
};

namespace detail {
// Storages of memory that the host cannot read in place, but copy.
template <class S> concept CopiedStorage = AllocatingStorage<S> && !S::host_accessible &&
    requires(const S& storage, Allocation allocation, std::byte* to, const std::byte* from) {
  storage.copy_out(allocation, to);
  storage.copy_in(allocation, from);
};

template <Storage S> class StoredBlock final : public Block {
 public:
  StoredBlock(S storage, Allocation allocation)
      : Block(actions, allocation, keeps_packed(storage), behind(storage)), storage_(std::move(storage)) {}
  ~StoredBlock() {
    if (allocation_.data != nullptr || allocation_.bytes == 0) storage_.deallocate(allocation_);  // else it is away
  }
  const S& storage() const noexcept { return storage_; }

 private:
  static StoredBlock& self(Block& block) noexcept { return static_cast<StoredBlock&>(block); }
  static const StoredBlock& self(const Block& block) noexcept { return static_cast<const StoredBlock&>(block); }

  static std::string_view name() noexcept { return S::name(); }
  static std::span<const std::byte> drop_pages(const Block& block, const void* data, std::size_t bytes) noexcept {
    if constexpr (requires { self(block).storage_.drop_pages(data, bytes); }) return self(block).storage_.drop_pages(data, bytes);
    else return static_cast<void>(block), static_cast<void>(data), static_cast<void>(bytes), std::span<const std::byte>();
  }
  static bool droppable(const Block& block) noexcept {
    if constexpr (requires { { self(block).storage_.droppable() } -> std::same_as<bool>; }) return self(block).storage_.droppable();
    else return static_cast<void>(block), false;
  }
  static const void* origin(const Block& block) noexcept {
    if constexpr (requires { { self(block).storage_.origin() } -> std::same_as<const void*>; }) {
      if (const void* whole = self(block).storage_.origin()) return whole;
    }
    return &block;
  }
  static std::optional<FilePlace> place_of(const Block& block, const void* address) {
    if constexpr (requires { { self(block).storage_.place_of(address) } -> std::same_as<std::optional<FilePlace>>; })
      return self(block).storage_.place_of(address);
    else return static_cast<void>(block), static_cast<void>(address), std::nullopt;
  }
  static void retreat(Block& block) {
    if constexpr (CopiedStorage<S>) {
      block.wait();
      StoredBlock& from = self(block);
      std::unique_ptr<std::byte[]> copy(new (std::nothrow) std::byte[from.allocation_.bytes]);
      if (!copy) raise<OutOfMemory>("the host has no memory for the " + std::to_string(from.allocation_.bytes) + " bytes of a tensor that leaves its device");
      from.storage_.copy_out(from.allocation_, copy.get());
      from.retreat_.bytes = std::move(copy);
    } else {
      static_cast<void>(block);
    }
  }
  static void come_back(Block& block, Allocation room) {
    if constexpr (CopiedStorage<S>) {
      self(block).storage_.copy_in(room, self(block).retreat_.bytes.get());
      self(block).retreat_.bytes.reset();
    } else {
      static_cast<void>(block), static_cast<void>(room);
    }
  }
  static void settle(const Block& block) noexcept {
    if constexpr (requires { self(block).storage_.settle(); }) self(block).storage_.settle();
    else static_cast<void>(block);
  }
  static Allocation room_again(Block& block) {
    if constexpr (AllocatingStorage<S>) {
      StoredBlock& to = self(block);
      const Allocation room = to.storage_.allocate(block.bytes());
      if (room.bytes == block.bytes()) return room;
      to.storage_.deallocate(room);
    }
    raise<OutOfMemory>("storage '" + std::string(S::name()) + "' cannot give " + std::to_string(block.bytes()) + " bytes as it did before");
  }
  static void give_back(Block& block, Allocation allocation) noexcept { self(block).storage_.deallocate(allocation); }

  static constexpr BlockActions actions{
      .name = &name, .identity = StorageIdentity::of<S>(), .host_accessible = S::host_accessible, .writable = S::writable, .drop_pages = &drop_pages,
      .droppable = &droppable, .restorable = AllocatingStorage<S> && S::host_accessible, .retreats = CopiedStorage<S>, .retreat = &retreat,
      .come_back = &come_back, .settle = &settle, .origin = &origin, .place_of = &place_of, .room_again = &room_again,
      .give_back = &give_back};

  static bool keeps_packed(const S& storage) noexcept {
    if constexpr (requires { { storage.keeps_packed } -> std::convertible_to<bool>; }) return storage.keeps_packed;
    else return static_cast<void>(storage), true;
  }
  static Block* behind(const S& storage) noexcept {
    if constexpr (requires { { storage.behind() } -> std::same_as<Block*>; }) return storage.behind();
    else return static_cast<void>(storage), nullptr;
  }
  struct Retreat { std::unique_ptr<std::byte[]> bytes; };
  struct Nowhere {};
  [[no_unique_address]] S storage_;
  [[no_unique_address]] std::conditional_t<CopiedStorage<S>, Retreat, Nowhere> retreat_;
};
}  // namespace detail

template <Storage S> BlockRef Block::adopt(S storage, Allocation allocation) {
  if (BlockRef block = try_make_ref<detail::StoredBlock<S>>(std::move(storage), allocation)) return block;
  storage.deallocate(allocation);  // which nothing was moved from
  raise<OutOfMemory>("the system has no memory left for a tensor's reference count");
}
template <Storage S> const S& Block::storage() const {
  COTENANT_ASSERT(storage_identity() == StorageIdentity::of<S>());
  return static_cast<const detail::StoredBlock<S>*>(this)->storage();
}

}  // namespace cotenant

#endif
