#include "cotenant/core/json.hpp"

#include <doctest/doctest.h>

#include <clocale>
#include <limits>
#include <string>

using namespace cotenant;

namespace {
std::string error_of(const std::string& text) {
  try {
    json::parse(text, "file.json");
  } catch (const BadFile& error) {
    return error.what();
  }
  return "no error";
}
bool refused(const std::string& text) { return error_of(text) != "no error"; }
// The value as T; the test ends where it is of another kind.
template <class T> T as(const std::string& text) {
  const json::Value value = json::parse(text);
  REQUIRE(value.get_if<T>() != nullptr);
  return *value.get_if<T>();
}
std::int64_t integer(const std::string& text) { return as<std::int64_t>(text); }
double number(const std::string& text) { return as<double>(text); }
std::string string(const std::string& text) { return as<std::string>(text); }
bool is_double(const std::string& text) { return json::parse(text).get_if<double>() != nullptr; }
}  // namespace

TEST_CASE("json: numbers are integers where they can be") {
  CHECK(integer("0") == 0);
  CHECK(integer("-0") == 0);
  CHECK(integer("9223372036854775807") == std::numeric_limits<std::int64_t>::max());
  CHECK(integer("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  CHECK(is_double("9223372036854775808"));
  CHECK(number("9223372036854775808") == 9223372036854775808.0);
  CHECK(is_double("1.0"));
  CHECK(is_double("1e2"));
  CHECK(number("1e-12") == 1e-12);
  CHECK(number("-2.5E+3") == -2500.0);
  CHECK(number("1e-400") == 0.0);
  for (const char* text : {"01", "+1", "1.", ".5", "-", "1e", "1e+", "0x1", "NaN", "Infinity", "-Infinity", "1e999", "- 1", "1 2"}) {
    CAPTURE(text);
    CHECK(refused(text));
  }
}

TEST_CASE("json: numbers do not depend on the locale") {
  const std::string before = std::setlocale(LC_NUMERIC, nullptr);
  bool found = false;
  for (const char* name : {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"}) found = found || std::setlocale(LC_NUMERIC, name) != nullptr;
  if (!found) MESSAGE("no locale with a decimal comma is installed: only the default one is checked");
  CHECK(number("0.25") == 0.25);
  std::setlocale(LC_NUMERIC, before.c_str());
}

TEST_CASE("json: strings, escapes and surrogate pairs") {
  CHECK(string(R"("a\"\\\/\b\f\n\r\tz")") == "a\"\\/\b\f\n\r\tz");
  CHECK(string(R"("\u0041\u00e9\u4e2d\ud83d\ude00")") == "A\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80");
  CHECK(string("\"\xF0\x9F\x98\x80\"") == "\xF0\x9F\x98\x80");
  CHECK(string(R"("\u0000x")") == std::string("\0x", 2));
  for (const char* text : {R"("\ud83d")", R"("\ud83dx")", R"("\ude00")", R"("\ud83d\u0041")", R"("\u12g4")", R"("\u12)", R"("\x")", R"("abc)", "\"\\", "\"a\nb\"",
                           "\"\xFF\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xE4\xB8\""}) {
    CAPTURE(text);
    CHECK(refused(text));
  }
}

TEST_CASE("json: what is not JSON is refused with a place") {
  for (const char* text : {"", " ", "{", "[", "}", "[1,]", "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "{\"a\":}", "[1 2]", "tru", "nul", "true false", "'a'", "[1]x",
                           "\xEF\xBB\xBF{}", "// c\n1"}) {
    CAPTURE(text);
    CHECK(refused(text));
  }
  CHECK(error_of("{\n \"a\": ?}").find("file.json, line 2, column 7") != std::string::npos);
  CHECK(error_of("{\"a\":1,\"b\":2,\"a\":3}").find("\"a\" twice") != std::string::npos);
  CHECK(refused(std::string("1\0", 2)));
}

TEST_CASE("json: depth is limited") {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK_FALSE(refused(nested(json::max_depth)));
  CHECK(error_of(nested(json::max_depth + 2)).find("deeper") != std::string::npos);
  CHECK(error_of(std::string(1000000, '[')).find("deeper") != std::string::npos);
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  CHECK(error_of(objects).find("deeper") != std::string::npos);
}

TEST_CASE("json: the number of values is limited") {
  CHECK_NOTHROW(json::Parser("[1, {\"a\": 2}, []]", "x", 5).parse_document());
  CHECK_THROWS_WITH_AS(json::Parser("[1, {\"a\": 2}, []]", "x", 4).parse_document(), "x, line 1, column 15: the JSON text has more than 4 values", BadFile);
}
