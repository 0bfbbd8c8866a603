#include "cotenant/core/utf8.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace cotenant;

TEST_CASE("utf8: every code point comes back") {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const DecodedCodePoint decoded = decode_utf8(text, 0);
    if (!decoded.valid || decoded.code_point != c || decoded.length != text.size()) FAIL("code point ", static_cast<unsigned>(c));
  }
}

TEST_CASE("utf8: what is not UTF-8 consumes its longest possible prefix") {
  const auto length_of = [](const char* text) {
    const DecodedCodePoint decoded = decode_utf8(text, 0);
    CHECK_FALSE(decoded.valid);
    CHECK(decoded.code_point == replacement_character);
    return decoded.length;
  };
  CHECK(length_of("\x80") == 1);
  CHECK(length_of("\xC0\x80") == 1);
  CHECK(length_of("\xC3") == 1);
  CHECK(length_of("\xE0\x80\x80") == 1);
  CHECK(length_of("\xE4\xB8") == 2);
  CHECK(length_of("\xED\xA0\x80") == 1);
  CHECK(length_of("\xF0\x9F\x98z") == 3);
  CHECK(length_of("\xF4\x90\x80\x80") == 1);
  CHECK(length_of("\xFF") == 1);
}

TEST_CASE("utf8: what is no code point is written as the replacement character") {
  for (char32_t c : {char32_t{0xD800}, char32_t{0xDFFF}, char32_t{0x110000}, char32_t{0xFFFFFFFF}}) {
    std::string text;
    append_utf8(text, c);
    CHECK(text == "\xEF\xBF\xBD");
  }
}
