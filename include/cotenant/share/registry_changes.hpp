// Registry, continued: what changes the set of names. Admission within the budget, freeing, grants, release of a model.
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

#include "cotenant/share/registry.hpp"

namespace cotenant::detail {

// "[1, 384] f32 in heap"
inline std::string describe(const Entry& entry) {
  return to_string(entry.layout.shape) + " " + std::string(to_string(entry.dtype)) + " in " + std::string(entry.block->storage_name());
}

inline std::shared_ptr<Entry> Registry::admit(std::shared_ptr<Entry> candidate, Same same, const TensorOptions& options, LeaseNode* node,
                                              std::string_view model) {
  const TimePoint now = recorder_->clock.now();
  std::string taken, refused;
  Doomed doomed;
  {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(candidate->name);
    if (found != names_.end()) {
      const Entry& existing = *found->second;
      const bool is_same = existing.dtype == candidate->dtype && existing.block->storage_identity() == candidate->block->storage_identity() &&
                           (same == Same::elements ? existing.block == candidate->block && existing.layout == candidate->layout
                                                   : existing.layout.shape == candidate->layout.shape);
      if (is_same) doomed.entries.push_back(std::exchange(candidate, found->second));
      else taken = describe(existing) + (same == Same::elements && existing.layout.shape == candidate->layout.shape ? ", of other elements" : "");
    } else if (const std::size_t missing = blocks_.missing_for(*candidate->block); missing > 0) {
      std::size_t available = 0;
      if (!make_room(missing, now, doomed, available))
        refused = format_bytes(blocks_.bytes()) + " of " + format_bytes(blocks_.max_bytes()) + " are taken and " + format_bytes(available) +
                  " of them can be freed now. Holding on: " + holders_text(now);
    }
    if (taken.empty() && refused.empty()) {
      if (names_.find(candidate->name) == names_.end()) {
        candidate->producer = options.producer;
        candidate->fresh_since = now;
        candidate->order = next_order_++;
        names_.emplace(candidate->name, candidate);
        if (blocks_.add(*candidate) && recorder_->timeline) recorder_->timeline->blocks_changed(now, blocks_.bytes());
        candidate->block->publish();
      }
      if (options.pinned) candidate->pinned = true;
      for (const std::string& consumer : options.consumers) {
        if (candidate->grants.insert(consumer).second) candidate->fresh_since = std::max(candidate->fresh_since, now);
        model_of(consumer)->active = true;
      }
      if (!options.producer.empty()) {
        model_of(options.producer)->active = true;
        tenancy_of(candidate, options.producer).hold(now);
      }
      if (node != nullptr) static_cast<void>(tenancy_of(candidate, model).attach(*node, false, now));
    }
  }
  if (!taken.empty())
    raise<AlreadyRegistered>("cannot register '" + candidate->name + "' as " + describe(*candidate) + ": the name is taken by " + taken +
                             ". Use another name, or release and forget() that tensor first");
  if (!refused.empty())
    raise<BudgetExceeded>("no room for '" + candidate->name + "' (" + format_bytes(candidate->block->bytes()) + "): " + refused +
                          ". Release or unpin some of these, or raise max_memory");
  return candidate;
}

inline void Registry::unlist(Tenancy& tenancy, Doomed& doomed) {
  const Pair pair(tenancy.entry()->name, tenancy.model()->name);
  {
    Shard& shard = shard_of(pair);
    const std::lock_guard lock(shard.lock);
    shard.tenancies.erase(pair);
  }
  std::erase(tenancy.entry()->tenancies, &tenancy);
  std::erase(tenancy.model()->tenancies, &tenancy);
  const Tenancy::Counts counts = tenancy.counts();
  retired_hits_ += counts.hits;
  // The entry may live on without this tenancy: its grace period still counts from the last release.
  tenancy.entry()->fresh_since = std::max(tenancy.entry()->fresh_since, counts.last_release);
  if (tenancy.unlist()) doomed.tenancies.push_back(&tenancy);
}

inline bool Registry::remove(Entry& entry, TimePoint now, Doomed& doomed) {
  while (!entry.tenancies.empty()) unlist(*entry.tenancies.back(), doomed);
  const bool was_last = blocks_.remove(entry);
  if (was_last && recorder_->timeline) recorder_->timeline->blocks_changed(now, blocks_.bytes());
  const auto found = names_.find(entry.name);
  doomed.entries.push_back(found->second);  // the key lies in the entry: it must outlive the erase
  names_.erase(found);
  return was_last;
}

// Frees the blocks that can be freed, the largest and longest idle first, until `missing` more bytes are free.
// Where all of them together are too few, frees nothing, says so and how much `available` was.
inline bool Registry::make_room(std::size_t missing, TimePoint now, Doomed& doomed, std::size_t& available) {
  struct Victim {
    std::vector<Entry*> entries;
    std::size_t bytes;
    double cost;
  };
  std::vector<Victim> victims;
  for (const auto& [block, entries] : blocks_.all()) {
    if (!block_is_free(entries, now) || !close_block(entries)) continue;
    TimePoint last_used{};
    for (const Entry* entry : entries) {
      last_used = std::max(last_used, entry->fresh_since);
      for (const Tenancy* tenancy : entry->tenancies) last_used = std::max(last_used, tenancy->counts().last_release);
    }
    // One second more than its age, so that among fresh ones the largest goes first.
    victims.push_back({entries, block->bytes(), static_cast<double>(block->bytes()) * (1 + std::chrono::duration<double>(now - last_used).count())});
    available += block->bytes();
  }
  std::sort(victims.begin(), victims.end(), [](const Victim& a, const Victim& b) { return a.cost > b.cost; });
  const bool enough = available >= missing;
  std::size_t freed = 0;
  for (const Victim& victim : victims) {
    const bool goes = enough && freed < missing;
    if (goes) freed += victim.bytes;
    for (Entry* entry : victim.entries) {
      if (goes) remove(*entry, now, doomed);
      else reopen(*entry);
    }
  }
  return enough;
}

// "'text_embedding' 1.5 MiB (leased by t5-base ×2), 'weights' 90.0 MiB (pinned)": the largest blocks.
inline std::string Registry::holders_text(TimePoint now) const {
  constexpr std::size_t most = 8;
  std::vector<const std::vector<Entry*>*> blocks;
  for (const auto& [block, entries] : blocks_.all()) blocks.push_back(&entries);
  std::sort(blocks.begin(), blocks.end(), [](const auto* a, const auto* b) { return a->front()->block->bytes() > b->front()->block->bytes(); });
  std::string text;
  for (std::size_t index = 0; index < blocks.size() && index < most; ++index) {
    std::string reasons, grants;
    const auto because = [&](const std::string& reason) { reasons += (reasons.empty() ? "" : ", ") + reason; };
    for (const Entry* entry : *blocks[index]) {
      const std::string view = entry == blocks[index]->front() ? "" : " through '" + entry->name + "'";
      if (entry->pinned) because("pinned" + view);
      for (const Tenancy* tenancy : entry->tenancies) {
        const std::size_t held = tenancy->counts().held;
        if (held > 0) because("leased by " + tenancy->model()->name + (held > 1 ? " ×" + std::to_string(held) : "") + view);
      }
      if (!entry->grants.empty() && !is_idle(*entry, now))
        grants = "granted to " + std::to_string(entry->grants.size()) + (entry->grants.size() == 1 ? " model" : " models") + " and fresh";
    }
    if (reasons.empty() && !grants.empty()) because(grants);
    if (reasons.empty()) because(block_is_free(*blocks[index], now) ? "can be freed" : "in use by tensors outside the manager");
    const Entry& first = *blocks[index]->front();
    text += (text.empty() ? "'" : ", '") + first.name + "' " + format_bytes(first.block->bytes()) + " (" + reasons + ")";
  }
  if (blocks.size() > most) text += " and " + std::to_string(blocks.size() - most) + " more";
  return text.empty() ? "nothing" : text;
}

inline std::size_t Registry::release_model(std::string_view model_name) {
  const TimePoint now = recorder_->clock.now();
  Doomed doomed;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : names_) {
    const auto grant = entry->grants.find(model_name);
    if (grant != entry->grants.end()) entry->grants.erase(grant);
  }
  const auto found = models_.find(model_name);
  if (found == models_.end()) return 0;
  const std::shared_ptr<Model> model = found->second;
  model->active = false;
  std::size_t released = 0;
  const std::vector<Tenancy*> tenancies = model->tenancies;
  for (Tenancy* tenancy : tenancies) {
    released += tenancy->end_all(now);
    // Models come and go: what nobody points to any more is not kept.
    if (tenancy->close()) unlist(*tenancy, doomed);
  }
  if (model->tenancies.empty()) models_.erase(found);
  return released;
}

