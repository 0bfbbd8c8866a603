// Stream: work in order on one queue with a timeline of its own; a tenant. Records, batches, submits, waits.
#ifndef COTENANT_VULKAN_STREAM_HPP
#define COTENANT_VULKAN_STREAM_HPP
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cotenant/vulkan/batch.hpp"
#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/hazards.hpp"
#include "cotenant/vulkan/scratch.hpp"

namespace cotenant::vulkan {

// Whether a block is scratch of a stream; the storage defines it.
bool is_scratch(const Block& block) noexcept;

// Safe from any number of threads: what they queue is interleaved in the order in which they called.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(std::shared_ptr<Device> device, std::string name) : device_(std::move(device)), name_(std::move(name)), queue_(driver().next_queue()),
        hazards_(device_->target().addressing == Addressing::descriptors ? device_->capabilities().storage_buffer_alignment : 1),
        scratch_(device_->memory()) {
    VkSemaphoreTypeCreateInfo type{};
    type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo semaphore{};
    semaphore.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
    semaphore.pNext = &type;
    driver().require(Step::create_stream, [&] { return vkCreateSemaphore(driver().handle(), &semaphore, nullptr, &timeline_); }, [] { return "making a timeline"; });
    VkCommandPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT | VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
    pool.queueFamilyIndex = driver().family();
    const VkResult result = driver().call(Step::create_stream, [&] { return vkCreateCommandPool(driver().handle(), &pool, nullptr, &commands_); });
    if (result < 0) vkDestroySemaphore(driver().handle(), timeline_, nullptr), raise_result(result, "making a stream");
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() {
    finish_quietly();
    if (device_->driver().lost()) static_cast<void>(vkDeviceWaitIdle(driver().handle()));
    retire(true);
    vkDestroyCommandPool(driver().handle(), commands_, nullptr);
    vkDestroySemaphore(driver().handle(), timeline_, nullptr);
  }

  Device& device() const noexcept { return *device_; }
  const std::shared_ptr<Device>& shared_device() const noexcept { return device_; }
  const std::string& name() const noexcept { return name_; }
  // Memory between kernels of this stream; storage.hpp's temporary() makes blocks of it. Work that is queued up to now may use what is given back.
  Allocation take_scratch(std::size_t bytes) { return scratch_.take(bytes); }
  void give_scratch_back(Allocation memory) noexcept {
    const std::lock_guard lock(mutex_);
    scratch_.give_back(memory, open_.commands != VK_NULL_HANDLE ? open_.value : submitted_value_);
  }
  // What a backend keeps with its stream.
  std::shared_ptr<void>& attachment() noexcept { return attachment_; }
  std::once_flag& attachment_once() noexcept { return attachment_once_; }

  // One dispatch. What is checked before: Device::launch.
  void dispatch(const Pipeline& pipeline, const Launch& launch) {
    record(launch.buffers, [&](Batch& batch) {
      vkCmdBindPipeline(batch.commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.handle);
      if (device_->options().addressing == Addressing::pointers && !launch.foreign) push_addresses(batch, pipeline, launch);
      else bind_descriptors(batch, pipeline, launch);
      vkCmdDispatch(batch.commands, launch.groups[0], launch.groups[1], launch.groups[2]);
    });
  }
  // Copies bytes between two places; the arguments say what is kept and ordered. `held` lives until the copy is done.
  void copy(const BufferArgument& from, const MemoryPool::Place& source, const BufferArgument& to, const MemoryPool::Place& destination, std::shared_ptr<void> held,
            bool host_reads = false) {
    const std::array<BufferArgument, 2> buffers{from, to};
    record(buffers, [&](Batch& batch) {
      const VkBufferCopy region{source.offset, destination.offset, from.bytes};
      vkCmdCopyBuffer(batch.commands, source.buffer, destination.buffer, 1, &region);
      batch.held.push_back(std::move(held));
      batch.host_reads = batch.host_reads || host_reads;
    });
  }

  // What is done when everything queued up to now is done.
  std::shared_ptr<Completion> completion() {
    const std::lock_guard lock(mutex_);
    if (open_.commands == VK_NULL_HANDLE) return done_at(submitted_value_);
    return open_.completion;
  }
  // Hands over what is recorded up to `value`; does not wait. Errors: OutOfMemory, DeviceLost.
  void flush(std::uint64_t value = std::numeric_limits<std::uint64_t>::max()) {
    const std::lock_guard lock(mutex_);
    if (open_.commands != VK_NULL_HANDLE && open_.value <= value) submit();
  }
  // Returns when the timeline has reached `value`, and frees what the work kept. Errors: OutOfMemory, DeviceLost.
  void wait(std::uint64_t value) {
    flush(value);
    const VkResult result = wait_for(value);
    retire();
    if (result < 0) raise_result(result, "waiting for '" + device_->capabilities().name + "'");
  }
  void finish() {
    std::uint64_t value = 0;
    {
      const std::lock_guard lock(mutex_);
      value = open_.commands != VK_NULL_HANDLE ? open_.value : submitted_value_;
    }
    wait(value);
    scratch_.release(value);
  }
  // The same without an error. What a lost device has not done is dropped once it has stopped.
  void finish_quietly() noexcept {
    std::exception_ptr failure;
    if (cotenant::detail::attempt(failure, [&] { finish(); })) return;
    if (driver().lost()) static_cast<void>(vkDeviceWaitIdle(driver().handle()));
    else static_cast<void>(wait_for(submitted()));
    retire(driver().lost());
    if (driver().lost()) scratch_.release(std::numeric_limits<std::uint64_t>::max());
  }
  // Frees what finished work kept; with `everything` also what never ran.
  void retire(bool everything = false) noexcept {
    std::deque<Batch> done;  // its blocks are freed after the lock is given back
    {
      const std::lock_guard lock(mutex_);
      std::uint64_t reached = 0;
      if (!everything && vkGetSemaphoreCounterValue(driver().handle(), timeline_, &reached) < 0) return;
      while (!pending_.empty() && (everything || pending_.front().value <= reached)) {
        device_->uses().done(*this, pending_.front().value, pending_.front().blocks);
        idle_.push_back(pending_.front().commands);
        done.push_back(std::move(pending_.front()));
        pending_.pop_front();
      }
      if (everything && open_.commands != VK_NULL_HANDLE) {
        device_->uses().done(*this, open_.value, open_.blocks);
        // Recording may have been cut off in the middle: the buffer is not used again.
        vkFreeCommandBuffers(driver().handle(), commands_, 1, &open_.commands);
        done.push_back(std::exchange(open_, {}));
      }
    }
  }
  VkSemaphore timeline() const noexcept { return timeline_; }
  // Barriers that were recorded so far, and dispatches and copies.
  std::size_t barriers() const noexcept { return barriers_.load(std::memory_order_relaxed); }
  std::size_t commands() const noexcept { return recorded_.load(std::memory_order_relaxed); }

 private:
  friend class Timestamps;
  Driver& driver() const noexcept { return device_->driver(); }
  std::uint64_t submitted() {
    const std::lock_guard lock(mutex_);
    return submitted_value_;
  }
  std::shared_ptr<Completion> done_at(std::uint64_t value);

  // Records f(batch) after what these buffers depend on.
  template <class F> void record(std::span<const BufferArgument> buffers, F&& f) {
    driver().check_not_lost();
    std::vector<StreamPoint> others = device_->uses().foreign(*this, buffers, [](Stream& stream) { return stream.weak_from_this().lock(); });
    for (const StreamPoint& other : others) other.stream->flush(other.value);
    bool look = false;
    {
      const std::lock_guard lock(mutex_);
      if (open_.ended) submit();
      begin();
      open_.host_reads = open_.host_reads || device_->memory().host_reads();
      if (hazards_.full() || hazards_.conflict(buffers)) barrier();
      f(open_);
      hazards_.add(buffers);
      for (StreamPoint& other : others) open_.wait_for(std::move(other));
      const std::size_t known = open_.blocks.size();
      note_blocks(buffers);
      for (std::size_t i = known; i < open_.blocks.size(); ++i) open_.kept.emplace_back(open_.blocks[i]);
      for (const BufferArgument& buffer : buffers)
        if (buffer.block != nullptr && buffer.access != Access::read && !is_scratch(*buffer.block)) buffer.block->set_pending(open_.completion);
      recorded_.fetch_add(1, std::memory_order_relaxed);
      // A device without work gets some early; one that has some gets large batches.
      const std::size_t count = ++open_.commands_recorded;
      if (count >= device_->options().batch || (count % 16 == 0 && reached_all())) submit();
      look = pending_.size() > 2;
    }
    if (look) retire();
  }
  // The stream's own scratch is ordered by its bytes alone and outlives its blocks.
  void note_blocks(std::span<const BufferArgument> buffers) {
    if (std::none_of(buffers.begin(), buffers.end(), [](const BufferArgument& one) { return one.block != nullptr && is_scratch(*one.block); }))
      return device_->uses().note(*this, open_.value, buffers, open_.blocks);
    std::vector<BufferArgument> tensors(buffers.begin(), buffers.end());
    std::erase_if(tensors, [](const BufferArgument& one) { return one.block == nullptr || is_scratch(*one.block); });
    device_->uses().note(*this, open_.value, tensors, open_.blocks);
  }
  bool reached_all() const noexcept {
    std::uint64_t reached = 0;
    return vkGetSemaphoreCounterValue(driver().handle(), timeline_, &reached) >= 0 && reached >= submitted_value_;
  }
  void begin() {
    if (open_.commands != VK_NULL_HANDLE) return;
    Batch batch;
    batch.value = submitted_value_ + 1;
    batch.completion = done_at(batch.value);
    if (!idle_.empty()) {
      batch.commands = idle_.back();
      idle_.pop_back();
    } else {
      VkCommandBufferAllocateInfo info{};
      info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
      info.commandPool = commands_;
      info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
      info.commandBufferCount = 1;
      driver().require(Step::record, [&] { return vkAllocateCommandBuffers(driver().handle(), &info, &batch.commands); }, [] { return "recording work"; });
    }
    VkCommandBufferBeginInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    const VkResult result = driver().call(Step::record, [&] { return vkBeginCommandBuffer(batch.commands, &info); });
    if (result < 0) idle_.push_back(batch.commands), raise_result(result, "recording work");
    open_ = std::move(batch);
  }
  void barrier(VkPipelineStageFlags stages = 0, VkAccessFlags accesses = 0) {
    constexpr VkPipelineStageFlags work = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    VkMemoryBarrier memory{};
    memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    memory.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    memory.dstAccessMask = accesses != 0 ? accesses : VkAccessFlags{VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    vkCmdPipelineBarrier(open_.commands, work, stages != 0 ? stages : work, 0, 1, &memory, 0, nullptr, 0, nullptr);
    if (stages == 0) hazards_.clear();
    barriers_.fetch_add(1, std::memory_order_relaxed);
  }
  // Under the lock, with open work.
  void submit() {
    if (!open_.ended) {
      if (open_.host_reads) barrier(VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
      const VkResult result = driver().call(Step::record, [&] { return vkEndCommandBuffer(open_.commands); });
      if (result < 0) driver().lose(), raise_result(VK_ERROR_DEVICE_LOST, "finishing a recording (" + to_string(result) + ")");
      open_.ended = true;
    }
    std::vector<VkSemaphore> semaphores;
    std::vector<std::uint64_t> values;
    for (const StreamPoint& point : open_.waits) semaphores.push_back(point.stream->timeline_), values.push_back(point.value);
    const std::vector<VkPipelineStageFlags> stages(semaphores.size(), VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
    VkTimelineSemaphoreSubmitInfo timeline{};
    timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
    timeline.waitSemaphoreValueCount = static_cast<std::uint32_t>(values.size());
    timeline.pWaitSemaphoreValues = values.data();
    timeline.signalSemaphoreValueCount = 1;
    timeline.pSignalSemaphoreValues = &open_.value;
    VkSubmitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.pNext = &timeline;
    info.waitSemaphoreCount = static_cast<std::uint32_t>(semaphores.size());
    info.pWaitSemaphores = semaphores.data();
    info.pWaitDstStageMask = stages.data();
    info.commandBufferCount = 1;
    info.pCommandBuffers = &open_.commands;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &timeline_;
    const VkResult result = driver().call(Step::submit, [&] {
      const std::lock_guard lock(queue_.mutex);
      return vkQueueSubmit(queue_.handle, 1, &info, VK_NULL_HANDLE);
    });
    // Short of memory, the driver has changed nothing: the batch stays, and the next flush tries again.
    if (result < 0) raise_result(result, "handing work to '" + device_->capabilities().name + "'");
    submitted_value_ = open_.value;
    pending_.push_back(std::exchange(open_, {}));
  }
  // Polls for about 30 µs before it blocks: waking up takes the system longer than most kernels run.
  VkResult wait_for(std::uint64_t value) const {
    if (value == 0) return VK_SUCCESS;
    if (driver().lost()) return VK_ERROR_DEVICE_LOST;
    constexpr auto patience = std::chrono::microseconds(30);
    const auto begin = std::chrono::steady_clock::now();
    do {
      std::uint64_t reached = 0;
      const VkResult result = driver().call(Step::wait, [&] { return vkGetSemaphoreCounterValue(driver().handle(), timeline_, &reached); });
      if (result < 0 || reached >= value) return result;
    } while (std::chrono::steady_clock::now() - begin < patience);
    VkSemaphoreWaitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
    info.semaphoreCount = 1;
    info.pSemaphores = &timeline_;
    info.pValues = &value;
    return driver().call(Step::wait, [&] { return vkWaitSemaphores(driver().handle(), &info, std::numeric_limits<std::uint64_t>::max()); });
  }

  // Bytes that a kernel reads its parameters from: memory of the batch.
  struct ParameterBlock {
    std::byte* host;
    VkDeviceAddress address;
    VkBuffer buffer;
    VkDeviceSize offset;
  };
  ParameterBlock parameter_block(Batch& batch, std::size_t bytes) {
    const std::size_t alignment = device_->capabilities().storage_buffer_alignment;
    std::size_t offset = (batch.page_used + alignment - 1) / alignment * alignment;
    if (!batch.page || offset + bytes > batch.page->bytes()) {
      batch.page = device_->parameters().get(bytes);
      batch.held.push_back(batch.page);
      offset = 0;
    }
    batch.page_used = offset + bytes;
    return {static_cast<std::byte*>(batch.page->mapped()) + offset, batch.page->address() + offset, batch.page->buffer(), offset};
  }
  void push_addresses(Batch& batch, const Pipeline& pipeline, const Launch& launch) {
    std::array<std::byte, max_push_constants> small;
    const std::size_t addresses = launch.buffers.size() * sizeof(std::uint64_t), bytes = launch.parameter_bytes();
    const bool block = bytes > max_push_constants;
    ParameterBlock room{};
    if (block) room = parameter_block(batch, bytes);
    std::byte* const to = block ? room.host : small.data();
    for (std::size_t i = 0; i < launch.buffers.size(); ++i) {
      const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(launch.buffers[i].address));
      std::memcpy(to + i * sizeof address, &address, sizeof address);
    }
    if (!launch.scalars.empty()) std::memcpy(to + addresses, launch.scalars.data(), launch.scalars.size_bytes());
    if (block) vkCmdPushConstants(batch.commands, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof room.address, &room.address);
    else if (bytes > 0) vkCmdPushConstants(batch.commands, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, static_cast<std::uint32_t>(bytes), small.data());
  }
  void bind_descriptors(Batch& batch, const Pipeline& pipeline, const Launch& launch) {
    const std::size_t count = launch.buffers.size(), bytes = launch.parameter_bytes(), alignment = device_->capabilities().storage_buffer_alignment;
    const bool block = bytes > max_push_constants;
    std::array<std::byte, max_push_constants> small;
    ParameterBlock room{};
    if (block) room = parameter_block(batch, bytes);
    std::byte* const to = block ? room.host : small.data();
    const std::size_t addresses = launch.foreign ? 0 : count * sizeof(std::uint64_t);
    std::vector<VkDescriptorBufferInfo> places(count + (block ? 1 : 0));
    for (std::size_t i = 0; i < count; ++i) {
      const BufferArgument& argument = launch.buffers[i];
      if (argument.bytes == 0) {
        // A kernel that has no use for this buffer may still name it: it gets one that nobody writes to.
        const ParameterBlock nothing = parameter_block(batch, 16);
        places[i] = {nothing.buffer, nothing.offset, 16};
        if (addresses > 0) std::memset(to + i * sizeof(std::uint64_t), 0, sizeof(std::uint64_t));
        continue;
      }
      const MemoryPool::Place place = device_->memory().find(argument.address);
      const std::uint64_t remainder = place.offset % alignment;
      // Whole words: kernels reach single bytes through them.
      const VkDeviceSize end = (place.offset + argument.bytes + 3) / 4 * 4;
      places[i] = {place.buffer, place.offset - remainder, end - (place.offset - remainder)};
      if (addresses > 0) std::memcpy(to + i * sizeof remainder, &remainder, sizeof remainder);
    }
    if (!launch.scalars.empty()) std::memcpy(to + addresses, launch.scalars.data(), launch.scalars.size_bytes());
    if (block) places[count] = {room.buffer, room.offset, (bytes + 3) / 4 * 4};
    const VkDescriptorSet set = batch.descriptors(driver(), pipeline.bindings, places.size());
    std::vector<VkWriteDescriptorSet> writes(places.size());
    for (std::uint32_t i = 0; i < writes.size(); ++i) {
      writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
      writes[i].dstSet = set;
      writes[i].dstBinding = i;
      writes[i].descriptorCount = 1;
      writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
      writes[i].pBufferInfo = &places[i];
    }
    vkUpdateDescriptorSets(driver().handle(), static_cast<std::uint32_t>(writes.size()), writes.data(), 0, nullptr);
    vkCmdBindDescriptorSets(batch.commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &set, 0, nullptr);
    if (!block && bytes > 0) vkCmdPushConstants(batch.commands, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, static_cast<std::uint32_t>(bytes), small.data());
  }

  std::shared_ptr<Device> device_;
  std::string name_;
  Queue& queue_;
  VkSemaphore timeline_ = VK_NULL_HANDLE;
  VkCommandPool commands_ = VK_NULL_HANDLE;
  std::mutex mutex_;
  Batch open_;                   // being recorded; no commands: none is
  std::deque<Batch> pending_;    // handed over, not known to be done
  std::vector<VkCommandBuffer> idle_;
  std::uint64_t submitted_value_ = 0;
  Hazards hazards_;
  Scratch scratch_;
  std::atomic<std::size_t> barriers_{0}, recorded_{0};
  std::once_flag attachment_once_;
  std::shared_ptr<void> attachment_;
};

namespace detail {
// A point of a stream's timeline as what a block waits for.
class TimelinePoint final : public Completion {
 public:
  TimelinePoint(std::weak_ptr<Stream> stream, std::uint64_t value) : stream_(std::move(stream)), value_(value) {}
  void wait() override {
    // A stream that is gone has waited for its work.
    if (const std::shared_ptr<Stream> stream = stream_.lock()) stream->wait(value_);
  }

 private:
  std::weak_ptr<Stream> stream_;
  std::uint64_t value_;
};
}  // namespace detail

inline std::shared_ptr<Completion> Stream::done_at(std::uint64_t value) { return std::make_shared<detail::TimelinePoint>(weak_from_this(), value); }

inline std::shared_ptr<Stream> Device::stream(const std::string& name) {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<Stream>& slot = streams_[name];
  std::shared_ptr<Stream> stream = slot.lock();
  if (!stream) slot = stream = std::make_shared<Stream>(shared_from_this(), name);
  return stream;
}
inline std::vector<std::shared_ptr<Stream>> Device::streams() {
  std::vector<std::shared_ptr<Stream>> result;
  const std::lock_guard lock(mutex_);
  for (auto entry = streams_.begin(); entry != streams_.end();) {
    if (std::shared_ptr<Stream> stream = entry->second.lock()) result.push_back(std::move(stream)), ++entry;
    else entry = streams_.erase(entry);
  }
  return result;
}
inline void Device::finish() {
  for (const auto& stream : streams()) stream->finish();
}
inline void Device::finish_quietly() noexcept {
  for (const auto& stream : streams()) stream->finish_quietly();
}

// Whether a block lies on this device; the storage defines it.
bool lies_on(const Block& block, const Device& device) noexcept;

template <class Emit> void Device::launch(Stream& stream, const Launch& launch, Emit&& emit) {
  const Capabilities& limits = capabilities();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (launch.groups[axis] == 0) return;  // nothing to do
    if (launch.groups[axis] > limits.max_workgroup_count[axis])
      raise<InvalidArgument>("the kernel '" + std::string(launch.key) + "' was launched with " + std::to_string(launch.groups[axis]) + " workgroups along axis " +
                             std::to_string(axis) + ", but '" + limits.name + "' takes at most " + std::to_string(limits.max_workgroup_count[axis]));
  }
  for (const BufferArgument& buffer : launch.buffers)
    if (buffer.block != nullptr && !lies_on(*buffer.block, *this))
      raise<InvalidArgument>("an operand of '" + std::string(launch.key) + "' does not lie on '" + limits.name + "', where the op runs: bring the operands together first with copy_to()");
  const Pipeline pipeline = pipelines_.get(launch, [&] { return emit(target()); });
  stream.dispatch(pipeline, launch);
}

}  // namespace cotenant::vulkan

#endif
