// Refusals: what a budget is known to have no room for, until something happens that may have made room.
#ifndef COTENANT_SHARE_REFUSALS_HPP
#define COTENANT_SHARE_REFUSALS_HPP
#include <algorithm>
#include <atomic>
#include <cstddef>

namespace cotenant::detail {

// Whoever would keep an artefact asks once for each product; to look for room takes a lock and a walk over all blocks. Safe from any
// number of threads.
class Refusals {
 public:
  bool any() const noexcept { return least_.load(std::memory_order_relaxed) != none; }
  // Whether it is known that `bytes` have no room.
  bool contain(std::size_t bytes) const noexcept { return bytes >= least_.load(std::memory_order_relaxed); }
  // To be noted before it is looked whether `bytes` fit, and under the lock under which that is looked at: whoever makes room either
  // does so before, and is seen, or forgets this again.
  void note(std::size_t bytes) noexcept { least_.store(std::min(bytes, least_.load(std::memory_order_relaxed)), std::memory_order_relaxed); }
  // Room may have appeared. To be called under the lock under which it did.
  void forget() noexcept {
    // What is false nearly always is read only, so that releases on many cores do not fight for it.
    if (any()) least_.store(none, std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  std::atomic<std::size_t> least_{none};  // bytes; what takes more has no room either
};

}  // namespace cotenant::detail

#endif
