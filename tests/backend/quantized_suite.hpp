// The suite's cases of quantised values: packed pairs, ranges found in the data, requantisation, and products.
#ifndef COTENANT_TESTS_BACKEND_QUANTIZED_SUITE_HPP
#define COTENANT_TESTS_BACKEND_QUANTIZED_SUITE_HPP
#include "suite.hpp"

namespace cotenant::test {

// A value of one storage and the same one of the other.
template <class Fixture, class Q> struct QuantizedPair {
  Quantized<Q, ReferenceHeap> expected;
  Quantized<Q, typename Fixture::storage_type> actual;
};

// Parameters of random kind for values of this shape: [blocks of the last axis but one, blocks of the last], or per tensor.
template <class Fixture, class Q> QuantizedPair<Fixture, Q> random_quantized(Suite<Fixture>& suite, const Shape& values, const Shape& parameters) {
  const auto elements = suite.template tensor<Q>(detail::elements_shape<Q>(values));
  const auto scale = suite.template tensor<float>(parameters, [&] { return 0.01f + std::abs(suite.template value<float>()) / 50; });
  QuantizedPair<Fixture, Q> pair{{elements.expected, scale.expected, {}}, {elements.actual, scale.actual, {}}};
  if (suite.chance(0.5)) {
    const auto zero = suite.template tensor<quantized_value<Q>>(parameters, [&] { return static_cast<quantized_value<Q>>(suite.below(std::is_same_v<Q, i4x2> ? 8 : 100)); });
    pair.expected.zero_point = zero.expected;
    pair.actual.zero_point = zero.actual;
  }
  // Of frozen weights a backend may keep what it makes of them.
  if (suite.chance(0.5)) pair.actual.freeze();
  return pair;
}

template <class Fixture, class Q> void compare_quantized(Suite<Fixture>& suite, const char* what, const QuantizedPair<Fixture, Q>& pair) {
  suite.compare(what, pair.expected.scale, pair.actual.scale, exact);
  if (pair.expected.zero_point) suite.compare(what, pair.expected.zero_point, pair.actual.zero_point, exact);
  suite.compare(what, pair.expected.values, pair.actual.values, exact);
}

TEST_CASE_TEMPLATE_DEFINE("ranges found in the data", Fixture, backend_dynamic_quantize) {
  Suite<Fixture> suite(31);
  const auto check = [&]<class T, class Q>(std::type_identity<T>, std::type_identity<Q>) {
    suite.repeat(10, [&] {
      Shape shape = suite.shape(1 + suite.below(3));
      if (std::is_same_v<Q, i4x2>) shape[shape.rank() - 1] *= 2;
      const auto x = suite.template tensor<T>(shape, [&] { return suite.chance(0.01) ? convert<T>(std::nanf("")) : suite.template value<T>(); });
      QuantizeOptions options;
      if (suite.chance(0.8)) {
        options.axis = static_cast<std::ptrdiff_t>(suite.below(shape.rank()));
        const std::size_t extent = shape[static_cast<std::size_t>(*options.axis)];
        if (suite.chance(0.7)) options.block_size = extent % 4 == 0 && extent > 0 ? extent / 4 : whole_axis;
        // Pairs may not reach over the end of a block.
        if (std::is_same_v<Q, i4x2> && options.block_size % 2 != 0) options.block_size = whole_axis;
      }
      compare_quantized<Fixture, Q>(suite, "dynamic", {quantize<Q>(x.expected, options), quantize<Q>(x.actual, options)});
    });
  };
  check(std::type_identity<float>{}, std::type_identity<std::int8_t>{});
  check(std::type_identity<float>{}, std::type_identity<std::uint8_t>{});
  check(std::type_identity<float>{}, std::type_identity<i4x2>{});
  check(std::type_identity<bf16>{}, std::type_identity<std::uint8_t>{});
  suite.repeat(1, [&] {
    // One long row, shared out among threads; and values that lie on ties of their scale.
    const auto x = suite.template filled<float>({3, 70000}, [&] { return suite.template value<float>(); });
    compare_quantized<Fixture, std::uint8_t>(suite, "long rows", {quantize<std::uint8_t>(x.expected, per_row), quantize<std::uint8_t>(x.actual, per_row)});
    compare_quantized<Fixture, std::int8_t>(suite, "per tensor", {quantize<std::int8_t>(x.expected), quantize<std::int8_t>(x.actual)});
    const auto ties = suite.template filled<float>({5, 300}, [&] { return 0.5f * static_cast<float>(suite.below(509)) - 127.f; });
    compare_quantized<Fixture, std::int8_t>(suite, "ties", {quantize<std::int8_t>(ties.expected), quantize<std::int8_t>(ties.actual)});
    const auto one = suite.template filled<float>({1}, [] { return 1.f; }), tiny = suite.template filled<float>({1}, [] { return 1e-39f; });
    suite.compare("ties of a given scale", quantize<std::int8_t>(ties.expected, one.expected), quantize<std::int8_t>(ties.actual, one.actual), exact);
    suite.compare("subnormal scale", quantize<std::int8_t>(ties.expected, tiny.expected), quantize<std::int8_t>(ties.actual, tiny.actual), exact);
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const auto wild = suite.template filled<float>({4, 16}, [&] { return suite.chance(0.1) ? (suite.chance(0.5) ? infinity : -infinity) : suite.template value<float>(); });
    suite.compare("infinite range", quantize<std::int8_t>(wild.expected, per_row).values, quantize<std::int8_t>(wild.actual, per_row).values, exact);
  });
}

TEST_CASE_TEMPLATE_DEFINE("packed pairs and requantisation", Fixture, backend_quantize_packed) {
  Suite<Fixture> suite(32);
  suite.repeat(20, [&] {
    Shape shape = suite.shape(1 + suite.below(3));
    shape[shape.rank() - 1] *= 2;
    Shape blocks = suite.broadcastable_to(shape);
    for (std::size_t axis = 0; axis < blocks.rank(); ++axis)
      if (blocks[axis] % 4 == 0 && suite.chance(0.5)) blocks[axis] /= 4;
    const std::size_t last = blocks.empty() ? 1 : blocks.back();
    if (last != 0 && last != shape.back() && shape.back() / last % 2 != 0) blocks[blocks.rank() - 1] = 1;
    const auto packed = random_quantized<Fixture, i4x2>(suite, shape, blocks);
    suite.compare("dequantize pairs", dequantize(packed.expected), dequantize(packed.actual), {0, 2e-7});
    suite.compare("dequantize pairs to bf16", dequantize<bf16>(packed.expected), dequantize<bf16>(packed.actual), {0, 2e-7});
    const auto x = suite.template tensor<float>(shape);
    suite.compare("quantize pairs", quantize<i4x2>(x.expected, packed.expected.scale, packed.expected.zero_point),
                  quantize<i4x2>(x.actual, packed.actual.scale, packed.actual.zero_point), exact);
    const auto bytes = random_quantized<Fixture, std::uint8_t>(suite, shape, blocks);
    const auto scale = suite.template filled<float>({1}, [&] { return 0.02f; });
    const auto zero = suite.template filled<std::int8_t>({1}, [&] { return suite.template value<std::int8_t>(); });
    suite.compare("requantize", requantize<std::int8_t>(bytes.expected, scale.expected, zero.expected), requantize<std::int8_t>(bytes.actual, scale.actual, zero.actual), {1, 0});
    suite.compare("requantize to blocks", requantize<std::uint8_t>(Quantized<std::uint8_t, ReferenceHeap>{bytes.expected.values, scale.expected, {}}, bytes.expected.scale, bytes.expected.zero_point),
                  requantize<std::uint8_t>(Quantized<std::uint8_t, typename Fixture::storage_type>{bytes.actual.values, scale.actual, {}}, bytes.actual.scale, bytes.actual.zero_point), {1, 0});
  });
}

TEST_CASE_TEMPLATE_DEFINE("products of quantised operands", Fixture, backend_quantized_matmul) {
  Suite<Fixture> suite(33);
  // Blocks along an axis: one, some, or one for each value.
  const auto blocks_of = [&](std::size_t extent, bool pairs) {
    if (extent % 4 == 0 && extent > 0 && (!pairs || extent / 4 % 2 == 0) && suite.chance(0.4)) return extent / 4;
    return suite.chance(0.1) ? extent : std::size_t{1};
  };
  const auto product = [&](const auto& a, const auto& b, std::size_t m, std::size_t k, std::size_t n, const Shape& batch) {
    // Products of values below 3 and 4.
    const Tolerance close{3e-6 * static_cast<double>(k + 4), 3e-6};
    suite.compare("product", matmul<float>(a.expected, b.expected), matmul<float>(a.actual, b.actual), close);
    const auto row = suite.template tensor<float>({n});
    const auto column = suite.template tensor<bf16>({m, 1});
    const auto bias_gelu = [](auto sum, auto bias, auto c) { return gelu(sum + bias) * c; };
    suite.compare("bias + gelu", matmul<bf16>(a.expected, b.expected, bias_gelu, row.expected, column.expected),
                  matmul<bf16>(a.actual, b.actual, bias_gelu, row.actual, column.actual), {3 * close.absolute, close.relative});
    const auto requantised = [](auto sum) { return round(sum * 0.5f) + 100.f; };
    suite.compare("to u8", matmul<std::uint8_t>(a.expected, b.expected, requantised), matmul<std::uint8_t>(a.actual, b.actual, requantised), {1, 0});
    Shape full = batch;
    full.append(m), full.append(n);
    auto out = suite.template tensor<float>(full);
    matmul_into(out.expected, a.expected, b.expected, [](auto sum, auto old) { return sum + old; }, out.expected);
    matmul_into(out.actual, a.actual, b.actual, [](auto sum, auto old) { return sum + old; }, out.actual);
    suite.compare("accumulate", out.expected, out.actual, close);
  };
  const auto check = [&]<class A, class B>(std::type_identity<A>, std::type_identity<B>) {
    constexpr bool packed = std::is_same_v<B, i4x2>;
    suite.repeat(10, [&] {
      const std::size_t m = suite.chance(0.4) ? 1 + suite.below(4) : suite.extent();
      std::size_t k = suite.chance(0.05) ? 0 : suite.chance(0.15) ? 640 : suite.extent(), n = suite.extent();
      // Without any k nobody can tell along which axis the pairs lie.
      if (packed) k = std::max<std::size_t>(k + k % 2, 2), n += n % 2;
      const Shape batch = suite.chance(0.2) ? Shape{1 + suite.below(3)} : Shape{};
      const bool stored_transposed = suite.chance(0.6), constant = suite.chance(0.6);
      Shape values = suite.chance(0.3) ? batch : Shape{};
      values.append(stored_transposed ? n : k);
      values.append(stored_transposed ? k : n);
      Shape parameters{n, constant ? 1 : blocks_of(k, packed && stored_transposed)};
      if (suite.chance(0.2)) parameters[0] = 1;
      if (!stored_transposed) parameters = {parameters[1], parameters[0]};
      if (parameters[0] == 1 && parameters[1] == 1 && suite.chance(0.5)) parameters = suite.chance(0.5) ? Shape{} : Shape{1};
      auto b = random_quantized<Fixture, B>(suite, values, parameters);
      if (stored_transposed) b = {b.expected.transpose(), b.actual.transpose()};
      Shape left = batch;
      left.append(m), left.append(k);
      if constexpr (FloatElement<A>) product(suite.template tensor<A>(left), b, m, k, n, batch);
      else {
        Shape rows = batch;
        rows.append(m), rows.append(constant ? 1 : blocks_of(k, false));
        if (suite.chance(0.3)) rows = {1};
        product(random_quantized<Fixture, A>(suite, left, rows), b, m, k, n, batch);
      }
    });
  };
  check(std::type_identity<std::uint8_t>{}, std::type_identity<std::int8_t>{});
  check(std::type_identity<std::int8_t>{}, std::type_identity<std::int8_t>{});
  check(std::type_identity<std::int8_t>{}, std::type_identity<std::uint8_t>{});
  check(std::type_identity<std::uint8_t>{}, std::type_identity<std::uint8_t>{});
  check(std::type_identity<float>{}, std::type_identity<std::int8_t>{});
  check(std::type_identity<float>{}, std::type_identity<i4x2>{});
  check(std::type_identity<bf16>{}, std::type_identity<i4x2>{});
  // Single rows of a batch by one matrix with a scale for each block of depth.
  suite.repeat(1, [&] {
    const auto rows = suite.template tensor<float>({3, 1, 64});
    const auto weights = random_quantized<Fixture, std::int8_t>(suite, {10, 64}, {10, 4});
    suite.compare("rows of a batch by blocks", matmul(rows.expected, weights.expected.transpose()), matmul(rows.actual, weights.actual.transpose()), {1e-4, 1e-5});
  });
  // Few rows by pairs in blocks: several scales for a vector of weights, one for several vectors, and ends inside of one.
  for (const std::size_t block : {32u, 64u, 128u, 256u})
    for (const std::size_t blocks : {1u, 3u, 5u})
      suite.repeat(1, [&] {
        const std::size_t k = block * blocks, n = 1 + suite.below(10);
        const auto few = suite.template tensor<float>({1 + suite.below(4), k});
        const auto weights = random_quantized<Fixture, i4x2>(suite, {n, k}, {n, blocks});
        suite.compare("few rows by blocks", matmul(few.expected, weights.expected.transpose()), matmul(few.actual, weights.actual.transpose()),
                      {1e-5 * static_cast<double>(k), 1e-5});
      });
  suite.repeat(2, [&] {
    const std::size_t k = suite.extent() * 2, n = suite.extent();
    const auto vector = suite.template tensor<float>({k});
    const auto weights = random_quantized<Fixture, i4x2>(suite, {n, k}, {n, 1});
    suite.compare("vector · matrix", matmul(vector.expected, weights.expected.transpose()), matmul(vector.actual, weights.actual.transpose()), {1e-5 * static_cast<double>(k), 1e-5});
    const auto column = random_quantized<Fixture, std::int8_t>(suite, {k}, {});
    suite.compare("matrix · vector", matmul(suite.chance(0.5) ? vector.expected.unsqueeze(0) : vector.expected.reshape({1, k}), column.expected),
                  matmul(vector.actual.unsqueeze(0), column.actual), {1e-5 * static_cast<double>(k), 1e-5});
  });
}

}  // namespace cotenant::test

#define COTENANT_BACKEND_SUITE_QUANTIZED(Fixture)                   \
  namespace cotenant::test {                                        \
  TEST_CASE_TEMPLATE_INVOKE(backend_dynamic_quantize, Fixture);     \
  TEST_CASE_TEMPLATE_INVOKE(backend_quantize_packed, Fixture);      \
  TEST_CASE_TEMPLATE_INVOKE(backend_quantized_matmul, Fixture);     \
  }

#endif
