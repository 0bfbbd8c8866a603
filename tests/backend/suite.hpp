// One suite for every backend: each op on random shapes, strides and element types, compared with Reference.
// A fixture names a storage and lists the configurations (such as CPU targets) to run every case under.
#ifndef COTENANT_TESTS_BACKEND_SUITE_HPP
#define COTENANT_TESTS_BACKEND_SUITE_HPP
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>

#include "cotenant/reference/reference.hpp"

namespace cotenant::test {

// Distances that a float computation may have from the double one.
struct Tolerance {
  double absolute = 0;
  double relative = 0;
};
inline constexpr Tolerance exact{};

template <class Fixture> class Suite {
 public:
  using S = typename Fixture::storage_type;
  template <class T> using Actual = SharedTensor<T, S>;
  template <class T> using Expected = SharedTensor<T, ReferenceHeap>;
  // The same elements under the same layout, in both storages.
  template <class T> struct Pair {
    Expected<T> expected;
    Actual<T> actual;
  };

  explicit Suite(std::uint32_t seed) : random_(seed) {}

  std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_); }
  bool chance(double probability) { return std::bernoulli_distribution(probability)(random_); }

  // Mostly small, now and then beyond a vector, a cache line, a register tile.
  std::size_t extent() {
    static constexpr std::array<std::size_t, 16> sizes{1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 33, 40, 65, 100};
    return sizes[below(sizes.size())];
  }
  Shape shape(std::size_t rank, std::size_t most = 40000) {
    Shape result = Shape::filled(rank, 1);
    for (std::size_t axis = rank; axis-- > 0;) {
      result[axis] = chance(0.03) ? 0 : extent();
      if (element_count(result) > most) result[axis] = 1 + below(2);
    }
    return result;
  }
  // Drops leading axes or sets some to 1, so that the result broadcasts to `full`.
  Shape broadcastable_to(const Shape& full) {
    Shape result = full;
    while (!result.empty() && chance(0.2)) result.erase(0);
    for (std::size_t axis = 0; axis < result.rank(); ++axis) if (chance(0.25)) result[axis] = 1;
    return result;
  }

  template <class T> T value() {
    if constexpr (std::is_same_v<T, bool>) return chance(0.5);
    else if constexpr (std::is_same_v<T, i4x2>) return i4x2(static_cast<int>(below(16)), static_cast<int>(below(16)));
    else if constexpr (FloatElement<T>) return convert<T>(std::uniform_real_distribution<float>(-3, 3)(random_));
    else return static_cast<T>(std::uniform_int_distribution<int>(std::is_signed_v<T> ? -100 : 0, 100)(random_));
  }

  // A row-major pair filled with `make()`.
  template <class T, class Make> Pair<T> filled(const Shape& shape, Make make) {
    Expected<T> expected = empty<T, ReferenceHeap>(shape);
    const View<T> view = expected.mutable_view();
    for (std::size_t i = 0; i < expected.size(); ++i) view.data()[i] = make();
    return {expected, expected.copy_to(Fixture::storage())};
  }
  // Random elements under a random layout of `shape`: permuted, stepped, reversed, padded.
  template <class T> Pair<T> tensor(const Shape& shape) {
    return tensor<T>(shape, [this] { return value<T>(); });
  }
  template <class T, class Make> Pair<T> tensor(const Shape& shape, Make make) {
    if (chance(0.35)) return filled<T>(shape, make);
    const std::size_t rank = shape.rank();
    std::array<std::size_t, max_rank> order{};
    std::iota(order.begin(), order.begin() + rank, std::size_t{0});
    if (chance(0.5)) std::shuffle(order.begin(), order.begin() + rank, random_);
    Shape base = Shape::filled(rank, 1);
    std::array<std::size_t, max_rank> steps{}, lead{};
    for (std::size_t axis = 0; axis < rank; ++axis) {
      steps[axis] = chance(0.25) ? 1 + below(3) : 1;
      lead[axis] = chance(0.3) ? below(3) : 0;
      base[axis] = lead[axis] + (shape[axis] == 0 ? 0 : (shape[axis] - 1) * steps[axis] + 1) + (chance(0.3) ? below(3) : 0);
    }
    Shape stored = Shape::filled(rank, 1);
    std::array<std::size_t, max_rank> back{};
    for (std::size_t i = 0; i < rank; ++i) stored[i] = base[order[i]], back[order[i]] = i;
    Pair<T> pair = filled<T>(stored, make);
    Layout layout = permute(contiguous_layout(stored), std::span<const std::size_t>(back.data(), rank));
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const auto first = static_cast<std::ptrdiff_t>(lead[axis]), step = static_cast<std::ptrdiff_t>(steps[axis]), count = static_cast<std::ptrdiff_t>(shape[axis]);
      if (count == 0) layout = slice(layout, static_cast<std::ptrdiff_t>(axis), 0, 0);
      else if (chance(0.25)) layout = slice(layout, static_cast<std::ptrdiff_t>(axis), first + (count - 1) * step, first - 1, -step);
      else layout = slice(layout, static_cast<std::ptrdiff_t>(axis), first, first + (count - 1) * step + 1, step);
    }
    return {pair.expected.with(layout), pair.actual.with(layout)};
  }

  template <class T> void compare(const char* what, const Expected<T>& expected, const Actual<T>& actual, Tolerance tolerance) {
    REQUIRE(to_string(expected.shape()) == to_string(actual.shape()));
    const SharedTensor<T> got = actual.template copy_to<Heap>();
    const View<const T> got_view = got.view(), want_view = expected.view();
    // Elements of a storage type are rounded once more on both sides: two values that hardly differ may fall to either
    // side of a tie, one whole unit in the last place apart.
    double rounding = 0;
    if (std::is_same_v<T, bf16>) rounding = 0x1p-7;
    if (std::is_same_v<T, f16>) rounding = 0x1p-10;
    for (std::size_t i = 0; i < got.size(); ++i) {
      if constexpr (std::is_same_v<T, i4x2>) {
        REQUIRE(got_view.data()[i] == reference::element(want_view, i));
      } else {
        const auto want = convert<double>(reference::element(want_view, i)), have = convert<double>(got_view.data()[i]);
        if (std::isnan(want) && std::isnan(have)) continue;
        if (want == have) continue;
        // f16 has subnormals of 2^-24 that the relative bound does not cover.
        const double bound = tolerance.absolute + (tolerance.relative + (tolerance.relative > 0 || tolerance.absolute > 0 ? rounding : 0)) * std::abs(want) +
                             (std::is_same_v<T, f16> && rounding > 0 && tolerance.relative > 0 ? 0x1p-24 : 0);
        if (!(std::abs(want - have) <= bound))
          FAIL(std::string(what) << " on " << Fixture::description() << ": element " << i << " of shape " << to_string(got.shape()) << " is " << have
                                 << ", but Reference has " << want);
      }
    }
    ++comparisons;
  }

  // Whether the backend computes with such elements: a device may have no integers of 64 bits.
  static bool computes(DType dtype) {
    if constexpr (requires { Fixture::computes(dtype); }) return Fixture::computes(dtype);
    else return true;
  }

  // Runs f() `rounds` times, or as often as the fixture makes of it, under every configuration of the fixture.
  template <class F> void repeat(std::size_t rounds, F f) {
    if constexpr (requires { Fixture::rounds(rounds); }) rounds = Fixture::rounds(rounds);
    Fixture::for_each_configuration([&] { for (std::size_t round = 0; round < rounds; ++round) f(); });
    CHECK(comparisons > 0);
  }

  std::size_t comparisons = 0;

 private:
  std::mt19937 random_;
};

