// The walk of an element-wise operation over its operands: every length around a vector, any strides, every element type.
// Vectors of 128 bits too, which are not compiled unless asked for.
#if !defined(COTENANT_STATIC_DISPATCH) && !defined(HWY_DISABLED_TARGETS)
#define HWY_DISABLED_TARGETS HWY_SSSE3
#endif
#include <cotenant/cotenant.hpp>

#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>

namespace cotenant::test {
namespace {

template <class T> SharedTensor<T> counted(std::size_t count) {
  SharedTensor<T> tensor = empty<T>({count});
  for (std::size_t i = 0; i < count; ++i) tensor.mutable_view()(i) = convert<T>(static_cast<float>(i % 100));
  return tensor;
}

template <class In, class Out> std::size_t wrong_elements(std::size_t count) {
  const auto x = counted<In>(count);
  // One element more at both ends, which must stay as it is.
  auto out = empty<Out>({count + 2});
  for (std::size_t i = 0; i < count + 2; ++i) out.mutable_view()(i) = convert<Out>(77.f);
  map_into(out.slice(0, 1, static_cast<std::ptrdiff_t>(count) + 1), [](auto v) { return v * 0.5f + 1.f; }, x);
  std::size_t wrong = (out.view()(0) != convert<Out>(77.f)) + (out.view()(count + 1) != convert<Out>(77.f));
  for (std::size_t i = 0; i < count; ++i) wrong += !(out.view()(i + 1) == convert<Out>(convert<float>(x.view()(i)) * 0.5f + 1.f));
  return wrong;
}

TEST_CASE("every element type is read and written in rows and in their ends") {
  const auto each = []<class Out>(std::type_identity<Out>) {
    std::size_t wrong = 0;
    for (std::size_t count = 1; count <= 70; ++count) wrong += wrong_elements<float, Out>(count);
    return wrong;
  };
  CHECK(each(std::type_identity<float>{}) == 0);
  CHECK(each(std::type_identity<f16>{}) == 0);
  CHECK(each(std::type_identity<bf16>{}) == 0);
  CHECK(each(std::type_identity<std::int8_t>{}) == 0);
  CHECK(each(std::type_identity<std::int64_t>{}) == 0);
  CHECK(wrong_elements<std::int32_t, float>(67) == 0);
  CHECK(wrong_elements<std::int64_t, float>(67) == 0);
  CHECK(wrong_elements<bool, float>(67) == 0);
  CHECK(wrong_elements<f16, bf16>(67) == 0);
  CHECK(wrong_elements<float, bool>(67) == 0);
  CHECK(wrong_elements<float, std::int32_t>(67) == 0);
}

TEST_CASE("floats become 32-bit integers as convert() says: truncated, saturated, NaN 0") {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values{
      0.f,    -0.9f,      1.9f,          2147483520.f, 2147483648.f, 3e9f, -2147483648.f, -3e9f, infinity, -infinity, std::numeric_limits<float>::quiet_NaN(),
      1e-40f, 16777216.f, -2147483520.f, 0.5f,         -1.5f,        7.f,  8.f,           9.f};
  const auto integers = cast<std::int32_t>(from(values, {values.size()}));
  const auto flags = cast<bool>(from(values, {values.size()}));
  for (std::size_t i = 0; i < values.size(); ++i) {
    CHECK(integers.view()(i) == convert<std::int32_t>(values[i]));
    CHECK(flags.view()(i) == convert<bool>(values[i]));
  }
}

TEST_CASE("steps, reversed axes, repeated rows and columns, and results with gaps") {
  const auto x = counted<float>(60 * 40).reshape({60, 40});
  const auto row = counted<bf16>(40);
  const auto column = counted<std::int32_t>(60).reshape({60, 1});
  const auto f = [](auto a, auto b, auto c) { return a * 2.f - b + c; };
  const auto value = [&](std::size_t r, std::size_t c) { return x.view()(r, c) * 2.f - static_cast<float>(row.view()(c)) + static_cast<float>(column.view()(r, 0)); };
  auto out = empty<float>({40, 2, 60});
  map_into(out.select(1, 1).transpose(), f, x, row, column);
  const auto reversed = map<float>(f, x.slice(1, 39, -1, -3), row.slice(0, 39, -1, -3), column);
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < 60; ++r) {
    for (std::size_t c = 0; c < 40; ++c) wrong += out.view()(c, 1, r) != value(r, c);
    for (std::size_t c = 0; c < 14; ++c) wrong += reversed.view()(r, c) != value(r, 39 - 3 * c);
  }
  CHECK(wrong == 0);
}

TEST_CASE("a result larger than the caches is written past them, its end included") {
  const std::size_t count = cpu::caches().level3 / 8 + 8195;
  const auto x = counted<float>(count);
  const auto y = map([](auto v) { return v + 1.f; }, x);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < count; ++i) wrong += y.view()(i) != x.view()(i) + 1.f;
  CHECK(wrong == 0);
}

TEST_CASE("no element, one element, and a result in place") {
  CHECK(map([](auto v) { return exp(v); }, empty<float>({3, 0})).size() == 0);
  CHECK(map([](auto v) { return v + 1.f; }, from({2.f}, {})).view()() == 3.f);
  auto x = counted<float>(10'000);
  map_into(x, [](auto v) { return v * 3.f; }, x);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < x.size(); ++i) wrong += x.view()(i) != static_cast<float>(i % 100) * 3.f;
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace cotenant::test
