// Measures what a call costs before any arithmetic: the choice of the CPU target, and map's front door, on 16 floats.
// Usage: dispatch [rounds]
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "cotenant/cpu/cpu.hpp"

namespace ct = cotenant;

namespace {

constexpr std::size_t elements = 16;

// The kernel, compiled for the baseline: what a program without any choice of targets would call.
[[gnu::noinline]] void add_one(const float* in, float* out) {
  for (std::size_t i = 0; i < elements; ++i) out[i] = in[i] + 1.0f;
  asm volatile("" : : "r"(out) : "memory");
}

// This thread's own CPU time where the system counts it: other programs then disturb less.
double seconds() {
#ifdef CLOCK_THREAD_CPUTIME_ID
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
#else
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
}

// Nanoseconds of one of `count` calls of f.
template <class F> double once(std::size_t count, const F& f) {
  const double begin = seconds();
  for (std::size_t i = 0; i < count; ++i) f();
  return (seconds() - begin) / static_cast<double>(count) * 1e9;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 31;
  constexpr std::size_t calls = 200000;
  const auto x = ct::full<float>({elements}, 1.0f), y = ct::full<float>({elements}, 0.0f);
  const float* in = x.view().data();
  float* out = y.unchecked_view().data();
  std::vector<double> direct, dispatched, front_door, allocating;
  for (int round = 0; round < rounds; ++round) {
    direct.push_back(once(calls, [&] { add_one(in, out); }));
    dispatched.push_back(once(calls, [&] { ct::cpu::dispatch<HWY_TARGETS>([=](auto) { add_one(in, out); }); }));
    front_door.push_back(once(calls, [&] { ct::map_into(y, [](auto v) { return v + 1.f; }, x); }));
    allocating.push_back(once(calls, [&] { static_cast<void>(ct::map([](auto v) { return v + 1.f; }, x)); }));
  }
  std::printf("A call on %zu floats, CPU target %s, nanoseconds (median of %d):\n", elements, ct::Cpu::target_name(), rounds);
  std::printf("  a function that adds 1                    %6.1f\n", median(direct));
  std::printf("  the same through dispatch()               %6.1f   dispatch alone: %.1f\n", median(dispatched), median(dispatched) - median(direct));
  std::printf("  map_into(y, x + 1, x): checks and views   %6.1f\n", median(front_door));
  std::printf("  map(x + 1, x): and a new tensor           %6.1f\n", median(allocating));
}
