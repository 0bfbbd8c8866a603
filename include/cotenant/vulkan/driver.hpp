// Driver: one opened device. Its handles, queues and capabilities, and the gate that every call that may fail goes through.
#ifndef COTENANT_VULKAN_DRIVER_HPP
#define COTENANT_VULKAN_DRIVER_HPP
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/function_ref.hpp"
#include "cotenant/vulkan/instance.hpp"
#include "cotenant/vulkan/query.hpp"
#include "cotenant/vulkan/queue.hpp"

namespace cotenant::vulkan {

class Driver {
 public:
  // Errors: NotFound, Unsupported, OutOfMemory.
  explicit Driver(const VulkanOptions& options)
      : instance_(Instance::get(options.validation || options.synchronization_validation, options.synchronization_validation, options.log)),
        physical_(instance_->choose(options.device)),
        faults_(options.faults),
        query_(instance_->handle(), physical_) {
    if (options.pretend != nullptr) query_.pretend(options.pretend);
    const Capabilities& found = query_.capabilities();
    if (query_.missing() != nullptr)
      raise<Unsupported>("the Vulkan device '" + found.name + "' has no " + query_.missing() +
          ", which this backend needs: update its driver or choose another device");
    families_ = {static_cast<std::uint32_t>(Instance::compute_family(physical_))};
    if (const int copying = Instance::transfer_family(physical_); copying >= 0) families_.push_back(static_cast<std::uint32_t>(copying));
    const std::array<std::uint32_t, 2> counts{std::clamp<std::uint32_t>(options.queues, 1, found.queues), std::min<std::uint32_t>(found.transfer_queues, 2)};
    const std::vector<float> priorities(std::max(counts[0], counts[1]), 1.0f);
    std::vector<VkDeviceQueueCreateInfo> queues(families_.size());
    for (std::size_t i = 0; i < queues.size(); ++i) {
      queues[i].sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
      queues[i].queueFamilyIndex = families_[i];
      queues[i].queueCount = counts[i];
      queues[i].pQueuePriorities = priorities.data();
    }
    VkDeviceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.pNext = query_.features();
    info.queueCreateInfoCount = static_cast<std::uint32_t>(queues.size());
    info.pQueueCreateInfos = queues.data();
    info.enabledExtensionCount = static_cast<std::uint32_t>(query_.extensions().size());
    info.ppEnabledExtensionNames = query_.extensions().data();
    const VkResult result = call(Step::create_device, [&] { return vkCreateDevice(physical_, &info, nullptr, &handle_); });
    if (result < 0) raise_result(result, "opening the Vulkan device '" + found.name + "'");
    for (std::size_t i = 0; i < families_.size(); ++i)
      for (std::uint32_t index = 0; index < counts[i]; ++index)
        queues_[i].push_back(std::make_unique<Queue>(handle_, families_[i], index, i == 0, found.synchronization2));
    vkGetPhysicalDeviceMemoryProperties(physical_, &memory_);
  }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  ~Driver() {
    if (handle_ == VK_NULL_HANDLE) return;
    static_cast<void>(vkDeviceWaitIdle(handle_));
    for (const VkSemaphore semaphore : retired_) vkDestroySemaphore(handle_, semaphore, nullptr);
    vkDestroyDevice(handle_, nullptr);
  }

  const Instance& instance() const noexcept { return *instance_; }
  VkPhysicalDevice physical() const noexcept { return physical_; }
  VkDevice handle() const noexcept { return handle_; }
  const Capabilities& capabilities() const noexcept { return query_.capabilities(); }
  const VkPhysicalDeviceMemoryProperties& memory() const noexcept { return memory_; }
  // The families of all queues.
  const std::vector<std::uint32_t>& families() const noexcept { return families_; }
  std::size_t queues() const noexcept { return queues_[0].size(); }
  // Those that compute are dealt out in turn.
  Queue& next_queue() noexcept { return *queues_[0][next_queue_.fetch_add(1, std::memory_order_relaxed) % queues_[0].size()]; }
  // For large copies: one that only copies where there is one, of two one for each direction.
  Queue& copy_queue(Direction direction) noexcept {
    return queues_[1].empty() ? next_queue() : *queues_[1][static_cast<std::size_t>(direction) % queues_[1].size()];
  }

  // Once lost, a device stays so: no more work reaches it.
  bool lost() const noexcept { return lost_.load(std::memory_order_acquire); }
  void lose() noexcept { lost_.store(true, std::memory_order_release); }
  void check_not_lost() const {
    if (lost()) raise_result(VK_ERROR_DEVICE_LOST, "computing on '" + capabilities().name + "'");
  }
  // Whether what is destroyed from now on leaves the driver alone: see Process. A device that is left so stays as it is for good.
  bool left() const noexcept { return left_.load(std::memory_order_acquire); }
  void leave() noexcept { left_.store(true, std::memory_order_release); }
  // Errors: DeviceLost where this process or thread may not call the driver any more.
  void check_not_left() const {
    if (!left()) return;
    if (Process::forked())
      raise<DeviceLost>("'" + capabilities().name + "' was opened by the process that this one was forked from, and does not work here: fork before the first "
                        "use of a GPU, start another program (posix_spawn, exec), or compute on the CPU here");
    if (Process::ended_by_this_thread())
      raise<DeviceLost>("the program ends, and '" + capabilities().name + "' was left with all its work done: a static object that uses it when it is "
                        "destroyed must be made after the device's first work");
  }
  // The same two, before work is queued.
  void check_usable() const { check_not_left(), check_not_lost(); }
  // Whether there is nothing to wait for, as all work was done when this thread ended the program. Errors: DeviceLost in a forked child.
  bool is_over() const {
    if (!left()) return false;
    if (Process::forked()) check_not_left();
    return Process::ended_by_this_thread();
  }

  // f() gives a VkResult; tests may have it fail.
  VkResult call(Step step, FunctionRef<VkResult()> f) {
    if (left() && (Process::forked() || Process::ended_by_this_thread())) return VK_ERROR_DEVICE_LOST;
    VkResult result = faults_ ? faults_->next(step) : VK_SUCCESS;
    if (result >= 0) result = f();
    if (result == VK_ERROR_DEVICE_LOST) lost_.store(true, std::memory_order_release);
    return result;
  }
  // The same; raises what() where it fails. Errors: OutOfMemory, DeviceLost, Unsupported.
  void require(Step step, FunctionRef<VkResult()> f, FunctionRef<std::string()> what) {
    const VkResult result = call(step, f);
    if (result >= 0) return;
    check_not_left();
    raise_result(result, what() + " on '" + capabilities().name + "'");
  }

  // Destroys a semaphore that no work under way uses, after the next 64 such: Mesa 22.3's queue thread lets go of those that a submission
  // waited for only after the host has seen its end.
  void destroy_later(VkSemaphore semaphore) noexcept {
    const std::lock_guard lock(mutex_);
    vkDestroySemaphore(handle_, std::exchange(retired_[next_retired_++ % retired_.size()], semaphore), nullptr);
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
  std::vector<std::uint32_t> families_;
  std::array<std::vector<std::unique_ptr<Queue>>, 2> queues_;  // that compute; that only copy
  std::atomic<std::size_t> next_queue_{0};
  std::atomic<bool> lost_{false}, left_{false};
  std::mutex mutex_;
  std::array<VkSemaphore, 64> retired_{};
  std::size_t next_retired_ = 0;
  VkPhysicalDeviceMemoryProperties memory_{};
};

}  // namespace cotenant::vulkan

#endif
