// layer_norm's front door: values, shapes of the parameters, and what it refuses.
#include <cotenant/ops/layer_norm.hpp>

#include <cmath>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("rows have mean 0 and variance 1 before scale and bias") {
  const auto y = list(layer_norm(tensor({1.f, 3.f}, {1, 2}), tensor({2.f, 2.f}, {2}), tensor({10.f, 20.f}, {2}), 0.f));
  CHECK(y[0] == doctest::Approx(8));
  CHECK(y[1] == doctest::Approx(22));
}

TEST_CASE("parameters must fit the last dimension, epsilon must be a number of at least 0") {
  const auto x = blank<float>({2, 3}), good = blank<float>({3});
  CHECK(has(message_of<ShapeError>([&] { layer_norm(x, blank<float>({2}), good); }), "[2]"));
  CHECK_THROWS_AS(layer_norm(x, good, blank<float>({1, 3})), ShapeError);
  CHECK_THROWS_AS(layer_norm(blank<float>({}), good, good), ShapeError);
  CHECK_THROWS_AS(layer_norm(x, good, good, -1.f), InvalidArgument);
  CHECK_THROWS_AS(layer_norm(x, good, good, std::nanf("")), InvalidArgument);
}

}  // namespace cotenant::test
