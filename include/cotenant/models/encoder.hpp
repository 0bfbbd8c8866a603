// Encoder: BERT, DistilBERT and RoBERTa, from token ids to hidden states and sentence embeddings.
#ifndef COTENANT_MODELS_ENCODER_HPP
#define COTENANT_MODELS_ENCODER_HPP
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/models/config.hpp"
#include "cotenant/models/encoder_weights.hpp"
#include "cotenant/models/precision.hpp"
#include "cotenant/models/token_batch.hpp"
#include "cotenant/ops/attention.hpp"
#include "cotenant/ops/copy.hpp"
#include "cotenant/ops/gather.hpp"
#include "cotenant/ops/layer_norm.hpp"
#include "cotenant/ops/map.hpp"
#include "cotenant/ops/matmul.hpp"

namespace cotenant {

struct EncoderRequest {
  bool hidden_states = false;  // keep the output of the embeddings and of every layer
  bool pooler = false;         // compute pooler_output
};

// Everything in float, where the results of the weights' storage belong. B sequences of length L, hidden size H.
template <Storage R> struct EncoderOutput {
  SharedTensor<float, R> last_hidden_state;            // [B, L, H]
  std::vector<SharedTensor<float, R>> hidden_states;   // layers + 1 of [B, L, H]; empty unless asked for
  SharedTensor<float, R> pooler_output;                // [B, H]; empty unless asked for
};

// W is the element type of the weights (float, f16, bf16), S where they lie, P what the products compute with (precision.hpp):
//   Encoder<float, Mapped, precision::Int8>::open("all-MiniLM-L6-v2")
// Written against ops/ alone: it runs on whichever backend reads S. const throughout: any number of threads may encode at once.
// Source of the formulas: Devlin et al. 2018 (BERT), Sanh et al. 2019 (DistilBERT), Liu et al. 2019 (RoBERTa).
template <FloatElement W = float, Storage S = Mapped, class P = precision::Stored> class Encoder {
 public:
  using result_storage = typename S::result;
  using Tensor = SharedTensor<float, result_storage>;
  using precision_type = P;

  // The weights must have the shapes that the configuration implies; read_encoder_weights() checks them. They are frozen: what
  // kernels make of them, such as packed panels, may then be kept with them.
  Encoder(EncoderConfig config, EncoderWeights<W, S> weights) : config_(std::move(config)), weights_(std::move(weights)) {
    weights_.freeze();
    for (const EncoderLayer<W, S>& layer : weights_.layers) {
      Products products{{}, P::weight(layer.attention_output.weight), P::weight(layer.intermediate.weight), P::weight(layer.output.weight)};
      for (const WeightAndBias<W, S>& one : layer.projections()) products.projections.push_back({P::weight(one.weight), one.bias});
      products_.push_back(std::move(products));
    }
  }

  // Opens the encoder of a checkpoint directory. Where the checkpoint has a manager, `model` leases every weight until
  // this object is gone. Errors: those of EncoderConfig::read and read_encoder_weights.
  static Encoder open(const Checkpoint& checkpoint, std::string model = {}) requires std::same_as<S, Mapped> {
    EncoderConfig config = EncoderConfig::read(checkpoint.folder());
    std::vector<Lease<W, Mapped>> leases;
    EncoderWeights<W, Mapped> weights = read_encoder_weights<W>(checkpoint, config, model.empty() ? checkpoint.name() : std::move(model), leases);
    Encoder encoder(std::move(config), std::move(weights));
    encoder.leases_ = std::move(leases);
    return encoder;
  }
  static Encoder open(const std::filesystem::path& folder) requires std::same_as<S, Mapped> { return open(Checkpoint::open(folder)); }

  // The same model with its weights in another storage.
  template <AllocatingStorage D> Encoder<W, D, P> copy_to(D destination) const { return Encoder<W, D, P>(config_, weights_.copy_to(std::move(destination))); }

  const EncoderConfig& config() const { return config_; }
  const EncoderWeights<W, S>& weights() const { return weights_; }

  // Hidden states of a batch. Errors: ShapeError (the inputs differ in shape, or a sequence is empty or longer than the
  // positions reach); InvalidArgument (an id or type outside its table); NotFound (a pooler that the checkpoint lacks).
  EncoderOutput<result_storage> forward(const TokenViews& tokens, const EncoderRequest& request = {}) const;

  // Sentence embeddings [B, H]: the mean of the tokens' last hidden states, of length 1. A sequence that is all padding
  // gives zeros. Errors: as forward().
  Tensor encode(const TokenViews& tokens) const { return mean_pooled_normalized(forward(tokens).last_hidden_state, tokens); }
  // The same of hidden states that are there already: [B, L, H] of these tokens.
  Tensor mean_pooled_normalized(const Tensor& hidden_state, const TokenViews& tokens) const;

 private:
  using Activations = SharedTensor<typename P::Activation, result_storage>;
  using Product = decltype(P::weight(std::declval<const SharedTensor<W, S>&>()));
  struct Projection {
    Product weight;
    SharedTensor<W, S> bias;
  };
  struct Products {
    std::vector<Projection> projections;  // to query, key and value, or to all three at once
    Product attention_output, intermediate, output;
  };

  static Tensor as_floats(const Activations& states) {
    if constexpr (std::same_as<Activations, Tensor>) return states;
    else return cast<float>(states);
  }
  static bool attends(const TokenViews& tokens, std::size_t b, std::size_t i) {
    return tokens.attention_mask.data() == nullptr || tokens.attention_mask(b, i) != 0;
  }

  void check(const TokenViews& tokens) const {
    const Shape& shape = tokens.ids.shape();
    if (tokens.ids.data() == nullptr || shape.rank() != 2 || shape[0] == 0 || shape[1] == 0)
      raise<ShapeError>("an encoder takes token ids of shape [batch, length], both at least 1, but got " + to_string(shape));
    for (const auto* other : {&tokens.attention_mask, &tokens.token_type_ids})
      if (other->data() != nullptr && !(other->shape() == shape))
        raise<ShapeError>("attention mask and token types must have the ids' shape " + to_string(shape) + ", but one has " + to_string(other->shape()));
    for (std::size_t b = 0; b < shape[0]; ++b) {
      std::size_t counted = 0;  // tokens that take a position
      for (std::size_t i = 0; i < shape[1]; ++i) {
        const std::int32_t id = tokens.ids(b, i);
        if (id < 0 || static_cast<std::size_t>(id) >= config_.vocabulary_size)
          raise<InvalidArgument>("token id " + std::to_string(id) + " at [" + std::to_string(b) + ", " + std::to_string(i) + "] is outside the vocabulary of " +
                                 std::to_string(config_.vocabulary_size) + " tokens");
        counted += !config_.positions_skip_padding() || id != config_.padding_id;
        if (tokens.token_type_ids.data() != nullptr && config_.token_types > 0 &&
            (tokens.token_type_ids(b, i) < 0 || static_cast<std::size_t>(tokens.token_type_ids(b, i)) >= config_.token_types))
          raise<InvalidArgument>("token type " + std::to_string(tokens.token_type_ids(b, i)) + " at [" + std::to_string(b) + ", " + std::to_string(i) +
                                 "], but there are " + std::to_string(config_.token_types));
      }
      if (counted > config_.max_length())
        raise<ShapeError>("a sequence of " + std::to_string(counted) + " tokens is longer than the " + std::to_string(config_.max_length()) +
                          " positions of this model: truncate it");
    }
  }

  result_storage storage() const { return weights_.words.block()->template storage<S>().result_storage(); }
  template <class T = typename P::Activation> SharedTensor<T, result_storage> room(const Shape& shape) const { return empty<T>(shape, storage()); }
  // Host values as a tensor where this model computes.
  template <Element T> SharedTensor<T, result_storage> place(const std::vector<T>& values, const Shape& shape) const {
    SharedTensor<T> host = from(values, shape);
    if constexpr (std::same_as<result_storage, Heap>) return host;
    else return host.copy_to(storage());
  }

  // 0 where a key may be attended to; where not, the least float: after softmax exactly 0, unless all are masked (then
  // all are equal, and there is no 0 / 0).
  static std::vector<float> attention_bias(const TokenViews& tokens) {
    const std::size_t length = tokens.ids.shape(1);
    std::vector<float> bias(tokens.ids.size());
    for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = attends(tokens, i / length, i % length) ? 0.0f : std::numeric_limits<float>::lowest();
    return bias;
  }

  // Sum of word, position and type embeddings, normalised: [B, L, H].
  Activations embed(const TokenViews& tokens) const;

  // out = activation(x · weight + bias), in the product's epilogue.
  template <class X> void activate(const Activations& out, const X& x, const Product& weight, const SharedTensor<W, S>& shift) const {
    const auto product = [&](const auto& function) { matmul_into(out, x, weight, function, shift); };
    switch (config_.activation) {
      case Activation::gelu: return product([](auto sum, auto bias) { return gelu(sum + bias); });
      case Activation::gelu_tanh: return product([](auto sum, auto bias) { return gelu_tanh(sum + bias); });
      case Activation::relu: return product([](auto sum, auto bias) { return relu(sum + bias); });
      case Activation::silu: return product([](auto sum, auto bias) { return silu(sum + bias); });
    }
  }

  EncoderConfig config_;
  EncoderWeights<W, S> weights_;
  std::vector<Products> products_;  // the layers' weights as P multiplies with them
  std::vector<Lease<W, Mapped>> leases_;
};

// Outside the class, so that a program of many files may compile it once: `extern template class cotenant::Encoder<float>;`
template <FloatElement W, Storage S, class P>
EncoderOutput<typename S::result> Encoder<W, S, P>::forward(const TokenViews& tokens, const EncoderRequest& request) const {
  check(tokens);
  if (request.pooler && !weights_.pooler.weight) raise<NotFound>("this '" + config_.model_type + "' checkpoint has no pooler, so there is no pooler_output");
  const std::size_t batch = tokens.ids.shape(0), length = tokens.ids.shape(1), hidden = config_.hidden_size;
  const std::size_t rows = batch * length, heads = config_.heads, head = config_.head_size();
  EncoderOutput<result_storage> output;

  Activations x = embed(tokens);
  const auto keep = [&](const Activations& states) { if (request.hidden_states) output.hidden_states.push_back(as_floats(states)); };
  keep(x);
  const std::vector<float> numbers = attention_bias(tokens);
  const bool all_attend = std::count(numbers.begin(), numbers.end(), 0.0f) == static_cast<std::ptrdiff_t>(numbers.size());
  const Tensor blocked = all_attend ? Tensor() : place(numbers, {batch, 1, 1, length});
  // One set of buffers for all layers. Heads are strided views of them: [batch, heads, length, head size].
  const auto projections = room<typename P::Attended>({3, rows, hidden}), context = room<typename P::Attended>({rows, hidden});
  const Activations inner = room({rows, config_.intermediate_size});
  const auto by_head = [&](const auto& tensor) { return tensor.reshape({batch, length, heads, head}).transpose(1, 2); };
  const auto add_bias = [](auto sum, auto bias) { return sum + bias; };
  const auto add_residual = [](auto sum, auto bias, auto residual) { return sum + bias + residual; };

  for (std::size_t i = 0; i < config_.layers; ++i) {
    const EncoderLayer<W, S>& layer = weights_.layers[i];
    const Products& products = products_[i];
    // Query, key and value: one matrix each, or parts of the columns of one.
    const std::size_t count = products.projections.size(), columns = 3 / count * hidden;
    const auto projected = projections.reshape({count, rows, columns});
    {
      const auto input = P::input(x.reshape({rows, hidden}));
      for (std::size_t p = 0; p < count; ++p)
        matmul_into(projected.select(0, static_cast<std::ptrdiff_t>(p)), input, products.projections[p].weight, add_bias, products.projections[p].bias);
    }
    const auto part = [&](std::size_t p) {
      const auto matrix = static_cast<std::ptrdiff_t>(p * hidden / columns), begin = static_cast<std::ptrdiff_t>(p * hidden % columns);
      return by_head(projected.select(0, matrix).slice(1, begin, begin + static_cast<std::ptrdiff_t>(hidden)));
    };
    if (all_attend) attention_into(by_head(context), part(0), part(1), part(2));
    else attention_into(by_head(context), part(0), part(1), part(2), {}, blocked);
    // As floats with hidden states asked for, x is one of them and must stay.
    Activations next = request.hidden_states ? room({batch, length, hidden}) : x;
    Activations flat = x.reshape({rows, hidden}), next_flat = next.reshape({rows, hidden});
    matmul_into(next_flat, P::input(context), products.attention_output, add_residual, layer.attention_output.bias, flat);
    layer_norm_into(next_flat, next_flat, layer.attention_norm.weight, layer.attention_norm.bias, config_.epsilon);
    activate(inner, P::input(next_flat), products.intermediate, layer.intermediate.bias);
    matmul_into(next_flat, P::input(inner), products.output, add_residual, layer.output.bias, next_flat);
    layer_norm_into(next_flat, next_flat, layer.output_norm.weight, layer.output_norm.bias, config_.epsilon);
    x = next;
    keep(x);
  }
  if (request.pooler)  // the first token stands for the sequence
    output.pooler_output = matmul<float>(
        x.select(1, 0), weights_.pooler.weight.transpose(), [](auto sum, auto bias) { return tanh(sum + bias); }, weights_.pooler.bias);
  output.last_hidden_state = as_floats(x);
  return output;
}

template <FloatElement W, Storage S, class P>
typename Encoder<W, S, P>::Tensor Encoder<W, S, P>::mean_pooled_normalized(const Tensor& hidden_state, const TokenViews& tokens) const {
  const std::size_t batch = tokens.ids.shape(0), length = tokens.ids.shape(1);
  std::vector<float> weights(batch * length);
  for (std::size_t b = 0; b < batch; ++b) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < length; ++i) count += attends(tokens, b, i);
    for (std::size_t i = 0; i < length; ++i) weights[b * length + i] = attends(tokens, b, i) ? 1.0f / static_cast<float>(count) : 0.0f;
  }
  Tensor mean = matmul(place(weights, {batch, 1, length}), hidden_state);  // [B, 1, H]
  // The norm is clamped as PyTorch's normalize() does, so that a zero vector stays zero.
  const Tensor norm = matmul(mean, mean.transpose(), [](auto sum) { return max(sqrt(sum), 1e-12f); });  // [B, 1, 1]
  map_into(mean, [](auto x, auto n) { return x / n; }, mean, norm);
  return mean.squeeze(1);
}

