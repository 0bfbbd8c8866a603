// Vulkan: the storage of tensors on a GPU. A handle on an opened device and on one of its streams.
#ifndef COTENANT_VULKAN_STORAGE_HPP
#define COTENANT_VULKAN_STORAGE_HPP
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/concepts.hpp"
#include "cotenant/share/tensor.hpp"
#include "cotenant/vulkan/device_streams.hpp"
#include "cotenant/vulkan/staging.hpp"

namespace cotenant {

class VulkanBackend;

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
  explicit Vulkan(std::shared_ptr<vulkan::Stream> stream) : stream_(std::move(stream)) {}

  // A device opened anew, with memory and kernels of its own. Errors: Unsupported, NotFound, OutOfMemory.
  static Vulkan open(const VulkanOptions& options = {}) { return Vulkan(vulkan::Device::open(options)->stream("main")); }
  // What every device of this machine is and can do; VulkanOptions::device takes their indices. Empty where there is none.
  static std::vector<vulkan::Capabilities> devices() {
    std::vector<vulkan::Capabilities> result;
    std::exception_ptr failure;
    detail::attempt(failure, [&] {
      const auto instance = vulkan::Instance::get(false, false, true);
      for (VkPhysicalDevice device : instance->devices()) result.push_back(vulkan::Query(instance->handle(), device).capabilities());
    });
    return result;
  }
  // Whether Vulkan() gives a device. Opens it.
  static bool available() {
    if (devices().empty()) return false;
    std::exception_ptr failure;
    return detail::attempt(failure, [] { static_cast<void>(Vulkan()); });
  }

  // The same memory and kernels, work of its own: one per tenant. The same name gives the same stream while somebody has it.
  Vulkan stream(const std::string& stream_name) const { return Vulkan(device().stream(stream_name)); }
  const std::string& stream_name() const noexcept { return stream_->name(); }

  const vulkan::Capabilities& capabilities() const noexcept { return device().capabilities(); }
  GpuMemoryUsage gpu_memory_usage() const { return device().memory().usage(); }
  KernelStatistics kernel_statistics() const { return device().pipelines().statistics(); }
  // Finishes all work and gives memory that no tensor uses back to the driver; how many bytes.
  std::size_t optimize_memory() const {
    device().finish();
    return device().memory().trim() + device().staging().trim() + device().parameters().trim();
  }
  // Returns when everything queued on the device is done. Errors: DeviceLost, OutOfMemory.
  void synchronize() const { device().finish(); }
  // Writes the compiled kernels to the disk now; otherwise that happens when the device is closed.
  bool save_kernels() const { return device().pipelines().save(); }
  // Finishes all work, forgets compiled kernels and frees what no tensor uses. The handle stays usable.
  void dispose() const {
    device().finish();
    device().pipelines().save();
    device().pipelines().clear();
    static_cast<void>(optimize_memory());
  }
  // How many times validation complained, and the first texts.
  std::size_t validation_messages() const noexcept { return device().driver().instance().messages().count(); }
  std::vector<std::string> validation_texts() const { return device().driver().instance().messages().texts(); }

  // A tensor of the host as one of this device, without a copy: both see each other's writes, the host once it has waited
  // (synchronize()). The host's bytes live as long as either. Where its pages are not shared, copy_to() is faster for what is read often.
  // While the import lives, copies between the host's tensor and the device are the device's alone, as those of a Pinned one are.
  // Errors: Unsupported where the device or its driver cannot; OutOfMemory.
  template <TensorLike X> SharedTensor<element_type_of<X>, Vulkan> import(const X& host) const {
    using T = element_type_of<X>;
    static_assert(storage_type_of<X>::host_accessible, "only memory of the host can be imported");
    const SharedTensor<T, storage_type_of<X>>& tensor = as_tensor(host);
    if (!tensor) return {};
    const std::size_t page = capabilities().host_import_alignment;
    if (!capabilities().host_import || page == 0)
      raise<Unsupported>("'" + capabilities().name + "' cannot use the host's memory (VK_EXT_external_memory_host): copy the tensor with copy_to()");
    tensor.block()->wait();
    // Whole pages: what lies around the block on them is this process's, too.
    const auto begin = reinterpret_cast<std::uintptr_t>(tensor.block()->data()), end = begin + tensor.block()->bytes(), first = begin / page * page;
    Vulkan keeper = result_storage();
    keeper.held_ = std::make_shared<BlockRef>(tensor.block());
    const Allocation pages = device().memory().imports().add(device().driver(), reinterpret_cast<void*>(first), (end - first + page - 1) / page * page);
    Layout layout = tensor.layout();
    layout.offset += static_cast<std::ptrdiff_t>((begin - first) / sizeof(T));
    return SharedTensor<T, Vulkan>(Block::adopt(std::move(keeper), pages), layout);
  }