TEST_CASE_TEMPLATE_DEFINE("copy", Fixture, backend_copy) {
  Suite<Fixture> suite(1);
  const auto check = [&]<class T>(std::type_identity<T>) {
    suite.repeat(12, [&] {
      const Shape shape = suite.shape(suite.below(5));
      const auto in = suite.template tensor<T>(shape);
      suite.compare("contiguous", in.expected.contiguous(), in.actual.contiguous(), exact);
      auto out = suite.template tensor<T>(shape);
      copy_into(out.expected, in.expected);
      copy_into(out.actual, in.actual);
      suite.compare("copy_into", out.expected, out.actual, exact);
    });
  };
  for (std::size_t dtype = 0; dtype < dtype_count; ++dtype) with_element(static_cast<DType>(dtype), check);
}

TEST_CASE_TEMPLATE_DEFINE("map of one operand", Fixture, backend_map_one) {
  Suite<Fixture> suite(2);
  const auto check = [&]<class T>(std::type_identity<T>) {
    suite.repeat(3, [&] {
      const Shape shape = suite.shape(suite.below(5));
      const auto x = suite.template tensor<T>(shape);
      const auto each = [&](const char* name, Tolerance tolerance, auto f) { suite.compare(name, map(f, x.expected), map(f, x.actual), tolerance); };
      constexpr Tolerance close{1e-6, 4e-7};
      each("exp", {0, 4e-7}, [](auto v) { return exp(v); });
      each("log", close, [](auto v) { return log(abs(v) + 0.01f); });
      each("sqrt", close, [](auto v) { return sqrt(abs(v)); });
      each("rsqrt", close, [](auto v) { return rsqrt(abs(v) + 0.1f); });
      each("reciprocal", close, [](auto v) { return reciprocal(abs(v) + 0.1f); });
      each("tanh", close, [](auto v) { return tanh(v); });
      each("erf", close, [](auto v) { return erf(v); });
      each("sigmoid", close, [](auto v) { return sigmoid(v * 4.f); });
      each("gelu", close, [](auto v) { return gelu(v); });
      each("gelu_tanh", close, [](auto v) { return gelu_tanh(v); });
      each("silu", close, [](auto v) { return silu(v); });
      each("relu", exact, [](auto v) { return relu(v); });
      each("floor", exact, [](auto v) { return floor(v); });
      each("ceil", exact, [](auto v) { return ceil(v); });
      each("round", exact, [](auto v) { return round(v); });
      each("abs", exact, [](auto v) { return abs(v); });
      each("negate", exact, [](auto v) { return -v; });
      each("clamp", exact, [](auto v) { return clamp(v, -1, 1.5f); });
      each("greater", exact, [](auto v) { return v > 0.5f; });
      suite.compare("cast to float", cast<float>(x.expected), cast<float>(x.actual), exact);
    });
  };
  check(std::type_identity<float>{});
  check(std::type_identity<f16>{});
  check(std::type_identity<bf16>{});
}

