// Who uses an entry, or what lies on a block: the questions that must be asked, and the doors that must be closed, before bytes leave memory.
#ifndef COTENANT_SHARE_ENTRY_USE_HPP
#define COTENANT_SHARE_ENTRY_USE_HPP
#include <algorithm>
#include <cstddef>
#include <vector>

#include "cotenant/share/accounting.hpp"

// All of these need the registry's mutex.
namespace cotenant::detail {

// Whether somebody leases a form of a block, or one is being made; with `objects` also whether a Lease object looks at one.
inline bool form_is_held(const BlockRecord& record, bool objects) {
  return std::any_of(record.forms.begin(), record.forms.end(), [&](const FormSlot& form) {
    return !form.entry || std::any_of(form.entry->tenancies.begin(), form.entry->tenancies.end(), [&](const Tenancy* tenancy) {
      const Tenancy::Counts counts = tenancy->counts();
      return counts.held > 0 || (objects && counts.objects > 0);
    });
  });
}
// Names on a block: its entries but for the forms that are views.
inline std::size_t name_count(const std::vector<Entry*>& entries) {
  return static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(), [](const Entry* entry) { return !entry->is_form(); }));
}

// Not pinned, no lease, no Lease object, no writer. last_used becomes the time of its last release, grant or registration where that is later.
inline bool is_unused(const Entry& entry, TimePoint& last_used) {
  if (entry.pinned || !entry.writer.empty()) return false;
  last_used = std::max(last_used, entry.fresh_since);
  for (const Tenancy* tenancy : entry.tenancies) {
    const Tenancy::Counts counts = tenancy->counts();
    if (counts.held > 0 || counts.objects > 0) return false;
    last_used = std::max(last_used, counts.last_release);
  }
  return true;
}

// From close() to reopen() no lease of the entry can begin.
inline void reopen(const Entry& entry) { for (Tenancy* tenancy : entry.tenancies) tenancy->reopen(); }
// No lease of the entry can begin any more; false, and nothing changes, where there is one.
inline bool close(const Entry& entry, bool despite_objects = false) {
  for (std::size_t index = 0; index < entry.tenancies.size(); ++index) {
    if (entry.tenancies[index]->close(despite_objects)) continue;
    while (index-- > 0) entry.tenancies[index]->reopen();
    return false;
  }
  return true;
}
// The same for all entries of a block that nobody outside the registry has a handle on; false, and nothing changes, where somebody has.
inline bool close_block(const std::vector<Entry*>& entries) {
  for (std::size_t index = 0; index < entries.size(); ++index) {
    if (close(*entries[index])) continue;
    while (index-- > 0) reopen(*entries[index]);
    return false;
  }
  // Checked again: a lease that began and ended since may have left a copy of its tensor.
  if (entries.front()->block->references() == entries.size()) return true;
  for (const Entry* entry : entries) reopen(*entry);
  return false;
}

}  // namespace cotenant::detail

#endif
