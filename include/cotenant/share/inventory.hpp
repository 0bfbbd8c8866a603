// Inventory: everything a registry knows at one moment, and the usage, statistics and advice computed from it.
#ifndef COTENANT_SHARE_INVENTORY_HPP
#define COTENANT_SHARE_INVENTORY_HPP
#include <algorithm>
#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/share/registry.hpp"

namespace cotenant::detail {

inline Registry::Inventory Registry::inventory() const {
  const TimePoint now = recorder_->clock.now();
  Inventory result;
  SharingStats& stats = result.stats;
  const std::lock_guard lock(mutex_);
  std::vector<const Entry*> entries;
  for (const auto& [name, entry] : names_) entries.push_back(entry.get());
  for (const auto& [block, record] : blocks_.all())
    for (const FormSlot& form : record.forms) if (form.entry) entries.push_back(form.entry.get());
  std::sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) { return a->order < b->order; });
  for (const auto& entry : past_) entries.push_back(entry.get());
  std::unordered_map<const Block*, bool> free_blocks;
  for (const auto& [block, record] : blocks_.all()) {
    if (record.residence == Residence::away) {
      stats.away_bytes += block->bytes();
      continue;
    }
    if (record.residence != Residence::resident) continue;
    free_blocks[block] = block_is_free(record, now);
    const bool idle = std::none_of(record.entries.begin(), record.entries.end(), [](const Entry* entry) {
      return entry->pinned || std::any_of(entry->tenancies.begin(), entry->tenancies.end(), [](const Tenancy* tenancy) { return tenancy->counts().held > 0; });
    });
    if (idle) result.idle_bytes += block->bytes();
    if (const DerivedSet* derived = block->derived_if_any()) {
      stats.derived_bytes += derived->bytes();
      stats.replaced_bytes += derived->replaced_bytes();
    }
  }
  for (const auto& [name, model] : models_) {
    const bool active =
        model->active || std::any_of(model->tenancies.begin(), model->tenancies.end(), [](const Tenancy* tenancy) { return tenancy->counts().touched; });
    if (!active) continue;
    ++stats.total_models;
    stats.models[model->name].name = model->name;
  }
  std::set<std::string> other_names;
  for (const Entry* entry : entries) {
    const BlockRecord& record = blocks_.record(entry->block);
    const bool resident = record.residence == Residence::resident;
    TensorUsage usage;
    usage.name = entry->name;
    // A version that was replaced while someone held it is listed as long as it is held. The name may have been forgotten
    // and registered again, so that two past versions have one number; and a name may look like a form's.
    if (entry->past || entry->is_form()) {
      if (entry->past) usage.name += "@" + std::to_string(entry->version);
      while (names_.contains(usage.name) || !other_names.insert(usage.name).second) usage.name += "'";
    }
    usage.version = entry->version;
    usage.writer = entry->writer;
    usage.resident = record.residence != Residence::away;
    usage.bytes = entry->element_bytes();
    usage.extra_bytes = usage.resident && record.entries.front() == entry ? entry->block->bytes() : 0;
    if (const DerivedSet* derived = resident ? entry->block->derived_if_any() : nullptr) {
      const char* const data = static_cast<const char*>(entry->block->data());
      for (const ByteRange& range : *entry->ranges) usage.derived_bytes += derived->bytes(data + range.first, data + range.last);
    }
    usage.shape = entry->layout.shape;
    usage.dtype = entry->dtype;
    usage.storage = entry->block->storage_name();
    usage.references = entry->block->references();
    usage.grants.assign(entry->grants.begin(), entry->grants.end());
    usage.producer = entry->producer;
    usage.source = entry->source;
    usage.form = entry->form;
    usage.pinned = entry->pinned;
    usage.can_be_freed = free_blocks[entry->block] || view_is_spare(*entry, now);
    for (const Tenancy* tenancy : entry->tenancies) {
      const Tenancy::Counts counts = tenancy->counts();
      const std::string& model_name = tenancy->model()->name;
      stats.hits += counts.hits;
      if (const auto model = stats.models.find(model_name); model != stats.models.end()) model->second.hits += counts.hits;
      if (counts.held == 0) continue;
      usage.leases += counts.held;
      usage.holders[model_name] = counts.held;
      ModelUsage& model = stats.models[model_name];
      model.name = model_name;
      model.total_bytes += usage.bytes;
      model.leases += counts.held;
      model.tensors.push_back(usage.name);
      for (const ByteRange& range : *entry->ranges) result.holdings.emplace_back(model_name, range);
    }
    result.tensors.push_back(std::move(usage));
  }
  result.patterns = patterns_;
  stats.total_tensors = result.tensors.size();
  stats.true_bytes = blocks_.bytes();
  stats.peak_bytes = blocks_.peak();
  stats.max_memory = blocks_.max_bytes();
  stats.evictions = evictions_;
  stats.reloads = reloads_;
  stats.deduplicated = deduplicated_;
  stats.deduplicated_bytes = deduplicated_bytes_;
  for (const auto& [storage, kind] : blocks_.kinds()) if (kind.bytes > 0) stats.storage_bytes.emplace(storage, kind.bytes);
  stats.hits += retired_hits_;
  stats.misses = misses_.load(std::memory_order_relaxed);
  return result;
}