TEST_CASE_TEMPLATE_DEFINE("map of many operands", Fixture, backend_map_many) {
  Suite<Fixture> suite(3);
  suite.repeat(40, [&] {
    const Shape shape = suite.shape(1 + suite.below(4));
    const auto a = suite.template tensor<float>(suite.broadcastable_to(shape)), b = suite.template tensor<float>(shape),
               c = suite.template tensor<float>(suite.broadcastable_to(shape));
    const auto h = suite.template tensor<f16>(suite.broadcastable_to(shape));
    const auto i = suite.template tensor<std::int32_t>(suite.broadcastable_to(shape));
    constexpr Tolerance close{4e-6, 1e-6};
    const auto three = [](auto x, auto y, auto z) { return select(x < y, x * y - z, max(x, z) / (abs(y) + 1)); };
    suite.compare("three operands", map(three, a.expected, b.expected, c.expected), map(three, a.actual, b.actual, c.actual), close);
    const auto power = [](auto x, auto y) { return pow(abs(x) + 0.1f, y); };
    suite.compare("pow", map(power, b.expected, a.expected), map(power, b.actual, a.actual), {1e-6, 2e-5});
    const auto mixed = [](auto x, auto y, auto z) { return min(x, y) + z; };
    suite.compare("mixed elements", map(mixed, b.expected, h.expected, i.expected), map(mixed, b.actual, h.actual, i.actual), close);
    suite.compare("to f16", map<f16>(mixed, b.expected, h.expected, i.expected), map<f16>(mixed, b.actual, h.actual, i.actual), close);
    // In place, on a strided output.
    auto out = suite.template tensor<float>(shape);
    map_into(out.expected, [](auto x, auto y) { return x + y; }, out.expected, b.expected);
    map_into(out.actual, [](auto x, auto y) { return x + y; }, out.actual, b.actual);
    suite.compare("in place", out.expected, out.actual, exact);
  });
}

