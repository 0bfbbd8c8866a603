// Registry, continued: what changes the set of names. Admission within the budget, freeing.
#ifndef COTENANT_SHARE_REGISTRY_CHANGES_HPP
#define COTENANT_SHARE_REGISTRY_CHANGES_HPP
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/share/holders.hpp"

namespace cotenant::detail {

// "[1, 384] f32 in heap"
inline std::string describe(const Entry& entry) {
  return to_string(entry.layout.shape) + " " + std::string(to_string(entry.dtype)) + " in " + std::string(entry.block->storage_name());
}

inline Registry::Admitted Registry::admit(std::shared_ptr<Entry> candidate, Same same, const TensorOptions& options, LeaseNode* node, std::string_view model) {
  const TimePoint now = recorder_->clock.now();
  bool compared = same == Same::elements || !may_equal_another(*candidate);
  Doomed doomed(spill_.get());
  Lock lock(mutex_);
  for (;;) {
    const auto found = names_.find(candidate->name);
    if (found != names_.end()) {
      const std::shared_ptr<Entry> existing = found->second;
      const bool is_same = existing->dtype == candidate->dtype && !existing->parameters == !candidate->parameters &&
          existing->block->storage_identity() == candidate->block->storage_identity() &&
                           (same == Same::elements ? existing->block == candidate->block && existing->layout == candidate->layout
                                                   : existing->layout.shape == candidate->layout.shape);
      if (!is_same) {
        const std::string taken = describe(*existing) + (same == Same::elements &&
            existing->layout.shape == candidate->layout.shape ? ", of other elements" : "");
        doomed.entries.push_back(existing);
        lock.unlock();
        raise<AlreadyRegistered>("cannot register '" + candidate->name + "' as " + describe(*candidate) + ": the name is taken by " + taken +
                                 ". Use another name, or release and forget() that tensor first");
      }
      if (make_resident(lock, *existing, now, doomed) == Step::again) {
        doomed.entries.push_back(existing);
        continue;
      }
      doomed.entries.push_back(std::exchange(candidate, existing));
    } else {
      if (!std::exchange(compared, true)) {
        const auto begin = EventLog::Clock::now();
        if (std::shared_ptr<Entry> twin = twin_of(lock, *candidate)) {
          ++deduplicated_;
          deduplicated_bytes_ += candidate->element_bytes();
          recorder_->note(EventKind::dedup, candidate->name, options.producer, candidate->element_bytes(), EventLog::Clock::now() - begin);
          doomed.entries.push_back(std::exchange(candidate, std::move(twin)));
        }
        continue;  // the lock was given back
      }
      if (!blocks_.contains(candidate->block) &&
          make_room(lock, candidate->block->storage_name(), candidate->block->bytes(), candidate->name, now, doomed) == Step::again)
        continue;
      candidate->producer = options.producer;
      candidate->fresh_since = now;
      candidate->order = next_order_++;
      names_.emplace(candidate->name, candidate);
      list_on_block(*candidate, now);
      if (may_equal_another(*candidate)) contents_.emplace(content_key(*candidate), candidate.get());
      candidate->block->publish();
      recorder_->note(EventKind::registered, candidate->name, options.producer, candidate->element_bytes());
    }
    break;
  }
  if (options.pinned) candidate->pinned = true;
  if (options.priority > 0 && options.priority != 1) candidate->priority = options.priority;
  for (const std::string& consumer : options.consumers) {
    if (candidate->grants.insert(consumer).second) candidate->fresh_since = std::max(candidate->fresh_since, now);
    model_of(consumer)->active = true;
  }
  if (!options.producer.empty()) {
    model_of(options.producer)->active = true;
    tenancy_of(candidate, options.producer).hold(now);
  }
  if (node != nullptr) static_cast<void>(tenancy_of(candidate, model).attach(*node, false, now, true));
  BlockRef hold(candidate->block);
  return {std::move(candidate), std::move(hold)};
}

// Takes an entry off its block. Says whether it was the last one there.
inline bool Registry::take_off(Entry& entry, TimePoint now, Doomed& doomed) {
  const auto [first, last] = contents_.equal_range(content_key(entry));
  for (auto at = first; at != last; ++at)
    if (at->second == &entry) {
      contents_.erase(at);
      break;
    }
  BlockRecord& record = blocks_.record(entry.block);
  if (!entry.is_form() && name_count(record.entries) == 1) drop_forms(record, now, doomed);  // with the last name go the forms
  std::string spilled = record.spilled;
  if (!blocks_.remove(entry)) return false;
  if (!spilled.empty()) doomed.spilled.push_back(std::move(spilled));
  blocks_changed(now);
  return true;
}

inline bool Registry::remove(Entry& entry, TimePoint now, Doomed& doomed) {
  while (!entry.tenancies.empty()) unlist(*entry.tenancies.back(), doomed);
  const bool was_last = take_off(entry, now, doomed);
  recorder_->note(EventKind::forgotten, entry.name, {}, was_last ? entry.block->bytes() : 0);
  const auto found = names_.find(entry.name);
  doomed.entries.push_back(found->second);  // the key lies in the entry: it must outlive the erase
  names_.erase(found);
  return was_last;
}

// Versions that were replaced while Lease objects held them go when the last of those has ended.
inline void Registry::drop_past(TimePoint now, Doomed& doomed) {
  for (std::size_t index = past_.size(); index-- > 0;) {
    const std::shared_ptr<Entry> entry = past_[index];
    const std::vector<Tenancy*> tenancies = entry->tenancies;
    for (Tenancy* tenancy : tenancies) if (tenancy->counts().objects == 0) unlist(*tenancy, doomed);
    if (!entry->tenancies.empty()) continue;
    take_off(*entry, now, doomed);
    doomed.entries.push_back(entry);
    past_.erase(past_.begin() + static_cast<std::ptrdiff_t>(index));
  }
}

// Drops a name that nobody leases, pins or writes, whatever its grants. Handles and views of its bytes stay valid.
inline bool Registry::forget(std::string_view name) {
  const TimePoint now = recorder_->clock.now();
  Doomed doomed(spill_.get());
  Lock lock(mutex_);
  for (;;) {
    const auto found = names_.find(name);
    if (found == names_.end() || found->second->pinned || !found->second->writer.empty()) return false;
    const BlockRecord& record = blocks_.record(found->second->block);
    const Residence residence = record.residence;
    if (residence == Residence::leaving || residence == Residence::returning) {
      changed_.wait(lock);
      continue;
    }
    if (name_count(record.entries) == 1 && form_is_held(record, false)) return false;
    if (!close(*found->second, true)) return false;
    remove(*found->second, now, doomed);
    changed_.notify_all();
    return true;
  }
}

inline OptimizationResult Registry::optimize(MemoryMode mode) {
  const TimePoint now = recorder_->clock.now();
  OptimizationResult result;
  Doomed doomed(spill_.get());
  Lock lock(mutex_);
  result.initial_bytes = blocks_.bytes();
  drop_past(now, doomed);
  result.freed_bytes = result.initial_bytes - blocks_.bytes();
  send_away(lock, victims(now, true, mode), now, doomed, &result);
  std::vector<Entry*> spare_views;
  for (const auto& [name, entry] : names_) if (view_is_spare(*entry, now)) spare_views.push_back(entry.get());
  // A view of a view may lose its source's name in this loop.
  for (Entry* entry : spare_views)
    if (view_is_spare(*entry, now) && close(*entry)) {
      result.freed_names.push_back(entry->name);
      remove(*entry, now, doomed);
    }
  // Pairs of models that were released while they still had Lease objects.
  const auto unlist_closed = [&](Entry& entry) {
    const std::vector<Tenancy*> tenancies = entry.tenancies;
    for (Tenancy* tenancy : tenancies) if (!tenancy->counts().touched && tenancy->close()) unlist(*tenancy, doomed);
  };
  for (const auto& [name, entry] : names_) unlist_closed(*entry);
  for (auto& [block, record] : blocks_.all()) {
    drop_forms(record, now, doomed, true);
    for (FormSlot& form : record.forms) if (form.entry) unlist_closed(*form.entry);
  }
  if (mode == MemoryMode::memory) result.freed_derived_bytes += drop_artefacts(static_cast<std::size_t>(-1), doomed);
  std::sort(result.freed_names.begin(), result.freed_names.end());
  std::sort(result.evicted_names.begin(), result.evicted_names.end());
  result.current_bytes = blocks_.bytes();
  result.freed_tensors = result.freed_names.size();
  result.percentage = result.initial_bytes == 0 ? 0 : 100.0 * static_cast<double>(result.freed_bytes) / static_cast<double>(result.initial_bytes);
  result.remaining_tensors = names_.size();
  return result;
}

}  // namespace cotenant::detail

#endif
