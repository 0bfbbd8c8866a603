// BERT-base (12 layers of 768, random weights) on a Vulkan device: one forward of 128 tokens, batch 1 and 32, in f16 and f32, and each
// kind of op alone at its shapes and with its weights, all layers one after another. The states of the first sequence are checked against
// the CPU's encoder in f32. One line of JSON per row.
//   bert          every row
//   bert f16      without those of f32
//   bert smoke    a model of two small layers
// In f16 are the weights and all that passes between ops. In f32 are every sum, the sum of the three embeddings before its norm
// (Encoder::embed), the mask that is added to the scores, and the states at the end (EncoderOutput). The pooler is left out.
#include <cotenant/cpu/cpu.hpp>
#include <cotenant/models/encoder.hpp>
#include <cotenant/models/random_checkpoint.hpp>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <type_traits>

#include "bench/gpu/measure.hpp"

namespace ct = cotenant;

namespace {

ct::EncoderConfig bert_base() {
  ct::EncoderConfig config = ct::minilm_config();
  config.hidden_size = 768, config.layers = 12, config.heads = 12, config.intermediate_size = 3072;
  return config;
}
ct::EncoderConfig small() {
  ct::EncoderConfig config = ct::minilm_config();
  config.vocabulary_size = 300, config.hidden_size = 64, config.layers = 2, config.heads = 4, config.intermediate_size = 256, config.max_positions = 64;
  return config;
}

// The first sequence is the same in every batch.
ct::SharedTensor<std::int32_t> tokens(std::size_t batch, std::size_t length, std::size_t vocabulary) {
  auto ids = ct::empty<std::int32_t>({batch, length});
  for (std::size_t i = 0; i < ids.size(); ++i) ids.mutable_view().data()[i] = static_cast<std::int32_t>((i * 7919 + 101) % vocabulary);
  return ids;
}

template <class T> using Weights = ct::EncoderWeights<T, ct::Vulkan>;
template <class T> Weights<T> weights_in(const ct::Vulkan& gpu, const Weights<float>& from) {
  if constexpr (std::is_same_v<T, float>) {
    return from;
  } else {
    const auto both = [](const auto& pair) { return ct::WeightAndBias<T, ct::Vulkan>{ct::cast<T>(pair.weight), ct::cast<T>(pair.bias)}; };
    Weights<T> to{ct::cast<T>(from.words), ct::cast<T>(from.positions), ct::cast<T>(from.token_types), both(from.embedding_norm), {}, both(from.pooler)};
    for (const auto& layer : from.layers)
      to.layers.push_back({both(layer.query), both(layer.key), both(layer.value), both(layer.attention_output), both(layer.attention_norm),
                           both(layer.intermediate), both(layer.output), both(layer.output_norm)});
    return to.copy_to(gpu);
  }
}

void print(const std::string& name, double seconds, double operations, const std::string& more = {}) {
  const double speed = operations / seconds * 1e-12;
  std::printf("{\"bench\": \"%s\", \"seconds\": %.4g, \"teraops_per_second\": %.4g%s}\n", name.c_str(), seconds, speed, more.c_str());
  std::fflush(stdout);
}

// Each kind of op as Encoder::forward calls it. The clocks are warm: a forward was measured just before.
template <class T> void kinds_of_ops(const ct::Vulkan& gpu, const std::string& name, const ct::EncoderConfig& config, const Weights<T>& weights,
                                     std::size_t batch, std::size_t length) {
  const std::size_t rows = batch * length, hidden = config.hidden_size, inner_size = config.intermediate_size, heads = config.heads, head = config.head_size();
  const auto x = bench::numbers<T>(gpu, {rows, hidden}), context = bench::numbers<T>(gpu, {rows, hidden}), out = bench::numbers<T>(gpu, {rows, hidden});
  const auto projected = bench::numbers<T>(gpu, {rows, 3 * hidden}), inner = bench::numbers<T>(gpu, {rows, inner_size});
  const auto by_head = [&](const auto& tensor) { return tensor.reshape({batch, length, heads, head}).transpose(1, 2); };
  const auto part = [&](std::size_t i) {
    const auto begin = static_cast<std::ptrdiff_t>(i * hidden);
    return by_head(projected.slice(1, begin, begin + static_cast<std::ptrdiff_t>(hidden)));
  };
  const auto add_bias = [](auto sum, auto bias) { return sum + bias; };
  const auto add_residual = [](auto sum, auto bias, auto residual) { return sum + bias + residual; };
  const auto square = 2.0 * static_cast<double>(config.layers * rows * hidden * hidden);
  const auto wide = 2.0 * static_cast<double>(config.layers * rows * hidden * inner_size);
  double sum = 0;
  const auto kind = [&](const char* what, double operations, auto f) {
    const auto all = [&] { for (const auto& layer : weights.layers) f(layer); };
    const double seconds = bench::device_seconds(gpu, all, 0.05);
    sum += seconds;
    print(name + ": " + what, seconds, operations);
  };
  kind("product to query, key and value", 3 * square, [&](const auto& layer) {
    const auto all = layer.projections();
    ct::matmul_into(projected, x, all[0].weight.transpose(), add_bias, all[0].bias);
  });
  kind("attention", 4.0 * static_cast<double>(config.layers * rows * length * hidden), [&](const auto&) {
    ct::attention_into(by_head(context), part(0), part(1), part(2));
  });
  kind("product of attention, and residual", square, [&](const auto& layer) {
    ct::matmul_into(out, context, layer.attention_output.weight.transpose(), add_residual, layer.attention_output.bias, x);
  });
  kind("wide product and gelu", wide, [&](const auto& layer) {
    ct::matmul_into(inner, x, layer.intermediate.weight.transpose(), [](auto acc, auto bias) { return gelu(acc + bias); }, layer.intermediate.bias);
  });
  kind("product back, and residual", wide, [&](const auto& layer) {
    ct::matmul_into(out, inner, layer.output.weight.transpose(), add_residual, layer.output.bias, x);
  });
  kind("two layer norms", 0, [&](const auto& layer) {
    ct::layer_norm_into(out, x, layer.attention_norm.weight, layer.attention_norm.bias, config.epsilon);
    ct::layer_norm_into(out, x, layer.output_norm.weight, layer.output_norm.bias, config.epsilon);
  });
  print(name + ": sum of these kinds", sum, 4 * square + 2 * wide + 4.0 * static_cast<double>(config.layers * rows * length * hidden));
}

template <class T> void forwards(const ct::Vulkan& gpu, const char* type, const ct::EncoderConfig& config, const Weights<float>& in_float, std::size_t length,
                                 std::initializer_list<std::size_t> batches, const ct::SharedTensor<float>& expected) {
  using P = std::conditional_t<std::is_same_v<T, float>, ct::precision::Stored, ct::precision::Float16>;
  const ct::Encoder<T, ct::Vulkan, P> encoder(config, weights_in<T>(gpu, in_float));
  for (const std::size_t batch : batches) {
    const std::string name = std::string("BERT-base ") + type + " " + std::to_string(batch) + "x" + std::to_string(length);
    const auto ids = tokens(batch, length, config.vocabulary_size);
    ct::SharedTensor<float, ct::Vulkan> states;
    const auto forward = [&] { states = encoder.forward(ids).last_hidden_state; };
    const double seconds = bench::device_seconds(gpu, forward);
    // Commands and barriers of one forward.
    const auto& stream = *gpu.shared_stream();
    const std::size_t commands = stream.commands(), barriers = stream.barriers();
    forward();
    const std::size_t its_commands = stream.commands() - commands, its_barriers = stream.barriers() - barriers;
    const auto host = states.template copy_to<ct::Heap>();
    double largest = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double difference = std::abs(static_cast<double>(host.view().data()[i]) - static_cast<double>(expected.view().data()[i]));
      largest = difference <= largest ? largest : difference;  // a NaN stays
    }
    // The states are of size 1 after their norm.
    const bool right = largest <= (std::is_same_v<T, float> ? 1e-4 : 3e-2);
    const double layers = static_cast<double>(config.layers), rows = static_cast<double>(batch * length), hidden = static_cast<double>(config.hidden_size);
    const double operations = layers * rows * hidden * (8 * hidden + 4 * static_cast<double>(config.intermediate_size) + 4 * static_cast<double>(length));
    char more[160];
    std::snprintf(more, sizeof more, ", \"commands\": %zu, \"barriers\": %zu, \"largest_difference\": %.3g, \"right\": %s", its_commands, its_barriers, largest,
                  right ? "true" : "false");
    print(name, seconds, operations, more);
    gpu.synchronize();
    print(name + ", from ids to states waited for", bench::host_seconds([&] { forward(), gpu.synchronize(); }, 51), operations);
    // The host's part alone: the device has more to do than the host while it records, or waits for it.
    std::vector<double> recording;
    for (int i = 0; i < 21; ++i) recording.push_back(bench::host_seconds(forward, 1)), gpu.synchronize();
    std::sort(recording.begin(), recording.end());
    print(name + ", the host's part", recording[10], 0);
    kinds_of_ops<T>(gpu, name, config, encoder.weights(), batch, length);
  }
}

}  // namespace