TEST_CASE_TEMPLATE_DEFINE("map of integers and conversions", Fixture, backend_map_integers) {
  Suite<Fixture> suite(4);
  suite.repeat(20, [&] {
    const Shape shape = suite.shape(suite.below(4));
    const auto x = suite.template tensor<std::int32_t>(shape), y = suite.template tensor<std::int32_t>(shape);
    const auto wide = suite.template tensor<std::int64_t>(shape);
    const auto small = suite.template tensor<std::uint8_t>(shape);
    const auto real = suite.template tensor<float>(shape, [&] { return suite.template value<float>() * 100; });
    const auto arithmetic = [](auto a, auto b) { return max(a * b - 7, min(a, -b)) + abs(a); };
    suite.compare("i32", map(arithmetic, x.expected, y.expected), map(arithmetic, x.actual, y.actual), exact);
    if (suite.computes(DType::i64)) {
      suite.compare("i64", map(arithmetic, x.expected, wide.expected), map(arithmetic, x.actual, wide.actual), exact);
      suite.compare("f32 to i64", cast<std::int64_t>(real.expected), cast<std::int64_t>(real.actual), exact);
    }
    suite.compare("u8", map(arithmetic, small.expected, small.expected), map(arithmetic, small.actual, small.actual), exact);
    suite.compare("compare", map([](auto a, auto b) { return a <= b; }, x.expected, y.expected), map([](auto a, auto b) { return a <= b; }, x.actual, y.actual), exact);
    suite.compare("f32 to i8", cast<std::int8_t>(real.expected), cast<std::int8_t>(real.actual), exact);
    suite.compare("f32 to u8", cast<std::uint8_t>(real.expected), cast<std::uint8_t>(real.actual), exact);
    suite.compare("f32 to bool", cast<bool>(real.expected), cast<bool>(real.actual), exact);
    suite.compare("i32 to bf16", cast<bf16>(x.expected), cast<bf16>(x.actual), exact);
    suite.compare("i32 to u8", cast<std::uint8_t>(x.expected), cast<std::uint8_t>(x.actual), exact);
  });
}

TEST_CASE_TEMPLATE_DEFINE("matmul", Fixture, backend_matmul) {
  Suite<Fixture> suite(5);
  const auto check = [&]<class A, class B>(std::type_identity<A>, std::type_identity<B>) {
    suite.repeat(14, [&] {
      const std::size_t m = suite.extent(), k = suite.chance(0.05) ? 0 : suite.chance(0.1) ? 600 : suite.extent(), n = suite.extent();
      const Shape batch = suite.chance(0.4) ? suite.shape(1 + suite.below(2), 6) : Shape{};
      Shape shape_a = suite.broadcastable_to(batch), shape_b = suite.broadcastable_to(batch), full = broadcast(shape_a, shape_b);
      shape_a.append(m), shape_a.append(k), shape_b.append(k), shape_b.append(n), full.append(m), full.append(n);
      const auto a = suite.template tensor<A>(shape_a);
      const auto b = suite.template tensor<B>(shape_b);
      // Rounding of a sum of k products below 9: k / 2 units of 2^-24 each, and some.
      const Tolerance close{1e-6 * static_cast<double>(k + 4), 1e-6};
      suite.compare("matmul", matmul<float>(a.expected, b.expected), matmul<float>(a.actual, b.actual), close);
      const auto row = suite.template tensor<float>({n}), column = suite.template tensor<float>({m, 1}), whole = suite.template tensor<float>(full);
      const auto half = suite.template tensor<bf16>({n});
      const auto bias_gelu = [](auto acc, auto bias) { return gelu(acc + bias); };
      suite.compare("bias + gelu", matmul<float>(a.expected, b.expected, bias_gelu, row.expected), matmul<float>(a.actual, b.actual, bias_gelu, row.actual), close);
      const auto everything = [](auto acc, auto r, auto c, auto w, auto h) { return max(acc * c + r, 0.f) + w * 0.5f - h; };
      suite.compare("row, column, element-wise", matmul<float>(a.expected, b.expected, everything, row.expected, column.expected, whole.expected, half.expected),
                    matmul<float>(a.actual, b.actual, everything, row.actual, column.actual, whole.actual, half.actual), {close.absolute * 4, close.relative});
      auto out = suite.template tensor<float>(full);
      matmul_into(out.expected, a.expected, b.expected, [](auto acc, auto residual) { return acc + residual; }, out.expected);
      matmul_into(out.actual, a.actual, b.actual, [](auto acc, auto residual) { return acc + residual; }, out.actual);
      suite.compare("accumulate into a strided output", out.expected, out.actual, close);
    });
  };
  check(std::type_identity<float>{}, std::type_identity<float>{});
  check(std::type_identity<bf16>{}, std::type_identity<bf16>{});
  check(std::type_identity<float>{}, std::type_identity<f16>{});
  suite.repeat(6, [&] {
    const std::size_t m = suite.extent(), k = suite.extent();
    const auto matrix = suite.template tensor<float>({m, k}), left = suite.template tensor<float>({m}), right = suite.template tensor<float>({k});
    const Tolerance close{1e-6 * static_cast<double>(m + k), 1e-6};
    suite.compare("vector · matrix", matmul(left.expected, matrix.expected), matmul(left.actual, matrix.actual), close);
    suite.compare("matrix · vector", matmul(matrix.expected, right.expected), matmul(matrix.actual, right.actual), close);
    suite.compare("vector · vector", matmul(right.expected, right.expected), matmul(right.actual, right.actual), close);
    const auto residual = [](auto acc, auto bias) { return acc - bias; };
    suite.compare("vector epilogue", matmul(matrix.expected, right.expected, residual, left.expected), matmul(matrix.actual, right.actual, residual, left.actual), close);
    const auto narrow = suite.template tensor<f16>({m, k});
    suite.compare("f16 result", matmul(narrow.expected, narrow.expected.transpose()), matmul(narrow.actual, narrow.actual.transpose()), {close.absolute, 1e-3});
  });
}