template <FloatElement W, Storage S, class P> typename Encoder<W, S, P>::Activations Encoder<W, S, P>::embed(const TokenViews& tokens) const {
  const std::size_t batch = tokens.ids.shape(0), length = tokens.ids.shape(1);
  const Shape shape{batch, length};
  std::vector<std::int32_t> ids, positions, types;
  for (std::size_t b = 0; b < batch; ++b) {
    std::int32_t position = config_.padding_id;
    for (std::size_t i = 0; i < length; ++i) {
      ids.push_back(tokens.ids(b, i));
      if (config_.positions_skip_padding()) positions.push_back(ids.back() == config_.padding_id ? config_.padding_id : ++position);
      if (tokens.token_type_ids.data() != nullptr) types.push_back(tokens.token_type_ids(b, i));
    }
  }
  Tensor x = gather<float>(weights_.words, place(ids, shape));
  const auto add_types = [&](const auto& position_rows) {
    const auto sum = [](auto word, auto position, auto type) { return word + position + type; };
    if (config_.token_types == 0) map_into(x, [](auto word, auto position) { return word + position; }, x, position_rows);
    else if (types.empty()) map_into(x, sum, x, position_rows, weights_.token_types.select(0, 0));
    else map_into(x, sum, x, position_rows, gather<float>(weights_.token_types, place(types, shape)));
  };
  if (config_.positions_skip_padding()) add_types(gather<float>(weights_.positions, place(positions, shape)));
  else add_types(weights_.positions.slice(0, 0, static_cast<std::ptrdiff_t>(length)));
  return layer_norm<typename P::Activation>(x, weights_.embedding_norm.weight, weights_.embedding_norm.bias, config_.epsilon);
}

}  // namespace cotenant

#endif
