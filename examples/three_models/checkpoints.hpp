// Checkpoints with the shapes of published models and random weights: BERT, a DistilBERT that was begun from it, a small T5, and fine-tuned variants.
#ifndef COTENANT_EXAMPLES_THREE_MODELS_CHECKPOINTS_HPP
#define COTENANT_EXAMPLES_THREE_MODELS_CHECKPOINTS_HPP
#include <cotenant/cotenant.hpp>

#include <filesystem>
#include <string>

namespace example {

namespace ct = cotenant;

struct Sizes {
  ct::EncoderConfig bert;
  std::size_t t5_width, t5_layers, t5_heads, t5_inner;
};
// bert-base-uncased, distilbert-base-uncased, t5-small.
inline Sizes published_sizes() {
  ct::EncoderConfig bert = ct::minilm_config();
  bert.hidden_size = 768, bert.layers = 12, bert.intermediate_size = 3072;
  return {bert, 512, 6, 8, 2048};
}
// The same at a hundredth of the bytes, to try the program.
inline Sizes small_sizes() {
  ct::EncoderConfig bert = ct::minilm_config();
  bert.vocabulary_size = 2000, bert.hidden_size = 192, bert.layers = 12, bert.heads = 4, bert.intermediate_size = 768, bert.max_positions = 160;
  return {bert, 128, 2, 4, 512};
}

inline ct::SharedTensor<float> random_weights(ct::detail::SeededNormal& random, const ct::Shape& shape, float mean = 0) {
  ct::SharedTensor<float> tensor = ct::empty<float>(shape);
  for (float& value : tensor.mutable_view().span()) value = mean + 0.02f * random.next();
  return tensor;
}

inline void write_text(const std::filesystem::path& file, const std::string& text) {
  ct::AtomicFile out(file);
  out.write(text);
  out.commit();
}

// DistilBERT begins as every other layer of its teacher and the teacher's embeddings (Sanh et al. 2019, section 3).
inline void write_distilled(const std::filesystem::path& folder, const std::filesystem::path& teacher, const ct::EncoderConfig& config) {
  std::filesystem::create_directories(folder);
  const ct::Checkpoint bert = ct::Checkpoint::open(teacher);
  const auto &theirs = ct::detail::encoder_names(ct::EncoderFamily::bert), &ours = ct::detail::encoder_names(ct::EncoderFamily::distilbert);
  ct::SafetensorsWriter writer;
  const auto copy = [&](const std::string& from, const std::string& to) { writer.add(to, bert.tensor<float>(from)); };
  for (const char* name :
       {"embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight", "embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"})
    copy(name, name);
  using Part = const char* ct::detail::EncoderNames::*;
  using Names = ct::detail::EncoderNames;
  for (std::size_t layer = 0; layer < config.layers / 2; ++layer)
    for (const Part part : {&Names::query, &Names::key, &Names::value, &Names::attention_output, &Names::attention_norm, &Names::intermediate, &Names::output, &Names::output_norm})
      for (const char* kind : {".weight", ".bias"})
        copy(theirs.layer + std::to_string(2 * layer) + "." + theirs.*part + kind, ours.layer + std::to_string(layer) + "." + ours.*part + kind);
  writer.write(folder / "model.safetensors");
  ct::JsonWriter json(2);
  json.begin_object().member("model_type", "distilbert").member("vocab_size", config.vocabulary_size).member("dim", config.hidden_size);
  json.member("n_layers", config.layers / 2).member("n_heads", config.heads).member("hidden_dim", config.intermediate_size);
  json.member("max_position_embeddings", config.max_positions).member("activation", "gelu").end_object();
  write_text(folder / "config.json", json.take() + "\n");
}

inline void write_t5(const std::filesystem::path& folder, const Sizes& sizes) {
  std::filesystem::create_directories(folder);
  ct::detail::SeededNormal random(7);
  ct::SafetensorsWriter writer;
  const auto add = [&](const std::string& name, const ct::Shape& shape, float mean = 0) { writer.add(name, random_weights(random, shape, mean)); };
  const std::size_t width = sizes.t5_width, inner = sizes.t5_inner;
  add("shared.weight", {sizes.bert.vocabulary_size, width});
  add("relative_attention_bias.weight", {32, sizes.t5_heads});
  for (std::size_t layer = 0; layer < sizes.t5_layers; ++layer) {
    const std::string block = "block." + std::to_string(layer) + ".";
    for (const char* name : {"q", "k", "v", "o"}) add(block + name + ".weight", {width, width});
    add(block + "wi.weight", {inner, width});
    add(block + "wo.weight", {width, inner});
    add(block + "attention_norm.weight", {width}, 1);
    add(block + "dense_norm.weight", {width}, 1);
  }
  add("final_norm.weight", {width}, 1);
  add("from_bert.weight", {sizes.bert.hidden_size, width});  // the projection of BERT's embedding to this width
  writer.write(folder / "model.safetensors");
}

// As fine-tuning of the last layer and the head leaves it: a fifth of the tensors are new.
inline void write_fine_tuned(const std::filesystem::path& folder, const std::filesystem::path& base, const ct::EncoderConfig& config, std::uint64_t seed) {
  std::filesystem::create_directories(folder);
  const ct::Checkpoint checkpoint = ct::Checkpoint::open(base);
  ct::detail::SeededNormal random(seed);
  ct::SafetensorsWriter writer;
  const std::string last = "encoder.layer." + std::to_string(config.layers - 1) + ".";
  for (std::string_view name : checkpoint.names()) {
    const bool tuned = name.starts_with(last) || name.starts_with("pooler.") || name.starts_with("embeddings.LayerNorm");
    if (tuned) writer.add(std::string(name), random_weights(random, checkpoint.shape(name), name.ends_with("LayerNorm.weight") ? 1.0f : 0.0f));
    else writer.add(std::string(name), checkpoint.tensor<float>(name));
  }
  writer.write(folder / "model.safetensors");
  std::filesystem::copy_file(base / "config.json", folder / "config.json", std::filesystem::copy_options::overwrite_existing);
}

// All of them; nothing where they are there.
inline void write_all(const std::filesystem::path& folder, const Sizes& sizes) {
  if (std::filesystem::exists(folder / "complete")) return;
  ct::write_random_checkpoint(folder / "bert", sizes.bert);
  write_distilled(folder / "distilbert", folder / "bert", sizes.bert);
  write_t5(folder / "t5", sizes);
  ct::EncoderConfig tuned = sizes.bert.hidden_size < 768 ? sizes.bert : ct::minilm_config();
  ct::write_random_checkpoint(folder / "tuned0", tuned, 11);
  write_fine_tuned(folder / "tuned1", folder / "tuned0", tuned, 12);
  write_fine_tuned(folder / "tuned2", folder / "tuned0", tuned, 13);
  ct::heap_cache().trim();
  write_text(folder / "complete", "\n");
}

}  // namespace example

#endif
