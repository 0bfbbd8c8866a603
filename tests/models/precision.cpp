// precision: bf16, f16 and int8 encoders stay close to what transformers computed in float, and share what they made of the weights.
#include "cotenant/models/precision.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "cotenant/models/text_encoder.hpp"
#include "golden.hpp"

using namespace cotenant;
using test::models;

namespace {
// The smallest cosine between rows of two matrices.
template <Storage A, Storage B> double smallest_cosine(const SharedTensor<float, A>& ours, const SharedTensor<float, B>& expected) {
  REQUIRE(ours.shape() == expected.shape());
  const auto a = ours.contiguous(), b = expected.contiguous();
  const std::size_t width = a.shape(-1), rows = a.size() / width;
  double smallest = 1;
  for (std::size_t row = 0; row < rows; ++row) {
    double product = 0, left = 0, right = 0;
    for (std::size_t i = row * width; i < (row + 1) * width; ++i) {
      const double x = a.view().span()[i], y = b.view().span()[i];
      product += x * y, left += x * x, right += y * y;
    }
    if (left == 0 && right == 0) continue;  // all padding
    const double cosine = product / std::sqrt(left * right);
    smallest = cosine >= smallest ? smallest : cosine;  // a NaN counts
  }
  return smallest;
}
template <class P> using EncoderAt = Encoder<float, Mapped, P>;
}  // namespace

TEST_CASE_TEMPLATE("precision: hidden states and embeddings stay close to those of transformers", P, precision::BFloat16, precision::Float16, precision::Int8) {
  const double enough = std::same_as<P, precision::Int8> ? 0.99 : 0.999;
  for (const char* name : {"bert", "distilbert", "roberta", "bert-odd"}) {
    CAPTURE(name);
    const test::Golden golden(name);
    const auto encoder = EncoderAt<P>::open(models + name);
    const auto output = encoder.forward(golden.tokens(), {.hidden_states = true});
    REQUIRE(output.hidden_states.size() == encoder.config().layers + 1);
    CHECK(smallest_cosine(output.last_hidden_state, golden.file.tensor<float>("out.last_hidden_state")) > enough);
    CHECK(smallest_cosine(output.hidden_states[1], golden.file.tensor<float>("out.hidden.1")) > enough);
    if (golden.file.contains("out.mean_pooled_normalized"))
      CHECK(smallest_cosine(encoder.encode(golden.tokens()), golden.file.tensor<float>("out.mean_pooled_normalized")) > enough);
    // It is another computation than in float, not the same one under another name.
    CHECK(test::largest_error(output.last_hidden_state, golden.file.tensor<float>("out.last_hidden_state")) > 1e-5);
  }
}

TEST_CASE_TEMPLATE("precision: models on one checkpoint share the converted weights too", P, precision::BFloat16, precision::Int8) {
  TensorSharingManager manager;
  const Checkpoint checkpoint = Checkpoint::open(models + "bert", manager);
  const test::Golden golden("bert");
  const auto first = EncoderAt<P>::open(checkpoint, "first");
  static_cast<void>(first.encode(golden.tokens()));
  const std::size_t derived = manager.stats().derived_bytes;
  CHECK(derived > 0);
  CHECK(manager.stats().tensors.at("bert/encoder.layer.0.output.dense.weight").derived_bytes > 0);
  const auto second = EncoderAt<P>::open(checkpoint, "second");
  const auto a = first.encode(golden.tokens()), b = second.encode(golden.tokens());
  CHECK(manager.stats().derived_bytes == derived);
  CHECK(std::equal(a.view().span().begin(), a.view().span().end(), b.view().span().begin()));
}

TEST_CASE("precision: all-MiniLM-L6-v2 in bf16 and int8" * doctest::skip(std::getenv("COTENANT_MINILM") == nullptr)) {
  const std::string data = COTENANT_TEST_DATA "/minilm/";
  const auto expected = SafetensorsFile::open(data + "golden.safetensors").tensor<float>("embeddings");
  const json::Value value = json::parse(read_text_file(data + "sentences.json"), "sentences.json");
  std::vector<std::string> sentences;
  for (const json::Value& sentence : *value.get_if<json::Array>()) sentences.push_back(*sentence.get_if<std::string>());
  const Checkpoint checkpoint = Checkpoint::open(std::getenv("COTENANT_MINILM"));
  const std::span<const std::string> texts(sentences);
  const double bf16_cosine = smallest_cosine(TextEncoder<float, Mapped, precision::BFloat16>::open(checkpoint).encode(texts), expected);
  const double int8_cosine = smallest_cosine(TextEncoder<float, Mapped, precision::Int8>::open(checkpoint).encode(texts), expected);
  CHECK(bf16_cosine > 0.999);
  CHECK(int8_cosine > 0.99);
  MESSAGE("smallest cosine with sentence-transformers: bf16 ", bf16_cosine, ", int8 ", int8_cosine);
}
