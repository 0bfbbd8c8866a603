// JsonWriter: JSON text, written value by value; always well-formed UTF-8, and numbers come back as they were.
#ifndef COTENANT_CORE_JSON_WRITER_HPP
#define COTENANT_CORE_JSON_WRITER_HPP
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cotenant/core/error.hpp"
#include "cotenant/core/utf8.hpp"

namespace cotenant {

// Appends `text` as the inside of a JSON string: quotes, backslashes and control characters escaped, bytes that are not
// UTF-8 replaced by U+FFFD. '<' is escaped too, so that the result may stand in an HTML script element.
inline void append_json_escaped(std::string& out, std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  for (std::size_t at = 0; at < text.size();) {
    const DecodedCodePoint decoded = decode_utf8(text, at);
    at += decoded.length;
    switch (decoded.code_point) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '<': out += "\\u003c"; break;
      // Line ends to JavaScript, though not to JSON.
      case 0x2028: out += "\\u2028"; break;
      case 0x2029: out += "\\u2029"; break;
      default:
        if (decoded.code_point < 0x20 || decoded.code_point == 0x7F) {
          out += "\\u00";
          out += digits[decoded.code_point >> 4];
          out += digits[decoded.code_point & 15];
        } else {
          append_utf8(out, decoded.code_point);
        }
    }
  }
}

// The shortest of three lengths that reads back as the same value; "null" for NaN and infinities, which JSON lacks.
template <std::floating_point T> std::string json_number(T value) {
  if (!std::isfinite(value)) return "null";
  if (value == 0 && std::signbit(value)) return "-0.0";  // "-0" would be read as the integer 0
  // digits10 always survive a round trip through text, max_digits10 always identify a value.
  char text[64];
  for (int digits = std::numeric_limits<T>::digits10; digits <= std::numeric_limits<T>::max_digits10; ++digits) {
    std::snprintf(text, sizeof text, "%.*Lg", digits, static_cast<long double>(value));
    T read;
    if constexpr (std::same_as<T, float>) read = std::strtof(text, nullptr);
    else if constexpr (std::same_as<T, double>) read = std::strtod(text, nullptr);
    else read = std::strtold(text, nullptr);
    if (read == value) break;
  }
  // The C locale of the program may write another decimal point than JSON's.
  std::string number;
  bool in_point = false;
  for (const char* c = text; *c != '\0'; ++c) {
    const bool part_of_number = (*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == 'e';
    if (part_of_number) number += *c;
    else if (!in_point) number += '.';
    in_point = !part_of_number;
  }
  return number;
}

// json.begin_object().member("name", "x").key("shape").begin_array().value(1).value(2).end_array().end_object();
// Errors of every function: InvalidArgument where the call would not make a JSON document (a value without a key in an
// object, an end without a begin, a second document).
class JsonWriter {
 public:
  // indent: spaces per level; 0 writes everything on one line.
  explicit JsonWriter(std::size_t indent = 0) : indent_(indent) {}

  JsonWriter& begin_object() { return begin('{', true); }
  JsonWriter& end_object() { return end('}', true); }
  JsonWriter& begin_array() { return begin('[', false); }
  JsonWriter& end_array() { return end(']', false); }

  JsonWriter& key(std::string_view name) {
    if (levels_.empty() || !levels_.back().is_object || has_key_)
      raise<InvalidArgument>("JSON: the key '" + std::string(name) + "' must follow the beginning of an object or one of its values");
    separate();
    quote(name);
    text_ += indent_ > 0 ? ": " : ":";
    has_key_ = true;
    return *this;
  }

  JsonWriter& value(std::string_view text) {
    before_value();
    quote(text);
    return *this;
  }
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(std::nullptr_t) { return raw("null"); }
  template <class T> requires(std::integral<T> && !std::same_as<T, char>) JsonWriter& value(T number) {
    if constexpr (std::same_as<T, bool>) return raw(number ? "true" : "false");
    else return raw(std::to_string(number));
  }
  template <std::floating_point T> JsonWriter& value(T number) { return raw(json_number(number)); }

  template <class T> JsonWriter& member(std::string_view name, const T& content) { return key(name).value(content); }

  // The finished document; the writer starts anew.
  std::string take() {
    if (!levels_.empty() || text_.empty())
      raise<InvalidArgument>("JSON: the document is not finished: " + std::to_string(levels_.size()) + " objects or arrays are open");
    return std::exchange(text_, std::string());
  }

 private:
  struct Level {
    bool is_object;
    bool is_empty;
  };

  void new_line() {
    if (indent_ == 0) return;
    text_ += '\n';
    text_.append(indent_ * levels_.size(), ' ');
  }
  void separate() {
    if (!levels_.back().is_empty) text_ += ',';
    levels_.back().is_empty = false;
    new_line();
  }
  void before_value() {
    if (levels_.empty()) {
      if (!text_.empty()) raise<InvalidArgument>("JSON: a document is one value; take() this one before writing the next");
    } else if (levels_.back().is_object) {
      if (!has_key_) raise<InvalidArgument>("JSON: a value in an object needs a key() before it");
      has_key_ = false;
    } else {
      separate();
    }
  }
  void quote(std::string_view text) {
    text_ += '"';
    append_json_escaped(text_, text);
    text_ += '"';
  }
  JsonWriter& raw(std::string_view text) {
    before_value();
    text_ += text;
    return *this;
  }
  JsonWriter& begin(char bracket, bool is_object) {
    before_value();
    text_ += bracket;
    levels_.push_back({is_object, true});
    return *this;
  }
  JsonWriter& end(char bracket, bool is_object) {
    if (levels_.empty() || levels_.back().is_object != is_object || has_key_)
      raise<InvalidArgument>(std::string("JSON: '") + bracket + "' does not end what is open here");
    const bool was_empty = levels_.back().is_empty;
    levels_.pop_back();
    if (!was_empty) new_line();
    text_ += bracket;
    return *this;
  }

  std::size_t indent_;
  std::string text_;
  std::vector<Level> levels_;
  bool has_key_ = false;
};

}  // namespace cotenant

#endif