TEST_CASE_TEMPLATE_DEFINE("large matmul", Fixture, backend_matmul_large) {
  Suite<Fixture> suite(6);
  suite.repeat(1, [&] {
    for (const auto& [m, k, n] : {std::array<std::size_t, 3>{77, 515, 333}, {1, 700, 900}, {3, 300, 1000}, {130, 1030, 20}, {197, 64, 130}}) {
      const auto a = suite.template tensor<float>({m, k}), b = suite.template tensor<float>({n, k});
      suite.compare("a · b'", matmul(a.expected, b.expected.transpose()), matmul(a.actual, b.actual.transpose()), {1e-6 * static_cast<double>(k), 1e-6});
    }
  });
}

TEST_CASE_TEMPLATE_DEFINE("softmax", Fixture, backend_softmax) {
  Suite<Fixture> suite(7);
  const auto check = [&]<class T>(std::type_identity<T>) {
    suite.repeat(12, [&] {
      const Shape shape = suite.shape(1 + suite.below(4));
      const auto x = suite.template tensor<T>(shape);
      const auto axis = static_cast<std::ptrdiff_t>(suite.below(shape.rank()));
      suite.compare("softmax", softmax<float>(x.expected, axis), softmax<float>(x.actual, axis), {1e-7, 2e-6});
      auto out = suite.template tensor<T>(shape);
      softmax_into(out.expected, x.expected, axis);
      softmax_into(out.actual, x.actual, axis);
      suite.compare("softmax_into", out.expected, out.actual, {1e-7, 2e-6});
    });
  };
  check(std::type_identity<float>{});
  check(std::type_identity<f16>{});
  check(std::type_identity<bf16>{});
  // Masked attention: most of a row at -inf; a large spread; a long row.
  constexpr float infinity = std::numeric_limits<float>::infinity();
  suite.repeat(1, [&] {
    const auto masked = suite.template filled<float>({5, 37}, [&] { return suite.chance(0.7) ? -infinity : suite.template value<float>(); });
    suite.compare("masked", softmax(masked.expected), softmax(masked.actual), {1e-7, 2e-6});
    const auto steep = suite.template filled<float>({3, 1000}, [&] { return suite.template value<float>() * 40; });
    suite.compare("steep", softmax(steep.expected), softmax(steep.actual), {1e-7, 2e-5});
    const auto nothing = suite.template filled<float>({2, 9}, [&] { return -infinity; });
    suite.compare("all masked is NaN", softmax(nothing.expected), softmax(nothing.actual), exact);
    const auto broken = suite.template filled<float>({4, 21}, [&] { return suite.chance(0.1) ? std::nanf("") : 1.f; });
    suite.compare("NaN", softmax(broken.expected), softmax(broken.actual), {1e-7, 2e-6});
  });
}

