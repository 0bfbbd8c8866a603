// Registry, continued: room in the budget for artefacts, such as packed weights, and what they replace.
#ifndef COTENANT_SHARE_ARTEFACT_ROOM_HPP
#define COTENANT_SHARE_ARTEFACT_ROOM_HPP
#include <algorithm>
#include <cstddef>
#include <mutex>
#include <string_view>

#include "cotenant/share/registry.hpp"

namespace cotenant::detail {

// Artefacts that are kept or being made, and what those kept replace.
inline Beside Registry::beside(std::string_view storage) const {
  if (!blocks_.is_limited()) return {};
  Beside total{promised_};
  for (const auto& [block, record] : blocks_.all()) {
    const DerivedSet* const derived = record.residence == Residence::resident ? block->derived_if_any() : nullptr;
    if (derived == nullptr) continue;
    total.kept += derived->bytes();
    const std::size_t replaced = derived->replaced_bytes();
    total.replaced += replaced;
    if (block->storage_name() == storage) total.replaced_kind += replaced;
  }
  return total;
}

// Drops artefacts that nobody uses of blocks for which which(record), until `wanted` bytes of them are gone; they are made again when
// they are asked for. How many went. All: also those that make no room.
template <class Which> std::size_t Registry::drop_artefacts(std::size_t wanted, Doomed& doomed, const Which& which) {
  std::size_t total = 0;
  for (const auto& [block, record] : blocks_.all())
    if (total < wanted && record.residence == Residence::resident && which(record))
      total += block->take_unused_artefacts(doomed.artefacts, wanted == static_cast<std::size_t>(-1));
  if (total > 0) recorder_->refusals.forget();
  return total;
}

// An artefact saves time, not memory: no tensor goes for it, and no other artefact but those of tensors that no model holds.
inline bool Registry::promise_artefact(std::size_t bytes, Doomed& doomed) {
  const std::lock_guard lock(mutex_);
  const auto missing = [&] { return blocks_.missing_for({}, bytes, beside({})).total; };
  const auto nobody_holds = [](const BlockRecord& record) {
    TimePoint last_used{};
    return std::all_of(record.entries.begin(), record.entries.end(), [&](const Entry* entry) { return is_unused(*entry, last_used); });
  };
  if (const std::size_t lacking = missing(); lacking > 0) {
    const std::size_t dropped = drop_artefacts(lacking, doomed, nobody_holds);
    recorder_->refusals.note(bytes);
    // Looked at again: a lease may have ended before that was noted. What a kernel reads at this moment goes unheard afterwards.
    const bool may_go = std::any_of(blocks_.all().begin(), blocks_.all().end(), [&](const auto& one) {
      const DerivedSet* const kept = one.second.residence == Residence::resident && nobody_holds(one.second) ? one.first->derived_if_any() : nullptr;
      return kept != nullptr && kept->bytes() > 0;
    });
    if (may_go) recorder_->refusals.forget();
    if (dropped < lacking || missing() > 0) return false;
    recorder_->refusals.forget();
  }
  promised_ += bytes;
  return true;
}
inline void Registry::unpromise_artefact(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  promised_ -= bytes;
  recorder_->refusals.forget();
}

inline bool DeriveNote::promise(const DerivedObserver& self, std::size_t bytes) {
  const auto& note = static_cast<const DeriveNote&>(self);
  if (note.recorder_->refusals.contain(bytes)) return false;
  const RegistryLink& link = *note.link_;
  Doomed doomed(nullptr);
  const std::lock_guard lock(link.mutex);
  return link.registry == nullptr || link.registry->promise_artefact(bytes, doomed);
}
inline void DeriveNote::unpromise(const DerivedObserver& self, std::size_t bytes) {
  const RegistryLink& link = *static_cast<const DeriveNote&>(self).link_;
  const std::lock_guard lock(link.mutex);
  if (link.registry != nullptr) link.registry->unpromise_artefact(bytes);
}

}  // namespace cotenant::detail

#endif