inline ShareResult Registry::share(std::string_view name, std::string_view producer, const std::vector<std::string>& consumers) {
  if (name.empty() || producer.empty() || std::any_of(consumers.begin(), consumers.end(), [](const std::string& consumer) { return consumer.empty(); }))
    return {ShareStatus::invalid_name};
  const TimePoint now = recorder_->clock.now();
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(name);
  if (found == names_.end()) return {ShareStatus::not_found};
  Entry& entry = *found->second;
  const auto holds = [&](const Tenancy* tenancy) { return tenancy->model()->name == producer && tenancy->counts().held > 0; };
  if (!entry.producer.empty() && entry.producer != producer && std::none_of(entry.tenancies.begin(), entry.tenancies.end(), holds))
    return {ShareStatus::not_allowed};
  ShareResult result;
  model_of(producer)->active = true;
  for (const std::string& consumer : consumers) {
    if (entry.grants.insert(consumer).second) ++result.granted;
    model_of(consumer)->active = true;
  }
  if (!consumers.empty()) entry.fresh_since = std::max(entry.fresh_since, now);
  return result;
}

// Drops a name that nobody leases or pins, whatever its grants. Handles and views of its bytes stay valid.
inline bool Registry::forget(std::string_view name) {
  const TimePoint now = recorder_->clock.now();
  Doomed doomed;
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(name);
  if (found == names_.end() || found->second->pinned || !close(*found->second, true)) return false;
  remove(*found->second, now, doomed);
  return true;
}

