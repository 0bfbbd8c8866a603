// Tenancy: one model's holding of one tensor, its lease count and the Lease objects that stand for it.
#ifndef COTENANT_SHARE_TENANCY_HPP
#define COTENANT_SHARE_TENANCY_HPP
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

#include "cotenant/share/entry.hpp"
#include "cotenant/share/recorder.hpp"

namespace cotenant::detail {

// The part of a Lease that the tenancy's list of leases links. Its address is its identity, so moving relinks.
class LeaseNode {
 public:
  LeaseNode() = default;
  LeaseNode(LeaseNode&& other) noexcept { take(other); }
  LeaseNode& operator=(LeaseNode&& other) noexcept {
    if (this != &other) {
      release();
      take(other);
    }
    return *this;
  }
  ~LeaseNode() { release(); }

  Tenancy* tenancy() const noexcept { return tenancy_; }
  // Ends the lease if it has not been ended by name, and lets go of the tensor.
  inline bool release() noexcept;

 private:
  friend class Tenancy;
  inline void take(LeaseNode& other) noexcept;

  Tenancy* tenancy_ = nullptr;
  // Neighbours in the list, under the tenancy's lock; both null where the lease was ended by name.
  LeaseNode* previous_ = nullptr;
  LeaseNode* next_ = nullptr;
};

// Lives while it is listed in the registry or a Lease object points to it; keeps its entry, and so the bytes, alive.
// Every count is under one lock, so the list, the counts and the time of the last release always agree.
class Tenancy {
 public:
  Tenancy(std::shared_ptr<Entry> entry, std::shared_ptr<Model> model, std::shared_ptr<Recorder> recorder)
      : entry_(std::move(entry)), model_(std::move(model)), recorder_(std::move(recorder)) {
    leases_.previous_ = leases_.next_ = &leases_;
  }
  // The sentinel points to itself; a release() of it would be wrong.
  ~Tenancy() { leases_.previous_ = leases_.next_ = nullptr; }

  const std::shared_ptr<Entry>& entry() const noexcept { return entry_; }
  const std::shared_ptr<Model>& model() const noexcept { return model_; }

  struct Counts {
    std::size_t held = 0;     // leases, with or without a Lease object
    std::size_t objects = 0;  // Lease objects, those whose lease was ended by name included
    std::size_t hits = 0;
    bool touched = false;     // leased since the model's last release_model
    TimePoint last_release{};
  };
  Counts counts() const {
    const std::lock_guard lock(lock_);
    return counts_;
  }

  // A lease that `node` stands for. False where the tensor is being freed, and where the model takes it in a form of its own.
  bool attach(LeaseNode& node, bool is_hit, TimePoint now, bool despite_form = false) {
    const std::lock_guard lock(lock_);
    if (closed_ || (has_form_ && !despite_form)) return false;
    node.tenancy_ = this;
    link(node);
    ++counts_.objects;
    if (is_hit) ++counts_.hits;
    begin(now);
    return true;
  }
  // A lease without a Lease object: the producer's. Nothing where the model holds one already.
  void hold(TimePoint now) {
    const std::lock_guard lock(lock_);
    if (counts_.held > 0) return;
    ++anonymous_;
    begin(now);
  }
  // One more lease for `node`, without a look-up. False where `original`'s lease has ended.
  bool attach_beside(const LeaseNode& original, LeaseNode& node) {
    const std::lock_guard lock(lock_);
    if (original.next_ == nullptr) return false;
    node.tenancy_ = this;
    link(node);
    ++counts_.objects;
    ++counts_.held;
    if (recorder_->events) recorder_->note(EventKind::lease, entry_->name, model_->name, entry_->element_bytes());
    return true;
  }
  void set_has_form(bool has_form) {
    const std::lock_guard lock(lock_);
    has_form_ = has_form;
  }
  bool is_linked(const LeaseNode& node) const {
    const std::lock_guard lock(lock_);
    return node.next_ != nullptr;
  }

  // Ends one lease by name: one without an object first, then the oldest. False where none is held.
  bool end_one(TimePoint now) {
    const std::lock_guard lock(lock_);
    return end(1, now) == 1;
  }
  // Ends every lease and says how many there were.
  std::size_t end_all(TimePoint now) {
    const std::lock_guard lock(lock_);
    counts_.touched = false;
    return end(static_cast<std::size_t>(-1), now);
  }

