// The method of the GPU benchmarks: device time of many calls after the clocks have warmed up, one line of JSON per row.
#ifndef COTENANT_BENCH_GPU_MEASURE_HPP
#define COTENANT_BENCH_GPU_MEASURE_HPP
#include <cotenant/vulkan/backend.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "cotenant/vulkan/timestamps.hpp"

namespace bench {

// Reproducible numbers in [-2, 2), on the device.
template <class T> cotenant::SharedTensor<T, cotenant::Vulkan> numbers(const cotenant::Vulkan& gpu, const cotenant::Shape& shape) {
  auto host = cotenant::empty<T>(shape);
  T* const to = host.mutable_view().data();
  std::uint32_t state = 12345;
  for (std::size_t i = 0; i < host.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    to[i] = cotenant::convert<T>(static_cast<float>(static_cast<std::int32_t>(state) >> 8) * 0x1p-22f);
  }
  return host.copy_to(gpu);
}

// Seconds of one call on the device: the median of ten batches, after so many seconds of warming up: an H100 that waited
// while the host made its numbers runs at half its speed for longer than 0.15 s.
template <class F> double device_seconds(const cotenant::Vulkan& gpu, F f, double warm_up = 0.6) {
  f(), gpu.synchronize();
  cotenant::vulkan::Timestamps clock(*gpu.shared_stream(), 2);
  const auto timed = [&](int calls) {
    clock.mark(0);
    for (int i = 0; i < calls; ++i) f();
    clock.mark(1);
    return clock.seconds(0, 1) / calls;
  };
  const double once = timed(1);
  const int calls = std::max(1, std::min(50, static_cast<int>(0.01 / once)));
  for (double warm = 0; warm < warm_up; warm += timed(calls) * calls) {}
  std::vector<double> times;
  for (int i = 0; i < 10; ++i) times.push_back(timed(calls));
  std::sort(times.begin(), times.end());
  return times[5];
}

// Seconds of one call by the host's clock, f's own waiting included: the median of so many.
template <class F> double host_seconds(F f, int calls) {
  std::vector<double> times;
  for (int i = 0; i < calls; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Measures f, which moves so many bytes at least, then says whether its results are right.
template <class F, class Check> void row(const cotenant::Vulkan& gpu, const std::string& name, double bytes, F f, Check check) {
  const double seconds = device_seconds(gpu, f);
  const bool right = check();
  std::printf("{\"bench\": \"%s\", \"seconds\": %.4g, \"gigabytes_per_second\": %.5g, \"right\": %s}\n", name.c_str(), seconds, bytes / seconds * 1e-9,
              right ? "true" : "false");
  std::fflush(stdout);
}

}  // namespace bench

#endif