// The number of edits (insert, delete, replace) between two names.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j)
      diagonal = std::exchange(row[j + 1], std::min({row[j + 1] + 1, row[j] + 1, diagonal + (lower(a[i]) != lower(b[j]))}));
  }
  return row[b.size()];
}

inline std::string Registry::suggestion(std::string_view name) const {
  constexpr std::size_t longest = 256;  // the distance costs the product of the lengths
  if (name.empty() || name.size() > longest) return {};
  std::vector<std::pair<std::size_t, std::string>> near;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, entry] : names_) {
      if (key.size() > longest) continue;
      const bool contained = key.find(name) != key.npos || (key.size() >= 3 && name.find(key) != name.npos);
      const std::size_t distance = contained ? 1 : edit_distance(name, key);
      if (distance <= std::max<std::size_t>(1, name.size() / 3)) near.emplace_back(distance, key);
    }
  }
  std::sort(near.begin(), near.end());
  std::string text;
  for (std::size_t index = 0; index < near.size() && index < 3; ++index) text += (index ? ", '" : " Did you mean '") + near[index].second + "'";
  return text.empty() ? text : text + "?";
}

// Fills in the models' bytes and the totals.
inline SharingStats statistics(Registry::Inventory inventory) {
  SharingStats stats = std::move(inventory.stats);
  std::map<std::string_view, std::size_t> index_of;
  for (const auto& [name, model] : stats.models) index_of.emplace(name, index_of.size());
  std::vector<Holding> holdings;
  for (const auto& [model, range] : inventory.holdings) holdings.push_back({range, index_of[model]});
  const Shares shares = share_out(holdings, index_of.size());
  for (auto& [name, model] : stats.models) {
    const ModelShare& share = shares.models[index_of[name]];
    model.unique_bytes = share.unique_bytes;
    model.shared_bytes = share.shared_bytes;
    model.proportional_bytes = share.proportional_bytes;
  }
  stats.saved_bytes = shares.saved_bytes;
  stats.separate_bytes = stats.true_bytes + stats.saved_bytes;
  const std::size_t asked = stats.hits + stats.misses;
  stats.hit_rate = asked == 0 ? 0 : static_cast<double>(stats.hits) / static_cast<double>(asked);
  for (TensorUsage& tensor : inventory.tensors) {
    std::string name = tensor.name;
    stats.tensors.emplace(std::move(name), std::move(tensor));
  }
  return stats;
}

