// Registry, continued: who holds what. Models, their tenancies, and leases that end by name.
#ifndef COTENANT_SHARE_HOLDERS_HPP
#define COTENANT_SHARE_HOLDERS_HPP
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/share/registry.hpp"

namespace cotenant::detail {

inline void Registry::register_model(std::string_view model) {
  const std::lock_guard lock(mutex_);
  model_of(model)->active = true;
}
inline const std::shared_ptr<Model>& Registry::model_of(std::string_view name) {
  const auto found = models_.find(name);
  if (found != models_.end()) return found->second;
  auto model = std::make_shared<Model>();
  model->name = name;
  const std::string_view key = model->name;
  return models_.emplace(key, std::move(model)).first->second;
}
inline Tenancy& Registry::tenancy_of(const std::shared_ptr<Entry>& entry, std::string_view model_name) {
  // A form is not found by name, and few models take one.
  if (entry->is_form()) {
    for (Tenancy* tenancy : entry->tenancies) if (tenancy->model()->name == model_name) return *tenancy;
  } else if (Tenancy* known = tenancies_.find(TenancyKey(entry->name, model_name))) {
    return *known;
  }
  const std::shared_ptr<Model>& model = model_of(model_name);
  model->active = true;
  entry->tenancies.reserve(entry->tenancies.size() + 1);
  model->tenancies.reserve(model->tenancies.size() + 1);
  auto tenancy = std::make_unique<Tenancy>(entry, model, recorder_);
  if (!entry->is_form()) {
    tenancy->set_has_form(form_of(entry->name, model_name) != nullptr);
    tenancies_.insert(*tenancy);
  }
  entry->tenancies.push_back(tenancy.get());
  model->tenancies.push_back(tenancy.get());
  return *tenancy.release();
}
inline std::shared_ptr<const TensorForm> Registry::form_of(std::string_view name, std::string_view model) const {
  const auto forms = wanted_.find(name);
  if (forms == wanted_.end()) return nullptr;
  const auto form = forms->second.find(model);
  return form == forms->second.end() ? nullptr : form->second;
}

inline bool Registry::release(std::string_view name, std::string_view model) {
  const TimePoint now = recorder_->clock.now();
  if (tenancies_.with(TenancyKey(name, model), [&](Tenancy& tenancy) { return tenancy.end_one(now); })) return true;
  const std::lock_guard lock(mutex_);
  const auto end_one = [&](const Entry& entry) {
    return std::any_of(entry.tenancies.begin(), entry.tenancies.end(),
        [&](Tenancy* tenancy) { return tenancy->model()->name == model && tenancy->end_one(now); });
  };
  const auto end_form = [&](const Entry& of) {
    const std::vector<FormSlot>& forms = blocks_.record(of.block).forms;
    return std::any_of(forms.begin(), forms.end(), [&](const FormSlot& form) { return form.entry && end_one(*form.entry); });
  };
  if (const auto found = names_.find(name); found != names_.end() && end_form(*found->second)) return true;
  return std::any_of(past_.begin(), past_.end(), [&](const auto& entry) {
    return (entry->is_form() ? entry->source : entry->name) == name && (end_one(*entry) || (!entry->is_form() && end_form(*entry)));
  });
}

inline void Registry::unlist(Tenancy& tenancy, Doomed& doomed) {
  tenancies_.erase(tenancy);
  std::erase(tenancy.entry()->tenancies, &tenancy);
  std::erase(tenancy.model()->tenancies, &tenancy);
  const Tenancy::Counts counts = tenancy.counts();
  retired_hits_ += counts.hits;
  // The entry may live on without this tenancy: its grace period still counts from the last release.
  tenancy.entry()->fresh_since = std::max(tenancy.entry()->fresh_since, counts.last_release);
  if (tenancy.unlist()) doomed.tenancies.push_back(&tenancy);
}

// "'text_embedding' 1.5 MiB (leased by t5-base ×2), 'weights' 90.0 MiB (pinned)": the largest blocks.
inline std::string Registry::holders_text(TimePoint now) const {
  constexpr std::size_t most = 8;
  std::vector<const std::vector<Entry*>*> blocks;
  for (const auto& [block, record] : blocks_.all()) if (record.residence != Residence::away) blocks.push_back(&record.entries);
  std::sort(blocks.begin(), blocks.end(), [](const auto* a, const auto* b) { return a->front()->block->bytes() > b->front()->block->bytes(); });
  std::string text;
  for (std::size_t index = 0; index < blocks.size() && index < most; ++index) {
    std::string reasons, grants;
    const auto because = [&](const std::string& reason) { reasons += (reasons.empty() ? "" : ", ") + reason; };
    for (const Entry* entry : *blocks[index]) {
      const std::string view = entry == blocks[index]->front() ? "" : " through '" + entry->name + "'";
      if (entry->pinned) because("pinned" + view);
      if (!entry->writer.empty()) because("being written by " + entry->writer + view);
      for (const Tenancy* tenancy : entry->tenancies) {
        const std::size_t held = tenancy->counts().held;
        if (held > 0) because("leased by " + tenancy->model()->name + (held > 1 ? " ×" + std::to_string(held) : "") + view);
      }
      if (!entry->grants.empty() && !is_idle(*entry, now))
        grants = "granted to " + std::to_string(entry->grants.size()) + (entry->grants.size() == 1 ? " model" : " models") + " and fresh";
    }
    if (reasons.empty() && !grants.empty()) because(grants);
    if (reasons.empty()) because(block_is_free(blocks_.record(blocks[index]->front()->block), now) ? "can be freed" : "in use by tensors outside the manager");
    const Entry& first = *blocks[index]->front();
    text += (text.empty() ? "'" : ", '") + first.name + "' " + format_bytes(first.block->bytes()) + " (" + reasons + ")";
  }
  if (blocks.size() > most) text += " and " + std::to_string(blocks.size() - most) + " more";
  return text.empty() ? "nothing" : text;
}

inline std::size_t Registry::release_model(std::string_view model_name) {
  const TimePoint now = recorder_->clock.now();
  Doomed doomed(spill_.get());
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : names_) {
    const auto grant = entry->grants.find(model_name);
    if (grant != entry->grants.end()) entry->grants.erase(grant);
  }
  for (auto forms = wanted_.begin(); forms != wanted_.end();) {
    if (const auto form = forms->second.find(model_name); form != forms->second.end()) {
      doomed.others.push_back(form->second);
      tenancies_.with(TenancyKey(forms->first, model_name), [](Tenancy& tenancy) { return tenancy.set_has_form(false), true; });
      forms->second.erase(form);
    }
    forms = forms->second.empty() ? wanted_.erase(forms) : std::next(forms);
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

}  // namespace cotenant::detail

#endif
