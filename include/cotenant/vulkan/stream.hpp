// Stream: work in order on one queue with a timeline of its own; a tenant. Records, batches, submits, waits.
#ifndef COTENANT_VULKAN_STREAM_HPP
#define COTENANT_VULKAN_STREAM_HPP
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/vulkan/arguments.hpp"
#include "cotenant/vulkan/batch.hpp"
#include "cotenant/vulkan/command_pool.hpp"
#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/hazards.hpp"
#include "cotenant/vulkan/memory_barrier.hpp"
#include "cotenant/vulkan/scratch.hpp"
#include "cotenant/vulkan/timeline.hpp"

namespace cotenant::vulkan {

// Safe from any number of threads: what they queue is interleaved in the order in which they called.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  // Errors: OutOfMemory, DeviceLost.
  Stream(std::shared_ptr<Device> device, std::string name, Queue& queue)
      : device_(std::move(device)), name_(std::move(name)), queue_(queue), timeline_(driver()), commands_(driver(), queue.family()),
        hazards_(device_->target().addressing == Addressing::descriptors ? device_->capabilities().storage_buffer_alignment : 1), scratch_(device_->memory()) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() {
    finish_quietly();
    if (driver().lost()) static_cast<void>(vkDeviceWaitIdle(driver().handle()));
    retire(true);
  }

