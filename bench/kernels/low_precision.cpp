// Products of small elements: bf16, 8-bit integers, 4-bit weights.
#include "bench/kernels/kernels.hpp"

namespace bench {
namespace {

struct Case {
  std::size_t m, k, n;
};

void bf16_product(Bench& bench, const Case& c) {
  const auto a = ct::cast<ct::bf16>(random({c.m, c.k})), stored = ct::cast<ct::bf16>(random({c.n, c.k}, 7));
  const auto b = stored.freeze().transpose();
  const auto out = ct::empty<float>({c.m, c.n});
  Row row;
  row.section = "bf16";
  row.shape = by(c.m, c.k, c.n);
  row.work = 2.0 * static_cast<double>(c.m * c.k * c.n);
  row.bound = "bf16";
  row.target_ratio = 0.97;
  bench.row(row, [&] {
    std::vector<Call> calls{{"cotenant", [&] { ct::matmul_into(out, a, b); }}};
    const peers::Product product{c.m, c.k, c.n, a.view().data(), stored.view().data(), false, true};
    add(calls, peers::dnn_product(product, {.a = peers::Type::bf16, .b = peers::Type::bf16, .packed = true}), out.view().data(), c.m * c.n, 1e-4);
    return calls;
  });
}

// Activations in u8 with one scale, weights in i8 with a scale per output channel, results in float.
void int8_product(Bench& bench, const Case& c) {
  const float step = 1.0f / 255;
  const auto a = ct::Quantized<std::uint8_t, ct::Heap>{
      ct::quantize<std::uint8_t>(ct::map([](auto x) { return abs(x); }, random({c.m, c.k})), ct::from(std::vector<float>{step}, {})),
      ct::from(std::vector<float>{step}, {}), {}};
  const auto stored = ct::quantize<std::int8_t>(random({c.n, c.k}, 7), ct::per_row);
  const auto b = stored.freeze().transpose();
  const auto out = ct::empty<float>({c.m, c.n});
  Row row;
  row.section = "int8";
  row.shape = by(c.m, c.k, c.n);
  row.work = 2.0 * static_cast<double>(c.m * c.k * c.n);
  row.bound = "vnni";
  row.target_ratio = 1;
  bench.row(row, [&] {
    std::vector<Call> calls{{"cotenant", [&] { ct::matmul_into(out, a, b); }}};
    std::vector<float> scales;
    for (const float scale : stored.scale.view().span()) scales.push_back(scale * step);
    const peers::Product product{c.m, c.k, c.n, a.values.view().data(), stored.values.view().data(), false, true};
    add(calls, peers::dnn_product(product, {.a = peers::Type::u8, .b = peers::Type::s8, .packed = true, .scales = scales.data()}), out.view().data(), c.m * c.n, 1e-5);
    return calls;
  });
}

// One row of float activations: the bytes of the weights are the work, and 4-bit ones are few. The float weights have the same values,
// so that all compute the same.
void int4_product(Bench& bench, std::size_t m, std::size_t k, std::size_t n, std::size_t block) {
  const auto quantized = ct::quantize<ct::i4x2>(random({n, k}, 7), ct::per_block(block));
  const auto floats = ct::dequantize(quantized);
  const auto a = random({m, k});
  const auto b = quantized.freeze().transpose();
  const auto whole = floats.freeze().transpose();
  const auto out = ct::empty<float>({m, n}), of_floats = ct::empty<float>({m, n});
  Row row;
  row.section = "int4";
  row.shape = by(m, k, n) + ", blocks of " + std::to_string(block);
  row.work = 2.0 * static_cast<double>(m * k * n);
  row.target_ratio = 3;
  row.target_peers = {"cotenant, f32 weights"};
  bench.row(row, [&] {
    std::vector<Call> calls{{"cotenant", [&] { ct::matmul_into(out, a, b); }},
                            {"cotenant, f32 weights", [&] { ct::matmul_into(of_floats, a, whole); },
                             [&] { return difference(out.view().data(), of_floats.view().data(), m * n); }, 1e-4}};
    add(calls, peers::dnn_product({m, k, n, a.view().data(), floats.view().data(), false, true}, {.packed = true}), out.view().data(), m * n, 1e-4);
    return calls;
  });
}

}  // namespace

void low_precision(Bench& bench) {
  if (bench.options.wants("bf16"))
    for (const Case& c : bench.options.smoke ? std::vector<Case>{{17, 33, 65}}
                                             : std::vector<Case>{{128, 768, 768}, {128, 768, 3072}, {128, 3072, 768}, {512, 512, 512}, {1024, 1024, 1024}, {1, 4096, 4096}})
      bf16_product(bench, c);
  if (bench.options.wants("int8"))
    for (const Case& c : bench.options.smoke ? std::vector<Case>{{17, 33, 65}}
                                             : std::vector<Case>{{128, 768, 768}, {128, 768, 3072}, {128, 3072, 768}, {512, 512, 512}, {1024, 1024, 1024}, {1, 4096, 4096}})
      int8_product(bench, c);
  if (bench.options.wants("int4"))
    for (const Case& c : bench.options.smoke ? std::vector<Case>{{1, 64, 65}} : std::vector<Case>{{1, 768, 3072}, {1, 4096, 4096}})
      for (const std::size_t block : {std::size_t{32}, std::size_t{64}}) int4_product(bench, c.m, c.k, c.n, block);
}

}  // namespace bench
