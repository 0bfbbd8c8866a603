// rotary's front door: both kinds of pairs, partial rotation, tables, and what it refuses.
#include <cotenant/ops/rotary.hpp>

#include <cmath>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("pairs are halves of the row or neighbours; columns beyond them are copied") {
  const auto x = tensor({1.f, 2.f, 3.f, 4.f, 5.f}, {1, 5});
  // The first pair is turned by a right angle, the second not.
  const auto cosine = tensor({0.f, 1.f}, {1, 2}), sine = tensor({1.f, 0.f}, {1, 2});
  CHECK(list(rotary(x, cosine, sine)) == Values{-3, 2, 1, 4, 5});
  CHECK(list(rotary(x, cosine, sine, RotaryPairs::neighbours)) == Values{-2, 1, 3, 4, 5});
  rotary_into(x, x, cosine, sine, RotaryPairs::neighbours);
  CHECK(list(x) == Values{-2, 1, 3, 4, 5});
}

TEST_CASE("angles are shared by broadcasting: over heads, over the batch, or by all rows") {
  const auto x = tensor({1.f, 0.f, 1.f, 0.f, 1.f, 0.f, 1.f, 0.f}, {2, 2, 2});
  const auto cosine = tensor({1.f, 0.f}, {2, 1}), sine = tensor({0.f, 1.f}, {2, 1});
  CHECK(list(rotary(x, cosine, sine)) == Values{1, 0, 0, 1, 1, 0, 0, 1});
  CHECK(list(rotary(x, cosine.reshape({2, 1, 1}), sine.reshape({2, 1, 1}))) == Values{1, 0, 1, 0, 0, 1, 0, 1});
}

TEST_CASE("the tables hold cos and sin of position / base^(2 i / R)") {
  const RotaryTables tables = rotary_tables(3, 4, 100.0, 5);
  CHECK(tables.cosine.shape() == Shape{3, 2});
  CHECK(tables.cosine.view()(0, 0) == doctest::Approx(std::cos(5.0)));
  CHECK(tables.sine.view()(2, 1) == doctest::Approx(std::sin(0.7)));
  CHECK(rotary_tables(0, 4).sine.size() == 0);
}

TEST_CASE("rotary says which shapes do not fit") {
  const auto x = blank<float>({4, 6}), table = blank<float>({4, 3});
  CHECK(has(message_of<ShapeError>([&] { rotary(x, blank<float>({4, 4}), blank<float>({4, 4})); }), "half"));
  CHECK_THROWS_AS(rotary(x, table, blank<float>({4, 2})), ShapeError);
  CHECK_THROWS_AS(rotary(x, blank<float>({3, 3}), blank<float>({3, 3})), ShapeError);
  CHECK_THROWS_AS(rotary(blank<float>({}), table, table), ShapeError);
  CHECK_THROWS_AS(rotary_into(blank<float>({4, 5}), x, table, table), ShapeError);
  CHECK_THROWS_AS(rotary(x, table, SharedTensor<float, ReferenceHeap>{}), InvalidArgument);
  CHECK(rotary(blank<float>({0, 6}), blank<float>({0, 3}), blank<float>({0, 3})).size() == 0);
}

}  // namespace cotenant::test
