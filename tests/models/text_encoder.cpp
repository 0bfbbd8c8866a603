#include "cotenant/models/text_encoder.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../files/temporary_folder.hpp"
#include "cotenant/models/random_checkpoint.hpp"
#include "instances.hpp"

using namespace cotenant;

namespace {
EncoderConfig tiny() {
  EncoderConfig config = minilm_config();
  config.vocabulary_size = 1700;
  config.hidden_size = 16;
  config.layers = 1;
  config.heads = 2;
  config.intermediate_size = 24;
  config.max_positions = 300;
  return config;
}
}  // namespace

TEST_CASE("text_encoder: many texts give the rows that each gives alone, in their order") {
  const TemporaryFolder folder;
  write_random_checkpoint(folder / "model", tiny());
  const TextEncoder<> encoder = TextEncoder<>::open(Checkpoint::open(folder / "model"));
  std::vector<std::string> texts;
  for (int i = 0; i < 23; ++i) {
    std::string text;
    // Long ones too: more than one batch, one text longer than a batch's share, one empty.
    for (int word = 0; word < (i * 37) % 23 * 12; ++word) text += "word" + std::to_string(word * i) + " ";
    texts.push_back(text);
  }
  const auto all = encoder.encode(std::span<const std::string>(texts));
  CHECK(all.shape() == Shape{23, 16});
  for (std::size_t row = 0; row < texts.size(); ++row) {
    const auto alone = encoder.encode(texts[row]);
    CHECK(alone.shape() == Shape{1, 16});
    for (std::size_t i = 0; i < 16; ++i) CHECK(all.view()(row, i) == doctest::Approx(alone.view()(0, i)).epsilon(1e-4));
  }
  CHECK_THROWS_AS(encoder.encode(std::span<const std::string>{}), InvalidArgument);
}

TEST_CASE("text_encoder: texts are cut to what the model takes") {
  const TemporaryFolder folder;
  write_random_checkpoint(folder / "model", tiny());
  const TextEncoder<> encoder = TextEncoder<>::open(Checkpoint::open(folder / "model"));
  CHECK(encoder.max_length() == 300);
  std::string text, longer;
  for (int i = 0; i < 298; ++i) text += "a ";
  longer = text + "and more of it";
  const auto a = encoder.encode(text), b = encoder.encode(longer);
  for (std::size_t i = 0; i < 16; ++i) CHECK(a.view()(0, i) == b.view()(0, i));
}
