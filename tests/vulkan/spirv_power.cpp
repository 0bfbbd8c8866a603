#include "cotenant/vulkan/spirv_power.hpp"

#include <cmath>
#include <random>

#include "emitted.hpp"
#include "function_error.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("pow is within two units of the last place, with double and without it") {
  for (const bool has_f64 : {true, false}) {
    CAPTURE(has_f64);
    VulkanOptions options = test::checked_options();
    if (!has_f64) options.pretend = [](Capabilities& device) { device.shader_float64 = false; };
    const test::Checked gpu(options);
    using namespace test::function_error;
    auto [x, y] = pairs();
    // Results of all sizes; bases near 1, whose powers grow slowly.
    std::mt19937 random(3);
    std::uniform_real_distribution<float> exponent(-126, 127), near(0.9f, 1.1f);
    for (int i = 0; i < 20000; ++i) {
      const float base = i % 2 == 0 ? near(random) : std::exp2(exponent(random)), power = std::log2(base);
      x.push_back(base), y.push_back(exponent(random) / (power == 0 ? 1 : power));
    }
    check(*gpu, has_f64 ? "pow in double" : "pow in pairs", x, y, 2, 0x1p-126, [](Value a, Value b) { return spirv::pow(a, b); },
          [](double a, double b) { return std::pow(a, b); });
  }
}

TEST_CASE("powers of vectors are valid code on every kind of device") {
  for (const bool precise : {false, true}) {
    Capabilities device = test::usual_device();
    device.denormals_preserved_f32 = device.shader_float64 = device.specials_preserved_f32 = precise;
    KernelBuilder k({device});
    const Buffer x = k.buffer(k.vector(k.f32(), 4));
    const Value i = k.local_index(), v = x.load(i);
    x.store(i, spirv::pow(v, v + 1.f));
    test::check_valid(k.finish());
  }
}
