// CopyThreads: copy between ordinary and staging memory: one alone moves a fifth of what the device does at the same time.
#ifndef COTENANT_VULKAN_COPY_THREADS_HPP
#define COTENANT_VULKAN_COPY_THREADS_HPP
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "cotenant/core/config.hpp"
#include "cotenant/share/attempt.hpp"

namespace cotenant::vulkan {

// Started by the first copy that wants them, and kept: a start takes 70 µs beside an H100, where 8 MiB are moved in 170. They sleep between copies.
class CopyThreads {
 public:
  CopyThreads() = default;
  CopyThreads(const CopyThreads&) = delete;
  CopyThreads& operator=(const CopyThreads&) = delete;
  ~CopyThreads() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  // How many share a copy of so many pieces, the caller's among them: each moves a part until the memory is busy. On 16 cores beside an H100 twelve
  // are as fast as sixteen (46 and 48 GB/s up and down), eight reach two thirds. COTENANT_SERIAL: only the caller's.
  static std::size_t sharing(std::size_t pieces) {
#if defined(COTENANT_SERIAL)
    return std::min<std::size_t>(pieces, 1);
#else
    constexpr std::size_t most = 12;
    return std::min({pieces, most, std::max<std::size_t>(std::thread::hardware_concurrency(), 1)});
#endif
  }
  // Calls f(i) for each i of [0, count), which the threads take in order; the caller's thread is one of them, so that whoever waits for
  // an earlier piece waits for a thread that runs. Returns when all are done. After an error no more are begun; the first is raised here.
  template <class F> void for_each(std::size_t count, const F& f) {
    Job job(count, sharing(count), &f, [](const void* g, std::size_t i) { (*static_cast<const F*>(g))(i); });
    run(job);
  }

 private:
  struct Job {
    using Call = void (*)(const void*, std::size_t);
    Job(std::size_t pieces, std::size_t at_most, const void* function, Call how) : count(pieces), most(at_most), f(function), call(how) {}

    bool open() const noexcept { return threads < most && next.load(std::memory_order_relaxed) < count; }
    void work() {
      for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
        std::exception_ptr failure;
        if (cotenant::detail::attempt(failure, [&] { call(f, i); })) continue;
        next.store(count);
        const std::lock_guard lock(mutex);
        if (!first) first = failure;
      }
    }

    const std::size_t count, most;
    const void* const f;
    const Call call;
    std::atomic<std::size_t> next{0};
    std::size_t threads = 1;  // under the owner's lock
    std::mutex mutex;
    std::exception_ptr first;
  };

  void run(Job& job) {
    if (job.most > 1) {
      const std::lock_guard lock(mutex_);
      std::exception_ptr none_left;  // the system has no more threads: those that are there do the work
      cotenant::detail::attempt(none_left, [&] {
        while (threads_.size() + 1 < job.most) threads_.emplace_back([this] { help(); });
        jobs_.push_back(&job);
      });
      wake_.notify_all();
    }
    job.work();
    if (job.most > 1) {
      std::unique_lock lock(mutex_);
      std::erase(jobs_, &job);
      done_.wait(lock, [&] { return job.threads == 1; });
    }
    cotenant::detail::throw_again(job.first);
  }
  void help() {
    std::unique_lock lock(mutex_);
    for (;;) {
      Job* job = nullptr;
      wake_.wait(lock, [&] { return ended_ || (job = neediest()) != nullptr; });
      if (job == nullptr) return;
      ++job->threads;
      lock.unlock();
      job->work();
      lock.lock();
      if (--job->threads == 1) done_.notify_all();
    }
  }
  // Of several copies at a time the one with the fewest threads.
  Job* neediest() const noexcept {
    Job* result = nullptr;
    for (Job* const job : jobs_)
      if (job->open() && (result == nullptr || job->threads < result->threads)) result = job;
    return result;
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> threads_;
  std::vector<Job*> jobs_;
  bool ended_ = false;
};

}  // namespace cotenant::vulkan

#endif
