// What Device does with its streams: makes them by name, finishes them together, and launches kernels on them within its limits.
#ifndef COTENANT_VULKAN_DEVICE_STREAMS_HPP
#define COTENANT_VULKAN_DEVICE_STREAMS_HPP
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
  const std::lock_guard lock(mutex_);
  std::weak_ptr<Stream>& slot = streams_[name];
  std::shared_ptr<Stream> stream = slot.lock();
  if (!stream) slot = stream = std::make_shared<Stream>(shared_from_this(), name, driver_.next_queue());
  return stream;
}
inline std::shared_ptr<Stream> Device::copies(Direction direction) {
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
  for (const BufferArgument& buffer : launch.buffers) {
    if (buffer.block != nullptr && !lies_on(*buffer.block, *this))
      raise<InvalidArgument>(Text{operation_of(launch.key), " runs on '", limits.name, "', but one of its operands lies ", place_of(*buffer.block),
                                  ": bring the operands together first with copy_to()"});
    // The range may begin up to an alignment earlier and end with a whole word.
    if ((launch.foreign || options_.addressing == Addressing::descriptors) &&
        buffer.bytes + limits.storage_buffer_alignment + 4 > limits.max_storage_buffer_range)
      raise<Unsupported>(Text{"the kernel '", launch.key, "' reads or writes ", buffer.bytes, " bytes through one descriptor, but '", limits.name,
                              "' binds at most ", limits.max_storage_buffer_range, ": open the device with Addressing::pointers, or compute parts"});
  }
}

inline void Device::launch(Stream& stream, const Launch& launch, const Emitter& emit) {
  if (launch.groups[0] == 0 || launch.groups[1] == 0 || launch.groups[2] == 0) return;  // nothing to do
  check(launch);
  pipelines_.use(launch, emit, [&](const Pipeline& pipeline) { stream.dispatch(pipeline, launch); });
}

}  // namespace cotenant::vulkan

#endif
