// The JSON writer: structure, escaping, numbers that round-trip, and refusal of what is not a document.
#include "cotenant/core/json_writer.hpp"

#include <doctest/doctest.h>

#include <cfloat>
#include <clocale>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

using cotenant::JsonWriter;

namespace {
template <class T> std::string written(const T& value) { return JsonWriter().value(value).take(); }
}  // namespace

TEST_CASE("objects and arrays nest") {
  JsonWriter json;
  json.begin_object().member("name", "x").key("shape").begin_array().value(1).value(std::size_t{2}).end_array().member("none", nullptr);
  json.key("empty").begin_object().end_object().key("list").begin_array().begin_array().end_array().begin_object().member("deep", true).end_object().end_array().end_object();
  CHECK(json.take() == R"({"name":"x","shape":[1,2],"none":null,"empty":{},"list":[[],{"deep":true}]})");
  CHECK(json.begin_array().end_array().take() == "[]");  // starts anew
}

TEST_CASE("indentation") {
  JsonWriter json(2);
  json.begin_object().member("a", 1).key("b").begin_array().value(2).value(3).end_array().key("c").begin_array().end_array().end_object();
  CHECK(json.take() == "{\n  \"a\": 1,\n  \"b\": [\n    2,\n    3\n  ],\n  \"c\": []\n}");
}

TEST_CASE("strings are escaped") {
  CHECK(written("plain") == "\"plain\"");
  CHECK(written("a\"b\\c/d") == R"("a\"b\\c/d")");
  CHECK(written("\b\f\n\r\t") == R"("\b\f\n\r\t")");
  CHECK(written(std::string("\0\x01\x1f\x7f", 4)) == R"("\u0000\u0001\u001f\u007f")");
  CHECK(written("</script>") == R"("\u003c/script>")");
  CHECK(written("é中😀") == "\"é中😀\"");
  CHECK(written("\xE2\x80\xA8") == R"("\u2028")");
  CHECK(JsonWriter().begin_object().member("k\n", "").end_object().take() == R"({"k\n":""})");
}

TEST_CASE("bytes that are not UTF-8 become the replacement character") {
  const std::string bad = "\xEF\xBF\xBD";
  CHECK(written("a\xFFz") == "\"a" + bad + "z\"");
  CHECK(written("\xC0\xAF") == "\"" + bad + bad + "\"");             // overlong
  CHECK(written("\xED\xA0\x80") == "\"" + bad + bad + bad + "\"");   // surrogate
  CHECK(written("\xF0\x9F\x98") == "\"" + bad + "\"");               // cut off
  CHECK(written("\xF4\x90\x80\x80") == "\"" + bad + bad + bad + bad + "\"");
  CHECK(written("\xE4\"") == "\"" + bad + "\\\"\"");                 // the quote after it is still escaped
}

TEST_CASE("integers") {
  CHECK(written(0) == "0");
  CHECK(written(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(written(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(written(std::int8_t{-5}) == "-5");
  CHECK(written(true) == "true");
  CHECK(written(false) == "false");
}

TEST_CASE("floating-point numbers read back as they were") {
  CHECK(written(0.1) == "0.1");
  CHECK(written(0.1f) == "0.1");
  CHECK(written(-0.0) == "-0.0");  // "-0" is an integer, and integers have no such zero
  CHECK(written(1.0) == "1");
  CHECK(written(1.0 / 3) == "0.3333333333333333");
  CHECK(written(std::nan("")) == "null");
  CHECK(written(HUGE_VAL) == "null");
  CHECK(written(-HUGE_VALF) == "null");
  for (double value : {DBL_MAX, DBL_MIN, 5e-324, -DBL_MAX, 1e22, 123456789012345680.0, DBL_EPSILON})
    CHECK(std::strtod(written(value).c_str(), nullptr) == value);
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t bits = random();
    const auto value = __builtin_bit_cast(double, bits);
    if (std::isfinite(value)) REQUIRE(std::strtod(written(value).c_str(), nullptr) == value);
    const auto small = __builtin_bit_cast(float, static_cast<std::uint32_t>(bits));
    if (std::isfinite(small)) REQUIRE(std::strtof(written(small).c_str(), nullptr) == small);
  }
}

TEST_CASE("another decimal point in the program's locale does not reach the text") {
  const std::string before = std::setlocale(LC_NUMERIC, nullptr);
  for (const char* name : {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8"})
    if (std::setlocale(LC_NUMERIC, name) != nullptr) break;
  CHECK(written(1.5) == "1.5");
  CHECK(written(1.25e-7f) == "1.25e-07");
  std::setlocale(LC_NUMERIC, before.c_str());
}

TEST_CASE("what is not a document is refused") {
  using cotenant::InvalidArgument;
  CHECK_THROWS_AS(JsonWriter().begin_object().value(1), InvalidArgument);
  CHECK_THROWS_AS(JsonWriter().begin_array().key("k"), InvalidArgument);
  CHECK_THROWS_AS(JsonWriter().key("k"), InvalidArgument);
  CHECK_THROWS_AS(JsonWriter().begin_object().key("a").key("b"), InvalidArgument);
  CHECK_THROWS_AS(JsonWriter().begin_object().key("a").end_object(), InvalidArgument);
  CHECK_THROWS_AS(JsonWriter().begin_object().end_array(), InvalidArgument);
  CHECK_THROWS_AS(JsonWriter().end_object(), InvalidArgument);
  CHECK_THROWS_AS(JsonWriter().value(1).value(2), InvalidArgument);
  CHECK_THROWS_AS(JsonWriter().begin_array().take(), InvalidArgument);
  CHECK_THROWS_AS(JsonWriter().take(), InvalidArgument);
}
