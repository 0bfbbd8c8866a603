// Each table against the function in double, evaluated in floats as the CPU targets do.
#include <cotenant/cpu/function_tables.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <doctest/doctest.h>

namespace cotenant::test {
namespace {

template <std::size_t Terms, bool PlusRest> float table_value(const cpu::FunctionTable<Terms, PlusRest>& table, float size) {
  const float interval = std::nearbyint(size / table.width);
  const float rest = std::fma(-interval, table.width, size);
  float value = table.terms[Terms - 1][static_cast<std::size_t>(interval)];
  for (std::size_t i = Terms - 1; i-- > 0;) value = std::fma(rest, value, table.terms[i][static_cast<std::size_t>(interval)] + (PlusRest && i == 0 ? rest : 0));
  return value;
}

// In units of the last place of the exact value.
template <std::size_t Terms, bool PlusRest, class Function> double worst_error(const cpu::FunctionTable<Terms, PlusRest>& table, Function function) {
  double worst = 0;
  const auto look = [&](float size) {
    const double exact = function(static_cast<double>(size));
    int exponent = 0;
    std::frexp(exact, &exponent);
    worst = std::max(worst, std::abs(static_cast<double>(table_value(table, size)) - exact) / std::ldexp(1.0, exponent - 24));
  };
  for (int i = 0; i <= 400'000; ++i) look(table.end() * static_cast<float>(i) / 400'000);
  for (float size = 1; size > 1e-30f; size *= 0.9f) look(size);
  return worst;
}

}  // namespace

TEST_CASE("function tables: as exact as they say, to their ends and down to the smallest arguments") {
  CHECK(worst_error(cpu::tanh_table, [](double x) { return std::tanh(x); }) < 1.8);
  CHECK(worst_error(cpu::erf_table, [](double x) { return std::erf(x); }) < 1.7);
  CHECK(worst_error(cpu::sigmoid_table, [](double x) { return 1 / (1 + std::exp(x)); }) < 1.6);
  CHECK(worst_error(cpu::gelu_table, [](double x) { return x * std::erfc(x / std::sqrt(2.0)) / 2; }) < 2.3);
  CHECK(worst_error(cpu::gelu_tanh_table, [](double x) {
          const double u = std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
          return x / (1 + std::exp(2 * u));
        }) < 2.1);
}

TEST_CASE("function tables: nothing is nothing, and beyond the end the functions are flat") {
  CHECK(table_value(cpu::tanh_table, 0.f) == 0.f);
  CHECK(table_value(cpu::gelu_table, 0.f) == 0.f);
  CHECK(table_value(cpu::gelu_tanh_table, 0.f) == 0.f);
  CHECK(table_value(cpu::erf_table, 0.f) == 0.f);
  CHECK(table_value(cpu::erf_table, cpu::erf_table.end()) == 1.f);
  CHECK(table_value(cpu::sigmoid_table, 0.f) == 0.5f);
  CHECK(table_value(cpu::tanh_table, cpu::tanh_table.end()) > 1 - 0x1p-23f);
  // What gelu subtracts from x is below half a unit of the last place there.
  CHECK(table_value(cpu::gelu_table, cpu::gelu_table.end()) < 0x1p-24f);
  CHECK(table_value(cpu::gelu_tanh_table, cpu::gelu_tanh_table.end()) < 0x1p-24f);
}

TEST_CASE("function tables: powers of two by 32nds, of every exponent") {
  for (std::int32_t n = -126 * 32; n < 128 * 32; ++n) {
    const std::uint32_t bits = cpu::exp_table.bits[static_cast<std::uint32_t>(n) % 32] + (static_cast<std::uint32_t>(n) << 18);
    float power = 0;
    std::memcpy(&power, &bits, sizeof power);
    REQUIRE(power == static_cast<float>(std::exp2(n / 32.0)));
  }
  CHECK(cpu::exp_table.bits[0] + (static_cast<std::uint32_t>(-127 * 32) << 18) == 0);  // where the smallest power would be subnormal it is 0
}

}  // namespace cotenant::test