int main(int count, char** arguments) {
  const auto asked = [&](const char* what) { return count > 1 && std::strcmp(arguments[1], what) == 0; };
  const bool smoke = asked("smoke");
  const ct::EncoderConfig config = smoke ? small() : bert_base();
  const std::size_t length = smoke ? 16 : 128, many = smoke ? 3 : 32;
  const auto gpu = ct::Vulkan::open({.cache_folder = "-"});
  std::printf("{\"device\": \"%s\", \"driver\": \"%s\"}\n", gpu.capabilities().name.c_str(), gpu.capabilities().driver.c_str());
  std::fflush(stdout);
  const auto folder = std::filesystem::temp_directory_path() / "cotenant-bench-bert";
  ct::write_random_checkpoint(folder, config);
  const auto on_cpu = ct::Encoder<float>::open(folder);
  const auto expected = on_cpu.forward(tokens(1, length, config.vocabulary_size)).last_hidden_state;
  const auto weights = on_cpu.weights().copy_to(gpu);
  gpu.synchronize();
  std::filesystem::remove_all(folder);
  forwards<ct::f16>(gpu, "f16", config, weights, length, {1, many}, expected);
  if (!asked("f16")) forwards<float>(gpu, "f32", config, weights, length, {1, many}, expected);
  const ct::KernelStatistics made = gpu.kernel_statistics();
  const std::string kernels = "BERT-base: all " + std::to_string(made.kernels) + " kernels ";
  print(kernels + "written", made.emit_seconds, 0), print(kernels + "compiled", made.compile_seconds, 0);
}
