// Maps, casts and copies on a Vulkan device: device time against the bytes that must move, results checked after timing, and what
// making the kernels took. One line of JSON per row.
//   element_wise [ELEMENTS]     default 2^26
#include <cmath>
#include <cstdlib>

#include "bench/gpu/measure.hpp"

namespace ct = cotenant;
using bench::row;

namespace {
// Whether every 997th element of `out` is what expected(i) says, to a part in `digits`.
template <class T, class F> bool is(const ct::SharedTensor<T, ct::Vulkan>& out, double digits, F expected) {
  const auto host = out.template copy_to<ct::Heap>();
  const auto view = host.view();
  for (std::size_t i = 0; i < host.size(); i += 997) {
    const double want = expected(i), have = ct::convert<double>(view.data()[i]);
    if (want == have || std::abs(want - have) <= std::abs(want) / digits + 1e-30) continue;
    std::fprintf(stderr, "element %zu is %g, not %g\n", i, have, want);
    return false;
  }
  return true;
}
template <class T> auto host_of(const ct::SharedTensor<T, ct::Vulkan>& tensor) {
  return [host = tensor.template copy_to<ct::Heap>()](std::size_t i) { return ct::convert<double>(host.view().data()[i]); };
}
double gelu(double x) { return x / 2 * std::erfc(-x / std::sqrt(2.0)); }

void stretches(const ct::Vulkan& gpu, std::size_t n) {
  const auto elements = static_cast<double>(n);
  const auto a = bench::numbers<float>(gpu, {n}), b = bench::numbers<float>(gpu, {n}).slice(0, 0, static_cast<std::ptrdiff_t>(n), 1);
  const auto out = ct::empty<float>({n}, gpu);
  const auto half = ct::empty<ct::f16>({n}, gpu);
  const auto bytes = ct::empty<std::int8_t>({n}, gpu);
  const auto x = host_of(a), y = host_of(b);
  const auto into = [&](const auto& result, auto function) { return [&result, function, &a] { ct::map_into(result, function, a); }; };
  row(gpu, "relu(a*b+1) f32", 12 * elements, [&] { ct::map_into(out, [](auto p, auto q) { return relu(p * q + 1.f); }, a, b); },
      [&] { return is(out, 1e6, [&](std::size_t i) { return std::fmax(static_cast<double>(static_cast<float>(x(i) * y(i)) + 1.f), 0.0); }); });
  row(gpu, "gelu f32", 8 * elements, into(out, [](auto v) { return gelu(v); }), [&] { return is(out, 1e6, [&](std::size_t i) { return gelu(x(i)); }); });
  row(gpu, "exp f32", 8 * elements, into(out, [](auto v) { return exp(v); }), [&] { return is(out, 4e6, [&](std::size_t i) { return std::exp(x(i)); }); });
  row(gpu, "tanh f32", 8 * elements, into(out, [](auto v) { return tanh(v); }), [&] { return is(out, 4e6, [&](std::size_t i) { return std::tanh(x(i)); }); });
  row(gpu, "pow f32", 12 * elements, [&] { ct::map_into(out, [](auto p, auto q) { return pow(abs(p), q); }, a, b); },
      [&] { return is(out, 4e6, [&](std::size_t i) { return std::pow(std::abs(x(i)), y(i)); }); });
  row(gpu, "cast f32 to f16", 6 * elements, into(half, [](auto v) { return v; }), [&] { return is(half, 2000, x); });
  row(gpu, "cast f16 to f32", 6 * elements, [&] { ct::map_into(out, [](auto v) { return v; }, half); }, [&] { return is(out, 2000, x); });
  row(gpu, "cast f32 to i8", 5 * elements, into(bytes, [](auto v) { return v; }),
      [&] { return is(bytes, 1e9, [&](std::size_t i) { return std::trunc(x(i)); }); });
  row(gpu, "copy f32", 8 * elements, [&] { ct::copy_into(out, a); }, [&] { return is(out, 1e9, x); });
  const auto first = out.slice(0, 0, static_cast<std::ptrdiff_t>(n / 2)), second = a.slice(0, 0, static_cast<std::ptrdiff_t>(n), 2);
  row(
      gpu, "copy every second f32", 6 * elements, [&] { ct::copy_into(first, second); },
      [&] { return is(first, 1e9, [&](std::size_t i) { return x(2 * i); }); });
}

void halves(const ct::Vulkan& gpu, std::size_t n) {
  const auto elements = static_cast<double>(n);
  const auto a = bench::numbers<ct::f16>(gpu, {n}), b = bench::numbers<ct::f16>(gpu, {n});
  const auto out = ct::empty<ct::f16>({n}, gpu);
  const auto x = host_of(a), y = host_of(b);
  row(gpu, "relu(a*b+1) f16", 6 * elements, [&] { ct::map_into(out, [](auto p, auto q) { return relu(p * q + 1.f); }, a, b); },
      [&] { return is(out, 2000, [&](std::size_t i) { return std::fmax(x(i) * y(i) + 1, 0.0); }); });
  row(
      gpu, "gelu f16", 4 * elements,
      [&] {
        ct::map_into(
            out, [](auto p) { return gelu(p); }, a);
      },
      [&] { return is(out, 1000, [&](std::size_t i) { return gelu(x(i)); }); });
}

void matrices(const ct::Vulkan& gpu, std::size_t side) {
  const double elements = static_cast<double>(side) * static_cast<double>(side);
  const auto a = bench::numbers<float>(gpu, {side, side}), one_row = bench::numbers<float>(gpu, {side}), column = bench::numbers<float>(gpu, {side, 1});
  const auto out = ct::empty<float>({side, side}, gpu);
  const auto x = host_of(a), r = host_of(one_row), c = host_of(column);
  row(gpu, "a + row f32", 8 * elements, [&] { ct::map_into(out, [](auto p, auto q) { return p + q; }, a, one_row); },
      [&] { return is(out, 1e6, [&](std::size_t i) { return static_cast<double>(static_cast<float>(x(i) + r(i % side))); }); });
  row(gpu, "a + column f32", 8 * elements, [&] { ct::map_into(out, [](auto p, auto q) { return p + q; }, a, column); },
      [&] { return is(out, 1e6, [&](std::size_t i) { return static_cast<double>(static_cast<float>(x(i) + c(i / side))); }); });
  row(
      gpu, "transposing copy f32", 8 * elements, [&] { ct::copy_into(out, a.transpose()); },
      [&] { return is(out, 1e9, [&](std::size_t i) { return x(i % side * side + i / side); }); });
  const auto narrow = bench::numbers<ct::f16>(gpu, {side, side}), turned = ct::empty<ct::f16>({side, side}, gpu);
  const auto h = host_of(narrow);
  row(gpu, "transposing copy f16", 4 * elements, [&] { ct::copy_into(turned, narrow.transpose()); },
      [&] { return is(turned, 1e9, [&](std::size_t i) { return h(i % side * side + i / side); }); });
}
}  // namespace

int main(int argc, char** argv) {
  const std::size_t n = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::size_t{1} << 26;
  const auto gpu = ct::Vulkan::open({.cache_folder = "-"});
  std::printf("{\"device\": \"%s\", \"driver\": \"%s\"}\n", gpu.capabilities().name.c_str(), gpu.capabilities().driver.c_str());
  stretches(gpu, n);
  halves(gpu, n);
  matrices(gpu, std::max<std::size_t>(64, static_cast<std::size_t>(std::sqrt(static_cast<double>(n))) / 64 * 64));
  const ct::KernelStatistics made = gpu.kernel_statistics();
  const auto kernels = static_cast<double>(made.kernels);
  std::printf("{\"bench\": \"writing a kernel\", \"seconds\": %.3g}\n{\"bench\": \"compiling a kernel\", \"seconds\": %.3g}\n", made.emit_seconds / kernels,
              made.compile_seconds / kernels);
}
