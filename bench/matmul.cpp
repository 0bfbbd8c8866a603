// Measures cotenant's matmul, softmax and gelu on one thread, beside OpenBLAS in the same run and the bound of the machine.
// Usage: matmul [rounds]
#include <cotenant/cotenant.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#ifdef COTENANT_BENCH_OPENBLAS
#include <cblas.h>
extern "C" void openblas_set_num_threads(int);
#endif
#ifndef COTENANT_SERIAL
#include <tbb/global_control.h>
#endif

namespace ct = cotenant;

namespace {

// Seconds of this thread's own CPU time where the system counts it: other programs then disturb less.
double now() {
#ifdef CLOCK_THREAD_CPUTIME_ID
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
#else
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

// Median seconds of one call of each, taken turn by turn, so that a change of clock or a neighbour meets both.
std::vector<double> measure(int rounds, const std::vector<std::function<void()>>& calls) {
  std::vector<int> repeats;
  for (const auto& call : calls) {
    call();
    const double begin = now();
    call();
    repeats.push_back(std::max(1, static_cast<int>(0.01 / (now() - begin + 1e-9))));
  }
  std::vector<std::vector<double>> times(calls.size());
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const double begin = now();
      for (int repeat = 0; repeat < repeats[i]; ++repeat) calls[i]();
      times[i].push_back((now() - begin) / repeats[i]);
    }
  std::vector<double> result;
  for (auto& each : times) result.push_back(median(each));
  return result;
}

ct::SharedTensor<float> random(const ct::Shape& shape) {
  auto tensor = ct::empty<float>(shape);
  unsigned state = 12345;
  for (float& x : tensor.mutable_view().span()) x = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) / 8388608.f - 1.f;
  return tensor;
}

// The most multiply-adds that one core does, times two: twelve independent sums, twice the eight that a latency of 4 at two
// per cycle needs. 0 where this file does not know the target.
#if defined(__x86_64__)
template <class V> [[gnu::always_inline]] inline float chains(std::size_t steps) {
  V sums[12], factor = V{} + 0.999f, step = V{} + 0.001f;
  for (int i = 0; i < 12; ++i) sums[i] = V{} + static_cast<float>(i);  // all different, or one chain would do for the compiler
  for (std::size_t i = 0; i < steps; ++i) {
#pragma GCC unroll 12
    for (V& sum : sums) sum = sum * factor + step;
  }
  V total{};
  for (const V& sum : sums) total += sum;
  return total[0];
}
using V16 [[gnu::vector_size(64)]] = float;
using V8 [[gnu::vector_size(32)]] = float;
[[gnu::target("avx512f,fma"), gnu::noinline]] float chains_of_16(std::size_t steps) { return chains<V16>(steps); }
[[gnu::target("avx2,fma"), gnu::noinline]] float chains_of_8(std::size_t steps) { return chains<V8>(steps); }
#endif
double peak_flops(int rounds) {
#if defined(__x86_64__)
  const std::size_t lanes = ct::Cpu::capabilities().vector_bytes / sizeof(float), steps = 100'000;
  volatile float keep = 0;
  if (lanes == 16) return 2.0 * 12 * 16 * static_cast<double>(steps) / measure(rounds, {[&] { keep = chains_of_16(steps); }})[0];
  if (lanes == 8) return 2.0 * 12 * 8 * static_cast<double>(steps) / measure(rounds, {[&] { keep = chains_of_8(steps); }})[0];
#endif
  static_cast<void>(rounds);
  return 0;
}

struct Product {
  std::size_t batch, rows, depth, columns;
  bool transposed;  // the right operand is stored [columns, depth], as weights of linear layers are
};

