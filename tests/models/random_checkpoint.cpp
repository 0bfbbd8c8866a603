#include "cotenant/models/random_checkpoint.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "../files/temporary_folder.hpp"
#include "cotenant/models/text_encoder.hpp"
#include "instances.hpp"

using namespace cotenant;

namespace {
EncoderConfig small() {
  EncoderConfig config = minilm_config();
  config.vocabulary_size = 1700;
  config.hidden_size = 24;
  config.layers = 2;
  config.heads = 3;
  config.intermediate_size = 40;
  config.max_positions = 20;
  config.activation = Activation::relu;
  config.epsilon = 1e-5f;
  return config;
}
}  // namespace

TEST_CASE("random_checkpoint: opens like a real one") {
  const TemporaryFolder folder;
  write_random_checkpoint(folder / "model", small());
  const TextEncoder<> encoder = TextEncoder<>::open(Checkpoint::open(folder / "model"));
  CHECK(encoder.encoder().config().activation == Activation::relu);
  CHECK(encoder.encoder().config().epsilon == 1e-5f);
  CHECK(encoder.encoder().config().heads == 3);
  CHECK(encoder.tokenizer().vocabulary_size() == 1700);
  CHECK(encoder.max_length() == 20);
  const auto tokens = encoder.tokenizer().tokenize("Any text, in latin letters: abc 123!");
  CHECK(std::count(tokens.begin(), tokens.end(), encoder.tokenizer().unknown_id()) == 0);
  const auto embedding = encoder.encode("a sentence");
  float length = 0;
  for (float x : embedding.view().span()) length += x * x;
  CHECK(length == doctest::Approx(1.0f));
}

TEST_CASE("random_checkpoint: the same seed gives the same file, another one another") {
  const TemporaryFolder folder;
  write_random_checkpoint(folder / "a", small(), 5);
  write_random_checkpoint(folder / "b", small(), 5);
  write_random_checkpoint(folder / "c", small(), 6);
  CHECK(folder.read("a/model.safetensors") == folder.read("b/model.safetensors"));
  CHECK(folder.read("a/model.safetensors") != folder.read("c/model.safetensors"));
  const auto table = Checkpoint::open(folder / "a").tensor<float>("embeddings.word_embeddings.weight");
  const auto words = table.view().span();
  double mean = 0, square = 0;
  for (float x : words) mean += x, square += x * x;
  mean /= static_cast<double>(words.size());
  CHECK(std::abs(mean) < 0.001);
  CHECK(std::sqrt(square / static_cast<double>(words.size())) == doctest::Approx(0.02).epsilon(0.02));
}

TEST_CASE("random_checkpoint: MiniLM's own sizes") {
  const EncoderConfig config = minilm_config();
  CHECK(config.hidden_size == 384);
  CHECK(config.layers == 6);
  CHECK(config.head_size() == 32);
  // Without weights: the vocabulary alone must be as large as it says.
  const auto tokens = detail::read_vocabulary(detail::random_vocabulary(config.vocabulary_size));
  CHECK(tokens.size() == 30522);
  CHECK(tokens[0] == "[PAD]");
}

TEST_CASE("random_checkpoint: refusals") {
  const TemporaryFolder folder;
  EncoderConfig config = small();
  config.heads = 5;
  CHECK_THROWS_AS(write_random_checkpoint(folder / "x", config), InvalidArgument);
  config = small();
  config.vocabulary_size = 99;
  CHECK_THROWS_AS(write_random_checkpoint(folder / "x", config), InvalidArgument);
  folder.write("file", "");
  CHECK_THROWS_AS(write_random_checkpoint(folder / "file", small()), IoError);
}
