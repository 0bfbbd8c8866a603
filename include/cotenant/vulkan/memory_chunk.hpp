// MemoryChunk: one allocation of the driver and the one buffer that covers it.
#ifndef COTENANT_VULKAN_MEMORY_CHUNK_HPP
#define COTENANT_VULKAN_MEMORY_CHUNK_HPP
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/vulkan/driver.hpp"

namespace cotenant::vulkan {

// What memory is for.
//   device      tensors
//   staging     bytes on their way between host and device: the host reads and writes it fast
//   parameters  small, written by the host once and read by a kernel once
enum class MemoryKind { device, staging, parameters };

class MemoryChunk {
 public:
  MemoryChunk() = default;
  // Errors: OutOfMemory, DeviceLost; nothing is left behind.
  MemoryChunk(Driver& driver, std::size_t bytes, MemoryKind kind, bool host_visible = false) : driver_(&driver), bytes_(bytes) {
    const auto what = [&] { return "allocating " + std::to_string(bytes) + " bytes"; };
    make_buffer(nullptr);
    VkMemoryRequirements needed;
    vkGetBufferMemoryRequirements(driver.handle(), buffer_, &needed);
    const int type = choose_type(needed.memoryTypeBits, kind, host_visible);
    if (type < 0) destroy(), raise_result(VK_ERROR_FEATURE_NOT_PRESENT, what());
    finish(needed.size, static_cast<std::uint32_t>(type), nullptr, what);
    const VkMemoryPropertyFlags flags = driver.memory().memoryTypes[type].propertyFlags;
    // A tensor's memory that the host could only read slowly, or would have to tell the device what it wrote, is copied instead.
    constexpr VkMemoryPropertyFlags fast = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    if (kind != MemoryKind::device || (host_visible && (flags & fast) == fast)) {
      const VkResult result = driver.call(Step::map_memory, [&] { return vkMapMemory(driver.handle(), memory_, 0, VK_WHOLE_SIZE, 0, &mapped_); });
      if (result < 0) destroy(), raise_result(result, "mapping " + std::to_string(bytes) + " bytes");
    }
  }
  // The host's own pages as device memory, without a copy. Both must be multiples of Capabilities::host_import_alignment.
  // Errors: Unsupported, OutOfMemory.
  MemoryChunk(Driver& driver, void* pages, std::size_t bytes) : driver_(&driver), bytes_(bytes) {
    const auto what = [&] { return "importing " + std::to_string(bytes) + " bytes of the host"; };
    const auto properties_of =
        reinterpret_cast<PFN_vkGetMemoryHostPointerPropertiesEXT>(vkGetDeviceProcAddr(driver.handle(), "vkGetMemoryHostPointerPropertiesEXT"));
    if (properties_of == nullptr)
      raise<Unsupported>("the device '" + driver.capabilities().name + "' cannot import memory of the host (VK_EXT_external_memory_host)");
    constexpr auto handle_type = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
    VkMemoryHostPointerPropertiesEXT properties{};
    properties.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT;
    driver.require(Step::import_memory, [&] { return properties_of(driver.handle(), handle_type, pages, &properties); }, what);
    VkExternalMemoryBufferCreateInfo external{};
    external.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO;
    external.handleTypes = handle_type;
    make_buffer(&external);
    VkMemoryRequirements needed;
    vkGetBufferMemoryRequirements(driver.handle(), buffer_, &needed);
    const int type = driver.memory_type(needed.memoryTypeBits & properties.memoryTypeBits, 0);
    if (type < 0) destroy(), raise<Unsupported>("the device '" + driver.capabilities().name + "' has no kind of memory for these pages of the host");
    VkImportMemoryHostPointerInfoEXT import{};
    import.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT;
    import.handleType = handle_type;
    import.pHostPointer = pages;
    finish(bytes, static_cast<std::uint32_t>(type), &import, what);
    mapped_ = pages;
  }
  MemoryChunk(MemoryChunk&& other) noexcept { swap(other); }
  MemoryChunk& operator=(MemoryChunk&& other) noexcept {
    MemoryChunk(std::move(other)).swap(*this);
    return *this;
  }
  ~MemoryChunk() { destroy(); }

