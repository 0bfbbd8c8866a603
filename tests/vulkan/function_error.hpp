// How far functions of f32 are from exact ones on a device, in units of the last place.
#ifndef COTENANT_TESTS_VULKAN_FUNCTION_ERROR_HPP
#define COTENANT_TESTS_VULKAN_FUNCTION_ERROR_HPP
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "test_device.hpp"

namespace cotenant::test::function_error {

using namespace cotenant::vulkan;

// f(x, y) for each element on the device.
template <class F> std::vector<float> on_device(const Vulkan& gpu, const std::string& name, const std::vector<float>& x, const std::vector<float>& y, F f) {
  const auto a = to_device(gpu, x), b = to_device(gpu, y);
  auto out = empty<float>({x.size()}, gpu);
  const auto argument = [](const auto& t, Access access) { return BufferArgument{t.block().get(), t.block()->data(), t.bytes(), access}; };
  const std::array<BufferArgument, 3> buffers{argument(a, Access::read), argument(b, Access::read), argument(out, Access::write)};
  const auto count = static_cast<std::uint32_t>(x.size());
  gpu.device().launch(*gpu.shared_stream(), {"test: " + name, buffers, std::array<std::uint32_t, 1>{count}, {(count + 63) / 64, 1, 1}},
      [&](const Target& target) {
    KernelBuilder k(target, {.workgroup = 64});
    const Buffer in = k.buffer(k.f32()), other = k.buffer(k.f32()), result = k.buffer(k.f32());
    const Value n = k.scalar(), i = k.workgroup_id() * 64u + k.local_index();
    k.when(i < n, [&] { result.store(i, f(in.load(i), other.load(i))); });
    return k.finish();
  });
  return to_host(out);
}
// The largest distance in units of the expected value's last place; special values must agree. `least`: what may be 0 instead.
struct Worst {
  double units = 0;
  float at = 0;
};
inline Worst distance(const std::vector<float>& got, const std::vector<double>& expected, const std::vector<float>& x, double least) {
  Worst worst;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double want = expected[i], have = static_cast<double>(got[i]);
    const auto rounded = static_cast<float>(want);
    if (std::isnan(want) && std::isnan(have)) continue;
    if (static_cast<double>(rounded) == have || std::abs(want - have) < least) continue;
    const double unit = static_cast<double>(std::nextafterf(std::fabs(rounded), std::numeric_limits<float>::infinity())) - std::abs(static_cast<double>(rounded));
    const double units = std::isfinite(want) && std::isfinite(have) ? std::abs(want - have) / unit : 1e9;
    if (units > worst.units) worst = {units, x[i]};
  }
  return worst;
}
// Special values, those near the ends of functions, and random ones up to `largest` and of every size.
inline std::vector<float> inputs(float largest) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> values{0.f, -0.f, infinity, -infinity, std::nanf(""), 1e-40f, -1e-40f, 3e38f, -3e38f, 88.f, 89.f, 88.72283f, 88.72284f, -87.f,
      -88.f, -103.f, -104.f, -110.f, 1e-7f, 0.5f, -0.5f, 1.f, -1.f, 1e-30f, 0.95f, 4.f, 14.5f, 11.f, 2.5f, -1.5f};
  std::mt19937 random(7);
  std::uniform_real_distribution<float> near(-largest, largest), exponent(-60, 6);
  for (int i = 0; i < 20000; ++i) values.push_back(near(random)), values.push_back(std::exp2(exponent(random)) * (i % 2 ? 1.f : -1.f));
  return values;
}
// Two numbers each: inputs(50) and inputs(20) in another order, and every special value with every other.
struct Pairs {
  std::vector<float> x = inputs(50), y = inputs(20);
};
inline Pairs pairs() {
  constexpr std::ptrdiff_t specials = 30;  // at the beginning of inputs()
  Pairs pairs;
  std::shuffle(pairs.y.begin() + specials, pairs.y.end(), std::mt19937(3));
  for (std::size_t i = 0; i < specials; ++i)
    for (std::size_t j = 0; j < specials; ++j) pairs.x.push_back(pairs.x[i]), pairs.y.push_back(pairs.y[j]);
  return pairs;
}
// code(x, y) of each element on the device is within `units` of exact(x, y) in double.
template <class Code, class Exact>
void check(const Vulkan& gpu, const char* name, const std::vector<float>& x, const std::vector<float>& y, double units, double least, Code code, Exact exact) {
  const auto got = on_device(gpu, name, x, y, code);
  std::vector<double> expected;
  for (std::size_t i = 0; i < x.size(); ++i) expected.push_back(exact(static_cast<double>(x[i]), static_cast<double>(y[i])));
  const Worst worst = distance(got, expected, x, least);
  CAPTURE(std::string(name));
  CAPTURE(worst.at);
  CHECK(worst.units <= units);
}

}  // namespace cotenant::test::function_error

#endif