TEST_CASE_TEMPLATE_DEFINE("reduce", Fixture, backend_reduce) {
  Suite<Fixture> suite(8);
  const auto check = [&]<class T>(std::type_identity<T>) {
    suite.repeat(10, [&] {
      const Shape shape = suite.shape(1 + suite.below(4));
      const auto x = suite.template tensor<T>(shape);
      ReduceOptions options{.axes = {}, .keep_dimensions = suite.chance(0.5)};
      for (std::size_t axis = 0; axis < shape.rank(); ++axis) if (suite.chance(0.5)) options.axes.append(static_cast<std::ptrdiff_t>(axis));
      // An element rounds at most `count` times at the size of the partial sum.
      const double count = static_cast<double>(element_count(shape));
      const Tolerance close = FloatElement<T> ? Tolerance{2e-7 * count, 1e-6} : exact;
      suite.compare("sum", reduce_sum(x.expected, options), reduce_sum(x.actual, options), close);
      suite.compare("mean", reduce_mean(x.expected, options), reduce_mean(x.actual, options), {1e-6, 1e-5});
      suite.compare("max", reduce_max(x.expected, options), reduce_max(x.actual, options), exact);
      suite.compare("min", reduce_min(x.expected, options), reduce_min(x.actual, options), exact);
      suite.compare("abs max", reduce<reduction::AbsMaximum>(x.expected, options), reduce<reduction::AbsMaximum>(x.actual, options), exact);
    });
  };
  check(std::type_identity<float>{});
  check(std::type_identity<bf16>{});
  check(std::type_identity<std::int32_t>{});
  suite.repeat(1, [&] {
    const auto x = suite.template filled<float>({6, 50}, [&] { return suite.chance(0.02) ? std::nanf("") : suite.template value<float>(); });
    suite.compare("NaN in max", reduce_max(x.expected, {.axes = {1}}), reduce_max(x.actual, {.axes = {1}}), exact);
    suite.compare("NaN in min", reduce_min(x.expected, {.axes = {0}}), reduce_min(x.actual, {.axes = {0}}), exact);
  });
}

TEST_CASE_TEMPLATE_DEFINE("top_k", Fixture, backend_top_k) {
  Suite<Fixture> suite(9);
  suite.repeat(20, [&] {
    Shape shape = suite.shape(1 + suite.below(3));
    const std::size_t axis = suite.below(shape.rank());
    if (shape[axis] == 0) shape[axis] = 3;
    // Few distinct values: ties must come in order.
    const auto x = suite.template tensor<float>(shape, [&] { return suite.chance(0.02) ? std::nanf("") : static_cast<float>(suite.below(6)); });
    const std::size_t k = suite.below(shape[axis] + 1);
    const auto expected = top_k(x.expected, k, static_cast<std::ptrdiff_t>(axis));
    const auto actual = top_k(x.actual, k, static_cast<std::ptrdiff_t>(axis));
    suite.compare("values", expected.values, actual.values, exact);
    suite.compare("indices", expected.indices, actual.indices, exact);
    suite.compare("argmax", argmax(x.expected, static_cast<std::ptrdiff_t>(axis)), argmax(x.actual, static_cast<std::ptrdiff_t>(axis)), exact);
  });
}

TEST_CASE_TEMPLATE_DEFINE("layer_norm", Fixture, backend_layer_norm) {
  Suite<Fixture> suite(10);
  const auto check = [&]<class T, class P>(std::type_identity<T>, std::type_identity<P>) {
    suite.repeat(12, [&] {
      const Shape shape = suite.shape(1 + suite.below(3));
      const auto x = suite.template tensor<T>(shape);
      const auto scale = suite.template tensor<P>({shape.back()}), bias = suite.template tensor<P>({shape.back()});
      suite.compare("layer_norm", layer_norm<float>(x.expected, scale.expected, bias.expected, 1e-3f), layer_norm<float>(x.actual, scale.actual, bias.actual, 1e-3f), {2e-5, 2e-5});
      auto out = suite.template tensor<T>(shape);
      layer_norm_into(out.expected, x.expected, scale.expected, bias.expected, 1e-5f);
      layer_norm_into(out.actual, x.actual, scale.actual, bias.actual, 1e-5f);
      suite.compare("layer_norm_into", out.expected, out.actual, {1e-3, 1e-4});
    });
  };
  check(std::type_identity<float>{}, std::type_identity<float>{});
  check(std::type_identity<bf16>{}, std::type_identity<float>{});
  check(std::type_identity<f16>{}, std::type_identity<f16>{});
}

