// write_random_checkpoint: a directory like all-MiniLM-L6-v2's with seeded random weights, where none can be downloaded.
#ifndef COTENANT_MODELS_RANDOM_CHECKPOINT_HPP
#define COTENANT_MODELS_RANDOM_CHECKPOINT_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "cotenant/core/json_writer.hpp"
#include "cotenant/core/utf8.hpp"
#include "cotenant/files/atomic_file.hpp"
#include "cotenant/files/safetensors_writer.hpp"
#include "cotenant/models/config.hpp"
#include "cotenant/models/encoder_weights.hpp"

namespace cotenant {

// Sizes of all-MiniLM-L6-v2.
inline EncoderConfig minilm_config() {
  EncoderConfig config;
  config.vocabulary_size = 30522;
  config.hidden_size = 384;
  config.layers = 6;
  config.heads = 12;
  config.intermediate_size = 1536;
  config.max_positions = 512;
  config.token_types = 2;
  return config;
}

namespace detail {

// SplitMix64 (Steele, Lea, Flood 2014): the same numbers from the same seed on every machine, which <random>'s
// distributions do not promise.
class SeededNormal {
 public:
  explicit SeededNormal(std::uint64_t seed) : state_(seed) {}
  // About normal, mean 0, variance 1: the sum of twelve uniform numbers less 6 (Irwin-Hall).
  float next() {
    double sum = -6;
    // Three numbers of 21 bits out of each 64.
    for (int i = 0; i < 4; ++i) {
      const std::uint64_t bits = next_bits();
      for (int part = 0; part < 3; ++part) sum += static_cast<double>((bits >> (21 * part)) & 0x1FFFFF) * 0x1p-21;
    }
    return static_cast<float>(sum);
  }

 private:
  std::uint64_t next_bits() {
    state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

// A vocabulary of single characters and two- and three-letter pieces: any text in Latin letters has tokens.
inline std::string random_vocabulary(std::size_t size) {
  std::string text;
  std::size_t count = 0;
  const auto add = [&](std::string_view token) {
    if (count == size) return false;
    text.append(token).push_back('\n');
    ++count;
    return true;
  };
  for (const char* token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) add(token);
  for (char c = '!'; c <= '~'; ++c)
    if (c < 'A' || c > 'Z') add(std::string(1, c));
  for (const char* prefix : {"##", ""}) {
    const bool inside = *prefix != '\0';
    if (inside)
      for (char c = '0'; c <= 'z'; ++c)
        if ((c <= '9' || c >= 'a')) add(std::string("##") + c);
    for (char a = 'a'; a <= 'z'; ++a)
      for (char b = 'a'; b <= 'z'; ++b) add(std::string(prefix) + a + b);
  }
  // Then letters and ideographs of the other scripts, then names that no text contains.
  for (char32_t c = 0xDF; c < 0x24F; ++c) {
    std::string letter;
    append_utf8(letter, c);
    add(letter);
  }
  for (char32_t c = 0x4E00; c < 0x9FA6; ++c) {
    std::string letter;
    append_utf8(letter, c);
    add(letter);
  }
  for (std::size_t i = 0; add("[unused" + std::to_string(i) + "]"); ++i) {
  }
  return text;
}

inline void write_random_weights(const std::filesystem::path& file, const EncoderConfig& config, std::size_t token_types, std::uint64_t seed) {
  SeededNormal random(seed);
  SafetensorsWriter writer;
  writer.set_metadata("format", "pt");
  // 0.02 is BERT's own spread of initial weights.
  const auto add = [&](const std::string& name, const Shape& shape, float mean = 0) {
    SharedTensor<float> tensor = empty<float>(shape);
    for (float& value : tensor.mutable_view().span()) value = mean + 0.02f * random.next();
    writer.add(name, tensor);
  };
  const std::size_t hidden = config.hidden_size, inner = config.intermediate_size;
  const auto linear = [&](const std::string& name, std::size_t out, std::size_t in) { add(name + ".weight", {out, in}); add(name + ".bias", {out}); };
  const auto norm = [&](const std::string& name) { add(name + ".weight", {hidden}, 1); add(name + ".bias", {hidden}); };
  add("embeddings.word_embeddings.weight", {config.vocabulary_size, hidden});
  add("embeddings.position_embeddings.weight", {config.max_positions, hidden});
  add("embeddings.token_type_embeddings.weight", {token_types, hidden});
  norm("embeddings.LayerNorm");
  const EncoderNames& names = encoder_names(EncoderFamily::bert);
  for (std::size_t i = 0; i < config.layers; ++i) {
    const std::string layer = names.layer + std::to_string(i) + ".";
    for (const char* name : {names.query, names.key, names.value, names.attention_output}) linear(layer + name, hidden, hidden);
    norm(layer + names.attention_norm);
    linear(layer + names.intermediate, inner, hidden);
    linear(layer + names.output, hidden, inner);
    norm(layer + names.output_norm);
  }
  linear("pooler.dense", hidden, hidden);
  writer.write(file);
}

}  // namespace detail

// Writes config.json, model.safetensors, vocab.txt and tokenizer_config.json into `folder`, which is made where it is not
// there. The embeddings of such a model mean nothing; its cost and its memory are those of a real one. The same seed gives
// the same bytes. Only the sizes, the activation and the epsilon of the configuration count: the family is BERT's.
// Errors: IoError; InvalidArgument for a vocabulary below 100 tokens or heads that do not divide the hidden size.
inline void write_random_checkpoint(const std::filesystem::path& folder, const EncoderConfig& config = minilm_config(), std::uint64_t seed = 1) {
  if (config.vocabulary_size < 100)
    raise<InvalidArgument>("a random checkpoint needs a vocabulary of at least 100 tokens for its characters, but " + std::to_string(config.vocabulary_size) +
                           " were asked for");
  if (config.heads == 0 || config.hidden_size % config.heads != 0)
    raise<InvalidArgument>(std::to_string(config.heads) + " attention heads do not divide a hidden size of " + std::to_string(config.hidden_size));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) raise<IoError>("cannot make the directory '" + folder.string() + "': " + error.message());

  const std::size_t token_types = std::max<std::size_t>(config.token_types, 1);
  detail::write_random_weights(folder / "model.safetensors", config, token_types, seed);
  // The weights lay on the heap until they were written; kept for reuse they would count as this process's memory.
  heap_cache().trim();

  const auto write_text = [&](const char* name, const std::string& text) {
    AtomicFile file(folder / name);
    file.write(text);
    file.commit();
  };
  constexpr const char* activations[] = {"gelu", "gelu_new", "relu", "silu"};
  write_text("vocab.txt", detail::random_vocabulary(config.vocabulary_size));
  JsonWriter json(2);
  json.begin_object().member("do_lower_case", true).member("model_max_length", config.max_positions).member("tokenizer_class", "BertTokenizer").end_object();
  write_text("tokenizer_config.json", json.take() + "\n");
  json.begin_object().member("model_type", "bert").member("vocab_size", config.vocabulary_size).member("hidden_size", config.hidden_size);
  json.member("num_hidden_layers", config.layers).member("num_attention_heads", config.heads).member("intermediate_size", config.intermediate_size);
  json.member("max_position_embeddings", config.max_positions).member("type_vocab_size", token_types).member("pad_token_id", 0);
  json.member("layer_norm_eps", config.epsilon).member("hidden_act", activations[static_cast<std::size_t>(config.activation)]);
  json.member("random_seed", seed).end_object();
  write_text("config.json", json.take() + "\n");  // last: a directory with a configuration is complete
}

}  // namespace cotenant

#endif
