// top_k and argmax: order, ties, axes, and what they refuse.
#include <cotenant/ops/top_k.hpp>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("the k largest come in falling order, equals in theirs, along any axis") {
  const auto x = tensor({1.f, 3.f, 3.f, 2.f}, {4});
  const auto best = top_k(x, 3);
  CHECK(list(best.values) == Values{3, 3, 2});
  CHECK(list(best.indices) == Values{1, 2, 3});
  const auto columns = top_k(tensor({1.f, 9.f, 5.f, 2.f}, {2, 2}), 1, 0);
  CHECK(list(columns.values) == Values{5, 9});
  CHECK(columns.values.shape() == Shape{1, 2});
  CHECK(top_k(x, 0).values.size() == 0);
}

TEST_CASE("more than there are is refused; argmax needs one element") {
  const auto x = blank<float>({2, 3});
  CHECK_THROWS_AS(top_k(x, 4), ShapeError);
  CHECK_THROWS_AS(argmax(blank<float>({2, 0})), ShapeError);
  CHECK(argmax(x, 0).shape() == Shape{3});
  CHECK(argmax(x).shape() == Shape{2});
}

}  // namespace cotenant::test
