// Registry, continued: write leases. One writer at a time per tensor, in the order they came; readers keep the version they hold.
#ifndef COTENANT_SHARE_WRITING_HPP
#define COTENANT_SHARE_WRITING_HPP
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cotenant/share/forms.hpp"

namespace cotenant::detail {

inline Registry::Found Registry::begin_write(Writing& writing, std::string_view name, std::string_view model, DType dtype, StorageIdentity storage_identity,
                                             std::chrono::steady_clock::duration timeout, std::size_t (*taken_for)(std::size_t)) {
  using Steady = std::chrono::steady_clock;
  const TimePoint now = recorder_->clock.now();
  const Steady::time_point begin = Steady::now();
  Doomed doomed(spill_.get());
  Lock lock(mutex_);
  if (names_.find(name) == names_.end()) return Found::no;
  Turns& turns = turns_[std::string(name)];
  if (turns.taken && turns.owner == std::this_thread::get_id()) {
    lock.unlock();
    raise<InvalidArgument>("this thread is writing '" + std::string(name) + "' already: end that WriteLease first");
  }
  const std::size_t turn = next_turn_++;
  turns.waiting.push_back(turn);
  // Leaves the queue, however this function ends.
  struct Place {
    Registry& registry;
    Lock& lock;
    Turns& turns;
    std::string_view name;
    std::size_t turn;
    ~Place() {
      if (!lock.owns_lock()) lock.lock();
      std::erase(turns.waiting, turn);
      if (turns.waiting.empty() && !turns.taken) registry.turns_.erase(registry.turns_.find(name));
      registry.changed_.notify_all();
    }
  } place{*this, lock, turns, name, turn};
  while (turns.taken || turns.waiting.front() != turn) {
    const Steady::duration waited = Steady::now() - begin;
    if (waited >= timeout) {
      const auto held = names_.find(name);
      const std::string writer = held == names_.end() ? std::string() : held->second->writer;
      lock.unlock();
      raise<TimedOut>("'" + std::string(name) + "' could not be written by '" + std::string(model) + "' in " +
                      std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count()) + " ms" +
                      (writer.empty() ? ": others were before it" : ": '" + writer + "' is writing it") + ". Wait longer, or end that lease");
    }
    // The system's clock, because waiting on the steady one is invisible to g++ 12's ThreadSanitizer; a jump of it only costs another turn of this loop.
    constexpr Steady::duration longest = std::chrono::hours(1);
    changed_.wait_until(lock,
        std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(std::min(timeout - waited, longest)));
  }
  for (;;) {
    const auto found = names_.find(name);
    if (found == names_.end()) return Found::no;
    const std::shared_ptr<Entry> entry = found->second;
    if (entry->dtype != dtype || entry->block->storage_identity() != storage_identity) return Found::other_type;
    if (is_broadcast(entry->layout.shape, entry->layout.strides)) {
      lock.unlock();
      raise<ReadOnly>("'" + std::string(name) + "' repeats elements (stride 0), so it cannot be written: register a contiguous() copy");
    }
    if (make_resident(lock, *entry, now, doomed) == Step::again) {
      doomed.entries.push_back(entry);
      continue;
    }
    BlockRecord& record = blocks_.record(entry->block);
    if (name_count(record.entries) == 1) drop_forms(record, now, doomed, true);  // what lies on these bytes would need them as they are
    // In place where the manager's handle on the bytes is the only one and no reader has an object.
    bool alone = record.entries.size() == 1 && entry->block->references() == 1 && entry->block->behind() == nullptr;
    for (std::size_t index = 0; alone && index < entry->tenancies.size(); ++index)
      if (!entry->tenancies[index]->close_to_readers()) {
        while (index-- > 0) entry->tenancies[index]->reopen();
        alone = false;
      }
    if (alone && entry->block->references() != 1) {  // a lease that began and ended since may have left a copy
      reopen(*entry);
      alone = false;
    }
    if (alone) {
      drop_forms(record, now, doomed);
      record.residence = Residence::written;
      doomed.set = entry->block->make_private();
      recorder_->refusals.forget();
      if (!record.spilled.empty()) doomed.spilled.push_back(std::exchange(record.spilled, {}));
      writing.in_place = true;
    } else {
      const ElementRange cover = element_range(entry->layout);
      const std::size_t bytes = entry->parameters ? entry->block->bytes()
          : taken_for(static_cast<std::size_t>(cover.last - cover.first) * size_of(entry->dtype));
      const BlockRef stays(entry->block);  // it must not make room for its own copy
      if (make_room(lock, entry->block->storage_name(), bytes, entry->name, now, doomed) == Step::again) {
        doomed.entries.push_back(entry);
        continue;
      }
      blocks_.count(entry->block->storage_name(), bytes);
      writing.reserved = bytes;
      writing.hold = BlockRef(entry->block);
    }
    entry->writer = model;
    model_of(model)->active = true;
    writing.entry = entry;
    writing.model = model;
    writing.began = Steady::now();
    turns.taken = true;
    turns.owner = std::this_thread::get_id();
    return Found::yes;
  }
}

inline void Registry::end_write(Writing& writing, std::shared_ptr<Entry> next, bool failed) {
  const TimePoint now = recorder_->clock.now();
  {
    Doomed doomed(spill_.get());
    doomed.entries.push_back(std::move(writing.entry));
    doomed.holds.push_back(std::move(writing.hold));
    const std::shared_ptr<Entry> old = doomed.entries.back();
    const Lock lock(mutex_);
    old->writer.clear();
    if (writing.in_place) {
      old->block->publish();
      old->fresh_since = now;
      ++old->version;
      old->sample.store(0, std::memory_order_relaxed);
      blocks_.record(old->block).residence = Residence::resident;
      reopen(*old);
    } else {
      blocks_.uncount(old->block->storage_name(), writing.reserved);
      if (next && !failed) replace(old, next, now, doomed);
    }
    if (!failed) recorder_->note(EventKind::write, old->name, writing.model, old->element_bytes(), EventLog::Clock::now() - writing.began);
    const auto turns = turns_.find(old->name);
    turns->second.taken = false;
    if (turns->second.waiting.empty()) turns_.erase(turns);
    changed_.notify_all();
  }
  deliver();
}

// `next` takes over the name. Lease objects keep the old version, and while there are any its bytes are counted.
inline void Registry::replace(const std::shared_ptr<Entry>& old, const std::shared_ptr<Entry>& next, TimePoint now, Doomed& doomed) {
  next->producer = old->producer;
  next->pinned = old->pinned;
  next->grants = std::exchange(old->grants, {});
  next->order = old->order;
  next->priority = old->priority;
  next->version = old->version + 1;
  next->fresh_since = now;
  old->pinned = false;
  names_.erase(old->name);
  names_.emplace(next->name, next);
  list_on_block(*next, now);
  next->block->publish();
  if (may_equal_another(*next)) contents_.emplace(content_key(*next), next.get());
  const std::vector<Tenancy*> tenancies = old->tenancies;
  for (Tenancy* tenancy : tenancies) {
    const Tenancy::Legacy legacy = tenancy->retire(now);
    tenancies_.erase(*tenancy);
    if (legacy.touched || legacy.hits > 0) tenancy_of(next, tenancy->model()->name).inherit(legacy, now);
    if (tenancy->counts().objects == 0) unlist(*tenancy, doomed);
  }
  if (!old->tenancies.empty()) {
    old->past = true;
    past_.push_back(old);
    return;
  }
  take_off(*old, now, doomed);
}

}  // namespace cotenant::detail

#endif