  VkBuffer buffer() const noexcept { return buffer_; }
  VkDeviceAddress address() const noexcept { return address_; }
  std::size_t bytes() const noexcept { return bytes_; }
  // Where the host sees it; null: it does not.
  void* mapped() const noexcept { return mapped_; }

 private:
  void make_buffer(const void* next) {
    VkBufferCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.pNext = next;
    info.size = bytes_;
    // Queues that compute and queues that copy both use it, without handing it over to each other.
    const std::vector<std::uint32_t>& families = driver_->families();
    info.sharingMode = families.size() > 1 ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE;
    info.queueFamilyIndexCount = static_cast<std::uint32_t>(families.size());
    info.pQueueFamilyIndices = families.data();
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
        VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
    driver_->require(Step::create_buffer, [&] { return vkCreateBuffer(driver_->handle(), &info, nullptr, &buffer_); },
                     [&] { return "making a buffer of " + std::to_string(bytes_) + " bytes"; });
  }
  int choose_type(std::uint32_t bits, MemoryKind kind, bool host_visible) const {
    constexpr VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                                    coherent = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    int type = -1;
    const auto attempt = [&](VkMemoryPropertyFlags wanted, VkMemoryPropertyFlags unwanted = 0) {
      if (type < 0) type = driver_->memory_type(bits, wanted, unwanted);
    };
    if (kind == MemoryKind::device) {
      if (host_visible) attempt(local | coherent | cached);
      attempt(local, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT);
      attempt(local);
      attempt(0);
    } else {
      if (kind == MemoryKind::parameters) attempt(local | coherent);
      if (kind == MemoryKind::staging) attempt(coherent | cached);
      attempt(coherent);
    }
    return type;
  }
  template <class What> void finish(std::size_t bytes, std::uint32_t type, const void* next, const What& what) {
    VkMemoryAllocateFlagsInfo flags{};
    flags.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO;
    flags.pNext = next;
    flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
    VkMemoryAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    info.pNext = &flags;
    info.allocationSize = bytes;
    info.memoryTypeIndex = type;
    VkResult result = driver_->call(next == nullptr ? Step::allocate_memory : Step::import_memory,
        [&] { return vkAllocateMemory(driver_->handle(), &info, nullptr, &memory_); });
    if (result >= 0) result = driver_->call(Step::bind_memory, [&] { return vkBindBufferMemory(driver_->handle(), buffer_, memory_, 0); });
    if (result < 0) destroy(), raise_result(result, what() + " on '" + driver_->capabilities().name + "'");
    VkBufferDeviceAddressInfo where{};
    where.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
    where.buffer = buffer_;
    address_ = vkGetBufferDeviceAddress(driver_->handle(), &where);
  }
  void destroy() noexcept {
    if (driver_ != nullptr && driver_->left()) return;
    if (buffer_ != VK_NULL_HANDLE) vkDestroyBuffer(driver_->handle(), buffer_, nullptr);
    if (memory_ != VK_NULL_HANDLE) vkFreeMemory(driver_->handle(), memory_, nullptr);
    buffer_ = VK_NULL_HANDLE, memory_ = VK_NULL_HANDLE;
  }
  void swap(MemoryChunk& other) noexcept {
    std::swap(driver_, other.driver_), std::swap(bytes_, other.bytes_), std::swap(buffer_, other.buffer_), std::swap(memory_, other.memory_);
    std::swap(address_, other.address_), std::swap(mapped_, other.mapped_);
  }

  Driver* driver_ = nullptr;
  std::size_t bytes_ = 0;
  VkBuffer buffer_ = VK_NULL_HANDLE;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  VkDeviceAddress address_ = 0;
  void* mapped_ = nullptr;
};

}  // namespace cotenant::vulkan

#endif
