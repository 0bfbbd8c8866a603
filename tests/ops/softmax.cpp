// softmax's front door: any axis, outputs, and what it refuses.
#include <cotenant/ops/softmax.hpp>

#include <cmath>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("softmax sums to one along its axis, whichever it is") {
  const auto x = tensor({0.f, std::log(3.f), 0.f, 0.f}, {2, 2});
  CHECK(list(softmax(x))[1] == doctest::Approx(0.75));
  CHECK(list(softmax(x, 0))[1] == doctest::Approx(0.75));
  CHECK(list(softmax(x, 0))[3] == doctest::Approx(0.25));
  CHECK(list(softmax(x, -2)) == list(softmax(x, 0)));
}

TEST_CASE("softmax refuses an axis that is not there, and works in place") {
  const auto x = tensor({1.f, 1.f}, {1, 2});
  CHECK_THROWS_AS(softmax(x, 2), ShapeError);
  CHECK_THROWS_AS(softmax(x, -3), ShapeError);
  CHECK_THROWS_AS(softmax(blank<float>({})), ShapeError);
  CHECK_THROWS_AS(softmax(SharedTensor<float, ReferenceHeap>{}), InvalidArgument);
  CHECK_THROWS_AS(softmax_into(blank<float>({2, 1}), x), ShapeError);
  softmax_into(x, x);
  CHECK(list(x) == Values{0.5, 0.5});
  CHECK(softmax(blank<float>({3, 0})).size() == 0);
}

TEST_CASE("log_softmax is the logarithm of softmax, over any axis and in place") {
  const auto x = tensor({0.f, std::log(3.f), 0.f, 0.f}, {2, 2});
  CHECK(list(log_softmax(x))[1] == doctest::Approx(std::log(0.75)));
  CHECK(list(log_softmax(x, 0))[3] == doctest::Approx(std::log(0.25)));
  log_softmax_into(x, x);
  CHECK(list(x)[0] == doctest::Approx(std::log(0.25)));
  CHECK_THROWS_AS(log_softmax(x, 2), ShapeError);
  CHECK_THROWS_AS(log_softmax(SharedTensor<float, ReferenceHeap>{}), InvalidArgument);
}

}  // namespace cotenant::test
