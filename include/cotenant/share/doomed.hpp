// Doomed: what a manager lets go of under a lock and destroys after it, because destroying it may run user code.
#ifndef COTENANT_SHARE_DOOMED_HPP
#define COTENANT_SHARE_DOOMED_HPP
#include <memory>
#include <string>
#include <vector>

#include "cotenant/share/spill.hpp"
#include "cotenant/share/tenancy.hpp"

namespace cotenant::detail {

// Declared before the lock, so that it is destroyed after it.
struct Doomed {
  std::vector<std::shared_ptr<Entry>> entries;
  std::vector<Tenancy*> tenancies;
  std::vector<Ref<const Derived>> artefacts;
  std::unique_ptr<DerivedSet> set;
  std::vector<BlockRef> holds;
  std::vector<std::shared_ptr<const void>> others;
  std::vector<std::string> spilled;  // keys that nobody will load any more
  SpillTarget* const target;         // null where nothing is spilled
  bool settled = false;              // work of devices that kept blocks was waited for, once per call of the manager
  explicit Doomed(SpillTarget* spill_target) : target(spill_target) {}
  Doomed(const Doomed&) = delete;
  ~Doomed() {
    for (Tenancy* tenancy : tenancies) delete tenancy;
    if (target != nullptr) for (const std::string& key : spilled) target->erase(key);
  }
};

}  // namespace cotenant::detail

#endif
