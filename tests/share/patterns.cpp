// Matching the names of models to families.
#include "cotenant/share/patterns.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using cotenant::matches_family;

TEST_CASE("names as they are in use match their family") {
  CHECK(matches_family("bert-base-uncased", "bert"));
  CHECK(matches_family("openai/whisper-tiny", "whisper"));
  CHECK(matches_family("google/vit-base-patch16-224", "vit"));
  CHECK(matches_family("facebook/wav2vec2-base", "wav2vec2"));
  CHECK(matches_family("distilbert-base", "distilbert"));
  CHECK(matches_family("gpt2-medium", "gpt2"));
  CHECK(matches_family("gpt2", "gpt2"));
  CHECK(matches_family("t5-small", "t5"));
  CHECK(matches_family("google/flan-t5-xxl", "t5"));
  CHECK(matches_family("meta-llama/Llama-2-7b", "llama"));
  CHECK(matches_family("BERT_large", "bert"));
  CHECK(matches_family("facebook/dinov2-base", "dino"));
  CHECK(matches_family("Salesforce/blip2-opt-2.7b", "blip"));
  CHECK(matches_family("swin2sr", "swin"));
  CHECK(matches_family("llama3:8b", "llama"));
  CHECK(matches_family("models/bert/", "bert"));
}

TEST_CASE("names that only contain a family do not match") {
  CHECK_FALSE(matches_family("distilbert-base", "bert"));
  CHECK_FALSE(matches_family("roberta-base", "bert"));
  CHECK_FALSE(matches_family("bertopic", "bert"));
  CHECK_FALSE(matches_family("vitamin", "vit"));
  CHECK_FALSE(matches_family("xclip-base", "clip"));
  CHECK_FALSE(matches_family("gpt-2", "gpt2"));
  CHECK_FALSE(matches_family("bert-org/mistral", "bert"));
  CHECK_FALSE(matches_family("", "bert"));
  CHECK_FALSE(matches_family("bert", ""));
  CHECK_FALSE(matches_family("///", "bert"));
}

TEST_CASE("a family of two tokens needs both, in order") {
  CHECK(matches_family("openai/whisper-text", "whisper-text"));
  CHECK(matches_family("whisper-large-v3-text", "whisper-text"));
  CHECK(matches_family("wav2vec2_text", "wav2vec2-text"));
  CHECK_FALSE(matches_family("whisper-tiny", "whisper-text"));
  CHECK_FALSE(matches_family("text-whisper", "whisper-text"));
}

TEST_CASE("the table has every family and can be extended") {
  cotenant::SharingPatterns patterns;
  REQUIRE(patterns.all().size() == 5);
  CHECK(patterns.all()[0].families == std::vector<std::string>{"bert", "distilbert", "roberta", "t5", "llama", "bart", "gpt2"});
  CHECK(patterns.all()[4].tensor_kind == "audio_text_joint");
  CHECK(patterns.kinds_of("openai/clip-vit-base-patch32") == std::vector<std::string>{"vision_embedding", "vision_text_joint"});
  CHECK(patterns.kinds_of("whisper-text") == std::vector<std::string>{"audio_embedding", "audio_text_joint"});
  CHECK(patterns.kinds_of("resnet").empty());
  patterns.add("text_embedding", {"mpnet", "bert"});
  CHECK(patterns.all()[0].families.size() == 8);
  patterns.add("audio_codec", {"encodec"});
  CHECK(patterns.kinds_of("facebook/encodec_24khz") == std::vector<std::string>{"audio_codec"});
  CHECK_THROWS_AS(patterns.add("", {"x"}), cotenant::InvalidArgument);
  CHECK_THROWS_AS(patterns.add("audio_codec", {"--"}), cotenant::InvalidArgument);
}
