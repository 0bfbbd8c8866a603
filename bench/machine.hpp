// The machine's bounds: how fast one core multiplies in registers and how fast memory gives and takes.
#ifndef COTENANT_BENCH_MACHINE_HPP
#define COTENANT_BENCH_MACHINE_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/measure.hpp"

namespace bench {

// One step is twelve independent chains of one instruction: a result is ready after 4 to 6 cycles and two instructions start
// in each, so that twelve are enough, and targets of 16 registers have room for no more.
// Assembler text, because a compiler has its own mind about loops whose result is a constant.
#if defined(__x86_64__)
#define COTENANT_BENCH_12(before, register, after)                                                                                       \
  before register "0" after before register "1" after before register "2" after before register "3" after before register "4" after      \
      before register "5" after before register "6" after before register "7" after before register "8" after before register "9" after  \
          before register "10" after before register "11" after
// `spread` puts the factor, an ordinary number, into every lane of register 14: nothing but zeros would be easier to power.
#define COTENANT_BENCH_CHAINS(name, spread, step)                                                                                        \
  inline void name(std::size_t steps) {                                                                                                  \
    const std::uint32_t factor = 0x3F7FBE77;                                                                                             \
    asm volatile(COTENANT_BENCH_12("vpxor %%xmm15, %%xmm15, ", "%%xmm", "\n") spread "1:\n" step "sub $1, %[steps]\n jnz 1b\n vzeroupper\n" \
                 : [steps] "+r"(steps)                                                                                                   \
                 : [factor] "r"(factor)                                                                                                  \
                 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm14", "xmm15"); \
  }
#define COTENANT_BENCH_SPREAD_256 "vmovd %[factor], %%xmm14\n vpbroadcastd %%xmm14, %%ymm14\n"
#define COTENANT_BENCH_SPREAD_512 "vpbroadcastd %[factor], %%zmm14\n"
COTENANT_BENCH_CHAINS(fma_256, COTENANT_BENCH_SPREAD_256, COTENANT_BENCH_12("vfmadd231ps %%ymm14, %%ymm14, ", "%%ymm", "\n"))
COTENANT_BENCH_CHAINS(fma_512, COTENANT_BENCH_SPREAD_512, COTENANT_BENCH_12("vfmadd231ps %%zmm14, %%zmm14, ", "%%zmm", "\n"))
COTENANT_BENCH_CHAINS(bytes_512, COTENANT_BENCH_SPREAD_512, COTENANT_BENCH_12("vpdpbusd %%zmm14, %%zmm14, ", "%%zmm", "\n"))
COTENANT_BENCH_CHAINS(bf16_512, COTENANT_BENCH_SPREAD_512, COTENANT_BENCH_12("vdpbf16ps %%zmm14, %%zmm14, ", "%%zmm", "\n"))
#endif

struct Chains {
  const char* bound;         // the name that rows refer to
  const char* instruction;
  void (*run)(std::size_t);  // null where the CPU or this file has none
  double operations;         // of one instruction: a multiply-add is two
};

inline std::vector<Chains> chains() {
  std::vector<Chains> all{{"f32", "none", nullptr, 0}, {"vnni", "none", nullptr, 0}, {"bf16", "none", nullptr, 0}};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) all[0] = {"f32", "vfmadd231ps zmm", fma_512, 32};
  else if (__builtin_cpu_supports("fma")) all[0] = {"f32", "vfmadd231ps ymm", fma_256, 16};
  if (__builtin_cpu_supports("avx512vnni")) all[1] = {"vnni", "vpdpbusd zmm", bytes_512, 128};
  if (__builtin_cpu_supports("avx512bf16")) all[2] = {"bf16", "vdpbf16ps zmm", bf16_512, 64};
#endif
  return all;
}

// All threads do f(thread, threads) at once, `rounds` times; the least of the seconds until the last is done: a bound is what can be, not what is usual.
inline double together(std::size_t threads, int rounds, const std::function<void(std::size_t)>& f) {
  double least = 1e9;
  for (int round = -1; round < rounds; ++round) {
    std::vector<double> each(threads);
    const auto timed = [&](std::size_t thread) {
      // Alone: this thread's own time. Several share what they measure, and only the clock on the wall sees that.
      const double begin = threads == 1 ? thread_seconds() : wall_seconds();
      f(thread);
      each[thread] = (threads == 1 ? thread_seconds() : wall_seconds()) - begin;
    };
    std::vector<std::thread> others;
    for (std::size_t thread = 1; thread < threads; ++thread) others.emplace_back(timed, thread);
    timed(0);
    for (auto& other : others) other.join();
    if (round >= 0) least = std::min(least, *std::max_element(each.begin(), each.end()));
  }
  return least;
}

// From two places at once, each asked for half a page ahead: the fastest of 1 to 16 streams with and without that (on Zen 5 42 GB/s,
// one plain stream 37, four 32).
using Wide [[gnu::vector_size(32)]] = float;
#if defined(__x86_64__)
[[gnu::target("avx2"), gnu::noinline]]
#else
[[gnu::noinline]]
#endif
inline float read_all(const float* data, std::size_t count) {
  const std::size_t half = count / 64 * 32;
  Wide sums[8] = {};
  for (std::size_t i = 0; i < half; i += 32) {
#pragma GCC unroll 8
    for (std::size_t j = 0; j < 8; ++j) {
      const float* at = data + j / 2 % 2 * half + i + j / 4 * 16 + j % 2 * 8;
      Wide value;
      std::memcpy(&value, at, sizeof value);
      sums[j] += value;
      if (j % 2 == 0) __builtin_prefetch(at + 512);
    }
  }
  float total = 0;
  for (const Wide& sum : sums)
    for (int lane = 0; lane < 8; ++lane) total += sum[lane];
  return total;
}
#if defined(__x86_64__)
[[gnu::target("avx2"), gnu::noinline]]
#else
[[gnu::noinline]]
#endif
inline void triad_all(float* out, const float* a, const float* b, std::size_t count) {
  for (std::size_t i = 0; i + 8 <= count; i += 8) {
    Wide x, y;
    std::memcpy(&x, a + i, sizeof x);
    std::memcpy(&y, b + i, sizeof y);
    x = x + y * 0.5f;
    std::memcpy(out + i, &x, sizeof x);
  }
}

struct Rate {
  std::string bound;
  std::size_t threads;
  double rate;  // in 1e9 operations or bytes per second, of all threads together
  std::string how;
};

inline std::vector<Rate> machine_rates(const Options& options, std::size_t level3_cache) {
  std::vector<Rate> rates;
  const int rounds = options.smoke ? 1 : 11;
  // Far more than the last cache holds, in each of three arrays. (A virtual machine may name the cache of the whole host.)
  const std::size_t floats = options.smoke ? 1 << 16 : std::clamp<std::size_t>(3 * level3_cache, std::size_t{64} << 20, std::size_t{256} << 20) / sizeof(float);
  const auto arrays = peers::room(3 * floats * sizeof(float));
  auto* a = static_cast<float*>(arrays.get());
  for (const std::size_t threads : options.threads) {
    for (const Chains& one : chains()) {
      if (one.run == nullptr) continue;
      const std::size_t steps = options.smoke ? 1000 : 1'000'000;  // a few milliseconds
      const double seconds = together(threads, rounds, [&](std::size_t) { one.run(steps); });
      rates.push_back({one.bound, threads, 12.0 * one.operations * static_cast<double>(steps * threads) / seconds * 1e-9, one.instruction});
    }
    const std::size_t part = floats / threads / 64 * 64;
    const double bytes = static_cast<double>(part * threads * sizeof(float));
    volatile float keep = 0;
    const double read = together(threads, rounds, [&](std::size_t thread) { keep = read_all(a + thread * part, part); });
    const double copy = together(threads, rounds, [&](std::size_t thread) { std::memcpy(a + floats + thread * part, a + thread * part, part * sizeof(float)); });
    const double triad = together(threads, rounds, [&](std::size_t thread) { triad_all(a + 2 * floats + thread * part, a + thread * part, a + floats + thread * part, part); });
    rates.push_back({"read", threads, bytes / read * 1e-9, "sum of an array"});
    rates.push_back({"copy", threads, 2 * bytes / copy * 1e-9, "memcpy, read and written"});
    rates.push_back({"triad", threads, 3 * bytes / triad * 1e-9, "a = b + c / 2, read and written"});
  }
  return rates;
}

// One line of JSON: what the rows are held against.
inline void write_machine(const std::string& cpu, const std::string& compiler, const std::vector<Rate>& rates) {
  cotenant::JsonWriter json;
  json.begin_object().key("machine").begin_object().member("cpu", cpu).member("compiler", compiler).key("peers").begin_array();
  for (const std::string& line : peers::descriptions()) json.value(line);
  json.end_array().key("rates").begin_array();
  for (const Rate& rate : rates) {
    json.begin_object().member("bound", rate.bound).member("threads", rate.threads).member("rate", rate.rate).member("how", rate.how).end_object();
    std::fprintf(stderr, "%-10s %-44s %zu  %.1f G/s\n", rate.bound.c_str(), rate.how.c_str(), rate.threads, rate.rate);
  }
  json.end_array().end_object().end_object();
  std::printf("%s\n", json.take().c_str());
}

}  // namespace bench

#endif
