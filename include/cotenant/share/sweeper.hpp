// Sweeper: a thread that calls a function at an interval until it is destroyed.
#ifndef COTENANT_SHARE_SWEEPER_HPP
#define COTENANT_SHARE_SWEEPER_HPP
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "cotenant/core/config.hpp"

namespace cotenant::detail {

class Sweeper {
 public:
  // What `work` throws is dropped: there is nobody to tell.
  Sweeper(std::chrono::steady_clock::duration interval, std::function<void()> work) : interval_(interval), work_(std::move(work)), thread_([this] { run(); }) {}
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;
  ~Sweeper() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto next = std::chrono::steady_clock::now() + interval_;
      while (!ended_) {
        const auto left = next - std::chrono::steady_clock::now();
        if (left <= std::chrono::steady_clock::duration::zero()) break;
        // The system's clock: g++ 12's ThreadSanitizer does not see a wait on the steady one.
        constexpr std::chrono::steady_clock::duration longest = std::chrono::hours(1);
        changed_.wait_until(lock, std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(std::min(left, longest)));
      }
      if (ended_) return;
      lock.unlock();
#if COTENANT_EXCEPTIONS
      try {
        work_();
      } catch (...) {
      }
#else
      work_();
#endif
      lock.lock();
    }
  }

  const std::chrono::steady_clock::duration interval_;
  const std::function<void()> work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace cotenant::detail

#endif