  // Called with the registry's mutex held. From close() to reopen() no lease can begin.
  // False, and nothing changes, where there is a lease, or a Lease object that keeps the bytes.
  bool close(bool despite_objects = false) {
    const std::lock_guard lock(lock_);
    if (counts_.held > 0 || (counts_.objects > 0 && !despite_objects)) return false;
    closed_ = true;
    return true;
  }
  void reopen() {
    const std::lock_guard lock(lock_);
    closed_ = false;
  }
  // As close(), for a writer: a lease without an object looks at nothing, so it may stay.
  bool close_to_readers() {
    const std::lock_guard lock(lock_);
    if (counts_.objects > 0) return false;
    closed_ = true;
    return true;
  }
  // What the tenancy of the tensor's next version goes on with.
  struct Legacy {
    std::size_t hits = 0;
    bool touched = false, holds = false;
    TimePoint last_release{};
  };
  // No lease begins here any more; those with objects go on until their objects end.
  Legacy retire(TimePoint now) {
    const std::lock_guard lock(lock_);
    closed_ = true;
    const Legacy legacy{std::exchange(counts_.hits, 0), counts_.touched, anonymous_ > 0, counts_.last_release};
    for (; anonymous_ > 0; --anonymous_) finish(now);
    ended();
    return legacy;
  }
  void inherit(const Legacy& legacy, TimePoint now) {
    const std::lock_guard lock(lock_);
    counts_.hits += legacy.hits;
    counts_.last_release = std::max(counts_.last_release, legacy.last_release);
    if (legacy.holds) {
      ++anonymous_;
      begin(now);
    }
    counts_.touched = counts_.touched || legacy.touched;
  }
  // The registry lists it no longer. True where the caller must delete it, outside of every lock.
  bool unlist() {
    const std::lock_guard lock(lock_);
    listed_ = false;
    closed_ = true;
    return counts_.objects == 0;
  }

 private:
  friend class LeaseNode;

  void link(LeaseNode& node) noexcept {  // at the end: the oldest lease is leases_.next_
    node.previous_ = leases_.previous_;
    node.next_ = &leases_;
    leases_.previous_->next_ = &node;
    leases_.previous_ = &node;
  }
  static void unlink(LeaseNode& node) noexcept {
    node.previous_->next_ = node.next_;
    node.next_->previous_ = node.previous_;
    node.previous_ = node.next_ = nullptr;
  }
  void begin(TimePoint now) {
    counts_.touched = true;
    const bool first = counts_.held++ == 0;
    if (recorder_->watched()) record(now, first, true);
  }
  void finish(TimePoint now) {
    counts_.last_release = std::max(counts_.last_release, now);
    const bool last = --counts_.held == 0;
    if (recorder_->watched()) record(now, last, false);
  }
  void record(TimePoint now, bool changed, bool held) const {
    if (changed && recorder_->timeline) recorder_->timeline->holding_changed(now, model_->name, entry_->name, entry_->ranges, held);
    recorder_->note(held ? EventKind::lease : EventKind::release, entry_->name, model_->name, entry_->element_bytes());
  }
  std::size_t end(std::size_t most, TimePoint now) {
    std::size_t ended = 0;
    for (; ended < most && counts_.held > 0; ++ended) {
      if (anonymous_ > 0) --anonymous_;
      else unlink(*leases_.next_);
      finish(now);
    }
    this->ended();
    return ended;
  }
  // Artefacts of what nobody holds any more may go for others.
  void ended() noexcept {
    if (recorder_->refusals.any() && counts_.held == 0 && counts_.objects == 0 && entry_->block->derived_if_any() != nullptr) recorder_->refusals.forget();
  }

  mutable SpinLock lock_;
  bool closed_ = false;
  bool listed_ = true;
  bool has_form_ = false;
  std::size_t anonymous_ = 0;
  Counts counts_;
  LeaseNode leases_;  // sentinel of the circular list, oldest first
  const std::shared_ptr<Entry> entry_;
  const std::shared_ptr<Model> model_;
  const std::shared_ptr<Recorder> recorder_;
};

inline bool LeaseNode::release() noexcept {
  if (tenancy_ == nullptr) return false;
  Tenancy* const tenancy = std::exchange(tenancy_, nullptr);
  const TimePoint now = tenancy->recorder_->clock.now();
  // The tenancy may be gone when the callback is called.
  const std::shared_ptr<Recorder> told = tenancy->recorder_->events ? tenancy->recorder_ : nullptr;
  bool ended = false, last = false;
  {
    const std::lock_guard lock(tenancy->lock_);
    if (next_ != nullptr) {
      Tenancy::unlink(*this);
      tenancy->finish(now);
      ended = true;
    }
    last = --tenancy->counts_.objects == 0 && !tenancy->listed_;
    tenancy->ended();
  }
  if (last) delete tenancy;
  if (told) told->deliver();
  return ended;
}

inline void LeaseNode::take(LeaseNode& other) noexcept {
  if (other.tenancy_ == nullptr) return;
  tenancy_ = std::exchange(other.tenancy_, nullptr);
  const std::lock_guard lock(tenancy_->lock_);
  if (other.next_ == nullptr) return;
  previous_ = std::exchange(other.previous_, nullptr);
  next_ = std::exchange(other.next_, nullptr);
  previous_->next_ = this;
  next_->previous_ = this;
}

}  // namespace cotenant::detail

#endif
