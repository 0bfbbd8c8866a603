// Vulkan: the storage of tensors on a GPU. A handle on an opened device and on one of its streams; what it does is in storage.hpp.
#ifndef COTENANT_VULKAN_STORAGE_CLASS_HPP
#define COTENANT_VULKAN_STORAGE_CLASS_HPP
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/concepts.hpp"
#include "cotenant/share/tensor.hpp"
#include "cotenant/vulkan/device_options.hpp"
#include "cotenant/vulkan/device_statistics.hpp"

namespace cotenant {

class VulkanBackend;
namespace vulkan {
class Device;
class Stream;
}  // namespace vulkan

// Copying a handle opens nothing. Ops run on the stream of their first operand, in order; streams of one device share its
// memory and wait for each other only where they touch the same tensor.
class Vulkan {
 public:
  using backend = VulkanBackend;
  using result = Vulkan;
  static constexpr bool host_accessible = false;
  static constexpr bool writable = true;
  static constexpr std::string_view name() { return "vulkan"; }

  // The process's default device: the best one, or what COTENANT_VULKAN_DEVICE says. It is opened once and stays open.
  // Errors: Unsupported where there is none (the sentence says what to install), NotFound, OutOfMemory.
  Vulkan() : Vulkan(default_device()) {}
  // Another handle on a stream of an opened device.
  explicit Vulkan(std::shared_ptr<vulkan::Stream> stream) : stream_(std::move(stream)) {}

  // A device opened anew, with memory and kernels of its own. Errors: Unsupported, NotFound, OutOfMemory.
  static Vulkan open(const VulkanOptions& options = {});
  // What every device of this machine is and can do; VulkanOptions::device takes their indices. Empty where there is none.
  static std::vector<vulkan::Capabilities> devices();
  // Whether Vulkan() gives a device. Opens it.
  static bool available();

  // The same memory and kernels, work of its own: one per tenant. The same name gives the same stream while somebody has it.
  // Errors: OutOfMemory, DeviceLost.
  Vulkan stream(const std::string& stream_name) const;
  const std::string& stream_name() const noexcept;

  const vulkan::Capabilities& capabilities() const noexcept;
  // What its memory holds now, in bytes; what its kernels have taken to make since it was opened, in seconds.
  GpuMemoryUsage gpu_memory_usage() const;
  KernelStatistics kernel_statistics() const;
  // Finishes all work and gives memory that no tensor uses back to the driver; how many bytes. Errors: DeviceLost, OutOfMemory.
  std::size_t optimize_memory() const;
  // Returns when everything queued on the device is done. Errors: DeviceLost, OutOfMemory.
  void synchronize() const;
  // Writes the compiled kernels to the disk now; otherwise that happens when the device is closed. False where there is nothing new, or
  // nowhere to write to (VulkanOptions::cache_folder).
  bool save_kernels() const;
  // Finishes all work, forgets compiled kernels and frees what no tensor uses. The handle stays usable. Errors: DeviceLost, OutOfMemory.
  void dispose() const;
  // How many times validation complained, and the first texts.
  std::size_t validation_messages() const noexcept;
  std::vector<std::string> validation_texts() const;

  // A tensor of the host as one of this device, without a copy: both see each other's writes, the host once it has waited
  // (synchronize()). Frozen or registered on one side it is so on both, and nobody writes here what cannot be written there. The host's
  // bytes live as long as either. Where its pages are not shared, copy_to() is faster for what is read often.
  // While the import lives, copies between the host's tensor and the device are the device's alone, as those of a Pinned one are.
  // Errors: Unsupported where the device or its driver cannot; OutOfMemory.
  template <TensorLike X> SharedTensor<element_type_of<X>, Vulkan> import(const X& host) const {
    using T = element_type_of<X>;
    static_assert(storage_type_of<X>::host_accessible, "only memory of the host can be imported");
    const SharedTensor<T, storage_type_of<X>>& tensor = as_tensor(host);
    if (!tensor) return {};
    std::size_t before = 0;
    BlockRef block = import_block(tensor.block(), before);
    Layout layout = tensor.layout();
    layout.offset += static_cast<std::ptrdiff_t>(before / sizeof(T));
    return SharedTensor<T, Vulkan>(std::move(block), layout);
  }

  // Storage. Addresses are the device's; bytes are rounded up to multiples of 256. Errors: OutOfMemory, DeviceLost.
  Allocation allocate(std::size_t bytes);
  void deallocate(Allocation allocation) noexcept;
  // A manager's, for a block that leaves the device for a while and comes back: all its bytes, which no work is under way on; done when
  // these return. Errors: OutOfMemory, DeviceLost.
  void copy_out(Allocation from, std::byte* to) const;
  void copy_in(Allocation to, const std::byte* from) const;
  // A write lease's: queues a copy of elements [first, first + count) of a block to the beginning of another. Errors: OutOfMemory, DeviceLost.
  void copy_between(DType type, Block& from, std::size_t first, Block& to, std::size_t count) const;
  // The host's block that an imported one looks at; null: none.
  Block* behind() const noexcept { return held_ ? held_->get() : nullptr; }
  // Finishes all work, also of a device that was lost.
  void settle() const noexcept;
  Vulkan result_storage() const { return Vulkan(stream_); }
  VulkanBackend& backend_instance() const;

  // Lets the device copy to and from whole pages of the host by itself, until unpin() with the same address.
  // Errors: Unsupported where it cannot (Capabilities::host_import), OutOfMemory.
  void pin(const Allocation& pages) const;
  void unpin(const void* pages) const noexcept;

  vulkan::Device& device() const noexcept;
  const std::shared_ptr<vulkan::Stream>& shared_stream() const noexcept { return stream_; }
  friend bool operator==(const Vulkan& a, const Vulkan& b) noexcept { return a.stream_ == b.stream_; }

 private:
  static std::shared_ptr<vulkan::Stream> default_device();
  // The pages that a block of the host lies on, as a block of this device; how many bytes of them come before it.
  BlockRef import_block(const BlockRef& host, std::size_t& before) const;

  std::shared_ptr<vulkan::Stream> stream_;
  std::shared_ptr<const BlockRef> held_;  // the host's block behind an imported one
};
static_assert(AllocatingStorage<Vulkan>);

}  // namespace cotenant

#endif
