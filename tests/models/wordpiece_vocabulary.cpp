#include "cotenant/models/wordpiece_vocabulary.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../error_text.hpp"

using namespace cotenant;
using Ids = std::vector<std::int32_t>;

TEST_CASE("wordpiece_vocabulary: a word is made of the longest pieces, or it is unknown") {
  const WordPieceVocabulary vocabulary({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "una", "##aff", "##able", "##a"}, {.max_characters_per_word = 9});
  const auto pieces = [&](const std::string& word) {
    Ids ids{-1};  // what is there stays
    vocabulary.append_pieces(word, word.size(), ids);
    return ids;
  };
  CHECK(pieces("unable") == Ids{-1, 1});  // "una" is the longest that begins it, and nothing goes on with "ble"
  CHECK(pieces("unaaff") == Ids{-1, 5, 6});
  CHECK(pieces("unaaffa") == Ids{-1, 5, 6, 8});
  CHECK(pieces("unaaaaaaaa") == Ids{-1, 1});  // ten characters
  CHECK(pieces("aff") == Ids{-1, 1});         // a piece that only goes on
  CHECK(vocabulary.id("##able") == 7);
  CHECK(vocabulary.id("able") == std::nullopt);
  CHECK(vocabulary.token(4) == "un");
  CHECK_THROWS_AS(vocabulary.token(9), InvalidArgument);
}

TEST_CASE("wordpiece_vocabulary: without a mark for what goes on, every token may") {
  const WordPieceVocabulary vocabulary({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "ab", "c"}, {.continuation = ""});
  Ids ids;
  vocabulary.append_pieces("cabc", 4, ids);
  CHECK(ids == Ids{5, 4, 5});
}

TEST_CASE("wordpiece_vocabulary: special tokens are found in a text, the longest first") {
  const WordPieceVocabulary vocabulary({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "<x>", "<x>y"}, {.special = {"<x>", "<x>y", "not in it"}});
  REQUIRE(vocabulary.special_at("a<x>yz", 1) != nullptr);
  CHECK(vocabulary.special_at("a<x>yz", 1)->id == 5);
  CHECK(vocabulary.special_at("<x>z", 0)->id == 4);
  CHECK(vocabulary.special_at("[SEP]", 0)->id == vocabulary.separator());
  CHECK(vocabulary.special_at("<x", 0) == nullptr);
  CHECK(vocabulary.special_at("not in it", 0) == nullptr);
}

TEST_CASE("wordpiece_vocabulary: one without the tokens it needs, or not UTF-8") {
  CHECK(test::message([] { WordPieceVocabulary({"[PAD]", "[UNK]", "[CLS]"}, {}); }).find("no '[SEP]'") != std::string::npos);
  CHECK_THROWS_AS(WordPieceVocabulary({"a"}, {}), BadFile);
  CHECK_THROWS_AS(WordPieceVocabulary({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "\xC3"}, {}), BadFile);
  CHECK_THROWS_AS(WordPieceVocabulary({}, {}), BadFile);
  CHECK_NOTHROW(WordPieceVocabulary({"[PAD]", "[UNK]", "[CLS]", "[SEP]"}, {}));  // a mask is not needed
}
