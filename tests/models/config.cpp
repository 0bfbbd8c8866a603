#include "cotenant/models/config.hpp"

#include <doctest/doctest.h>

#include <string>

#include "../error_text.hpp"

using namespace cotenant;
using test::has;

namespace {
EncoderConfig parse(const std::string& text) {
  const json::Value value = json::parse(text, "config.json");
  return EncoderConfig::from(json::Field(value, "config.json"));
}
// BERT's fields with one replaced or added.
std::string bert(const std::string& more) {
  const std::string fields[][2] = {{"model_type", "\"bert\""}, {"vocab_size", "10"}, {"hidden_size", "8"}, {"num_hidden_layers", "1"}, {"num_attention_heads", "2"},
                                   {"intermediate_size", "12"}, {"max_position_embeddings", "6"}};
  std::string text = "{";
  for (const auto& field : fields)
    if (more.find("\"" + field[0] + "\"") == std::string::npos) text += "\"" + field[0] + "\":" + field[1] + ",";
  return more.empty() ? text.substr(0, text.size() - 1) + "}" : text + more + "}";
}
std::string message(const std::string& text) {
  return test::message([&] { parse(text); });
}
}  // namespace

TEST_CASE("config: the three families") {
  const EncoderConfig b = parse(bert(""));
  CHECK(b.family == EncoderFamily::bert);
  CHECK(b.head_size() == 4);
  CHECK(b.max_length() == 6);
  CHECK(b.token_types == 2);
  CHECK(b.activation == Activation::gelu);
  CHECK(b.epsilon == 1e-12f);
  const EncoderConfig d = parse(R"({"model_type":"distilbert","vocab_size":5,"dim":6,"n_layers":3,"n_heads":3,"hidden_dim":7,"max_position_embeddings":9,"activation":"relu"})");
  CHECK(d.family == EncoderFamily::distilbert);
  CHECK(d.hidden_size == 6);
  CHECK(d.layers == 3);
  CHECK(d.intermediate_size == 7);
  CHECK(d.token_types == 0);
  CHECK(d.activation == Activation::relu);
  const EncoderConfig r = parse(bert("\"model_type\":\"roberta\",\"layer_norm_eps\":1e-5,\"type_vocab_size\":1"));
  CHECK(r.positions_skip_padding());
  CHECK(r.padding_id == 1);
  CHECK(r.max_length() == 4);
  CHECK(r.epsilon == 1e-5f);
  CHECK(parse(bert("\"model_type\":\"xlm-roberta\"")).family == EncoderFamily::roberta);
}

TEST_CASE("config: the activations") {
  CHECK(parse(bert("\"hidden_act\":\"gelu_new\"")).activation == Activation::gelu_tanh);
  CHECK(parse(bert("\"hidden_act\":\"silu\"")).activation == Activation::silu);
  CHECK(parse(bert("\"hidden_act\":null")).activation == Activation::gelu);
  CHECK(has(message(bert("\"hidden_act\":\"mish\"")), "unsupported: config.json: hidden_act is 'mish'"));
}

TEST_CASE("config: what does not fit is an error that names the field") {
  CHECK(has(message(bert("\"model_type\":\"t5\"")), "unsupported: config.json: model_type is 't5'"));
  CHECK(has(message("{}"), "model_type is missing"));
  CHECK(has(message("[]"), "bad_file"));
  CHECK(has(message(bert("\"num_attention_heads\":3")), "3 attention heads do not divide a hidden size of 8"));
  CHECK(has(message(bert("\"num_attention_heads\":0")), "num_attention_heads is 0"));
  CHECK(has(message(bert("\"hidden_size\":-8")), "hidden_size is -8"));
  CHECK(has(message(bert("\"hidden_size\":\"8\"")), "hidden_size is a string"));
  CHECK(has(message(bert("\"vocab_size\":99999999999")), "vocab_size"));
  CHECK(has(message(bert("\"num_hidden_layers\":1.5")), "num_hidden_layers is a number"));
  CHECK(has(message(bert("\"max_position_embeddings\":null")), "max_position_embeddings is null"));
  CHECK(has(message(bert("\"layer_norm_eps\":-1")), "layer_norm_eps"));
  CHECK(has(message(bert("\"position_embedding_type\":\"relative_key\"")), "unsupported"));
  CHECK(has(message(bert("\"is_decoder\":true")), "unsupported"));
  CHECK(has(message(bert("\"model_type\":\"roberta\",\"max_position_embeddings\":2")), "leaves no position"));
}
