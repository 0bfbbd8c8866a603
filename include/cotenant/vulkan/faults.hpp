// Faults: makes chosen calls of the driver fail, so that tests reach what happens then.
#ifndef COTENANT_VULKAN_FAULTS_HPP
#define COTENANT_VULKAN_FAULTS_HPP
#include <array>
#include <cstddef>
#include <mutex>

#include "cotenant/vulkan/api.hpp"

namespace cotenant::vulkan {

// The calls that may fail at a user's place for reasons that no test can bring about.
enum class Step {
  create_device, create_buffer, allocate_memory, bind_memory, map_memory, import_memory, create_shader, create_pipeline, create_stream,
  create_descriptors, record, submit, wait
};
inline constexpr std::size_t step_count = static_cast<std::size_t>(Step::wait) + 1;

class Faults {
 public:
  // From the `after`-th call of the step on (0: the next), `times` calls give `result` without reaching the driver.
  void fail(Step step, VkResult result, std::size_t after = 0, std::size_t times = 1) {
    const std::lock_guard lock(mutex_);
    Plan& plan = plans_[static_cast<std::size_t>(step)];
    plan.result = result, plan.first = plan.calls + after, plan.last = plan.first + times;
  }
  // Calls of the step so far, failed ones included.
  std::size_t calls(Step step) const {
    const std::lock_guard lock(mutex_);
    return plans_[static_cast<std::size_t>(step)].calls;
  }
  // For the driver's wrapper: VK_SUCCESS, or what this call shall give.
  VkResult next(Step step) {
    const std::lock_guard lock(mutex_);
    Plan& plan = plans_[static_cast<std::size_t>(step)];
    const std::size_t call = plan.calls++;
    return call >= plan.first && call < plan.last ? plan.result : VK_SUCCESS;
  }

 private:
  struct Plan {
    std::size_t calls = 0, first = 0, last = 0;
    VkResult result = VK_SUCCESS;
  };
  mutable std::mutex mutex_;
  std::array<Plan, step_count> plans_{};
};

}  // namespace cotenant::vulkan

#endif
