#include "cotenant/vulkan/spirv_math.hpp"

#include <algorithm>
#include <cmath>

#include "emitted.hpp"
#include "function_error.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

namespace {
double gelu(double x) { return x == -std::numeric_limits<double>::infinity() ? 0 : x * 0.5 * std::erfc(-x * 0.70710678118654752440); }
}  // namespace

TEST_CASE("functions of one number are within a few units of the last place, special values exact") {
  for (const bool specials : {true, false}) {
    // Without the control of special values a driver may regroup sums.
    VulkanOptions options = test::checked_options();
    if (!specials) options.pretend = [](Capabilities& device) { device.specials_preserved_f32 = false; };
    const test::Checked gpu(options);
    // What subnormal results may be off by: a device may take them for 0.
    constexpr double least = 0x1p-126;
    const auto check = [&](const char* name, float largest, double units, auto code, auto exact) {
      const auto x = test::function_error::inputs(largest);
      test::function_error::check(*gpu, name, x, x, units, least, [&](Value v, Value) { return code(v); }, [&](double v, double) { return exact(v); });
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
}

TEST_CASE("functions of two numbers: quotients rounded to nearest, minima with NaN") {
  const test::Checked gpu;
  using namespace test::function_error;
  const Pairs special = pairs();
  const auto check = [&](const char* name, double units, double least, auto code, auto exact) {
    test::function_error::check(*gpu, name, special.x, special.y, units, least, code, exact);
  };
  check("minimum", 0, 0, [](Value a, Value b) { return spirv::minimum(a, b); }, [](double a,
      double b) { return std::isnan(a) ? a : std::isnan(b) ? b : std::min(a, b); });
  check("maximum", 0, 0, [](Value a, Value b) { return spirv::maximum(a, b); }, [](double a,
      double b) { return std::isnan(a) ? a : std::isnan(b) ? b : std::max(a, b); });
  check("less", 0, 0, [](Value a, Value b) { return spirv::convert(a.type, spirv::less(a, b)); }, [](double a, double b) { return a < b ? 1 : 0; });
  check("equal", 0, 0, [](Value a, Value b) { return spirv::convert(a.type, spirv::equal(a, b)); }, [](double a, double b) { return a == b ? 1 : 0; });
  check("not equal", 0, 0, [](Value a, Value b) { return spirv::convert(a.type, spirv::not_equal(a, b)); }, [](double a, double b) { return a != b ? 1 : 0; });
  // Where all numbers are normal, to the last bit.
  std::vector<float> a, b;
  std::mt19937 random(3);
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
        exp(v) + log(v) + tanh(v) + erf(v) + sigmoid(v) + gelu(v) + gelu_tanh(v) + silu(v) + relu(v) + sqrt(v) + rsqrt(v) + reciprocal(v) + minimum(v, v) + maximum(v, v) +
                   floor(v) + ceil(v) + round(v) + abs(v) + negate(v) + select(less_equal(v, v), v, 0.f));
    test::check_valid(k.finish());
  }
}
