// GpuMemoryUsage, KernelStatistics: what a device tells about its memory and its kernels.
#ifndef COTENANT_VULKAN_DEVICE_STATISTICS_HPP
#define COTENANT_VULKAN_DEVICE_STATISTICS_HPP
#include <cstddef>

namespace cotenant {

// What a device's memory is used for. All in bytes but `tensors`.
struct GpuMemoryUsage {
  std::size_t in_use = 0;         // by tensors, padding included
  std::size_t tensors = 0;        // how many allocations that is
  std::size_t peak = 0;           // the most that was in use at a time
  std::size_t reserved = 0;       // taken from the driver for tensors: in_use and what is kept for the next ones
  std::size_t imported = 0;       // of the host, seen by the device without a copy; not in the others
  std::size_t driver_budget = 0;  // what the driver gives this process now (VK_EXT_memory_budget), else the heap's size
  std::size_t driver_used = 0;    // what this process has of it, by the driver's account; 0 where it does not say
};

// What making kernels took since the device was opened.
struct KernelStatistics {
  std::size_t kernels = 0;
  double emit_seconds = 0, compile_seconds = 0;  // writing SPIR-V; the driver's compiler
  std::size_t cached_bytes = 0;                  // what the disk had at the start
};

}  // namespace cotenant

#endif
