// Driver: one opened device. Its handles, queues and capabilities, and the gate that every call that may fail goes through.
#ifndef COTENANT_VULKAN_DRIVER_HPP
#define COTENANT_VULKAN_DRIVER_HPP
#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/vulkan/instance.hpp"
#include "cotenant/vulkan/query.hpp"

namespace cotenant::vulkan {

// Several streams may share one; the driver wants one caller at a time.
struct Queue {
  VkQueue handle = VK_NULL_HANDLE;
  std::mutex mutex;
};

class Driver {
 public:
  // Errors: NotFound, Unsupported, OutOfMemory.
  explicit Driver(const VulkanOptions& options)
      : instance_(Instance::get(options.validation || options.synchronization_validation, options.synchronization_validation, options.log)),
        physical_(instance_->choose(options.device)),
        faults_(options.faults),
        query_(instance_->handle(), physical_) {
    const Capabilities& found = query_.capabilities();
    if (query_.missing() != nullptr)
      raise<Unsupported>("the Vulkan device '" + found.name + "' has no " + query_.missing() + ", which this backend needs: update its driver or choose another device");
    const int family = Instance::compute_family(physical_);
    family_ = static_cast<std::uint32_t>(family);
    const std::vector<float> priorities(found.queues, 1.0f);
    VkDeviceQueueCreateInfo queues{};
    queues.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queues.queueFamilyIndex = family_;
    queues.queueCount = found.queues;
    queues.pQueuePriorities = priorities.data();
    VkDeviceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.pNext = query_.features();
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queues;
    info.enabledExtensionCount = static_cast<std::uint32_t>(query_.extensions().size());
    info.ppEnabledExtensionNames = query_.extensions().data();
    const VkResult result = call(Step::create_device, [&] { return vkCreateDevice(physical_, &info, nullptr, &handle_); });
    if (result < 0) raise_result(result, "opening the Vulkan device '" + found.name + "'");
    for (std::uint32_t i = 0; i < found.queues; ++i) {
      queues_.push_back(std::make_unique<Queue>());
      vkGetDeviceQueue(handle_, family_, i, &queues_.back()->handle);
    }
    vkGetPhysicalDeviceMemoryProperties(physical_, &memory_);
  }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  ~Driver() {
    if (handle_ != VK_NULL_HANDLE) vkDestroyDevice(handle_, nullptr);
  }

  const Instance& instance() const noexcept { return *instance_; }
  VkPhysicalDevice physical() const noexcept { return physical_; }
  VkDevice handle() const noexcept { return handle_; }
  const Capabilities& capabilities() const noexcept { return query_.capabilities(); }
  const VkPhysicalDeviceMemoryProperties& memory() const noexcept { return memory_; }
  std::uint32_t family() const noexcept { return family_; }
  // The queues are dealt out in turn.
  Queue& next_queue() noexcept { return *queues_[next_queue_.fetch_add(1, std::memory_order_relaxed) % queues_.size()]; }

  // Once lost, a device stays so: no more work reaches it.
  bool lost() const noexcept { return lost_.load(std::memory_order_acquire); }
  void lose() noexcept { lost_.store(true, std::memory_order_release); }
  void check_not_lost() const {
    if (lost()) raise_result(VK_ERROR_DEVICE_LOST, "computing on '" + capabilities().name + "'");
  }

  // f() gives a VkResult; tests may have it fail.
  template <class F> VkResult call(Step step, F&& f) {
    VkResult result = faults_ ? faults_->next(step) : VK_SUCCESS;
    if (result >= 0) result = f();
    if (result == VK_ERROR_DEVICE_LOST) lost_.store(true, std::memory_order_release);
    return result;
  }
  // The same; raises what() where it fails. Errors: OutOfMemory, DeviceLost, Unsupported.
  template <class F, class What> void require(Step step, F&& f, What&& what) {
    const VkResult result = call(step, std::forward<F>(f));
    if (result < 0) raise_result(result, std::string(what()) + " on '" + capabilities().name + "'");
  }

  // The first memory type of `bits` that has all of `wanted`, and none of `unwanted`; -1: none.
  int memory_type(std::uint32_t bits, VkMemoryPropertyFlags wanted, VkMemoryPropertyFlags unwanted = 0) const noexcept {
    for (std::uint32_t i = 0; i < memory_.memoryTypeCount; ++i) {
      const VkMemoryPropertyFlags flags = memory_.memoryTypes[i].propertyFlags;
      if ((bits >> i & 1) != 0 && (flags & wanted) == wanted && (flags & unwanted) == 0) return static_cast<int>(i);
    }
    return -1;
  }

 private:
  std::shared_ptr<Instance> instance_;
  VkPhysicalDevice physical_;
  std::shared_ptr<Faults> faults_;
  Query query_;
  VkDevice handle_ = VK_NULL_HANDLE;
  std::uint32_t family_ = 0;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::atomic<std::size_t> next_queue_{0};
  std::atomic<bool> lost_{false};
  VkPhysicalDeviceMemoryProperties memory_{};
};

}  // namespace cotenant::vulkan

#endif
