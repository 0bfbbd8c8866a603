#include "cotenant/core/json_field.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace cotenant;

TEST_CASE("json_field: a wrong or missing field says where it is") {
  const json::Value value = json::parse(R"({"model": {"layers": "six", "heads": 4, "none": null, "big": -3}})");
  const json::Field field(value, "config.json");
  const auto message = [&](auto f) -> std::string {
    try {
      f();
    } catch (const BadFile& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK(message([&] { field["model"]["layers"].integer(); }) == "config.json: model.layers is a string, but should be an integer");
  CHECK(message([&] { field["model"]["width"].integer(); }) == "config.json: model.width is missing: it should be an integer");
  CHECK(message([&] { field["model"]["heads"]["x"].integer(); }).find("model.heads is an integer") != std::string::npos);
  CHECK(message([&] { field["model"]["big"].size(1, 10); }).find("-3") != std::string::npos);
  CHECK(message([&] { field["model"]["heads"].size(5, 10); }).find("between 5 and 10") != std::string::npos);
  CHECK(field["model"]["heads"].size(1, 10) == 4);
  CHECK(field["model"]["none"].integer_or(9) == 9);
  CHECK(field["nothing"]["at"]["all"].string_or("z") == "z");
  CHECK(field["model"]["heads"].number() == 4.0);
  CHECK_FALSE(static_cast<bool>(field["model"]["none"]));
  CHECK(static_cast<bool>(field["model"]["layers"]));
}
