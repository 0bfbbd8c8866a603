// Borrowed: memory that belongs to someone else, with a function that is called when the last tensor on it is gone.
#ifndef COTENANT_STORAGE_BORROWED_HPP
#define COTENANT_STORAGE_BORROWED_HPP
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "cotenant/core/concepts.hpp"
#include "cotenant/storage/heap.hpp"

namespace cotenant {

// Wrap memory with `borrow()` (share/tensor.hpp). `deleter` runs once, on the thread that drops the last reference,
// and must not throw; an empty one leaves the memory alone.
struct Borrowed {
  using backend = HostBackend;
  using result = Heap;
  static constexpr bool host_accessible = true;
  static constexpr bool writable = true;
  static constexpr std::string_view name() { return "borrowed"; }
  Heap result_storage() const { return {}; }
  void deallocate(Allocation) noexcept {
    if (deleter) deleter();
  }

  std::function<void()> deleter;
};
static_assert(Storage<Borrowed> && !AllocatingStorage<Borrowed>);

}  // namespace cotenant

#endif
