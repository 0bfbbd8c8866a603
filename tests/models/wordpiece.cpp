#include "cotenant/models/wordpiece.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "cotenant/models/wordpiece_files.hpp"

using namespace cotenant;

namespace {
const std::string folder = COTENANT_TEST_DATA "/wordpiece/";
const std::string minilm = COTENANT_TEST_DATA "/minilm";

std::vector<std::int32_t> integers(const json::Field& field) {
  std::vector<std::int32_t> result;
  for (const json::Value& value : field.array()) result.push_back(static_cast<std::int32_t>(*value.get_if<std::int64_t>()));
  return result;
}
WordPiece with_options(const json::Field& chosen) {
  WordPieceOptions options;
  options.clean_text = chosen["clean_text"].boolean_or(true);
  options.split_chinese = chosen["split_chinese"].boolean_or(true);
  options.lowercase = chosen["lowercase"].boolean_or(true);
  if (chosen["strip_accents"]) options.strip_accents = chosen["strip_accents"].boolean();
  return WordPiece(detail::read_vocabulary(read_text_file(minilm + "/vocab.txt")), options);
}
WordPiece tiny(WordPieceOptions options = {}) {
  return WordPiece({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", "a", "##a", "中", "!", "<x>", "<xx>"}, std::move(options));
}
}  // namespace

TEST_CASE("wordpiece: the ids of Hugging Face's tokenizers on varied text") {
  const json::Value value = json::parse(read_text_file(folder + "lines.json"), "lines.json");
  std::map<std::string, WordPiece> tokenizers;
  std::size_t compared = 0;
  for (const json::Value& entry : *value.get_if<json::Array>()) {
    const json::Field line(entry, "lines.json");
    const json::Field options = line["options"];
    std::string key;
    if (options)
      for (const json::Member& option : options.object().members()) key += option.key + (*option.value.get_if<bool>() ? "+" : "-");
    if (tokenizers.find(key) == tokenizers.end()) tokenizers.emplace(key, with_options(options));
    const WordPiece& tokenizer = tokenizers.at(key);
    const std::string& text = line["text"].string();
    const std::size_t max_length = line["max_length"] ? line["max_length"].size(2, 10000) : 10000;
    const Encoding encoding = line["pair"] ? tokenizer.encode_pair(text, line["pair"].string(), max_length) : tokenizer.encode(text, max_length);
    CAPTURE(text);
    CAPTURE(key);
    CHECK(encoding.ids == integers(line["ids"]));
    if (line["types"]) CHECK(encoding.token_type_ids == integers(line["types"]));
    ++compared;
  }
  CHECK(compared >= 400);
}

TEST_CASE("wordpiece: every code point is normalised and split as in Hugging Face's tokenizers") {
  const WordPiece tokenizer = tiny();
  std::ifstream file(folder + "unicode.txt");
  std::size_t blocks = 0;
  for (std::uint64_t first = 0, expected = 0; file >> std::hex >> first >> expected; ++blocks) {
    std::uint64_t hash = 0xCBF29CE484222325u;
    const auto add = [&](const std::string& text) {
      for (char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3u;
    };
    for (char32_t c = static_cast<char32_t>(first); c < first + 0x1000; ++c) {
      if (c >= 0xD800 && c <= 0xDFFF) continue;
      std::string text, normalized;
      append_utf8(text, c);
      for (char32_t n : tokenizer.normalize(text)) append_utf8(normalized, n);
      add(normalized + "\n" + (unicode::is_punctuation(c) ? "P" : unicode::is_space(c) ? "S" : "-"));
    }
    CAPTURE(first);
    CHECK(hash == expected);
  }
  CHECK(blocks == 0x110);
}

TEST_CASE("wordpiece: greedy longest match, unknown words, special tokens") {
  const WordPiece tokenizer = tiny();
  using Ids = std::vector<std::int32_t>;
  CHECK(tokenizer.tokenize("unaffable") == Ids{5, 6, 7});
  CHECK(tokenizer.tokenize("unaffablex a") == Ids{1, 8});
  CHECK(tokenizer.tokenize("Aa\xCC\x81!") == Ids{8, 9, 11});
  CHECK(tokenizer.tokenize("a中a") == Ids{8, 10, 8});
  CHECK(tokenizer.tokenize("a[MASK]a") == Ids{8, 4, 8});
  CHECK(tokenizer.tokenize("") == Ids{});
  CHECK(tokenizer.tokenize(std::string(100, 'a')).size() == 100);
  CHECK(tokenizer.tokenize(std::string(101, 'a')) == Ids{1});
  CHECK(tokenizer.encode("").ids == Ids{2, 3});
  CHECK(tokenizer.encode("a a a a", 4).ids == Ids{2, 8, 8, 3});
  CHECK(tokenizer.encode("a a a a", 2).ids == Ids{2, 3});
  CHECK_THROWS_AS(tokenizer.encode("a", 1), InvalidArgument);
  CHECK_THROWS_AS(tokenizer.encode_pair("a", "a", 2), InvalidArgument);
  CHECK(tokenizer.token(6) == "##aff");
  CHECK(tokenizer.id("##aff") == 6);
  CHECK(tokenizer.id("aff") == std::nullopt);
  CHECK_THROWS_AS(tokenizer.token(99), InvalidArgument);
  CHECK_THROWS_AS(tokenizer.token(-1), InvalidArgument);
  WordPieceOptions options;
  options.special = {"<x>", "<xx>", "not in the vocabulary"};
  CHECK(tiny(options).tokenize("a<xx>a<x><x") == Ids{8, 13, 8, 12, 1, 1});
}

TEST_CASE("wordpiece: bytes that are not UTF-8 are dropped like U+FFFD") {
  const WordPiece tokenizer = tiny();
  using Ids = std::vector<std::int32_t>;
  CHECK(tokenizer.tokenize("a\xFF\xC3 a\xE4\xB8") == Ids{8, 8});
  CHECK(tokenizer.tokenize("\xED\xA0\x80\xF4\x90\x80\x80") == Ids{});
  std::mt19937 random(3);
  const WordPiece real = WordPiece::open(minilm);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (std::size_t length = random() % 40; text.size() < length;) text.push_back(static_cast<char>(static_cast<unsigned char>(random())));
    for (std::int32_t id : real.encode(text, 20).ids) REQUIRE((id >= 0 && id < 30522));
  }
}

TEST_CASE("wordpiece: a batch is padded to its longest sequence") {
  const WordPiece tokenizer = tiny();
  const std::vector<std::string> texts{"a a a", "", "un"};
  const TokenBatch batch = tokenizer.encode_batch(texts, 100);
  CHECK(batch.ids.shape() == Shape{3, 5});
  CHECK(batch.ids.view()(1, 1) == 3);
  CHECK(batch.ids.view()(1, 2) == 0);
  CHECK(batch.attention_mask.view()(0, 4) == 1);
  CHECK(batch.attention_mask.view()(1, 1) == 1);
  CHECK(batch.attention_mask.view()(1, 2) == 0);
  CHECK(batch.token_type_ids.view()(2, 0) == 0);
  CHECK_THROWS_AS(tokenizer.encode_batch({}, 10), InvalidArgument);
}

TEST_CASE("wordpiece: copies share one vocabulary") {
  const WordPiece tokenizer = tiny(), copy = tokenizer;
  CHECK(&copy.token(5) == &tokenizer.token(5));
  CHECK(copy.tokenize("unaffable") == tokenizer.tokenize("unaffable"));
}
