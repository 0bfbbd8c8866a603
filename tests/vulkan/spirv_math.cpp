#include "cotenant/vulkan/spirv_math.hpp"

#include <cmath>
#include <limits>
#include <random>

#include "emitted.hpp"
#include "test_device.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

namespace {
constexpr float infinity = std::numeric_limits<float>::infinity();

// f(x, y) for each element on the device.
template <class F> std::vector<float> on_device(const Vulkan& gpu, const std::string& name, const std::vector<float>& x, const std::vector<float>& y, F f) {
  const auto a = test::to_device(gpu, x), b = test::to_device(gpu, y);
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
  return test::to_host(out);
}
// The largest distance in units of the expected value's last place; special values must agree. `least`: what may be 0 instead.
struct Worst {
  double units = 0;
  float at = 0;
};
Worst distance(const std::vector<float>& got, const std::vector<double>& expected, const std::vector<float>& x, double least) {
  Worst worst;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double want = expected[i], have = static_cast<double>(got[i]);
    const auto rounded = static_cast<float>(want);
    if (std::isnan(want) && std::isnan(have)) continue;
    if (static_cast<double>(rounded) == have || std::abs(want - have) < least) continue;
    const double unit = static_cast<double>(std::nextafterf(std::fabs(rounded), infinity)) - std::abs(static_cast<double>(rounded));
    const double units = std::isfinite(want) && std::isfinite(have) ? std::abs(want - have) / unit : 1e9;
    if (units > worst.units) worst = {units, x[i]};
  }
  return worst;
}
std::vector<float> inputs(float largest) {
  std::vector<float> values{0.f, -0.f, infinity, -infinity, std::nanf(""), 1e-40f, -1e-40f, 3e38f, -3e38f, 88.f, 89.f, 88.72283f, 88.72284f, -87.f,
      -88.f, -103.f, -104.f, -110.f, 1e-7f, 0.5f, -0.5f, 1.f, -1.f, 1e-30f, 0.95f, 4.f, 14.5f, 11.f, 2.5f, -1.5f};
  std::mt19937 random(7);
  std::uniform_real_distribution<float> near(-largest, largest), exponent(-60, 6);
  for (int i = 0; i < 20000; ++i) values.push_back(near(random)), values.push_back(std::exp2(exponent(random)) * (i % 2 ? 1.f : -1.f));
  return values;
}
double gelu(double x) { return x == -std::numeric_limits<double>::infinity() ? 0 : x * 0.5 * std::erfc(-x * 0.70710678118654752440); }
}  // namespace

TEST_CASE("functions of one number are within a few units of the last place, special values exact") {
  const test::Checked gpu;
  // What subnormal results may be off by: a device may take them for 0.
  constexpr double least = 0x1p-126;
  const auto check = [&](const char* name, float largest, double units, auto code, auto exact) {
    const auto x = inputs(largest);
    const auto got = on_device(*gpu, name, x, x, [&](Value v, Value) { return code(v); });
    std::vector<double> expected;
    for (const float v : x) expected.push_back(exact(static_cast<double>(v)));
    const Worst worst = distance(got, expected, x, least);
    CAPTURE(std::string(name));
    CAPTURE(worst.at);
    CHECK(worst.units <= units);
  };
  check("exp", 90, 2, [](Value v) { return spirv::exp(v); }, [](double v) { return std::exp(v); });
  check("log", 50, 2, [](Value v) { return spirv::log(v); }, [](double v) { return std::log(v); });
  check("sqrt", 50, 1.01, [](Value v) { return spirv::sqrt(v); }, [](double v) { return std::sqrt(v); });
  check("rsqrt", 50, 2, [](Value v) { return spirv::rsqrt(v); }, [](double v) { return 1 / std::sqrt(v); });
  check("tanh", 12, 3, [](Value v) { return spirv::tanh(v); }, [](double v) { return std::tanh(v); });
  check("erf", 5, 3, [](Value v) { return spirv::erf(v); }, [](double v) { return std::erf(v); });
  check("sigmoid", 100, 3, [](Value v) { return spirv::sigmoid(v); }, [](double v) { return 1 / (1 + std::exp(-v)); });
  check("gelu", 15, 5, [](Value v) { return spirv::gelu(v); }, [](double v) { return gelu(v); });
  check("gelu_tanh", 12, 5, [](Value v) { return spirv::gelu_tanh(v); },
        [](double v) { return v < -1e300 ? 0 : v / (1 + std::exp(-2 * 0.79788456080286535588 * (v + 0.044715 * v * v * v))); });
  check("silu", 100, 5, [](Value v) { return spirv::silu(v); }, [](double v) { return v < -1e300 ? 0 : v / (1 + std::exp(-v)); });
  check("relu", 9, 0, [](Value v) { return spirv::relu(v); }, [](double v) { return v < 0 ? 0 : v; });
  check("floor", 9, 0, [](Value v) { return spirv::floor(v); }, [](double v) { return std::floor(v); });
  check("ceil", 9, 0, [](Value v) { return spirv::ceil(v); }, [](double v) { return std::ceil(v); });
  check("round", 9, 0, [](Value v) { return spirv::round(v); }, [](double v) { return std::nearbyint(v); });
}

