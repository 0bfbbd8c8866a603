// What Device does with its streams: makes them by name, finishes them together, and launches kernels on them within its limits.
#ifndef COTENANT_VULKAN_DEVICE_STREAMS_HPP
#define COTENANT_VULKAN_DEVICE_STREAMS_HPP
#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/core/text.hpp"
#include "cotenant/vulkan/kernel_key.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

inline std::shared_ptr<Stream> Device::stream(const std::string& name) {
  driver_.check_not_left();
  const std::lock_guard lock(mutex_);
  std::weak_ptr<Stream>& slot = streams_[name];
  std::shared_ptr<Stream> stream = slot.lock();
  if (!stream) slot = stream = std::make_shared<Stream>(shared_from_this(), name, driver_.next_queue());
  return stream;
}
inline std::shared_ptr<Stream> Device::copies(Direction direction) {
  driver_.check_not_left();
  const std::lock_guard lock(mutex_);
  std::weak_ptr<Stream>& slot = copies_[static_cast<std::size_t>(direction)];
  std::shared_ptr<Stream> stream = slot.lock();
  if (!stream) slot = stream = std::make_shared<Stream>(shared_from_this(), direction == Direction::to_device ? "copies to the device" : "copies to the host",
      driver_.copy_queue(direction));
  return stream;
}
inline std::vector<std::shared_ptr<Stream>> Device::streams() {
  std::vector<std::shared_ptr<Stream>> result;
  const std::lock_guard lock(mutex_);
  for (auto entry = streams_.begin(); entry != streams_.end();) {
    if (std::shared_ptr<Stream> stream = entry->second.lock()) result.push_back(std::move(stream)), ++entry;
    else entry = streams_.erase(entry);
  }
  for (const std::weak_ptr<Stream>& slot : copies_)
    if (std::shared_ptr<Stream> stream = slot.lock()) result.push_back(std::move(stream));
  return result;
}
inline bool Device::idle() {
  for (const auto& stream : streams()) {
    stream->retire();
    if (!stream->idle()) return false;
  }
  return true;
}
inline void Device::finish() {
  for (const auto& stream : streams()) stream->finish();
}
inline void Device::finish_or_drop() {
  if (driver_.lost()) finish_quietly();
  else finish();
}
inline void Device::finish_quietly() noexcept {
  for (const auto& stream : streams()) stream->finish_quietly();
}
inline void Device::end() noexcept {
  if (driver_.left()) return;
  finish_quietly();
  static_cast<void>(pipelines_.save());
  left_streams_ = streams();
  driver_.leave();
}
inline void Device::leave_in_child() noexcept {
  mutex_.unlock();
  left_streams_ = streams();
  driver_.leave();
}

inline void DeviceEnds::end_latest() noexcept {
  if (Process::forked()) return;
  std::shared_ptr<Device> device;
  {
    const std::lock_guard lock(mutex_);
    device = devices_.back().lock();
    devices_.pop_back();
    if (device) left_.push_back(device);
  }
  Process::end();
  if (device) device->end();
}
// No thread holds these locks while the process is copied.
inline void DeviceEnds::before_fork() {
  mutex_.lock();
  for (const auto& weak : devices_)
    if (auto device = weak.lock(); device && std::find(forking_.begin(), forking_.end(), device) == forking_.end()) forking_.push_back(std::move(device));
  for (const auto& device : forking_) device->lock_for_fork();
}
inline void DeviceEnds::after_fork() noexcept {
  for (const auto& device : forking_) device->unlock_in_parent();
  std::vector<std::shared_ptr<Device>> devices = std::exchange(forking_, {});
  mutex_.unlock();
}
inline void DeviceEnds::in_child() noexcept {
  Process::fork();
  for (const auto& device : forking_) device->leave_in_child();
  left_.insert(left_.end(), forking_.begin(), forking_.end());
  forking_.clear(), devices_.clear();
  mutex_.unlock();
}

// Whether a block lies on this device, and where it lies, in words; the storage defines them.
bool lies_on(const Block& block, const Device& device) noexcept;
std::string place_of(const Block& block);

// Before anything reaches the driver. Errors: InvalidArgument, Unsupported.
inline void Device::check(const Launch& launch) const {
  const Capabilities& limits = capabilities();
  for (std::size_t axis = 0; axis < 3; ++axis)
    if (launch.groups[axis] > limits.max_workgroup_count[axis])
      raise<InvalidArgument>(Text{"the kernel '", launch.key, "' was launched with ", launch.groups[axis], " workgroups along axis ", axis, ", but '",
                                  limits.name, "' takes at most ", limits.max_workgroup_count[axis]});
  const bool described = launch.foreign || options_.addressing == Addressing::descriptors;
  const std::size_t bindings = launch.buffers.size() + (launch.parameter_bytes() > max_push_constants ? 1 : 0);
  if (described && bindings > limits.max_storage_buffers)
    raise<Unsupported>(Text{"the kernel '", launch.key, "' reaches ", bindings, " buffers through descriptors, but '", limits.name, "' binds at most ",
                            limits.max_storage_buffers, launch.foreign ? "" : ": open the device with Addressing::pointers"});
  for (const BufferArgument& buffer : launch.buffers) {
    if (buffer.block != nullptr && !lies_on(*buffer.block, *this))
      raise<InvalidArgument>(Text{operation_of(launch.key), " runs on '", limits.name, "', but one of its operands lies ", place_of(*buffer.block),
                                  ": bring the operands together first with copy_to()"});
    // The range may begin up to an alignment earlier and end with a whole word.
    if (described &&
        buffer.bytes + limits.storage_buffer_alignment + 4 > limits.max_storage_buffer_range)
      raise<Unsupported>(Text{"the kernel '", launch.key, "' reads or writes ", buffer.bytes, " bytes through one descriptor, but '", limits.name,
                              "' binds at most ", limits.max_storage_buffer_range, ": open the device with Addressing::pointers, or compute parts"});
  }
}

inline void Device::launch(Stream& stream, const Launch& launch, const Emitter& emit) {
  if (launch.groups[0] == 0 || launch.groups[1] == 0 || launch.groups[2] == 0) return;  // nothing to do
  driver_.check_not_left();
  check(launch);
  pipelines_.use(launch, emit, [&](const Pipeline& pipeline) { stream.dispatch(pipeline, launch); });
}

}  // namespace cotenant::vulkan

#endif
