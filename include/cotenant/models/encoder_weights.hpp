// EncoderWeights: the tensors of a BERT-like encoder, by the names that each family gives them.
#ifndef COTENANT_MODELS_ENCODER_WEIGHTS_HPP
#define COTENANT_MODELS_ENCODER_WEIGHTS_HPP
#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/files/checkpoint.hpp"
#include "cotenant/models/config.hpp"
#include "cotenant/ops/copy.hpp"

namespace cotenant {

// Where a model finds its tensors by name: a Checkpoint, the AttachedTensors of another process, or what else has these members.
template <class X> concept TensorSource = requires(const X& source, std::string_view name) {
  typename X::storage_type;
  { source.names() } -> std::same_as<std::vector<std::string_view>>;
  { source.contains(name) } -> std::same_as<bool>;
  { source.shape(name) } -> std::same_as<const Shape&>;
  { source.template tensor<float>(name) } -> std::same_as<SharedTensor<float, typename X::storage_type>>;
  { source.source() } -> std::convertible_to<std::string>;
};
static_assert(TensorSource<Checkpoint>);

// y = x · weightᵀ + bias: weight [out, in], bias [out]. For a norm both are [size].
template <class W, class S> struct WeightAndBias {
  SharedTensor<W, S> weight;
  SharedTensor<W, S> bias;
};

namespace detail {
// The rows of three tensors of one shape as one tensor, where they lie one after another in one block; else an empty one.
template <class W, class S> SharedTensor<W, S> as_one(const SharedTensor<W, S>& a, const SharedTensor<W, S>& b, const SharedTensor<W, S>& c) {
  Layout next = a.layout(), all = next;
  for (const SharedTensor<W, S>* const part : {&b, &c}) {
    next.offset += static_cast<std::ptrdiff_t>(a.size());
    if (part->block() != a.block() || !a.is_contiguous() || !(part->layout() == next)) return {};
  }
  all.shape[0] *= 3;
  return a.with(all);
}
// Copies of the three that lie so.
template <class W, class S, class D> std::array<SharedTensor<W, D>, 3> copied_as_one(const SharedTensor<W, S>& a, const SharedTensor<W, S>& b,
                                                                                   const SharedTensor<W, S>& c, const D& destination) {
  Shape shape = a.shape();
  const auto rows = static_cast<std::ptrdiff_t>(shape[0]);
  shape[0] *= 3;
  const auto all = empty<W>(shape, a.block()->template storage<S>().result_storage());
  const auto part = [&](const auto& tensor, std::ptrdiff_t i) { return tensor.slice(0, i * rows, (i + 1) * rows); };
  copy_into(part(all, 0), a), copy_into(part(all, 1), b), copy_into(part(all, 2), c);
  const auto copy = all.copy_to(destination);
  return {part(copy, 0), part(copy, 1), part(copy, 2)};
}
}  // namespace detail

template <class W, class S> struct EncoderLayer {
  WeightAndBias<W, S> query, key, value, attention_output, attention_norm;  // [hidden, hidden]; the norm [hidden]
  WeightAndBias<W, S> intermediate;                                         // [intermediate, hidden]
  WeightAndBias<W, S> output, output_norm;                                  // [hidden, intermediate]; the norm [hidden]

  // What one product with x takes to give queries, keys and values: all three as one, [3 hidden, hidden], where they lie so.
  std::vector<WeightAndBias<W, S>> projections() const {
    const WeightAndBias<W, S> all{detail::as_one(query.weight, key.weight, value.weight), detail::as_one(query.bias, key.bias, value.bias)};
    if (all.weight && all.bias) return {all};
    return {query, key, value};
  }
};

// Handles only: weights opened from a checkpoint are views of its mapped file.
template <FloatElement W, Storage S> struct EncoderWeights {
  SharedTensor<W, S> words;        // [vocabulary, hidden]
  SharedTensor<W, S> positions;    // [max_positions, hidden]
  SharedTensor<W, S> token_types;  // [token_types, hidden]; empty where the family has none
  WeightAndBias<W, S> embedding_norm;
  std::vector<EncoderLayer<W, S>> layers;
  WeightAndBias<W, S> pooler;      // [hidden, hidden]; empty where the checkpoint has none

  // Nobody writes to any of them any more.
  void freeze() const {
    const auto both = [](const WeightAndBias<W, S>& pair) {
      pair.weight.freeze();
      pair.bias.freeze();
    };
    for (const auto* table : {&words, &positions, &token_types}) table->freeze();
    both(embedding_norm);
    both(pooler);
    for (const auto& layer : layers)
      for (const auto* pair : {&layer.query, &layer.key, &layer.value, &layer.attention_output, &layer.attention_norm, &layer.intermediate, &layer.output,
          &layer.output_norm})
        both(*pair);
  }
  // The same weights in another storage, for a backend that cannot read this one. A layer's queries, keys and values lie side by side there.
  template <AllocatingStorage D> EncoderWeights<W, D> copy_to(D destination) const {
    const auto both = [&](const WeightAndBias<W, S>& pair) { return WeightAndBias<W, D>{pair.weight.copy_to(destination), pair.bias.copy_to(destination)}; };
    EncoderWeights<W, D> copy{
        words.copy_to(destination), positions.copy_to(destination), token_types.copy_to(destination), both(embedding_norm), {}, both(pooler)};
    for (const auto& layer : layers) {
      const auto weights = detail::copied_as_one(layer.query.weight, layer.key.weight, layer.value.weight, destination);
      const auto biases = detail::copied_as_one(layer.query.bias, layer.key.bias, layer.value.bias, destination);
      copy.layers.push_back({{weights[0], biases[0]}, {weights[1], biases[1]}, {weights[2], biases[2]}, both(layer.attention_output),
                             both(layer.attention_norm), both(layer.intermediate), both(layer.output), both(layer.output_norm)});
    }
    return copy;
  }
};

namespace detail {

// Where the three families differ: nothing but names.
struct EncoderNames {
  const char* layer;
  const char *query, *key, *value, *attention_output, *attention_norm, *intermediate, *output, *output_norm;
};
inline const EncoderNames& encoder_names(EncoderFamily family) {
  static constexpr EncoderNames bert{"encoder.layer.", "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                                     "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"};
  static constexpr EncoderNames distilbert{"transformer.layer.", "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
                                           "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"};
  return family == EncoderFamily::distilbert ? distilbert : bert;
}

// Checkpoints of models with a head carry the encoder's tensors under a prefix.
template <TensorSource Source> std::string encoder_prefix(const Source& source) {
  constexpr std::string_view words = "embeddings.word_embeddings.weight";
  for (const char* prefix : {"", "bert.", "distilbert.", "roberta.", "model."})
    if (source.contains(prefix + std::string(words))) return prefix;
  // Others ("0.auto_model.", "text_encoder.bert.", …) count where there is only one.
  std::vector<std::string_view> candidates = source.names();
  std::erase_if(candidates, [&](std::string_view name) { return !name.ends_with(words) || name[name.size() - words.size() - 1] != '.'; });
  if (candidates.size() == 1) return std::string(candidates[0].substr(0, candidates[0].size() - words.size()));
  raise<NotFound>(source.source() + " has no '" + std::string(words) + "' (nor one under a prefix): it does not hold an encoder of this family");
}

// A checkpoint whose tensors are leased for a model, where it has a manager; the leases are kept.
template <class W> class LeasedCheckpoint {
 public:
  using storage_type = Mapped;
  LeasedCheckpoint(const Checkpoint& checkpoint, std::string model, std::vector<Lease<W, Mapped>>& leases)
      : checkpoint_(checkpoint), model_(std::move(model)), leases_(leases) {}

  std::vector<std::string_view> names() const { return checkpoint_.names(); }
  bool contains(std::string_view name) const { return checkpoint_.contains(name); }
  const Shape& shape(std::string_view name) const { return checkpoint_.shape(name); }
  std::string source() const { return checkpoint_.source(); }
  template <Element T> SharedTensor<T, Mapped> tensor(std::string_view name) const {
    if constexpr (std::same_as<T, W>)
      if (checkpoint_.manager() != nullptr) {
        leases_.push_back(checkpoint_.lease<W>(name, model_));
        return *leases_.back();
      }
    return checkpoint_.tensor<T>(name);
  }

 private:
  const Checkpoint& checkpoint_;
  std::string model_;
  std::vector<Lease<W, Mapped>>& leases_;
};

// Takes tensors out of a source by the names that they have there, each of the shape that the configuration implies.
template <class W, TensorSource Source> class WeightReader {
 public:
  using Tensor = SharedTensor<W, typename Source::storage_type>;
  using Pair = WeightAndBias<W, typename Source::storage_type>;
  explicit WeightReader(const Source& source) : source_(source), prefix_(encoder_prefix(source)) {}

  bool contains(const std::string& name) const { return source_.contains(prefix_ + name); }
  // Errors: NotFound, TypeError; ShapeError where the tensor does not have the shape that the configuration implies.
  Tensor read(const std::string& name, const Shape& shape) const {
    const Shape& there = source_.shape(prefix_ + name);
    if (!(there == shape))
      raise<ShapeError>("tensor '" + prefix_ + name + "' of " + source_.source() + " has shape " + to_string(there) + ", but config.json asks for " +
                        to_string(shape));
    return source_.template tensor<W>(prefix_ + name);
  }
  Pair linear(const std::string& name, std::size_t out, std::size_t in) const { return {read(name + ".weight", {out, in}), read(name + ".bias", {out})}; }
  // Checkpoints converted from TensorFlow call a norm's weight and bias gamma and beta.
  Pair norm(const std::string& name, std::size_t size) const {
    const bool legacy = !contains(name + ".weight") && contains(name + ".gamma");
    return {read(name + (legacy ? ".gamma" : ".weight"), {size}), read(name + (legacy ? ".beta" : ".bias"), {size})};
  }

 private:
  const Source& source_;
  std::string prefix_;
};

}  // namespace detail

// The element type of a checkpoint's encoder: which Encoder<W> opens it. Errors: NotFound; Unsupported for a type that
// no encoder computes with.
inline DType encoder_dtype(const Checkpoint& checkpoint) {
  const SafetensorsInfo& words = checkpoint.info(detail::encoder_prefix(checkpoint) + "embeddings.word_embeddings.weight");
  if (words.dtype != DType::f32 && words.dtype != DType::f16 && words.dtype != DType::bf16)
    raise<Unsupported>("tensor '" + words.name + "' of checkpoint '" + checkpoint.folder().string() + "' holds " + words.type +
                       ", but encoders compute with F32, F16 or BF16");
  return *words.dtype;
}

// The encoder's tensors, by name from any source, each checked against the configuration. W is the element type that they are stored in.
//   read_encoder_weights<float>(attach("/run/user/1000/models"), config)
// Errors: NotFound (a tensor is missing), ShapeError, TypeError.
template <FloatElement W, TensorSource Source>
EncoderWeights<W, typename Source::storage_type> read_encoder_weights(const Source& source, const EncoderConfig& config) {
  const detail::WeightReader<W, Source> reader(source);
  const detail::EncoderNames& names = detail::encoder_names(config.family);
  const std::size_t hidden = config.hidden_size;
  EncoderWeights<W, typename Source::storage_type> weights;
  weights.words = reader.read("embeddings.word_embeddings.weight", {config.vocabulary_size, hidden});
  weights.positions = reader.read("embeddings.position_embeddings.weight", {config.max_positions, hidden});
  if (config.token_types > 0) weights.token_types = reader.read("embeddings.token_type_embeddings.weight", {config.token_types, hidden});
  weights.embedding_norm = reader.norm("embeddings.LayerNorm", hidden);
  for (std::size_t i = 0; i < config.layers; ++i) {
    const std::string layer = names.layer + std::to_string(i) + ".";
    EncoderLayer<W, typename Source::storage_type> tensors;
    tensors.query = reader.linear(layer + names.query, hidden, hidden);
    tensors.key = reader.linear(layer + names.key, hidden, hidden);
    tensors.value = reader.linear(layer + names.value, hidden, hidden);
    tensors.attention_output = reader.linear(layer + names.attention_output, hidden, hidden);
    tensors.attention_norm = reader.norm(layer + names.attention_norm, hidden);
    tensors.intermediate = reader.linear(layer + names.intermediate, config.intermediate_size, hidden);
    tensors.output = reader.linear(layer + names.output, hidden, config.intermediate_size);
    tensors.output_norm = reader.norm(layer + names.output_norm, hidden);
    weights.layers.push_back(std::move(tensors));
  }
  if (config.family != EncoderFamily::distilbert && reader.contains("pooler.dense.weight")) weights.pooler = reader.linear("pooler.dense", hidden, hidden);
  return weights;
}

// The same from a checkpoint: where it has a manager, `model` leases each tensor, and the leases are put into `leases`.
// Errors: also those of Checkpoint::lease.
template <FloatElement W> EncoderWeights<W, Mapped> read_encoder_weights(const Checkpoint& checkpoint, const EncoderConfig& config, std::string model,
                                                                         std::vector<Lease<W, Mapped>>& leases) {
  return read_encoder_weights<W>(detail::LeasedCheckpoint<W>(checkpoint, std::move(model), leases), config);
}

}  // namespace cotenant

#endif