inline OptimizationResult Registry::optimize() {
  const TimePoint now = recorder_->clock.now();
  OptimizationResult result;
  Doomed doomed;
  const std::lock_guard lock(mutex_);
  result.initial_bytes = blocks_.bytes();
  const auto take = [&](Entry& entry) {
    result.freed_names.push_back(entry.name);
    remove(entry, now, doomed);
  };
  std::vector<std::vector<Entry*>> free_blocks;
  for (const auto& [block, entries] : blocks_.all()) if (block_is_free(entries, now)) free_blocks.push_back(entries);
  for (const auto& entries : free_blocks)
    if (close_block(entries)) for (Entry* entry : entries) take(*entry);
  std::vector<Entry*> spare_views;
  for (const auto& [name, entry] : names_) if (view_is_spare(*entry, now)) spare_views.push_back(entry.get());
  // A view of a view may lose its source's name in this loop.
  for (Entry* entry : spare_views) if (view_is_spare(*entry, now) && close(*entry)) take(*entry);
  // Pairs of models that were released while they still had Lease objects.
  for (const auto& [name, entry] : names_) {
    const std::vector<Tenancy*> tenancies = entry->tenancies;
    for (Tenancy* tenancy : tenancies) if (!tenancy->counts().touched && tenancy->close()) unlist(*tenancy, doomed);
  }
  std::sort(result.freed_names.begin(), result.freed_names.end());
  result.current_bytes = blocks_.bytes();
  result.freed_bytes = result.initial_bytes - result.current_bytes;
  result.freed_tensors = result.freed_names.size();
  result.percentage = result.initial_bytes == 0 ? 0 : 100.0 * static_cast<double>(result.freed_bytes) / static_cast<double>(result.initial_bytes);
  result.remaining_tensors = names_.size();
  return result;
}

}  // namespace cotenant::detail

#endif
