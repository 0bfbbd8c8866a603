#include "cotenant/core/json_value.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "cotenant/core/json.hpp"

using namespace cotenant;

TEST_CASE("json: values of every kind, in order, with lookup") {
  const json::Value value = json::parse(" {\"b\": [1, 2.5, true, false, null, \"s\", {}, []], \"a\": {\"deep\": {\"er\": -7}}}\n");
  const json::Object& object = *value.get_if<json::Object>();
  const json::Array& array = *object.find("b")->get_if<json::Array>();
  REQUIRE(array.size() == 8);
  CHECK(*array[0].get_if<std::int64_t>() == 1);
  CHECK(*array[1].get_if<double>() == 2.5);
  CHECK(*array[2].get_if<bool>());
  CHECK_FALSE(*array[3].get_if<bool>());
  CHECK(array[4].is_null());
  CHECK(*array[5].get_if<std::string>() == "s");
  CHECK(array[6].get_if<json::Object>()->size() == 0);
  CHECK(array[7].get_if<json::Array>()->empty());
  CHECK(object.members()[0].key == "b");
  CHECK(*object.find("a")->get_if<json::Object>()->find("deep")->get_if<json::Object>()->find("er")->get_if<std::int64_t>() == -7);
  CHECK(object.find("nope") == nullptr);
}

TEST_CASE("json: a value says of what kind it is, and is nothing else") {
  const json::Value number(std::int64_t{3}), nothing;
  CHECK(std::string(number.kind()) == "an integer");
  CHECK(std::string(nothing.kind()) == "null");
  CHECK(nothing.is_null());
  CHECK(number.get_if<double>() == nullptr);
  CHECK(number.get_if<json::Array>() == nullptr);
}
