#include "cotenant/core/nearest.hpp"

#include <doctest/doctest.h>

using namespace cotenant;

TEST_CASE("nearest: edit distance") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("flaw", "lawn") == 2);
  CHECK(edit_distance("abc", "abc") == 0);
}

TEST_CASE("nearest: the names most alike come first") {
  CHECK(nearest_names("layer.0.wieght", {"pooler", "layer.1.weight", "layer.0.weight", "layer.0.bias"}, 2) == "'layer.0.weight', 'layer.1.weight'");
  CHECK(nearest_names("x", {"a"}) == "'a'");
  CHECK(nearest_names("x", {}) == "none");
  // Long names of a hostile file cost little: only their beginnings are compared.
  const std::string a(1000000, 'a'), b(1000000, 'b');
  CHECK(nearest_names(a, {b, a}, 1) == "'" + a + "'");
}
