// What the handle Vulkan does, and the scratch memory of a stream's ops.
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

#include "cotenant/core/config.hpp"
#include "cotenant/vulkan/device_streams.hpp"
#include "cotenant/vulkan/staging.hpp"
#include "cotenant/vulkan/storage_class.hpp"

namespace cotenant {

COTENANT_VULKAN_INLINE Vulkan Vulkan::open(const VulkanOptions& options) { return Vulkan(vulkan::Device::open(options)->stream("main")); }
COTENANT_VULKAN_INLINE std::vector<vulkan::Capabilities> Vulkan::devices() {
  std::vector<vulkan::Capabilities> result;
  std::exception_ptr failure;
  detail::attempt(failure, [&] {
    const auto instance = vulkan::Instance::get(false, false, true);
    for (VkPhysicalDevice device : instance->devices()) result.push_back(vulkan::Query(instance->handle(), device).capabilities());
  });
  return result;
}
COTENANT_VULKAN_INLINE bool Vulkan::available() {
  if (devices().empty()) return false;
  std::exception_ptr failure;
  return detail::attempt(failure, [] { static_cast<void>(Vulkan()); });
}
COTENANT_VULKAN_INLINE vulkan::Device& Vulkan::device() const noexcept { return stream_->device(); }
COTENANT_VULKAN_INLINE Vulkan Vulkan::stream(const std::string& stream_name) const { return Vulkan(device().stream(stream_name)); }
COTENANT_VULKAN_INLINE const std::string& Vulkan::stream_name() const noexcept { return stream_->name(); }
COTENANT_VULKAN_INLINE const vulkan::Capabilities& Vulkan::capabilities() const noexcept { return device().capabilities(); }
COTENANT_VULKAN_INLINE GpuMemoryUsage Vulkan::gpu_memory_usage() const { return device().memory().usage(); }
COTENANT_VULKAN_INLINE KernelStatistics Vulkan::kernel_statistics() const { return device().pipelines().statistics(); }
COTENANT_VULKAN_INLINE std::size_t Vulkan::optimize_memory() const {
  device().driver().check_not_left();
  device().finish_or_drop();
  return device().memory().trim() + device().staging().trim() + device().parameters().trim();
}
COTENANT_VULKAN_INLINE void Vulkan::synchronize() const { device().finish(); }
COTENANT_VULKAN_INLINE bool Vulkan::save_kernels() const { return device().pipelines().save(); }
COTENANT_VULKAN_INLINE void Vulkan::dispose() const {
  device().driver().check_not_left();
  device().pipelines().save();
  device().pipelines().clear([&] { device().finish_or_drop(); });
  static_cast<void>(optimize_memory());
}
COTENANT_VULKAN_INLINE std::size_t Vulkan::validation_messages() const noexcept { return device().driver().instance().messages().count(); }
COTENANT_VULKAN_INLINE std::vector<std::string> Vulkan::validation_texts() const { return device().driver().instance().messages().texts(); }

COTENANT_VULKAN_INLINE Allocation Vulkan::allocate(std::size_t bytes) { return device().memory().allocate(bytes); }
COTENANT_VULKAN_INLINE void Vulkan::deallocate(Allocation allocation) noexcept {
  if (!device().driver().left()) device().memory().deallocate(allocation);
}
COTENANT_VULKAN_INLINE void Vulkan::copy_out(Allocation from, std::byte* to) const { vulkan::read_bytes(*stream_, from, to); }
COTENANT_VULKAN_INLINE void Vulkan::copy_in(Allocation to, const std::byte* from) const { vulkan::write_bytes(*stream_, from, to); }
COTENANT_VULKAN_INLINE void Vulkan::settle() const noexcept { device().finish_quietly(); }

COTENANT_VULKAN_INLINE void Vulkan::pin(const Allocation& pages) const { device().memory().imports().add(device().driver(), pages.data, pages.bytes); }
COTENANT_VULKAN_INLINE void Vulkan::unpin(const void* pages) const noexcept {
  if (!device().driver().left()) device().memory().imports().remove_host(pages);
}

COTENANT_VULKAN_INLINE BlockRef Vulkan::import_block(const BlockRef& host, std::size_t& before) const {
  const std::size_t page = capabilities().host_import_alignment;
  if (!capabilities().host_import || page == 0)
    raise<Unsupported>("'" + capabilities().name + "' cannot use the host's memory (VK_EXT_external_memory_host): copy the tensor with copy_to()");
  host->wait();
  // Whole pages: what lies around the block on them is this process's, too.
  const auto begin = reinterpret_cast<std::uintptr_t>(host->data()), end = begin + host->bytes(), first = begin / page * page;
  before = begin - first;
  Vulkan keeper = result_storage();
  keeper.held_ = std::make_shared<BlockRef>(host);
  const Allocation pages = device().memory().imports().add(device().driver(), reinterpret_cast<void*>(first), (end - first + page - 1) / page * page);
  return Block::adopt(std::move(keeper), pages);
}

COTENANT_VULKAN_INLINE std::shared_ptr<vulkan::Stream> Vulkan::default_device() {
  // A failure is not remembered: a driver may be installed later.
  static std::mutex mutex;
  // Never destroyed: at the end of the program the driver's own clean-up comes before that of what was made before it was
  // loaded. The device's registry, which is made after, finishes its work and saves its kernels.
  static auto& stream = *new std::shared_ptr<vulkan::Stream>;
  const std::lock_guard lock(mutex);
  if (!stream) stream = vulkan::Device::open({})->stream("main");
  return stream;
}

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

inline bool is_scratch(const Block& block) noexcept { return block.storage_identity() == StorageIdentity::of<StreamScratch>(); }
inline bool lies_on(const Block& block, const Device& device) noexcept {
  if (is_scratch(block)) return &block.storage<StreamScratch>().device() == &device;
  return block.storage_identity() == StorageIdentity::of<Vulkan>() && &block.storage<Vulkan>().device() == &device;
}
inline std::string place_of(const Block& block) {
  const auto on = [](const Device& device) { return "on another device, '" + device.capabilities().name + "'"; };
  if (is_scratch(block)) return on(block.storage<StreamScratch>().device());
  if (block.storage_identity() == StorageIdentity::of<Vulkan>()) return on(block.storage<Vulkan>().device());
  return "in the host's memory";
}

// Memory for one op between its kernels, on this stream alone: pass it to launches and drop it; the next op may have it at once.
// Errors: OutOfMemory.
inline BlockRef temporary(Stream& stream, std::size_t bytes) { return Block::allocate(StreamScratch(stream.shared_from_this()), bytes); }
inline BufferArgument whole(const BlockRef& block, Access access) { return {block.get(), block->data(), block->bytes(), access}; }
}  // namespace vulkan

}  // namespace cotenant

#endif
