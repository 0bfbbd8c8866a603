// Maps, casts and copies on a Vulkan device: device time, bytes moved, and what making the kernels took. One line of JSON per row.
//   element_wise [ELEMENTS]     default 2^26
#include <cotenant/vulkan/backend.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cotenant/vulkan/timestamps.hpp"

namespace ct = cotenant;

namespace {
template <class T> ct::SharedTensor<T, ct::Vulkan> ramp(const ct::Vulkan& gpu, const ct::Shape& shape, float scale) {
  auto host = ct::empty<T>(shape);
  T* const to = host.mutable_view().data();
  for (std::size_t i = 0; i < host.size(); ++i) to[i] = ct::convert<T>((static_cast<float>(i * 2654435761u >> 20 & 4095) - 2048.f) * scale);
  return host.copy_to(gpu);
}

// The median of ten batches of calls, after the clocks have warmed up.
template <class F> void row(const ct::Vulkan& gpu, const char* name, double bytes, F f) {
  const auto begin = std::chrono::steady_clock::now();
  f(), gpu.synchronize();
  const double first = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ct::vulkan::Timestamps clock(*gpu.shared_stream(), 2);
  const auto timed = [&](int calls) {
    clock.mark(0);
    for (int i = 0; i < calls; ++i) f();
    clock.mark(1);
    return clock.seconds(0, 1) / calls;
  };
  const double once = timed(1);
  const int calls = std::max(1, std::min(50, static_cast<int>(0.02 / once)));
  for (double warm = 0; warm < 0.15; warm += timed(calls) * calls) {}
  std::vector<double> times;
  for (int i = 0; i < 10; ++i) times.push_back(timed(calls));
  std::sort(times.begin(), times.end());
  std::printf("{\"bench\": \"%s\", \"device\": \"%s\", \"seconds\": %.4g, \"gigabytes_per_second\": %.5g, \"first_call_ms\": %.3g}\n", name,
              gpu.capabilities().name.c_str(), times[5], bytes / times[5] * 1e-9, first * 1e3);
  std::fflush(stdout);
}
}  // namespace

int main(int argc, char** argv) {
  const std::size_t n = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::size_t{1} << 26;
  const std::size_t side = std::max<std::size_t>(64, static_cast<std::size_t>(std::sqrt(static_cast<double>(n))) / 64 * 64);
  const auto gpu = ct::Vulkan::open({.cache_folder = "-"});
  const auto N = static_cast<double>(n), S = static_cast<double>(side * side);
  {
    const auto a = ramp<float>(gpu, {n}, 0x1p-10f), b = ramp<float>(gpu, {n}, 0x1p-9f);
    const auto out = ct::empty<float>({n}, gpu);
    const auto fused = [](auto x, auto y) { return relu(x * y + 1.f); };
    row(gpu, "relu(a*b+1) f32", 12 * N, [&] { ct::map_into(out, fused, a, b); });
    const auto x = a.copy_to<ct::Heap>(), y = b.copy_to<ct::Heap>(), z = out.copy_to<ct::Heap>();
    const auto xs = x.view(), ys = y.view(), zs = z.view();
    for (std::size_t i = 0; i < n; i += 997)
      if (zs.data()[i] != std::max(xs.data()[i] * ys.data()[i] + 1.f, 0.f)) return std::fprintf(stderr, "element %zu is wrong\n", i), 1;
    row(gpu, "gelu f32", 8 * N, [&] { ct::map_into(out, [](auto v) { return gelu(v); }, a); });
    row(gpu, "exp f32", 8 * N, [&] { ct::map_into(out, [](auto v) { return exp(v); }, a); });
    row(gpu, "tanh f32", 8 * N, [&] { ct::map_into(out, [](auto v) { return tanh(v); }, a); });
    row(gpu, "pow f32", 12 * N, [&] { ct::map_into(out, [](auto v, auto w) { return pow(v, w); }, a, b); });
    const auto half = ct::empty<ct::f16>({n}, gpu);
    row(gpu, "cast f32 to f16", 6 * N, [&] { ct::map_into(half, [](auto v) { return v; }, a); });
    row(gpu, "cast f16 to f32", 6 * N, [&] { ct::map_into(out, [](auto v) { return v; }, half); });
    const auto bytes = ct::empty<std::int8_t>({n}, gpu);
    row(gpu, "cast f32 to i8", 5 * N, [&] { ct::map_into(bytes, [](auto v) { return v; }, a); });
    row(gpu, "copy f32", 8 * N, [&] { ct::copy_into(out, a); });
    row(gpu, "copy every second f32", 6 * N,
        [&] { ct::copy_into(out.slice(0, 0, static_cast<std::ptrdiff_t>(n / 2)), a.slice(0, 0, static_cast<std::ptrdiff_t>(n), 2)); });
  }
  {
    const auto a = ramp<ct::f16>(gpu, {n}, 0x1p-10f), b = ramp<ct::f16>(gpu, {n}, 0x1p-9f);
    const auto out = ct::empty<ct::f16>({n}, gpu);
    row(gpu, "relu(a*b+1) f16", 6 * N, [&] { ct::map_into(out, [](auto x, auto y) { return relu(x * y + 1.f); }, a, b); });
    row(gpu, "gelu f16", 4 * N, [&] { ct::map_into(out, [](auto x) { return gelu(x); }, a); });
  }
  {
    const auto a = ramp<float>(gpu, {side, side}, 0x1p-10f), bias = ramp<float>(gpu, {side}, 0x1p-9f), column = ramp<float>(gpu, {side, 1}, 0x1p-9f);
    const auto out = ct::empty<float>({side, side}, gpu);
    row(gpu, "a + row f32", 8 * S, [&] { ct::map_into(out, [](auto x, auto r) { return x + r; }, a, bias); });
    row(gpu, "a + column f32", 8 * S, [&] { ct::map_into(out, [](auto x, auto c) { return x + c; }, a, column); });
    row(gpu, "transposing copy f32", 8 * S, [&] { ct::copy_into(out, a.transpose()); });
    const auto z = out.copy_to<ct::Heap>(), x = a.copy_to<ct::Heap>();
    for (std::size_t i = 0; i < side; i += 13)
      for (std::size_t j = 0; j < side; j += 17)
        if (z.view().data()[i * side + j] != x.view().data()[j * side + i]) return std::fprintf(stderr, "the transposed element %zu, %zu is wrong\n", i, j), 1;
    const auto narrow = ramp<ct::f16>(gpu, {side, side}, 0x1p-10f), turned = ct::empty<ct::f16>({side, side}, gpu);
    row(gpu, "transposing copy f16", 4 * S, [&] { ct::copy_into(turned, narrow.transpose()); });
  }
  const ct::KernelStatistics kernels = gpu.kernel_statistics();
  std::printf("{\"bench\": \"making kernels\", \"kernels\": %zu, \"emit_us_each\": %.1f, \"compile_ms_each\": %.2f}\n", kernels.kernels,
              kernels.emit_seconds * 1e6 / static_cast<double>(kernels.kernels), kernels.compile_seconds * 1e3 / static_cast<double>(kernels.kernels));
}