void product(const Product& p, int rounds) {
  const auto a = random({p.batch, p.rows, p.depth});
  const auto stored = p.transposed ? random({p.batch, p.columns, p.depth}) : random({p.batch, p.depth, p.columns});
  const auto b = p.transposed ? stored.transpose() : stored;
  auto out = ct::empty<float>({p.batch, p.rows, p.columns});
  std::vector<std::function<void()>> calls{[&] { ct::matmul_into(out, a, b); }};
#ifdef COTENANT_BENCH_OPENBLAS
  auto peer = ct::empty<float>({p.batch, p.rows, p.columns});
  calls.push_back([&] {
    const auto m = static_cast<int>(p.rows), n = static_cast<int>(p.columns), k = static_cast<int>(p.depth);
    for (std::size_t i = 0; i < p.batch; ++i)
      cblas_sgemm(CblasRowMajor, CblasNoTrans, p.transposed ? CblasTrans : CblasNoTrans, m, n, k, 1.f, a.view().data() + i * p.rows * p.depth, k,
                  stored.view().data() + i * p.depth * p.columns, p.transposed ? k : n, 0.f, peer.mutable_view().data() + i * p.rows * p.columns, n);
  });
#endif
  const auto seconds = measure(rounds, calls);
  const double flops = 2.0 * static_cast<double>(p.batch * p.rows * p.depth * p.columns);
  const std::string shape = (p.batch > 1 ? std::to_string(p.batch) + " x " : std::string()) + std::to_string(p.rows) + " x " + std::to_string(p.depth) + " x " + std::to_string(p.columns) + (p.transposed ? " (right transposed)" : "");
  std::printf("%-36s %10.1f us %8.1f GFLOP/s", shape.c_str(), seconds[0] * 1e6, flops / seconds[0] * 1e-9);
  if (seconds.size() > 1) std::printf("   OpenBLAS %8.1f GFLOP/s   ratio %.2f", flops / seconds[1] * 1e-9, seconds[1] / seconds[0]);
  std::printf("\n");
}

void elementwise(const char* name, int rounds, double bytes, const std::function<void()>& call) {
  const double seconds = measure(rounds, {call})[0];
  std::printf("%-36s %10.1f us %8.1f GB/s read and written\n", name, seconds * 1e6, bytes / seconds * 1e-9);
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? std::max(1, std::atoi(arguments[1])) : 15;
#ifndef COTENANT_SERIAL
  const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
#endif
#ifdef COTENANT_BENCH_OPENBLAS
  openblas_set_num_threads(1);
#endif
  std::printf("%s; one thread, median of %d rounds\n", to_string(ct::Cpu::capabilities()).c_str(), rounds);
  for (const Product& p : {Product{1, 1024, 1024, 1024, false}, Product{1, 1024, 1024, 1024, true}, Product{1, 128, 384, 384, true}, Product{1, 128, 384, 1536, true},
                           Product{1, 128, 1536, 384, true}, Product{12, 128, 32, 128, true}, Product{12, 128, 128, 32, false}, Product{1, 1, 1024, 1024, false},
                           Product{1, 1, 1024, 1024, true}, Product{1, 4, 384, 1536, true}, Product{1, 16, 16, 16, false}})
    product(p, rounds);
  if (const double peak = peak_flops(rounds); peak > 0) std::printf("%-36s %13s %8.1f GFLOP/s\n", "multiply-adds in registers (peak)", "", peak * 1e-9);

  const auto x = random({12 * 128, 128}), wide = random({128, 1536});
  auto probabilities = ct::empty<float>({12 * 128, 128}), activated = ct::empty<float>({128, 1536});
  elementwise("softmax 1536 x 128", rounds, 8.0 * 1536 * 128, [&] { ct::softmax_into(probabilities, x); });
  elementwise("gelu 128 x 1536", rounds, 8.0 * 128 * 1536, [&] { ct::map_into(activated, [](auto v) { return gelu(v); }, wide); });
  elementwise("add 128 x 1536", rounds, 12.0 * 128 * 1536, [&] { ct::map_into(activated, [](auto a, auto b) { return a + b; }, wide, wide); });
  const auto scale = random({384}), hidden = random({128, 384});
  auto normal = ct::empty<float>({128, 384});
  elementwise("layer_norm 128 x 384", rounds, 8.0 * 128 * 384, [&] { ct::layer_norm_into(normal, hidden, scale, scale, 1e-12f); });
}
