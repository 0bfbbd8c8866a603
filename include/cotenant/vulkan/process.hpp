// Process: whether this process, or this thread of it, may still call Vulkan's drivers.
#ifndef COTENANT_VULKAN_PROCESS_HPP
#define COTENANT_VULKAN_PROCESS_HPP
#include <atomic>
#include <thread>

namespace cotenant::vulkan {

// A driver's threads and queues stay with the process that started it: a child that was forked since has none of them, and waits for work that
// nobody does. And drivers clean up as static objects do, when the program ends: those that are made before a driver is started are destroyed
// after that. The thread that destroys them is told; other threads go on until the process is gone.
class Process {
 public:
  static bool forked() noexcept { return state().forked.load(std::memory_order_relaxed); }
  static bool ended_by_this_thread() noexcept { return state().ended.load(std::memory_order_acquire) && state().thread == std::this_thread::get_id(); }
  // For the devices' registry.
  static void fork() noexcept { state().forked.store(true, std::memory_order_relaxed); }
  static void end() noexcept {
    if (state().ended.load(std::memory_order_acquire)) return;
    state().thread = std::this_thread::get_id();
    state().ended.store(true, std::memory_order_release);
  }

 private:
  struct State {
    std::atomic<bool> forked{false}, ended{false};
    std::thread::id thread;  // that ends the program
  };
  static State& state() noexcept {
    static State& one = *new State;  // never destroyed: it is asked by what is
    return one;
  }
};

}  // namespace cotenant::vulkan

#endif