TEST_CASE_TEMPLATE_DEFINE("gather", Fixture, backend_gather) {
  Suite<Fixture> suite(11);
  const auto check = [&]<class T, class Index, class Out>(std::type_identity<T>, std::type_identity<Index>, std::type_identity<Out>) {
    suite.repeat(12, [&] {
      Shape shape = suite.shape(1 + suite.below(3), 4000);
      if (shape[0] == 0) shape[0] = 2;
      const auto table = suite.template tensor<T>(shape);
      const auto rows = static_cast<std::ptrdiff_t>(shape[0]);
      const auto indices = suite.template tensor<Index>(suite.shape(suite.below(3), 20),
                                                        [&] { return static_cast<Index>(static_cast<std::ptrdiff_t>(suite.below(shape[0] * 2)) - rows); });
      suite.compare("gather", gather<Out>(table.expected, indices.expected), gather<Out>(table.actual, indices.actual), exact);
    });
  };
  check(std::type_identity<float>{}, std::type_identity<std::int32_t>{}, std::type_identity<float>{});
  if (suite.computes(DType::i64)) check(std::type_identity<bf16>{}, std::type_identity<std::int64_t>{}, std::type_identity<float>{});
  check(std::type_identity<std::int8_t>{}, std::type_identity<std::int32_t>{}, std::type_identity<std::int8_t>{});
}

TEST_CASE_TEMPLATE_DEFINE("quantize and dequantize", Fixture, backend_quantize) {
  Suite<Fixture> suite(12);
  const auto check = [&]<class T, class Q>(std::type_identity<T>, std::type_identity<Q>) {
    suite.repeat(12, [&] {
      const Shape shape = suite.shape(1 + suite.below(3));
      const auto x = suite.template tensor<T>(shape);
      std::optional<std::ptrdiff_t> channel;
      if (suite.chance(0.5)) channel = static_cast<std::ptrdiff_t>(suite.below(shape.rank()));
      // The scale may differ in its last place, and with it a value that lies on a tie: one step.
      const auto expected = quantize<Q>(x.expected, channel);
      const auto actual = quantize<Q>(x.actual, channel);
      suite.compare("scale", expected.scale, actual.scale, {0, 3e-7});
      suite.compare("dynamic values", expected.values, actual.values, {1, 0});
      // Given parameters leave nothing to chance.
      // Per tensor, channel or block: every dimension of the parameters divides the values'.
      Shape blocks = suite.broadcastable_to(shape);
      for (std::size_t axis = 0; axis < blocks.rank(); ++axis)
        if (blocks[axis] % 4 == 0 && suite.chance(0.5)) blocks[axis] /= 4;
      const auto scale = suite.template tensor<float>(blocks, [&] { return 0.01f + std::abs(suite.template value<float>()) / 50; });
      const auto zero = suite.template tensor<Q>(blocks);
      const auto q = typename Suite<Fixture>::template Pair<Q>{quantize<Q>(x.expected, scale.expected, zero.expected), quantize<Q>(x.actual, scale.actual, zero.actual)};
      suite.compare("values", q.expected, q.actual, exact);
      suite.compare("dequantize", dequantize(q.expected, scale.expected, zero.expected), dequantize(q.actual, scale.actual, zero.actual), {0, 2e-7});
      suite.compare("dequantize to bf16", dequantize<bf16>(q.expected, scale.expected), dequantize<bf16>(q.actual, scale.actual), {0, 2e-7});
    });
  };
  check(std::type_identity<float>{}, std::type_identity<std::int8_t>{});
  check(std::type_identity<float>{}, std::type_identity<std::uint8_t>{});
  check(std::type_identity<f16>{}, std::type_identity<std::int8_t>{});
  suite.repeat(1, [&] {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const std::array<float, 12> special{0.f, -0.f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 1e30f, -1e30f, infinity, -infinity, std::nanf("")};
    std::size_t next = 0;
    const auto x = suite.template filled<float>({12}, [&] { return special[next++ % special.size()]; });
    const auto one = suite.template filled<float>({}, [] { return 1.f; });
    suite.compare("special values", quantize<std::int8_t>(x.expected, one.expected), quantize<std::int8_t>(x.actual, one.actual), exact);
    const auto zeros = suite.template filled<float>({7}, [] { return 0.f; });
    suite.compare("all zero", quantize<std::int8_t>(zeros.expected).scale, quantize<std::int8_t>(zeros.actual).scale, exact);
  });
}