inline std::vector<SharingOpportunity> opportunities(const Registry::Inventory& inventory) {
  std::vector<SharingOpportunity> result;
  for (const SharingPattern& pattern : inventory.patterns.all()) {
    SharingOpportunity opportunity{pattern.tensor_kind, {}, {}, 0};
    for (const auto& [name, model] : inventory.stats.models)
      if (std::any_of(pattern.families.begin(), pattern.families.end(),
                      [&, &model_name = name](const std::string& family) { return matches_family(model_name, family); }))
        opportunity.models.push_back(name);
    if (opportunity.models.size() < 2) continue;
    std::size_t smallest = 0;
    std::vector<std::string> holders;
    for (const TensorUsage& tensor : inventory.tensors) {
      if (tensor.name.find(pattern.tensor_kind) == std::string::npos) continue;
      for (const auto& [model, count] : tensor.holders) holders.push_back(model);
      if (!tensor.form.empty()) continue;  // it comes with its source
      smallest = opportunity.tensors.empty() ? tensor.bytes : std::min(smallest, tensor.bytes);
      opportunity.tensors.push_back(tensor.name);
    }
    for (const std::string& model : opportunity.models)
      if (std::find(holders.begin(), holders.end(), model) == holders.end()) opportunity.potential_bytes += smallest;
    result.push_back(std::move(opportunity));
  }
  return result;
}

inline OptimizationRecommendations recommendations(const Registry::Inventory& inventory, std::vector<MeasuredDuplicate> duplicates = {}) {
  OptimizationRecommendations result;
  result.duplicates = std::move(duplicates);
  result.opportunities = opportunities(inventory);
  result.idle_bytes = inventory.idle_bytes;
  result.largest_tensors = inventory.tensors;
  std::stable_sort(result.largest_tensors.begin(), result.largest_tensors.end(),
                   [](const TensorUsage& a, const TensorUsage& b) { return std::pair(a.extra_bytes, a.bytes) > std::pair(b.extra_bytes, b.bytes); });
  if (result.largest_tensors.size() > 10) result.largest_tensors.resize(10);
  for (const TensorUsage& tensor : inventory.tensors)
    if (!tensor.pinned && tensor.holders.size() <= 1) result.low_reference_tensors.push_back(tensor);
  result.potential_savings = result.idle_bytes;
  if (result.idle_bytes > 0)
    result.advice.push_back(
        format_bytes(result.idle_bytes) +
        " lie in tensors that no model leases: optimize_memory() frees those whose grants are stale and that no tensor outside the manager uses.");
  for (const MeasuredDuplicate& duplicate : result.duplicates) {
    result.potential_savings += duplicate.saved_bytes;
    std::string others;
    for (std::size_t index = 1; index < duplicate.tensors.size() && index < 4; ++index) others += (others.empty() ? "'" : ", '")
      + duplicate.tensors[index] + "'";
    if (duplicate.tensors.size() > 4) others += " and " + std::to_string(duplicate.tensors.size() - 4) + " more";
    result.advice.push_back(others + (duplicate.equal_shapes ? " hold the same as '" : " hold the beginning of '") + duplicate.tensors.front() + "': " +
                            format_bytes(duplicate.saved_bytes) + (duplicate.equal_shapes ? " less as one tensor." : " less as views of it (create_view)."));
  }
  for (const SharingOpportunity& opportunity : result.opportunities) {
    result.potential_savings += opportunity.potential_bytes;
    std::string models;
    for (const std::string& model : opportunity.models) models += (models.empty() ? "" : ", ") + model;
    if (opportunity.tensors.empty()) result.advice.push_back(models + " can share one " + opportunity.tensor_kind + ": register it once and get() it by name.");
    else if (opportunity.potential_bytes > 0)
      result.advice.push_back(models + " can share '" + opportunity.tensors.front() + "', which not all of them hold: up to " +
                              format_bytes(opportunity.potential_bytes) + ".");
  }
  return result;
}

}  // namespace cotenant::detail

#endif
