// VulkanOptions: which device Vulkan::open() takes, and how it treats memory, its caches and mistakes.
#ifndef COTENANT_VULKAN_DEVICE_OPTIONS_HPP
#define COTENANT_VULKAN_DEVICE_OPTIONS_HPP
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "cotenant/vulkan/faults.hpp"
#include "cotenant/vulkan/launch.hpp"

namespace cotenant {

namespace vulkan {
// What device memory that nobody uses is kept for.
//   speed     kept for the next tensor until optimize_memory(); large driver allocations
//   balanced  one empty driver allocation is kept
//   memory    goes back to the driver at once; small driver allocations
enum class PriorityMode { speed, balanced, memory };
}  // namespace vulkan

struct VulkanOptions {
  // An index of devices() ("1") or a part of a device's name ("H100", any case). Empty: the environment variable
  // COTENANT_VULKAN_DEVICE, else the best: discrete before integrated before virtual before software.
  std::string device = {};
  // Checks every call (Debian: vulkan-validationlayers) and, with `synchronization_validation`, every hazard between kernels,
  // for which descriptors address the buffers. Messages are counted: Vulkan::validation_messages().
  bool validation = false;
  bool synchronization_validation = false;
  // Validation messages are printed to stderr, too.
  bool log = true;
  vulkan::Addressing addressing = vulkan::Addressing::pointers;
  vulkan::PriorityMode mode = vulkan::PriorityMode::balanced;
  // Bytes that this device's tensors may take; more is OutOfMemory. A manager's budget comes first where there is one.
  std::size_t max_memory = std::numeric_limits<std::size_t>::max();
  // The host writes to and reads from device memory directly where that is as fast as its own (integrated and software devices).
  bool zero_copy = true;
  // Dispatches that are recorded before they are handed to the device, where that has work already; each time costs an H100 6 µs
  // between two dispatches of 2. 1 shows at once which one fails.
  std::size_t batch = 400;
  // Queues that compute, which streams are dealt out to: kernels of two tenants run beside each other where each has one. Each
  // takes time when the device is opened, as do two that copy (H100: 71 ms with one and none that copies, 80 and 88 with one and two of those;
  // 95 and 109 with two that compute and none or two that copy, 140 and 160 with four; of the 71, 65 are 592 calls of the kernel's driver,
  // whatever features and extensions are asked for).
  std::uint32_t queues = 2;
  // Where compiled kernels are kept between runs: a folder; "-" nowhere. Empty: $COTENANT_CACHE, else
  // $XDG_CACHE_HOME/cotenant, else $HOME/.cache/cotenant, else nowhere.
  std::string cache_folder = {};
  // For tests: calls that fail, and a device that says it can do less than it can, 8- and 16-bit storage included.
  std::shared_ptr<vulkan::Faults> faults = nullptr;
  void (*pretend)(vulkan::Capabilities&) = nullptr;
};

}  // namespace cotenant

#endif