  Device& device() const noexcept { return *device_; }
  const std::string& name() const noexcept { return name_; }
  // Memory between kernels of this stream; storage.hpp's temporary() makes blocks of it. Work that is queued up to now may use what is given back.
  Allocation take_scratch(std::size_t bytes) { return scratch_.take(bytes); }
  void give_scratch_back(Allocation memory) noexcept {
    const std::lock_guard lock(mutex_);
    scratch_.give_back(memory, last_value());
  }
  // What a backend keeps with its stream.
  std::shared_ptr<void>& attachment() noexcept { return attachment_; }
  std::once_flag& attachment_once() noexcept { return attachment_once_; }
  // Where large copies of this stream's tensors go, so that they run beside kernels. Errors: OutOfMemory, DeviceLost.
  Stream& copies(Direction direction) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Stream>& stream = copies_[static_cast<std::size_t>(direction)];
    if (!stream) stream = device_->copies(direction);
    return *stream;
  }

  // One dispatch. What is checked before: Device::launch.
  void dispatch(const Pipeline& pipeline, const Launch& launch) {
    record(launch.buffers, [&](Batch& batch) {
      if (std::exchange(batch.bound, pipeline.handle) != pipeline.handle) vkCmdBindPipeline(batch.commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.handle);
      Arguments(*device_, batch, pipeline, launch).put();
      vkCmdDispatch(batch.commands, launch.groups[0], launch.groups[1], launch.groups[2]);
    });
  }
  // Copies bytes between two places; the arguments say what is kept and ordered. `held` lives until the copy is done.
  // Gives where the timeline will be then.
  std::uint64_t copy(const BufferArgument& from, const MemoryPool::Place& source, const BufferArgument& to, const MemoryPool::Place& destination,
                     const std::shared_ptr<void>& held, bool host_reads = false) {
    const std::array<BufferArgument, 2> buffers{from, to};
    return record(buffers, [&](Batch& batch) {
      const VkBufferCopy region{source.offset, destination.offset, from.bytes};
      vkCmdCopyBuffer(batch.commands, source.buffer, destination.buffer, 1, &region);
      batch.held.push_back(held);
      batch.host_reads = batch.host_reads || host_reads;
    });
  }
  // What is queued from now on starts after a point of another stream.
  void follow(StreamPoint point) {
    const std::lock_guard lock(mutex_);
    if (open_.ended) submit();
    begin();
    open_.wait_for(std::move(point));
  }

  // What is done when everything queued up to now is done.
  Ref<Completion> completion() {
    const std::lock_guard lock(mutex_);
    if (open_.commands == VK_NULL_HANDLE) return done_at(submitted_value_);
    return open_.completion;
  }
  // Hands over what is recorded up to `value`; does not wait. Errors: OutOfMemory, DeviceLost.
  void flush(std::uint64_t value = std::numeric_limits<std::uint64_t>::max()) {
    if (driver().is_over()) return;
    {
      const std::lock_guard lock(mutex_);
      if (open_.commands == VK_NULL_HANDLE || open_.value > value) return;
      submit();
      if (!many_pending()) return;
    }
    retire();  // else who only produces what other streams read would keep all of it
  }
  // Returns when the timeline has reached `value`, and frees what the work kept. Errors: OutOfMemory, DeviceLost.
  void wait(std::uint64_t value) {
    if (driver().is_over()) return;
    flush(value);
    prepare();
    const VkResult result = timeline_.wait(value);
    retire();
    check_waited(result);
  }
  // The same for work that was handed over, for many threads at once: takes no lock and frees nothing.
  void poll(std::uint64_t value) const {
    if (!driver().is_over()) check_waited(timeline_.poll(value));
  }
  void finish() {
    const std::uint64_t value = queued();
    if (idle()) driver().check_not_lost();
    else wait(value);
    scratch_.release(value);
  }
  // The same without an error. What a lost device has not done is dropped once it has stopped.
  void finish_quietly() noexcept {
    if (driver().left()) return;
    std::exception_ptr failure;
    if (cotenant::detail::attempt(failure, [&] { finish(); })) return;
    if (driver().lost()) static_cast<void>(vkDeviceWaitIdle(driver().handle()));
    else static_cast<void>(timeline_.wait(submitted()));
    retire(driver().lost());
    if (driver().lost()) scratch_.release(std::numeric_limits<std::uint64_t>::max());
  }
  // Frees what finished work kept, that of its copies included; with `everything` also what never ran.
  void retire(bool everything = false) noexcept {
    if (driver().left()) return;
    std::vector<Batch> done;  // its blocks are freed after the lock is given back
    std::array<Stream*, 2> copies{};
    {
      const std::lock_guard lock(mutex_);
      for (std::size_t i = 0; i < copies.size(); ++i) copies[i] = copies_[i].get();
      std::uint64_t reached = 0;
      if (!everything && !pending_.empty() && timeline_.read(reached) < 0) return;
      const auto running = std::find_if(pending_.begin(), pending_.end(), [&](const Batch& batch) { return !everything && batch.value > reached; });
      for (auto batch = pending_.begin(); batch != running; ++batch) {
        device_->uses().done(*this, batch->value, batch->blocks);
        commands_.give_back(batch->commands);
        done.push_back(std::move(*batch));
      }
      pending_.erase(pending_.begin(), running);
      if (everything && open_.commands != VK_NULL_HANDLE) {
        device_->uses().done(*this, open_.value, open_.blocks);
        commands_.drop(open_.commands);
        done.push_back(std::exchange(open_, {}));
      }
    }
    for (Stream* const stream : copies)
      if (stream != nullptr) stream->retire();
  }

  const Timeline& timeline() const noexcept { return timeline_; }
  // Whether everything that was ever queued is known to be done.
  bool idle() {
    const std::lock_guard lock(mutex_);
    return open_.commands == VK_NULL_HANDLE && pending_.empty();
  }
  // Where the timeline will be when everything queued up to now is done.
  std::uint64_t queued() {
    const std::lock_guard lock(mutex_);
    return last_value();
  }
  // So far: barriers, dispatches and copies that were recorded, and points of other streams that work was told to wait for.
  std::size_t barriers() const noexcept { return barriers_.load(std::memory_order_relaxed); }
  std::size_t commands() const noexcept { return recorded_.load(std::memory_order_relaxed); }
  std::size_t waits() const noexcept { return waits_.load(std::memory_order_relaxed); }

 private:
  friend class Timestamps;
  Driver& driver() const noexcept { return device_->driver(); }
  std::uint64_t last_value() const noexcept { return open_.commands != VK_NULL_HANDLE ? open_.value : submitted_value_; }
  std::uint64_t submitted() {
    const std::lock_guard lock(mutex_);
    return submitted_value_;
  }
  void check_waited(VkResult result) const {
    if (result < 0) raise_result(result, "waiting for '" + device_->capabilities().name + "'");
  }
  Ref<Completion> done_at(std::uint64_t value) { return make_ref<detail::TimelinePoint>(weak_from_this(), value); }

  // Records f(batch) after what these buffers depend on; gives where the timeline will be when it is done.
  std::uint64_t record(std::span<const BufferArgument> buffers, FunctionRef<void(Batch&)> f) {
    std::vector<StreamPoint> others = foreign_points(buffers);
    std::uint64_t value = 0;
    bool look = false;
    {
      const std::lock_guard lock(mutex_);
      open_for(buffers);
      value = open_.value;
      f(open_);
      look = recorded(buffers, others);
    }
    if (look) retire();
    return value;
  }
  // What these buffers wait for on other streams, handed over.
  std::vector<StreamPoint> foreign_points(std::span<const BufferArgument> buffers) {
    driver().check_usable();
    std::vector<StreamPoint> others = device_->uses().foreign(*this, buffers, [](Stream& stream) { return stream.weak_from_this().lock(); });
    // What is over by now is not waited for: drivers are slower with a queue that waits for another.
    std::erase_if(others, [](const StreamPoint& other) { return other.stream->timeline_.reached(other.value); });
    for (const StreamPoint& other : others) other.stream->flush(other.value);
    return others;
  }
  void open_for(std::span<const BufferArgument> buffers) {
    if (open_.ended) submit();
    begin();
    open_.host_reads = open_.host_reads || device_->memory().host_reads();
    if (hazards_.full() || hazards_.conflict(buffers)) barrier();
  }
  // Notes what a command does that was recorded just now; whether many batches are under way.
  bool recorded(std::span<const BufferArgument> buffers, std::vector<StreamPoint>& others) {
    hazards_.add(buffers);
    for (StreamPoint& other : others) open_.wait_for(std::move(other));
    open_.use(device_->uses(), *this, buffers);
    recorded_.fetch_add(1, std::memory_order_relaxed);
    // A device without work gets some early, at first four commands: handing over takes the host 4 µs or more, as recording two or three
    // does. One that has some gets large batches; asking it at each command takes 0.01 µs.
    const std::size_t count = ++open_.commands_recorded;
    if (count < device_->options().batch && (count < (pending_.empty() ? 4u : 16u) || !timeline_.reached(submitted_value_))) return false;
    submit();
    return many_pending();
  }
  // Some of which are likely to be done. Under the lock.
  bool many_pending() const noexcept { return pending_.size() > 2; }
  // What the next batch needs is made while the host waits anyway. Without memory for it begin() says so.
  void prepare() noexcept {
    const std::lock_guard lock(mutex_);
    if (open_.commands == VK_NULL_HANDLE) commands_.prepare();
  }
  void begin() {
    if (open_.commands != VK_NULL_HANDLE) return;
    Batch batch;
    batch.value = submitted_value_ + 1;
    batch.completion = done_at(batch.value);
    batch.commands = commands_.begin();
    open_ = std::move(batch);
  }
  // What comes after waits for what came before; or the host does.
  void barrier(bool for_host = false) {
    MemoryBarrier(queue_, for_host).put(open_.commands);
    if (!for_host) hazards_.clear();
    barriers_.fetch_add(1, std::memory_order_relaxed);
  }
  // Under the lock, with open work.
  void submit() {
    if (!open_.ended) {
      if (open_.host_reads) barrier(true);
      const VkResult result = driver().call(Step::record, [&] { return vkEndCommandBuffer(open_.commands); });
      if (result < 0) driver().lose(), raise_result(VK_ERROR_DEVICE_LOST, "finishing a recording (" + to_string(result) + ")");
      open_.ended = true;
    }
    std::vector<TimelineValue> waits;
    for (const StreamPoint& point : open_.waits) waits.push_back({point.stream->timeline_.handle(), point.value});
    const VkResult result = driver().call(Step::submit, [&] { return queue_.submit(open_.commands, waits, {timeline_.handle(), open_.value}); });
    // Short of memory, the driver has changed nothing: the batch stays, and the next flush tries again.
    if (result < 0) raise_result(result, "handing work to '" + device_->capabilities().name + "'");
    device_->began();
    waits_.fetch_add(waits.size(), std::memory_order_relaxed);
    submitted_value_ = open_.value;
    pending_.push_back(std::exchange(open_, {}));
  }

  std::shared_ptr<Device> device_;
  std::string name_;
  Queue& queue_;
  Timeline timeline_;
  std::mutex mutex_;
  CommandPool commands_;
  Batch open_;                 // being recorded; no commands: none is
  std::vector<Batch> pending_;  // handed over, not known to be done
  std::uint64_t submitted_value_ = 0;
  Hazards hazards_;
  Scratch scratch_;
  std::array<std::shared_ptr<Stream>, 2> copies_;  // by direction, once asked for
  std::atomic<std::size_t> barriers_{0}, recorded_{0}, waits_{0};
  std::once_flag attachment_once_;
  std::shared_ptr<void> attachment_;
};

inline void detail::TimelinePoint::wait() {
  if (const std::shared_ptr<Stream> stream = stream_.lock()) stream->wait(value_);
}

}  // namespace cotenant::vulkan

#endif
