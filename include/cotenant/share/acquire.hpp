// Registry, continued: how a lease begins that is not in the table yet: find the name, bring its bytes back, attach.
#ifndef COTENANT_SHARE_ACQUIRE_HPP
#define COTENANT_SHARE_ACQUIRE_HPP
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "cotenant/share/residence.hpp"

namespace cotenant::detail {

// Calls use(entry, is_resident) with the entry of that name: first as it is, to be refused (other_type) before anything is brought
// back for it; then resident. Until use() says yes. Found::no where there is no such name (any more).
template <class Use> Registry::Found Registry::when_resident(Lock& lock, std::string_view name, TimePoint now, Doomed& doomed, const Use& use) {
  for (;;) {
    const auto found = names_.find(name);
    if (found == names_.end()) return Found::no;
    const std::shared_ptr<Entry> entry = found->second;
    if (use(entry, false) == Found::other_type) return Found::other_type;
    if (make_resident(lock, *entry, now, doomed) == Step::ready && use(entry, true) == Found::yes) return Found::yes;
    doomed.entries.push_back(entry);  // it may have been forgotten meanwhile: its deleter must not run under the lock
  }
}

inline Registry::Found Registry::acquire_slowly(LeaseNode& node, std::string_view name, std::string_view model, DType dtype, StorageIdentity storage_identity) {
  const TimePoint now = recorder_->clock.now();
  Doomed doomed(spill_.get());
  Lock lock(mutex_);
  const Found found = when_resident(lock, name, now, doomed, [&](const std::shared_ptr<Entry>& entry, bool is_resident) {
    if (entry->dtype != dtype || entry->block->storage_identity() != storage_identity || form_of(name, model)) return Found::other_type;
    return is_resident && tenancy_of(entry, model).attach(node, true, now) ? Found::yes : Found::no;
  });
  if (found == Found::no) misses_.fetch_add(1, std::memory_order_relaxed);
  return found;
}

inline Registry::Admitted Registry::find_resident(std::string_view name) {
  const TimePoint now = recorder_->clock.now();
  Admitted result;
  Doomed doomed(spill_.get());
  Lock lock(mutex_);
  when_resident(lock, name, now, doomed, [&](const std::shared_ptr<Entry>& entry, bool is_resident) {
    if (!is_resident) return Found::no;
    result = {entry, BlockRef(entry->block)};
    return Found::yes;
  });
  return result;
}

}  // namespace cotenant::detail

#endif
