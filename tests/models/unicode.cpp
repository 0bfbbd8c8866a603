#include "cotenant/models/unicode.hpp"

#include <doctest/doctest.h>

using namespace cotenant;

namespace {
std::u32string lower(char32_t c) {
  std::u32string text;
  unicode::append_lower(text, c);
  return text;
}
}  // namespace

// That every code point is classified as Hugging Face's tokenizers does it is checked in tests/models/wordpiece.cpp.

TEST_CASE("unicode: canonical decomposition") {
  CHECK(unicode::decompose(U"é") == U"e\u0301");
  CHECK(unicode::decompose(U"ệ") == U"e\u0323\u0302");
  CHECK(unicode::decompose(U"ﬁ") == U"ﬁ");  // a compatibility mapping is none
  CHECK(unicode::decompose(U"한글") == U"\u1112\u1161\u11AB\u1100\u1173\u11AF");
  CHECK(unicode::decompose(U"가") == U"\u1100\u1161");
  CHECK(unicode::decompose(U"\U0002F800") == U"\u4E3D");
  CHECK(unicode::decompose(U"") == U"");
}

TEST_CASE("unicode: marks are put in canonical order, equal classes stay") {
  CHECK(unicode::decompose(U"q\u0307\u0323") == U"q\u0323\u0307");
  CHECK(unicode::decompose(U"q\u0301\u0300") == U"q\u0301\u0300");
  CHECK(unicode::decompose(U"a\u0345\u0301\u0327\u0334b\u0301") == U"a\u0334\u0327\u0301\u0345b\u0301");
}

TEST_CASE("unicode: lower case of single code points") {
  CHECK(lower(U'A') == U"a");
  CHECK(lower(U'z') == U"z");
  CHECK(lower(U'À') == U"à");
  CHECK(lower(U'ß') == U"ß");
  CHECK(lower(U'Ā') == U"ā");
  CHECK(lower(U'ā') == U"ā");
  CHECK(lower(U'Σ') == U"σ");
  CHECK(lower(U'\u0130') == U"i\u0307");
  CHECK(lower(U'Я') == U"я");
  CHECK(lower(U'中') == U"中");
  CHECK(lower(char32_t{0x10FFFF}) == std::u32string(1, char32_t{0x10FFFF}));
}

TEST_CASE("unicode: properties at the edges of ranges") {
  CHECK(unicode::is_space(U'\u3000'));
  CHECK(unicode::is_space(U'\u0085'));
  CHECK_FALSE(unicode::is_space(U'\u200B'));
  CHECK(unicode::is_punctuation(U'$'));
  CHECK(unicode::is_punctuation(U'。'));
  CHECK_FALSE(unicode::is_punctuation(U'€'));
  CHECK(unicode::is_removed(U'\u200B'));
  CHECK(unicode::is_removed(char32_t{0}));
  CHECK(unicode::is_removed(U'\uFFFD'));
  CHECK_FALSE(unicode::is_removed(U'\n'));
  CHECK(unicode::is_nonspacing_mark(U'\u0300'));
  CHECK(unicode::is_nonspacing_mark(U'\u036F'));
  CHECK_FALSE(unicode::is_nonspacing_mark(U'\u0370'));
  CHECK(unicode::is_chinese(U'\u4E00'));
  CHECK_FALSE(unicode::is_chinese(U'あ'));
}
