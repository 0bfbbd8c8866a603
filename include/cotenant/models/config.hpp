// EncoderConfig: the sizes and choices of a BERT-like encoder, read from config.json.
#ifndef COTENANT_MODELS_CONFIG_HPP
#define COTENANT_MODELS_CONFIG_HPP
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "cotenant/core/json_field.hpp"
#include "cotenant/files/text_file.hpp"

namespace cotenant {

// Which tensor names and which position rule an encoder has; the arithmetic is the same.
enum class EncoderFamily { bert, distilbert, roberta };
// gelu_tanh is Hugging Face's gelu_new.
enum class Activation { gelu, gelu_tanh, relu, silu };

struct EncoderConfig {
  EncoderFamily family = EncoderFamily::bert;
  std::string model_type = "bert";
  std::size_t vocabulary_size = 0;
  std::size_t hidden_size = 0;
  std::size_t layers = 0;
  std::size_t heads = 0;              // divides hidden_size
  std::size_t intermediate_size = 0;
  std::size_t max_positions = 0;      // rows of the position table
  std::size_t token_types = 0;        // 0: the family has none
  std::int32_t padding_id = 0;
  float epsilon = 1e-12f;             // of every layer norm
  Activation activation = Activation::gelu;

  std::size_t head_size() const { return hidden_size / heads; }
  // RoBERTa numbers tokens from padding_id + 1 and gives padding the number padding_id.
  bool positions_skip_padding() const { return family == EncoderFamily::roberta; }
  // The longest sequence that the position table has room for.
  std::size_t max_length() const {
    const std::size_t skipped = positions_skip_padding() ? static_cast<std::size_t>(padding_id) + 1 : 0;
    return max_positions > skipped ? max_positions - skipped : 0;
  }

  // From the config.json of a Hugging Face directory.
  // Errors: NotFound (no such file); BadFile (not JSON, a field missing, out of range, or not fitting another);
  // Unsupported (another model_type, activation or kind of positions).
  static EncoderConfig read(const std::filesystem::path& folder) {
    const std::string name = (folder / "config.json").string();
    const json::Value value = json::parse(read_text_file(name), name);
    return from(json::Field(value, name));
  }
  static EncoderConfig from(const json::Field& root);
};

namespace detail {
inline Activation read_activation(const json::Field& field) {
  const std::string name = field.string_or("gelu");
  if (name == "gelu" || name == "gelu_python") return Activation::gelu;
  if (name == "gelu_new" || name == "gelu_fast" || name == "gelu_pytorch_tanh") return Activation::gelu_tanh;
  if (name == "relu") return Activation::relu;
  if (name == "silu" || name == "swish") return Activation::silu;
  raise<Unsupported>(field.path() + " is '" + name + "', but the activations here are gelu, gelu_new, relu and silu");
}
}  // namespace detail

inline EncoderConfig EncoderConfig::from(const json::Field& root) {
  // No dimension of a real model comes near 2^31; products of two then fit 64 bits.
  constexpr std::size_t most = INT32_MAX;
  EncoderConfig config;
  config.model_type = root["model_type"].string();
  const std::string& type = config.model_type;
  if (type == "distilbert") config.family = EncoderFamily::distilbert;
  else if (type == "roberta" || type == "xlm-roberta" || type == "camembert") config.family = EncoderFamily::roberta;
  else if (type != "bert")
    raise<Unsupported>(root["model_type"].path() + " is '" + type +
                       "', but the encoders here are bert, distilbert and roberta (with xlm-roberta and camembert)");

  const bool distilled = config.family == EncoderFamily::distilbert;
  config.vocabulary_size = root["vocab_size"].size(1, most);
  config.hidden_size = root[distilled ? "dim" : "hidden_size"].size(1, most);
  config.layers = root[distilled ? "n_layers" : "num_hidden_layers"].size(0, 65536);
  config.heads = root[distilled ? "n_heads" : "num_attention_heads"].size(1, most);
  config.intermediate_size = root[distilled ? "hidden_dim" : "intermediate_size"].size(1, most);
  config.max_positions = root["max_position_embeddings"].size(1, most);
  config.token_types = distilled ? 0 : root["type_vocab_size"] ? root["type_vocab_size"].size(1, most) : 2;
  config.padding_id = root["pad_token_id"] ? static_cast<std::int32_t>(root["pad_token_id"].size(0, most)) : config.family == EncoderFamily::roberta ? 1 : 0;
  const double epsilon = root["layer_norm_eps"].number_or(1e-12);
  if (!(epsilon >= 0 && epsilon < 1)) raise<BadFile>(root["layer_norm_eps"].path() + " is " + std::to_string(epsilon) + ", but must lie between 0 and 1");
  config.epsilon = static_cast<float>(epsilon);
  config.activation = detail::read_activation(root[distilled ? "activation" : "hidden_act"]);

  if (config.hidden_size % config.heads != 0)
    raise<BadFile>(root.path() + ": " + std::to_string(config.heads) + " attention heads do not divide a hidden size of " + std::to_string(config.hidden_size));
  const std::string positions = root["position_embedding_type"].string_or("absolute");
  if (positions != "absolute")
    raise<Unsupported>(root["position_embedding_type"].path() + " is '" + positions + "', but only absolute positions are supported");
  if (root["is_decoder"].boolean_or(false)) raise<Unsupported>(root.path() + " describes a decoder (is_decoder), but only encoders are supported");
  if (config.max_length() == 0)
    raise<BadFile>(root["max_position_embeddings"].path() + " is " + std::to_string(config.max_positions) +
                   ", which leaves no position beside those for padding");
  return config;
}

}  // namespace cotenant

#endif
