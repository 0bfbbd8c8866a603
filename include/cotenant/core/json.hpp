// json: a strict reader of RFC 8259 text into values, for configurations, vocabularies and file headers.
#ifndef COTENANT_CORE_JSON_HPP
#define COTENANT_CORE_JSON_HPP
#include <algorithm>
#include <clocale>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/error.hpp"
#include "cotenant/core/json_value.hpp"
#include "cotenant/core/utf8.hpp"

namespace cotenant::json {

// Deeper text is refused: the reader recurses, and a stack is short. Real headers and configurations nest to about 10.
inline constexpr std::size_t max_depth = 128;

// A value takes up to 20 times the room of its text, so a hostile file of 100 MB could ask for gigabytes; the largest
// vocabularies and headers in use have about two million values.
inline constexpr std::size_t max_values = std::size_t{1} << 24;

// One pass over the text; every error is a BadFile with line and column.
class Parser {
 public:
  Parser(std::string_view text, std::string_view name, std::size_t most_values = max_values) : text_(text), name_(name), most_values_(most_values) {}
  Value parse_document() {
    skip_space();
    Value value = parse_value(0);
    skip_space();
    if (at_ != text_.size()) fail("has more text after its value");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    const std::size_t end = std::min(at_, text_.size());
    const auto line = std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(end), '\n') + 1;
    const std::size_t line_start = text_.substr(0, end).rfind('\n') + 1;  // npos + 1 == 0
    raise<BadFile>(std::string(name_) + ", line " + std::to_string(line) + ", column " + std::to_string(end - line_start + 1) + ": the JSON text " + problem);
  }
  bool done() const { return at_ >= text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  void skip_space() {
    while (!done() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
  }
  void expect(char wanted) {
    if (done() || text_[at_] != wanted) fail(std::string(done() ? "ends" : "goes on otherwise") + " where '" + wanted + "' belongs");
    ++at_;
  }
  bool accept_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Value parse_value(std::size_t depth) {
    if (depth > max_depth) fail("nests deeper than " + std::to_string(max_depth) + " levels");
    if (++values_ > most_values_) fail("has more than " + std::to_string(most_values_) + " values");
    switch (peek()) {
      case '{': return parse_object(depth);
      case '[': return parse_array(depth);
      case '"': return Value(parse_string());
      case 't': if (accept_word("true")) return Value(true); break;
      case 'f': if (accept_word("false")) return Value(false); break;
      case 'n': if (accept_word("null")) return Value(nullptr); break;
      case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9': return parse_number();
      default: break;
    }
    fail(done() ? "ends where a value belongs" : "has something that is no value");
  }

  Value parse_object(std::size_t depth) {
    Object object;
    expect('{');
    skip_space();
    if (peek() == '}') {
      ++at_;
      return Value(std::make_shared<const Object>(std::move(object)));
    }
    for (;;) {
      skip_space();
      std::string key = parse_string();
      skip_space();
      expect(':');
      skip_space();
      object.members_.push_back({std::move(key), parse_value(depth + 1)});
      skip_space();
      if (peek() != ',') break;
      ++at_;
    }
    expect('}');
    if (object.members_.size() > UINT32_MAX) fail("has an object with too many members");
    object.by_key_.resize(object.members_.size());
    for (std::size_t i = 0; i < object.by_key_.size(); ++i) object.by_key_[i] = static_cast<std::uint32_t>(i);
    const auto& members = object.members_;
    std::sort(object.by_key_.begin(), object.by_key_.end(), [&](std::uint32_t a, std::uint32_t b) { return members[a].key < members[b].key; });
    for (std::size_t i = 1; i < object.by_key_.size(); ++i)
      if (members[object.by_key_[i]].key == members[object.by_key_[i - 1]].key)
        fail("has the key \"" + members[object.by_key_[i]].key + "\" twice in one object");
    return Value(std::make_shared<const Object>(std::move(object)));
  }

  Value parse_array(std::size_t depth) {
    Array array;
    expect('[');
    skip_space();
    if (peek() == ']') {
      ++at_;
      return Value(std::make_shared<const Array>(std::move(array)));
    }
    for (;;) {
      skip_space();
      array.push_back(parse_value(depth + 1));
      skip_space();
      if (peek() != ',') break;
      ++at_;
    }
    expect(']');
    return Value(std::make_shared<const Array>(std::move(array)));
  }

  std::string parse_string() {
    expect('"');
    std::string result;
    for (;;) {
      if (done()) fail("ends inside a string");
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte == '"') {
        ++at_;
        return result;
      }
      if (byte == '\\') parse_escape(result);
      else if (byte < 0x20) fail("has a control character in a string; it must be written as \\u00XX");
      else {
        const DecodedCodePoint decoded = decode_utf8(text_, at_);
        if (!decoded.valid) fail("has bytes in a string that are not UTF-8");
        result.append(text_, at_, decoded.length);
        at_ += decoded.length;
      }
    }
  }

  void parse_escape(std::string& result) {
    ++at_;
    const char letter = peek();
    if (done()) fail("ends inside a string");
    ++at_;
    switch (letter) {
      case '"': case '\\': case '/': result.push_back(letter); return;
      case 'b': result.push_back('\b'); return;
      case 'f': result.push_back('\f'); return;
      case 'n': result.push_back('\n'); return;
      case 'r': result.push_back('\r'); return;
      case 't': result.push_back('\t'); return;
      case 'u': break;
      default: --at_; fail("has an unknown escape in a string");
    }
    char32_t code_point = parse_four_digits();
    if (code_point >= 0xDC00 && code_point <= 0xDFFF) fail("has a low surrogate without a high one before it");
    if (code_point >= 0xD800 && code_point <= 0xDBFF) {
      if (!accept_word("\\u")) fail("has a high surrogate without a low one after it");
      const char32_t low = parse_four_digits();
      if (low < 0xDC00 || low > 0xDFFF) fail("has a high surrogate without a low one after it");
      code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(result, code_point);
  }

  char32_t parse_four_digits() {
    char32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      int digit = -1;
      if (c >= '0' && c <= '9') digit = c - '0';
      else if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
      else if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
      if (digit < 0) fail("has \\u without four hexadecimal digits after it");
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return value;
  }

  // Reads digits and returns whether there was one.
  bool skip_digits() {
    const std::size_t start = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ != start;
  }

  Value parse_number() {
    const std::size_t start = at_;
    if (peek() == '-') ++at_;
    if (peek() == '0') ++at_;
    else if (!skip_digits()) fail("has a sign without digits");
    bool integral = true;
    if (peek() == '.') {
      ++at_;
      integral = false;
      if (!skip_digits()) fail("has a number that ends at its decimal point");
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      integral = false;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!skip_digits()) fail("has a number whose exponent has no digits");
    }
    std::string digits(text_.substr(start, at_ - start));
    if (integral) {
      std::int64_t value = 0;
      bool fits = true;
      for (char c : digits)
        if (c != '-') fits = fits && !__builtin_mul_overflow(value, 10, &value) && !__builtin_sub_overflow(value, c - '0', &value);
      // Digits were subtracted, because the most negative integer has no positive counterpart.
      if (digits[0] != '-') fits = fits && !__builtin_sub_overflow(std::int64_t{0}, value, &value);
      if (fits) return Value(value);
    }
    // strtod follows the process's locale, which may write another decimal point (and from_chars for doubles
    // is missing from libc++ 13).
    const std::size_t point = digits.find('.');
    if (point != std::string::npos) digits.replace(point, 1, std::localeconv()->decimal_point);
    const double value = std::strtod(digits.c_str(), nullptr);
    if (!std::isfinite(value)) fail("has a number that no double can hold");
    return Value(value);
  }

  std::string_view text_;
  std::string_view name_;
  std::size_t at_ = 0;
  std::size_t values_ = 0;
  std::size_t most_values_;
};

// Reads one value and nothing after it. `name` (usually the file's) begins every error message.
// Errors: BadFile with line and column: anything RFC 8259 does not allow, duplicate keys, invalid UTF-8, lone
// surrogates, numbers beyond a double, more than max_depth levels or max_values values.
inline Value parse(std::string_view text, std::string_view name = "JSON text") { return Parser(text, name).parse_document(); }

}  // namespace cotenant::json

#endif
