// Registry, continued: the budget. Which blocks leave memory when room is needed, and how they come back for the next lease.
#ifndef COTENANT_SHARE_RESIDENCE_HPP
#define COTENANT_SHARE_RESIDENCE_HPP
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/share/artefact_room.hpp"
#include "cotenant/share/attempt.hpp"
#include "cotenant/share/reload_cost.hpp"
#include "cotenant/share/registry_changes.hpp"

namespace cotenant::detail {

// Blocks that nobody uses, their tenancies closed; the caller sends them away or reopens them. Score: bytes × age ÷ reload
// cost, the cost times the user's priority; the highest goes first. With `tidy` only what optimize_memory() takes.
inline std::vector<Registry::Victim> Registry::victims(TimePoint now, bool tidy, MemoryMode mode) {
  std::vector<Victim> result;
  for (auto& [key, record] : blocks_.all()) {
    if (record.residence != Residence::resident) continue;
    Block* const block = record.entries.front()->block;
    const bool is_form = name_count(record.entries) == 0;  // it is made again
    // Without a spill target, tidying up forgets mappings too: nothing but names and addresses would be left of them.
    bool back = !is_form && comes_back(*block) && !(tidy && !spill_ && mode != MemoryMode::memory);
    TimePoint last_used{};
    double priority = 0;
    bool unused = true, idle = true;
    for (const Entry* entry : record.entries) {
      // A past version's last lease may end at any moment, without the lock: drop_past() takes it off, nobody sends it away.
      unused = unused && !entry->past && is_unused(*entry, last_used);
      idle = idle && unused && (entry->grants.empty() || now - last_used >= grace_period_);
      priority = std::max(priority, entry->priority);
    }
    if (!unused) continue;
    const bool fresh = now - last_used < grace_period_;
    if (tidy && fresh && (is_form ? mode != MemoryMode::memory : back && mode == MemoryMode::speed)) continue;
    if (!idle && (!back || (tidy && mode != MemoryMode::memory))) continue;
    if (tidy && !spill_ && idle) back = false;
    if (!back && !is_form && form_is_held(record, true)) continue;  // it would take its forms along
    if (!close_block(record.entries)) continue;
    // One second more than its age, so that among fresh ones the largest goes first.
    const double age = 1 + std::chrono::duration<double>(now - last_used).count();
    const double cost = is_form ? derive_seconds(block->bytes()) : reload_seconds(block->bytes(), block->droppable(), !record.spilled.empty(), !back);
    const DerivedSet* const derived = block->derived_if_any();
    result.push_back({block, !back, static_cast<double>(block->bytes()) * age / (priority * cost),
        block->bytes() - (derived == nullptr ? 0 : derived->replaced_bytes())});
  }
  std::sort(result.begin(), result.end(), [](const Victim& a, const Victim& b) { return a.score > b.score; });
  return result;
}

// Takes closed blocks out of memory. Gives the lock back while bytes are written and freed; nobody leases them meanwhile.
inline void Registry::send_away(Lock& lock, const std::vector<Victim>& chosen, TimePoint now, Doomed& doomed, OptimizationResult* result) {
  struct Leaving {
    Block* block;
    std::string key;  // empty: its bytes are in a file already
    SpillInfo info;
    bool gone = false;
    EventLog::Clock::duration took{};
  };
  std::vector<Leaving> leaving;
  for (const Victim& victim : chosen) {
    if (!blocks_.contains(victim.block)) continue;  // a form that went with its source, in this loop
    BlockRecord& record = blocks_.record(victim.block);
    const bool is_form = name_count(record.entries) == 0;
    if (result != nullptr)
      for (const Entry* entry : record.entries) {
        if (entry->is_form() && !is_form) continue;
        result->freed_names.push_back(entry->name);
        if (!victim.for_good) result->evicted_names.push_back(entry->name);
      }
    if (victim.for_good) {
      const std::size_t before = blocks_.bytes();
      const std::vector<Entry*> entries = record.entries;
      if (is_form) remove_form(*entries.front(), now, doomed);
      else for (Entry* entry : entries) if (!entry->is_form()) remove(*entry, now, doomed);
      if (result != nullptr) result->freed_bytes += before - blocks_.bytes();
      continue;
    }
    if (result != nullptr) result->freed_bytes += victim.block->bytes();
    record.residence = Residence::leaving;
    ++in_transit_;
    const Entry& first = *record.entries.front();
    const bool save = !victim.block->droppable() && !victim.block->retreats() && record.spilled.empty();
    leaving.push_back({victim.block, save ? next_key() : std::string(), {first.name, first.dtype, first.layout.shape}});
  }
  if (leaving.empty()) return;
  lock.unlock();
  std::exception_ptr failure;
  for (Leaving& one : leaving) {
    if (failure) break;
    const auto begin = EventLog::Clock::now();
    if (!one.key.empty() && !attempt(failure, [&] {
          one.block->wait();
          spill_->save(one.key, one.block->data(), one.block->bytes(), one.info);
        }))
      break;
    if (one.block->retreats() && !attempt(failure, [&] { one.block->retreat(); })) break;
    static_cast<void>(one.block->take_artefacts());
    if (one.block->droppable()) one.block->drop_pages(one.block->data(), one.block->bytes());
    else one.block->give_back(one.block->take());
    one.gone = true;
    one.took = EventLog::Clock::now() - begin;
  }
  lock.lock();
  in_transit_ -= leaving.size();
  for (Leaving& one : leaving) {
    BlockRecord& record = blocks_.record(one.block);
    record.residence = one.gone ? Residence::away : Residence::resident;
    if (!one.gone) {
      for (const Entry* entry : record.entries) reopen(*entry);
      continue;
    }
    blocks_.uncount(one.block->storage_name(), one.block->bytes());
    ++evictions_;
    if (!one.key.empty()) {
      record.spilled = one.key;
      recorder_->note(EventKind::spill, one.info.tensor, {}, one.block->bytes(), one.took);
    }
    recorder_->note(EventKind::evict, one.info.tensor, {}, one.block->bytes());
  }
  blocks_changed(now);
  changed_.notify_all();
  if (failure) {
    lock.unlock();
    throw_again(failure);
  }
}

// Kernels that were queued on a device keep what they read, leased or not, until the device is done with them. True where that
// was waited for, and the lock given back.
inline bool Registry::settle_devices(Lock& lock, Doomed& doomed) {
  if (std::exchange(doomed.settled, true)) return false;
  std::vector<BlockRef> busy;
  for (const auto& [block, record] : blocks_.all())
    if (record.residence == Residence::resident && block->retreats() && block->references() > record.entries.size())
      busy.emplace_back(record.entries.front()->block);
  if (busy.empty()) return false;
  lock.unlock();
  for (const BlockRef& block : busy) block->settle();
  busy.clear();
  lock.lock();
  return true;
}

// Room for `bytes` more of a storage. Errors: BudgetExceeded, nothing is lost then; the spill target's.
inline Registry::Step Registry::make_room(Lock& lock, std::string_view storage, std::size_t bytes, const std::string& name, TimePoint now, Doomed& doomed) {
  if (!past_.empty()) drop_past(now, doomed);
  if (!blocks_.is_limited()) return Step::ready;
  Missing missing = blocks_.missing_for(storage, bytes, beside(storage));
  if (!missing) return Step::ready;
  if (mode_ != MemoryMode::speed && missing.total > 0 && drop_artefacts(missing.total, doomed) > 0) {
    missing = blocks_.missing_for(storage, bytes, beside(storage));
    if (!missing) return Step::ready;
  }
  if (settle_devices(lock, doomed)) return Step::again;
  std::vector<Victim> candidates = victims(now, false, mode_);
  std::size_t available = 0, available_kind = 0;
  for (const Victim& victim : candidates) {
    available += victim.counted;
    if (victim.block->storage_name() == storage) available_kind += victim.counted;
  }
  const bool enough = available >= missing.total && available_kind >= missing.kind;
  std::vector<Victim> chosen;
  std::size_t freed = 0, freed_kind = 0;
  const auto choose = [&](bool of_kind) {
    for (Victim& victim : candidates) {
      if (victim.block == nullptr) continue;
      const bool is_kind = victim.block->storage_name() == storage;
      if (of_kind ? freed_kind >= missing.kind || !is_kind : freed >= missing.total) continue;
      freed += victim.counted;
      if (is_kind) freed_kind += victim.counted;
      chosen.push_back(victim);
      victim.block = nullptr;
    }
  };
  if (enough) {
    choose(true);
    choose(false);
  }
  for (const Victim& victim : candidates)
    if (victim.block != nullptr) for (const Entry* entry : blocks_.on(victim.block)) reopen(*entry);
  if (enough) {
    send_away(lock, chosen, now, doomed);
    return Step::again;
  }
  // Others are bringing blocks in or out, or hold on to one while they compare it: that may be what is missing.
  if (in_transit_ > 0) {
    changed_.wait(lock);
    return Step::again;
  }
  if (mode_ == MemoryMode::speed && drop_artefacts(missing.total, doomed) > 0) return Step::again;
  std::string refused = "no room for '" + name + "' (" + format_bytes(bytes) + "): " + format_bytes(blocks_.bytes());
  if (blocks_.max_bytes() != ManagerOptions::unlimited) refused += " of " + format_bytes(blocks_.max_bytes());
  refused += " are taken and " + format_bytes(available) + " of them can be freed now";
  const auto kind = blocks_.kinds().find(storage);
  if (kind != blocks_.kinds().end() && missing.kind > 0)
    refused += "; storage '" + std::string(storage) + "' has taken " + format_bytes(kind->second.bytes) + " of its " + format_bytes(kind->second.max);
  if (const std::size_t derived = beside({}).kept; derived > 0) refused += "; " + format_bytes(derived) + " more are artefacts in use";
  refused += ". Holding on: " + holders_text(now) + ". Release or unpin some of these, or raise max_memory";
  lock.unlock();
  raise<BudgetExceeded>(refused);
}

// Waits for whoever works on the entry's block, and brings it back where it is away. Errors: BudgetExceeded, OutOfMemory,
// the spill target's; InvalidArgument where this thread itself is writing the tensor in place.
inline Registry::Step Registry::make_resident(Lock& lock, const Entry& entry, TimePoint now, Doomed& doomed) {
  Block* const block = entry.block;
  BlockRecord& record = blocks_.record(block);
  if (record.residence == Residence::resident) return Step::ready;
  if (record.residence != Residence::away) {
    if (record.residence == Residence::written) {
      const auto turns = turns_.find(entry.name);
      if (turns != turns_.end() && turns->second.taken && turns->second.owner == std::this_thread::get_id()) {
        const std::string name = entry.name;
        lock.unlock();
        raise<InvalidArgument>("'" + name + "' is being written by this thread: end its WriteLease first, or read through that");
      }
    }
    changed_.wait(lock);
    return Step::again;
  }
  if (make_room(lock, block->storage_name(), block->bytes(), entry.name, now, doomed) == Step::again) return Step::again;
  blocks_.count(block->storage_name(), block->bytes());
  ++reloads_;
  const auto begin = EventLog::Clock::now();
  std::exception_ptr failure;
  if (!block->droppable()) {
    record.residence = Residence::returning;  // so nobody takes the entries away
    ++in_transit_;
    const std::string key = record.spilled;
    lock.unlock();
    doomed.artefacts.clear();
    Allocation room{};
    const bool allocated = attempt(failure, [&] { room = block->room_again(); });
    const bool loaded = allocated && attempt(failure, [&] {
      if (block->retreats()) block->come_back(room);
      else spill_->load(key, room.data, room.bytes);
    });
    if (allocated && !loaded) block->give_back(room);
    lock.lock();
    --in_transit_;
    if (loaded) block->install(room);
    if (!loaded) {
      record.residence = Residence::away;
      blocks_.uncount(block->storage_name(), block->bytes());
      --reloads_;
    }
    changed_.notify_all();
  }
  if (failure) {
    lock.unlock();
    throw_again(failure);
  }
  record.residence = Residence::resident;
  for (const Entry* each : record.entries) reopen(*each);
  recorder_->note(EventKind::reload, entry.name, {}, block->bytes(), EventLog::Clock::now() - begin);
  blocks_changed(now);
  // The names may have changed while the lock was given back; the block stays while it is held from here on.
  return block->droppable() ? Step::ready : Step::again;
}

// "k8f3a…-17": no other manager or process uses the same.
inline std::string Registry::next_key() {
  static const std::string process = [] {
    std::random_device random;
    std::string text = "k";
    for (int word = 0; word < 3; ++word) text += std::to_string(random());
    return text;
  }();
  static std::atomic<std::size_t> next{0};
  return process + "-" + std::to_string(next.fetch_add(1, std::memory_order_relaxed));
}

}  // namespace cotenant::detail

#endif
