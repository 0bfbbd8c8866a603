// Derived: what was computed from a block's bytes and is kept with them, such as weights packed for a kernel.
#ifndef COTENANT_SHARE_DERIVED_HPP
#define COTENANT_SHARE_DERIVED_HPP
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cotenant/core/ref.hpp"

namespace cotenant {

// One artefact. Its maker derives from this and knows, by the key it asked for, what it gets back.
class Derived : public Counted {
 public:
  // Bytes really taken, padding included.
  virtual std::size_t bytes() const noexcept = 0;
  // Whether someone outside holds on to what it keeps, so that dropping it would free nothing.
  virtual bool in_use() const noexcept { return false; }
  // Pages of the block that its storage gave back because this is read in their stead. They are not counted while this is kept, though
  // who reads them all the same has them back in memory.
  std::span<const std::byte> replaced() const noexcept { return replaced_; }
  // By the maker, before anybody else has it: what Block::drop_pages() gave back.
  void replaces(std::span<const std::byte> pages) noexcept { replaced_ = pages; }

 protected:
  ~Derived() = default;

 private:
  std::span<const std::byte> replaced_;
};

// Grants room to every artefact of a block and hears of it, from the thread that makes it and outside of every lock.
class DerivedObserver : public Counted {
 public:
  struct Actions {
    // Whether `bytes` more fit the budget; they are promised then, until unpromise().
    bool (*promise)(const DerivedObserver& self, std::size_t bytes);
    void (*unpromise)(const DerivedObserver& self, std::size_t bytes);
    void (*made)(const DerivedObserver& self, std::size_t bytes, std::chrono::steady_clock::duration took);
  };
  bool promise(std::size_t bytes) const { return actions_.promise(*this, bytes); }
  void unpromise(std::size_t bytes) const { actions_.unpromise(*this, bytes); }
  void made(std::size_t bytes, std::chrono::steady_clock::duration took) const { actions_.made(*this, bytes, took); }

 protected:
  explicit DerivedObserver(const Actions& actions) : actions_(actions) {}  // pointers: see Counted
  ~DerivedObserver() = default;

 private:
  const Actions& actions_;
};

// Room in the budget for one artefact, as long as it is being made; once it is kept it is counted with its block.
class DerivedRoom {
 public:
  // Null: nobody limits memory.
  explicit DerivedRoom(const DerivedObserver* observer) : observer_(observer) {}
  DerivedRoom(const DerivedRoom&) = delete;
  DerivedRoom& operator=(const DerivedRoom&) = delete;
  ~DerivedRoom() { if (taken_ > 0) observer_->unpromise(taken_); }

  // Whether an artefact of so many bytes may be kept. To be asked once, before the memory is taken where that is possible.
  bool take(std::size_t bytes) {
    if (observer_ == nullptr) return true;
    if (!observer_->promise(bytes)) return false;
    taken_ = bytes;
    return true;
  }

 private:
  const DerivedObserver* const observer_;
  std::size_t taken_ = 0;
};

// What an artefact was made from, and for whom: two keys are equal where the artefacts would be.
struct DerivedKey {
  const void* maker = nullptr;  // the address of an object that only this kind of artefact has, one for each kernel and CPU target
  const void* data = nullptr;   // the first element, inside the block
  std::size_t rows = 0, columns = 0;
  std::ptrdiff_t row_stride = 0, column_stride = 0;  // in elements
  friend bool operator==(const DerivedKey&, const DerivedKey&) = default;
};

// The artefacts of one block. They are found by whoever needs them next and freed with the block. Safe from any number of threads.
class DerivedSet {
 public:
  // `observer` is looked up when an artefact is made; null, or holding null: nobody is asked and told.
  explicit DerivedSet(const std::atomic<const DerivedObserver*>* observer = nullptr) : observer_(observer) {}
  DerivedSet(const DerivedSet&) = delete;
  DerivedSet& operator=(const DerivedSet&) = delete;

  // The artefact, or null where nobody has made it yet.
  Ref<const Derived> find(const DerivedKey& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = slots_.find(key);
    return found == slots_.end() ? nullptr : found->second->artefact;
  }

