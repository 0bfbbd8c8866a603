// Device: one opened GPU with its memory, its compiled kernels and its streams.
#ifndef COTENANT_VULKAN_DEVICE_HPP
#define COTENANT_VULKAN_DEVICE_HPP
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/vulkan/chunk_cache.hpp"
#include "cotenant/vulkan/copy_threads.hpp"
#include "cotenant/vulkan/device_ends.hpp"
#include "cotenant/vulkan/memory_pool.hpp"
#include "cotenant/vulkan/pipelines.hpp"
#include "cotenant/vulkan/uses.hpp"

namespace cotenant::vulkan {

class Device : public std::enable_shared_from_this<Device> {
 public:
  // Errors: NotFound, Unsupported, OutOfMemory.
  static std::shared_ptr<Device> open(const VulkanOptions& options) {
    std::shared_ptr<Device> device(new Device(options));
    DeviceEnds::get().add(device);
    return device;
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  Driver& driver() noexcept { return driver_; }
  const Capabilities& capabilities() const noexcept { return driver_.capabilities(); }
  Target target() const noexcept { return {driver_.capabilities(), options_.addressing}; }
  const VulkanOptions& options() const noexcept { return options_; }
  MemoryPool& memory() noexcept { return memory_; }
  ChunkCache& staging() noexcept { return staging_; }
  ChunkCache& parameters() noexcept { return parameters_; }
  CopyThreads& copy_threads() noexcept { return copy_threads_; }
  Pipelines& pipelines() noexcept { return pipelines_; }
  Uses& uses() noexcept { return uses_; }

  // The stream of that name: the one that exists, else a new one on the next queue. Errors: OutOfMemory.
  std::shared_ptr<Stream> stream(const std::string& name);
  // The stream of large copies in one direction, on a queue that only copies where there is one. Errors: OutOfMemory.
  std::shared_ptr<Stream> copies(Direction direction);

  // Queues one dispatch; emit(const Target&) gives the SPIR-V where launch.key is new to this device. The buffers' blocks are
  // kept until the kernel is done, and those that it writes say when that is. Errors: InvalidArgument (limits, another
  // device's tensors), Unsupported, OutOfMemory, DeviceLost.
  void launch(Stream& stream, const Launch& launch, const Emitter& emit);

  // Whether no stream has work that is not done.
  bool idle();
  // Returns when everything that was queued on any stream is done and what it kept is free. Errors: DeviceLost.
  void finish();
  // The same; what a device that is known to be lost will not do any more is dropped.
  void finish_or_drop();
  // The same without an error: for the end and for when memory is short.
  void finish_quietly() noexcept;
  // Work was handed to the driver.
  void began() {
    if (!began_.load(std::memory_order_relaxed) && !began_.exchange(true)) DeviceEnds::get().add(shared_from_this());
  }

 private:
  friend class DeviceEnds;
  explicit Device(const VulkanOptions& options)
      : options_(with_descriptors(options)),
        driver_(options_),
        memory_(driver_, options_),
        staging_(driver_, MemoryKind::staging, chunk_bytes, options.mode == PriorityMode::memory ? 0 : staging_kept),
        parameters_(driver_, MemoryKind::parameters, chunk_bytes, parameters_kept),
        pipelines_(driver_, options_) {
    memory_.set_pressure([this] { finish_quietly(); });
  }
  // The least that staging and parameters take from the driver at a time: an allocation costs 94 µs, whatever its size, and a batch of 400
  // launches (VulkanOptions::batch) with blocks of 160 bytes fills one.
  static constexpr std::size_t chunk_bytes = std::size_t{64} << 10;
  // What is kept of it while nobody uses it: staging of two copies in each direction at a time, which take 2 * (32 + 64) MiB (staging.hpp),
  // in chunks of powers of two; parameters of 64 such batches.
  static constexpr std::size_t staging_kept = std::size_t{256} << 20, parameters_kept = std::size_t{4} << 20;

  static VulkanOptions with_descriptors(VulkanOptions options) {
    if (options.synchronization_validation) options.addressing = Addressing::descriptors;
    return options;
  }
  std::vector<std::shared_ptr<Stream>> streams();
  void check(const Launch& launch) const;

  // For DeviceEnds. All work is done and the kernels are saved; then nothing of this device is destroyed any more.
  void end() noexcept;
  // Before a fork: nobody is in the middle of making a stream.
  void lock_for_fork() { mutex_.lock(); }
  void unlock_in_parent() noexcept { mutex_.unlock(); }
  void leave_in_child() noexcept;

  VulkanOptions options_;
  Driver driver_;
  MemoryPool memory_;
  ChunkCache staging_, parameters_;
  CopyThreads copy_threads_;
  Pipelines pipelines_;
  Uses uses_;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<Stream>> streams_;
  std::array<std::weak_ptr<Stream>, 2> copies_;  // by direction
  std::atomic<bool> began_{false};
  std::vector<std::shared_ptr<Stream>> left_streams_;  // and with them this device
};

}  // namespace cotenant::vulkan

#endif