  // Storage
  Allocation allocate(std::size_t bytes) { return device().memory().allocate(bytes); }
  void deallocate(Allocation allocation) noexcept { device().memory().deallocate(allocation); }
  // A manager's, for a block that leaves the device for a while and comes back.
  void copy_out(Allocation from, std::byte* to) const { vulkan::read_bytes(*stream_, from, to); }
  void copy_in(Allocation to, const std::byte* from) const { vulkan::write_bytes(*stream_, from, to); }
  void settle() const noexcept { device().finish_quietly(); }
  Vulkan result_storage() const { return Vulkan(stream_); }
  VulkanBackend& backend_instance() const;

  vulkan::Device& device() const noexcept { return stream_->device(); }
  const std::shared_ptr<vulkan::Stream>& shared_stream() const noexcept { return stream_; }
  friend bool operator==(const Vulkan& a, const Vulkan& b) noexcept { return a.stream_ == b.stream_; }

 private:
  static std::shared_ptr<vulkan::Stream> default_device() {
    // A failure is not remembered: a driver may be installed later.
    static std::mutex mutex;
    // Never destroyed: at the end of the program the driver's own clean-up comes before that of what was made before it was
    // loaded. The device's registry, which is made after, finishes its work and saves its kernels.
    static auto& stream = *new std::shared_ptr<vulkan::Stream>;
    const std::lock_guard lock(mutex);
    if (!stream) stream = vulkan::Device::open({})->stream("main");
    return stream;
  }

  std::shared_ptr<vulkan::Stream> stream_;
  std::shared_ptr<const BlockRef> held_;  // the host's block behind an imported one
};
static_assert(AllocatingStorage<Vulkan>);

namespace vulkan {
// The storage of scratch memory: what a stream's ops put aside between two kernels.
class StreamScratch {
 public:
  using backend = VulkanBackend;
  using result = Vulkan;
  static constexpr bool host_accessible = false;
  static constexpr bool writable = true;
  static constexpr std::string_view name() { return "vulkan scratch"; }
  explicit StreamScratch(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  Allocation allocate(std::size_t bytes) { return stream_->take_scratch(bytes); }
  void deallocate(Allocation allocation) noexcept { stream_->give_scratch_back(allocation); }
  Vulkan result_storage() const { return Vulkan(stream_); }
  Device& device() const noexcept { return stream_->device(); }

 private:
  std::shared_ptr<Stream> stream_;
};
static_assert(AllocatingStorage<StreamScratch>);

inline bool is_scratch(const Block& block) noexcept { return block.storage_identity() == &cotenant::detail::storage_identity_of<StreamScratch>; }
inline bool lies_on(const Block& block, const Device& device) noexcept {
  if (is_scratch(block)) return &block.storage<StreamScratch>().device() == &device;
  return block.storage_identity() == &cotenant::detail::storage_identity_of<Vulkan> && &block.storage<Vulkan>().device() == &device;
}

// Memory for one op between its kernels, on this stream alone: pass it to launches and drop it; the next op may have it at once.
// Errors: OutOfMemory.
inline BlockRef temporary(Stream& stream, std::size_t bytes) { return Block::allocate(StreamScratch(stream.shared_from_this()), bytes); }
inline BufferArgument whole(const BlockRef& block, Access access) { return {block.get(), block->data(), block->bytes(), access}; }
}  // namespace vulkan

}  // namespace cotenant

#endif
