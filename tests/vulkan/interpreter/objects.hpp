// The Vulkan objects of the interpreter's driver: memory, pipelines, recorded commands, and queues that run them as they are handed over.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_OBJECTS_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_OBJECTS_HPP
#include <vulkan/vulkan.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "dispatch.hpp"

namespace cotenant::test::interpreter {

// Whether COTENANT_INTERPRETER is this.
inline bool asked(const char* mode) {
  const char* const set = std::getenv("COTENANT_INTERPRETER");
  return set != nullptr && std::strcmp(set, mode) == 0;
}

// The loader keeps its own table in the first word of these.
struct Dispatchable {
  std::uintptr_t loader = 0x01CDC0DE;
};
template <class Object, class Handle> Object* object(Handle handle) { return reinterpret_cast<Object*>(handle); }
template <class Handle, class Object> Handle handle(Object* made) { return reinterpret_cast<Handle>(made); }

// What nobody has written is no number.
struct Memory {
  static constexpr std::size_t alignment = 65536;
  explicit Memory(std::size_t bytes) : own(bytes + alignment, std::byte{0xFF}) {}
  std::byte* begin() { return own.data() + (alignment - reinterpret_cast<std::uintptr_t>(own.data()) % alignment); }
  std::vector<std::byte> own;
};
struct Buffer {
  std::size_t bytes = 0;
  std::byte* begin = nullptr;
};
struct Semaphore {
  std::uint64_t value = 0;
};
struct Shader {
  std::vector<std::uint32_t> words;
};
struct Pipeline {
  std::vector<std::uint32_t> words;
  std::unique_ptr<Program> program;
};
struct DescriptorSet {
  std::vector<Bytes> bindings;
};
struct DescriptorPool {
  std::deque<DescriptorSet> sets;
};
struct Commands : Dispatchable {
  Pipeline* pipeline = nullptr;
  DescriptorSet* set = nullptr;
  std::array<std::byte, 128> push_constants{};
  std::vector<std::function<void()>> recorded;
};

// All of one device's work: one batch at a time, in any thread that hands one over.
class Worker {
 public:
  struct Batch {
    const void* queue;
    std::vector<std::pair<Semaphore*, std::uint64_t>> waits, signals;
    std::vector<Commands*> commands;
  };
  VkResult submit(Batch batch) {
    const std::lock_guard lock(mutex_);
    pending_.push_back(std::move(batch));
    return run();
  }
  VkResult signal(Semaphore& semaphore, std::uint64_t value) {
    const std::lock_guard lock(mutex_);
    semaphore.value = value;
    return run();
  }
  std::uint64_t read(const Semaphore& semaphore) {
    const std::lock_guard lock(mutex_);
    return semaphore.value;
  }
  VkResult wait(const Semaphore& semaphore, std::uint64_t value) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return lost_ || semaphore.value >= value; });
    return lost_ ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
  }
  bool lost() {
    const std::lock_guard lock(mutex_);
    return lost_;
  }

  BufferWrites writes;

  // ---- buffers that kernels reach by address
  void place(Buffer* buffer) {
    const std::lock_guard lock(mutex_);
    buffers_[reinterpret_cast<std::uintptr_t>(buffer->begin)] = buffer;
  }
  void forget(const Buffer* buffer) {
    const std::lock_guard lock(mutex_);
    buffers_.erase(reinterpret_cast<std::uintptr_t>(buffer->begin));
  }
  Bytes allocation(std::uint64_t address) const {
    auto after = buffers_.upper_bound(address);
    if (after == buffers_.begin()) return {};
    const Buffer& found = *std::prev(after)->second;
    return address < reinterpret_cast<std::uintptr_t>(found.begin) + found.bytes ? Bytes{found.begin, found.bytes} : Bytes{};
  }

 private:
  VkResult run() {
    for (bool again = true; again && !lost_;) {
      again = false;
      std::vector<const void*> blocked;  // queues: what they take is done in order
      for (auto batch = pending_.begin(); batch != pending_.end() && !lost_;) {
        bool ready = std::find(blocked.begin(), blocked.end(), batch->queue) == blocked.end();
        for (const auto& [semaphore, value] : batch->waits) ready = ready && semaphore->value >= value;
        if (!ready) {
          blocked.push_back(batch->queue);
          ++batch;
          continue;
        }
        run(*batch);
        batch = pending_.erase(batch), again = true;
      }
    }
    changed_.notify_all();
    return lost_ ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
  }
  void run(const Batch& batch) {
    for (const Commands* commands : batch.commands)
      for (const auto& command : commands->recorded) {
        try {
          command();
        } catch (const Fault& what) {
          std::fprintf(stderr, "interpreter: %s\n", what.what());
          if (!goes_on_) return void(lost_ = true);
        }
      }
    for (const auto& [semaphore, value] : batch.signals) semaphore->value = value;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> pending_;
  std::map<std::uint64_t, Buffer*> buffers_;
  bool lost_ = false;
  // COTENANT_INTERPRETER=on: a fault ends its dispatch, but not the device: for a list of all of them.
  const bool goes_on_ = asked("on");
};

struct Queue : Dispatchable {
  Worker* worker = nullptr;
};
struct Device : Dispatchable {
  Worker worker;
  std::array<Queue, 8> queues;
};

}  // namespace cotenant::test::interpreter

#endif
