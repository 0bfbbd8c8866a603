// UTF-8: one code point at a time out of untrusted bytes, and back.
#ifndef COTENANT_CORE_UTF8_HPP
#define COTENANT_CORE_UTF8_HPP
#include <cstddef>
#include <string>
#include <string_view>

namespace cotenant {

// What readers put where the bytes are not UTF-8.
inline constexpr char32_t replacement_character = 0xFFFD;

struct DecodedCodePoint {
  char32_t code_point = replacement_character;
  std::size_t length = 1;  // bytes consumed, at least 1
  bool valid = false;
};

// The code point at text[at]; `at` must be below text.size(). Overlong forms, surrogates, values above U+10FFFF and
// truncated sequences are not valid: they consume the longest prefix that could have begun a code point (Unicode
// 15, section 3.9, "maximal subpart"), so that decoding goes on as Python's and Rust's lossy decoders do.
constexpr DecodedCodePoint decode_utf8(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  if (first < 0x80) return {static_cast<char32_t>(first), 1, true};
  std::size_t length = 0;
  // The second byte's range excludes overlong forms (E0, F0), surrogates (ED) and values beyond U+10FFFF (F4).
  unsigned lowest = 0x80, highest = 0xBF;
  char32_t code_point = 0;
  if (first >= 0xC2 && first <= 0xDF) { length = 2; code_point = first & 0x1Fu; }
  else if (first >= 0xE0 && first <= 0xEF) {
    length = 3; code_point = first & 0x0Fu;
    if (first == 0xE0) lowest = 0xA0;
    if (first == 0xED) highest = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4; code_point = first & 0x07u;
    if (first == 0xF0) lowest = 0x90;
    if (first == 0xF4) highest = 0x8F;
  } else return {};
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i >= text.size() || byte(at + i) < lowest || byte(at + i) > highest) return {replacement_character, i, false};
    code_point = (code_point << 6) | (byte(at + i) & 0x3Fu);
    lowest = 0x80;
    highest = 0xBF;
  }
  return {code_point, length, true};
}

// Appends a code point; what is not one (a surrogate, above U+10FFFF) becomes U+FFFD.
inline void append_utf8(std::string& text, char32_t code_point) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) code_point = replacement_character;
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (code_point < 0x80) put(code_point);
  else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

}  // namespace cotenant

#endif