  // The artefact; the first to ask makes it by make(DerivedRoom&), which returns a Ref<const Derived>, while others that
  // ask for the same wait. Where make() throws, or returns null for want of room, nothing is kept and the next one tries again.
  template <class Make> Ref<const Derived> find_or_make(const DerivedKey& key, const Make& make) {
    Ref<Slot> slot;
    {
      const std::lock_guard lock(mutex_);
      Ref<Slot>& place = slots_[key];
      if (!place) place = make_ref<Slot>();
      if (place->artefact) return place->artefact;
      slot = place;
    }
    std::unique_lock making(slot->making);
    {
      const std::lock_guard lock(mutex_);
      if (slot->artefact) return slot->artefact;
    }
    const auto begin = std::chrono::steady_clock::now();
    const DerivedObserver* const observer = observer_ == nullptr ? nullptr : observer_->load(std::memory_order_acquire);
    DerivedRoom room(observer);
    Ref<const Derived> made = make(room);
    if (!made) return nullptr;
    {
      const std::lock_guard lock(mutex_);
      slot->artefact = made;
    }
    making.unlock();
    if (observer != nullptr) observer->made(made->bytes(), std::chrono::steady_clock::now() - begin);
    return made;
  }

  // Bytes of all artefacts, or of those made from elements in [first, last). Counted when asked: an artefact may have grown artefacts of its own.
  std::size_t bytes() const {
    std::size_t total = 0;
    const std::lock_guard lock(mutex_);
    for (const auto& [key, slot] : slots_) if (slot->artefact) total += slot->artefact->bytes();
    return total;
  }
  std::size_t bytes(const void* first, const void* last) const {
    const std::less<const void*> before;
    std::size_t total = 0;
    const std::lock_guard lock(mutex_);
    for (const auto& [key, slot] : slots_)
      if (slot->artefact && !before(key.data, first) && before(key.data, last)) total += slot->artefact->bytes();
    return total;
  }

  // Bytes that some artefact replaces, each once.
  std::size_t replaced_bytes() const {
    std::vector<std::span<const std::byte>> ranges;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [key, slot] : slots_) if (slot->artefact && !slot->artefact->replaced().empty()) ranges.push_back(slot->artefact->replaced());
    }
    std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.data() < b.data(); });
    std::size_t total = 0;
    const std::byte* end = nullptr;  // of what was counted
    for (const auto& range : ranges) {
      const std::byte* const last = range.data() + range.size();
      if (end != nullptr && last <= end) continue;
      total += static_cast<std::size_t>(last - (end == nullptr ? range.data() : std::max(end, range.data())));
      end = last;
    }
    return total;
  }

  // Takes out the artefacts that nobody holds and appends them to `unused`, to be freed by the caller. Returns their bytes. Those that
  // replace as much as they take would make no room: they go only where `all` do.
  std::size_t take_unused(std::vector<Ref<const Derived>>& unused, bool all = true) {
    std::size_t total = 0;
    const std::lock_guard lock(mutex_);
    for (auto& [key, slot] : slots_) {
      // A count of one, seen under the lock, is the slot's own: every other reference is taken under it.
      if (!slot->artefact || slot->artefact.use_count() != 1 || slot->artefact->in_use()) continue;
      if (!all && slot->artefact->bytes() <= slot->artefact->replaced().size()) continue;
      total += slot->artefact->bytes();
      unused.push_back(std::move(slot->artefact));
      slot->artefact = nullptr;
    }
    return total;
  }

 private:
  struct Slot final : Counted {
    std::mutex making;  // held while make() runs
    Ref<const Derived> artefact;
  };
  struct Hash {
    std::size_t operator()(const DerivedKey& key) const noexcept {
      // Tensors of one block differ in the address; the rest tells few keys apart. An odd multiplier, 2^64 / golden ratio, spreads.
      const std::size_t mixed = reinterpret_cast<std::size_t>(key.data) ^ (reinterpret_cast<std::size_t>(key.maker) << 1) ^ (key.rows << 7) ^
                                static_cast<std::size_t>(key.row_stride);
      return mixed * static_cast<std::size_t>(0x9E3779B97F4A7C15ull);
    }
  };
  const std::atomic<const DerivedObserver*>* const observer_;
  mutable std::mutex mutex_;
  std::unordered_map<DerivedKey, Ref<Slot>, Hash> slots_;
};

}  // namespace cotenant

#endif
