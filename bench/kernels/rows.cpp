// Work that memory bounds: softmax, functions of each element, quantisation; and attention.
#include "bench/kernels/kernels.hpp"

#include <cmath>

namespace bench {
namespace {

// Elements of a vector that stays in a second-level cache with its result, and of one that no cache holds.
constexpr std::size_t cached = std::size_t{1} << 16, large = std::size_t{1} << 24;

void softmax(Bench& bench, std::size_t rows, std::size_t columns) {
  const auto x = random({rows, columns});
  const auto out = ct::empty<float>({rows, columns});
  Row row;
  row.section = "softmax";
  row.shape = by(rows, columns);
  row.work = static_cast<double>(rows * columns);
  row.unit = "Gelement/s";
  row.target_ratio = 1.5;
  if (rows * columns > (std::size_t{8} << 20)) row.bound = "copy", row.bound_work = 8 * row.work;
  bench.row(row, [&] {
    std::vector<Call> calls{{"cotenant", [&] { ct::softmax_into(out, x); }}};
    peers::Peers contestants = peers::eigen_softmax(x.view().data(), rows, columns);
    peers::append(contestants, peers::dnn_softmax(x.view().data(), rows, columns));
    add(calls, contestants, out.view().data(), rows * columns, 1e-5);
    return calls;
  });
}

template <class F> void unary(Bench& bench, const char* name, peers::Function function, std::size_t count, const F& ours) {
  const auto x = ct::map([](auto v) { return v * 4.f; }, random({count}));
  const auto out = ct::empty<float>({count});
  Row row;
  row.section = "map";
  row.shape = name + std::string(count == large ? ", from memory" : ", in cache");
  row.work = static_cast<double>(count);
  row.unit = "Gelement/s";
  row.target_ratio = 1.5;
  row.target_peers = {"oneDNN"};
  if (count == large) {
    row.bound = "copy";
    row.bound_work = 8 * row.work;
    row.target_share = 0.9;
    row.either = true;
  }
  bench.row(row, [&] {
    std::vector<Call> calls{{"cotenant", [&] { ct::map_into(out, ours, x); }}};
    peers::Peers contestants = peers::dnn_unary(function, x.view().data(), count);
    peers::append(contestants, peers::eigen_unary(function, x.view().data(), count));
    add(calls, contestants, out.view().data(), count, 1e-5);
    return calls;
  });
}

void quantize(Bench& bench, std::size_t count) {
  const auto x = random({count});
  const auto scale = ct::from(std::vector<float>{1.0f / 127}, {});
  const auto q = ct::quantize<std::int8_t>(x, scale);
  const auto back = ct::dequantize(q, scale);
  Row row;
  row.section = "quantize";
  row.work = static_cast<double>(count);
  row.unit = "Gelement/s";
  row.target_ratio = 1.2;
  if (count == large) {
    row.bound = "copy";
    row.bound_work = 5 * row.work;
    row.target_share = 0.9;
    row.either = true;
  }
  row.shape = std::string("f32 to i8") + (count == large ? ", from memory" : ", in cache");
  bench.row(row, [&] {
    std::vector<Call> calls{{"cotenant", [&] { ct::quantize_into(q, x, scale); }}};
    // One step of 127 where a value lies at the middle between two.
    add(calls, peers::dnn_quantize(x.view().data(), count, 1.0f / 127), q.view().data(), count, 1.01 / 127);
    return calls;
  });

  row.shape = std::string("i8 to f32") + (count == large ? ", from memory" : ", in cache");
  bench.row(row, [&] {
    std::vector<Call> calls{{"cotenant", [&] { ct::dequantize_into(back, q, scale); }}};
    add(calls, peers::dnn_dequantize(q.view().data(), count, 1.0f / 127), back.view().data(), count, 1e-6);
    return calls;
  });
}

void attention(Bench& bench, std::size_t heads, std::size_t length, std::size_t width) {
  const auto q = random({heads, length, width}), k = random({heads, length, width}, 5), v = random({heads, length, width}, 6);
  const auto out = ct::empty<float>({heads, length, width});
  Row row;
  row.section = "attention";
  row.shape = std::to_string(heads) + " heads of " + by(length, width);
  row.work = 4.0 * static_cast<double>(heads * length * length * width);
  row.bound = "f32";
  row.target_ratio = 1.5;
  bench.row(row, [&] {
    std::vector<Call> calls{{"cotenant", [&] { ct::attention_into(out, q, k, v); }}};
    const float scale = 1.0f / std::sqrt(static_cast<float>(width));
    add(calls, peers::dnn_attention(q.view().data(), k.view().data(), v.view().data(), heads, length, length, width, scale), out.view().data(), heads * length * width, 1e-4);
    return calls;
  });
}

}  // namespace

void rows(Bench& bench) {
  const bool smoke = bench.options.smoke;
  if (bench.options.wants("softmax")) {
    softmax(bench, 128, 128);
    if (!smoke)
      for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{1536, 128}, {4096, 1024}, {1, 32768}, {512, 32000}}) softmax(bench, rows, columns);
  }
  for (const std::size_t count : smoke ? std::vector<std::size_t>{1000} : std::vector<std::size_t>{cached, large}) {
    if (bench.options.wants("map")) {
      unary(bench, "GELU", peers::Function::gelu, count, [](auto x) { return gelu(x); });
      unary(bench, "GELU (tanh)", peers::Function::gelu_tanh, count, [](auto x) { return gelu_tanh(x); });
      unary(bench, "sigmoid", peers::Function::sigmoid, count, [](auto x) { return sigmoid(x); });
      unary(bench, "tanh", peers::Function::tanh, count, [](auto x) { return tanh(x); });
      unary(bench, "exp", peers::Function::exp, count, [](auto x) { return exp(x); });
    }
    if (bench.options.wants("quantize")) quantize(bench, count);
  }
  if (bench.options.wants("attention"))
    for (const std::size_t length : smoke ? std::vector<std::size_t>{17} : std::vector<std::size_t>{128, 512, 1024, 2048}) attention(bench, smoke ? 2 : 12, length, 64);
}

}  // namespace bench