TEST_CASE("functions of two numbers: quotients rounded to nearest, minima with NaN, powers") {
  const test::Checked gpu;
  auto x = inputs(50), y = inputs(20);
  std::mt19937 random(3);
  std::shuffle(y.begin() + 30, y.end(), random);
  for (std::size_t i = 0; i < 30; ++i)
    for (std::size_t j = 0; j < 30; ++j) x.push_back(x[i]), y.push_back(y[j]);
  const auto check = [&](const char* name, double units, double least, auto code, auto exact) {
    const auto got = on_device(*gpu, name, x, y, code);
    std::vector<double> expected;
    for (std::size_t i = 0; i < x.size(); ++i) expected.push_back(exact(static_cast<double>(x[i]), static_cast<double>(y[i])));
    const Worst worst = distance(got, expected, x, least);
    CAPTURE(std::string(name));
    CAPTURE(worst.at);
    CHECK(worst.units <= units);
  };
  check("minimum", 0, 0, [](Value a, Value b) { return spirv::minimum(a, b); }, [](double a,
      double b) { return std::isnan(a) ? a : std::isnan(b) ? b : std::min(a, b); });
  check("maximum", 0, 0, [](Value a, Value b) { return spirv::maximum(a, b); }, [](double a,
      double b) { return std::isnan(a) ? a : std::isnan(b) ? b : std::max(a, b); });
  check("pow", 2, 0x1p-126, [](Value a, Value b) { return spirv::pow(a, b); }, [](double a, double b) { return std::pow(a, b); });
  check("less", 0, 0, [](Value a, Value b) { return spirv::convert(a.type, spirv::less(a, b)); }, [](double a, double b) { return a < b ? 1 : 0; });
  check("equal", 0, 0, [](Value a, Value b) { return spirv::convert(a.type, spirv::equal(a, b)); }, [](double a, double b) { return a == b ? 1 : 0; });
  check("not equal", 0, 0, [](Value a, Value b) { return spirv::convert(a.type, spirv::not_equal(a, b)); }, [](double a, double b) { return a != b ? 1 : 0; });
  // Where all numbers are normal, to the last bit.
  std::vector<float> a, b;
  std::uniform_real_distribution<float> near(0.1f, 50);
  for (int i = 0; i < 5000; ++i) a.push_back(near(random)), b.push_back(-near(random));
  const auto got = on_device(*gpu, "divide", a, b, [](Value n, Value d) { return spirv::divide(n, d); });
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < a.size(); ++i) wrong += got[i] == a[i] / b[i] ? 0 : 1;
  CHECK(wrong == 0);
}

TEST_CASE("mathematics of vectors is valid code on every kind of device") {
  for (const bool precise : {false, true}) {
    Capabilities device = test::usual_device();
    device.denormals_preserved_f32 = device.shader_float64 = precise;
    KernelBuilder k({device});
    const Buffer x = k.buffer(k.vector(k.f32(), 4));
    const Value i = k.local_index(), v = x.load(i);
    using namespace spirv;
    x.store(i,
        exp(v) + log(v) + tanh(v) + erf(v) + sigmoid(v) + gelu(v) + gelu_tanh(v) + silu(v) + relu(v) + sqrt(v) + rsqrt(v) + reciprocal(v) + pow(v,
            v) + minimum(v, v) + maximum(v, v) +
                   floor(v) + ceil(v) + round(v) + abs(v) + negate(v) + select(less_equal(v, v), v, 0.f));
    test::check_valid(k.finish());
  }
}