TEST_CASE_TEMPLATE_DEFINE("special values in map", Fixture, backend_special) {
  Suite<Fixture> suite(13);
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::array<float, 20> special{0.f, -0.f, 1.f, -1.f, infinity, -infinity, nan, 1e-40f, -1e-40f, 3e38f, -3e38f, 88.f, 89.f, -87.f, -104.f, 20.f, -20.f, 1e-7f, 0.5f, -0.5f};
  suite.repeat(1, [&] {
    std::size_t next = 0;
    const auto x = suite.template filled<float>({special.size() * special.size()}, [&] { return special[next++ % special.size()]; });
    std::size_t other = 0;
    const auto y = suite.template filled<float>({special.size() * special.size()}, [&] { return special[other++ / special.size()]; });
    const auto each = [&](const char* name, Tolerance tolerance, auto f) { suite.compare(name, map(f, x.expected), map(f, x.actual), tolerance); };
    each("exp", {1e-42, 4e-7}, [](auto v) { return exp(v); });
    each("log", {0, 4e-7}, [](auto v) { return log(v); });
    each("sqrt", {0, 2e-7}, [](auto v) { return sqrt(v); });
    each("rsqrt", {0, 4e-7}, [](auto v) { return rsqrt(v); });
    each("tanh", {1e-42, 4e-7}, [](auto v) { return tanh(v); });
    each("erf", {1e-42, 4e-7}, [](auto v) { return erf(v); });
    each("sigmoid", {1e-42, 4e-7}, [](auto v) { return sigmoid(v); });
    each("gelu", {1e-38, 2e-6}, [](auto v) { return gelu(v); });
    each("gelu_tanh", {1e-37, 4e-6}, [](auto v) { return gelu_tanh(v); });
    each("silu", {1e-37, 1e-6}, [](auto v) { return silu(v); });
    each("relu", exact, [](auto v) { return relu(v); });
    each("round", exact, [](auto v) { return round(v); });
    const auto two = [&](const char* name, auto f) { suite.compare(name, map(f, x.expected, y.expected), map(f, x.actual, y.actual), exact); };
    two("min", [](auto a, auto b) { return min(a, b); });
    two("max", [](auto a, auto b) { return max(a, b); });
    two("equal", [](auto a, auto b) { return a == b; });
    two("not equal", [](auto a, auto b) { return a != b; });
    two("less", [](auto a, auto b) { return a < b; });
    two("greater or equal", [](auto a, auto b) { return a >= b; });
    two("select", [](auto a, auto b) { return select(a, b, a); });
    suite.compare("to i32", cast<std::int32_t>(x.expected), cast<std::int32_t>(x.actual), exact);
    suite.compare("to u8", cast<std::uint8_t>(x.expected), cast<std::uint8_t>(x.actual), exact);
    suite.compare("to f16", cast<f16>(x.expected), cast<f16>(x.actual), exact);
    suite.compare("to bf16", cast<bf16>(x.expected), cast<bf16>(x.actual), exact);
  });
}

}  // namespace cotenant::test

// Registers the suite for one fixture, in three parts: a backend that compiles slowly has a file for each.
// TYPE_TO_STRING(Fixture) before them gives the cases a readable name.
#define COTENANT_BACKEND_SUITE_MAP(Fixture)                                    \
  namespace cotenant::test {                                                   \
  TEST_CASE_TEMPLATE_INVOKE(backend_copy, Fixture);                            \
  TEST_CASE_TEMPLATE_INVOKE(backend_map_one, Fixture);                         \
  TEST_CASE_TEMPLATE_INVOKE(backend_map_many, Fixture);                        \
  TEST_CASE_TEMPLATE_INVOKE(backend_map_integers, Fixture);                    \
  TEST_CASE_TEMPLATE_INVOKE(backend_special, Fixture);                         \
  }
#define COTENANT_BACKEND_SUITE_MATMUL(Fixture)                                 \
  namespace cotenant::test {                                                   \
  TEST_CASE_TEMPLATE_INVOKE(backend_matmul, Fixture);                          \
  TEST_CASE_TEMPLATE_INVOKE(backend_matmul_large, Fixture);                    \
  }
#define COTENANT_BACKEND_SUITE_ROWS(Fixture)                                   \
  namespace cotenant::test {                                                   \
  TEST_CASE_TEMPLATE_INVOKE(backend_softmax, Fixture);                         \
  TEST_CASE_TEMPLATE_INVOKE(backend_reduce, Fixture);                          \
  TEST_CASE_TEMPLATE_INVOKE(backend_top_k, Fixture);                           \
  TEST_CASE_TEMPLATE_INVOKE(backend_layer_norm, Fixture);                      \
  TEST_CASE_TEMPLATE_INVOKE(backend_gather, Fixture);                          \
  TEST_CASE_TEMPLATE_INVOKE(backend_quantize, Fixture);                        \
  }

#endif
