#include "cotenant/models/wordpiece_files.hpp"

#include <doctest/doctest.h>

#include <string>

#include "../error_text.hpp"
#include "../files/temporary_folder.hpp"

using namespace cotenant;
using test::has;

namespace {
const std::string vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nA\n##b\n\xC3\xA9\n";
std::string tokenizer_json(const std::string& normalizer, const std::string& more = "", const std::string& type = "WordPiece") {
  return R"({"added_tokens":[{"id":3,"content":"[SEP]","special":true,"single_word":false,"normalized":false})" + more + R"(],"normalizer":)" + normalizer +
         R"(,"model":{"type":")" + type + R"(","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":5,
         "vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"[MASK]":4,"a":5,"A":6,"##b":7,"é":8}}})";
}
std::string message(const TemporaryFolder& folder) {
  return test::message([&] { WordPiece::open(folder.path()); });
}
}  // namespace

TEST_CASE("wordpiece_files: vocab.txt, with and without Windows line ends, and a configuration") {
  TemporaryFolder folder;
  folder.write("vocab.txt", vocab);
  CHECK(WordPiece::open(folder.path()).encode("AB").ids == std::vector<std::int32_t>{2, 5, 7, 3});
  folder.write("tokenizer_config.json", R"({"do_lower_case": false, "model_max_length": 4, "mask_token": {"content": "[MASK]", "lstrip": true}})");
  CHECK(WordPiece::open(folder.path()).encode("Ab é A A A").ids == std::vector<std::int32_t>{2, 6, 7, 3});
  CHECK(WordPiece::open(folder.path()).tokenize("é") == std::vector<std::int32_t>{8});
  folder.write("sentence_bert_config.json", R"({"max_seq_length": 3})");
  CHECK(WordPiece::open(folder.path()).options().max_length == 3);
  folder.write("tokenizer_config.json", R"({"model_max_length": 1000000000000000019884624838656, "strip_accents": false})");
  CHECK(WordPiece::open(folder.path()).tokenize("É") == std::vector<std::int32_t>{8});
  folder.write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na");
  CHECK(WordPiece::open(folder.path()).tokenize("a") == std::vector<std::int32_t>{4});
}

TEST_CASE("wordpiece_files: tokenizer.json") {
  TemporaryFolder folder;
  folder.write("tokenizer.json", tokenizer_json(R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":false})"));
  const WordPiece tokenizer = WordPiece::open(folder.path());
  CHECK(tokenizer.tokenize("A a\xC3\xA9") == std::vector<std::int32_t>{6, 1});
  CHECK(tokenizer.tokenize("abbbb abbbbb") == std::vector<std::int32_t>{5, 7, 7, 7, 7, 1});
  CHECK(tokenizer.vocabulary_size() == 9);
  folder.write("tokenizer.json", tokenizer_json("null", R"(,{"id":12,"content":"<new>","special":true})"));
  CHECK(WordPiece::open(folder.path()).tokenize("a<new>") == std::vector<std::int32_t>{5, 12});
}

TEST_CASE("wordpiece_files: what cannot be used says why") {
  TemporaryFolder folder;
  CHECK(has(message(folder), "not_found"));
  CHECK(has(message(folder), "vocab.txt"));
  folder.write("tokenizer.json", tokenizer_json("null", "", "BPE"));
  CHECK(has(message(folder), "unsupported"));
  CHECK(has(message(folder), "'BPE'"));
  folder.write("tokenizer.json", tokenizer_json(R"({"type":"NFC"})"));
  CHECK(has(message(folder), "'NFC'"));
  folder.write("tokenizer.json", tokenizer_json("null", R"(,{"id":5,"content":"x","single_word":true})"));
  CHECK(has(message(folder), "single_word"));
  folder.write("tokenizer.json", tokenizer_json("null", R"(,{"id":99999999999,"content":"x"})"));
  CHECK(has(message(folder), "bad_file"));
  // 11 entries: ids up to 4096 + 4 * 11, whatever else a number could be.
  folder.write("tokenizer.json", tokenizer_json("null", R"(,{"id":4140,"content":"x"})"));
  CHECK(WordPiece::open(folder.path()).vocabulary_size() == 4141);
  folder.write("tokenizer.json", tokenizer_json("null", R"(,{"id":4141,"content":"x"})"));
  CHECK(has(message(folder), "bad_file"));
  CHECK(has(message(folder), "4140"));
  folder.write("tokenizer.json", tokenizer_json("null", R"(,{"id":-1,"content":"x"})"));
  CHECK(has(message(folder), "bad_file"));
  folder.write("tokenizer.json", "{}");
  CHECK(has(message(folder), "'unknown'"));
  folder.write("tokenizer.json", R"({"model":{"type":"WordPiece","vocab":[]}})");
  CHECK(has(message(folder), "model.vocab is an array"));
  folder.write("tokenizer.json", "{");
  CHECK(has(message(folder), "bad_file"));
}
