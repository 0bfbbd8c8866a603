// Pinned: memory of the host that a device copies to and from by itself.
#ifndef COTENANT_VULKAN_PINNED_HPP
#define COTENANT_VULKAN_PINNED_HPP
#include <algorithm>
#include <cstddef>
#include <exception>
#include <string_view>
#include <utility>

#include "cotenant/core/concepts.hpp"
#include "cotenant/share/attempt.hpp"
#include "cotenant/storage/heap.hpp"
#include "cotenant/vulkan/storage_class.hpp"

namespace cotenant {

// For tensors that go to a device or come from it again and again:
//   auto batch = empty<float>({64, 512}, Pinned(gpu));    // filled and computed with as any tensor of the host
//   batch.copy_to(gpu);                                   // 50 GB/s beside an H100, without the processor
//   auto states = result.copy_to(Pinned(gpu));            // returns at once; reading waits
// A copy to the device returns when it has read the bytes. Pinning takes 40 µs per MiB and keeps the pages from being swapped out: little
// is gained where a tensor is copied once. Where the device cannot (Capabilities::host_import) it is ordinary memory.
class Pinned {
 public:
  using backend = HostBackend;
  using result = Heap;
  static constexpr bool host_accessible = true;
  static constexpr bool writable = true;
  static constexpr std::string_view name() { return "pinned"; }

  // For the process's default device. Errors: those of Vulkan().
  Pinned() : Pinned(Vulkan()) {}
  explicit Pinned(Vulkan gpu) : gpu_(std::move(gpu)) {}
  Heap result_storage() const { return {}; }

  // Errors: OutOfMemory.
  Allocation allocate(std::size_t bytes) {
    const vulkan::Capabilities& device = gpu_.capabilities();
    // From a page on the heap gives whole pages, on which nothing else lies.
    const Allocation memory = heap_cache().allocate(std::max(bytes, HeapCache::page));
    if (!device.host_import || device.host_import_alignment == 0 || HeapCache::page % device.host_import_alignment != 0) return memory;
    std::exception_ptr failure;
    if (!detail::attempt(failure, [&] { gpu_.pin(memory); })) {
      heap_cache().deallocate(memory);
      detail::throw_again(failure);
    }
    return memory;
  }
  void deallocate(Allocation memory) noexcept {
    gpu_.unpin(memory.data);
    heap_cache().deallocate(memory);
  }

 private:
  Vulkan gpu_;
};
static_assert(AllocatingStorage<Pinned>);

}  // namespace cotenant

#endif
