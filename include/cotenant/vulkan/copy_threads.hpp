// Threads that copy between ordinary and staging memory: one alone moves a fifth of what the device does at the same time.
#ifndef COTENANT_VULKAN_COPY_THREADS_HPP
#define COTENANT_VULKAN_COPY_THREADS_HPP
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "cotenant/core/config.hpp"
#include "cotenant/share/attempt.hpp"

namespace cotenant::vulkan {

// How many threads share a copy of so many pieces: each moves a part until the memory is busy. Beside an H100 on 16 cores one moves 10 GB/s, 4 move 21,
// 8 move 32 and 16 move 40. COTENANT_SERIAL: only the caller's.
inline std::size_t copy_threads(std::size_t pieces) {
#if defined(COTENANT_SERIAL)
  return std::min<std::size_t>(pieces, 1);
#else
  constexpr std::size_t most = 16;
  return std::min({pieces, most, std::max<std::size_t>(std::thread::hardware_concurrency(), 1)});
#endif
}

// Calls f(i) for each i of [0, count), which the threads take in order; the caller's thread is one of them. Returns when all are
// done. After an error no more are begun; the first is raised here.
template <class F> void for_each_piece(std::size_t count, std::size_t threads, const F& f) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr first;
  const auto work = [&] {
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      std::exception_ptr failure;
      if (cotenant::detail::attempt(failure, [&] { f(i); })) continue;
      next.store(count);
      const std::lock_guard lock(mutex);
      if (!first) first = failure;
    }
  };
  std::vector<std::thread> others;
  std::exception_ptr none_left;  // the system has no more threads: those that are there do the work
  cotenant::detail::attempt(none_left, [&] {
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back(work);
  });
  work();
  for (std::thread& thread : others) thread.join();
  cotenant::detail::throw_again(first);
}

}  // namespace cotenant::vulkan

#endif
