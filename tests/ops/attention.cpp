// attention's front door: values worked out by hand, masks, head groups, and what it refuses.
#include <cotenant/ops/attention.hpp>

#include <cmath>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("attention weighs the values by the softmax of the scores") {
  const auto q = tensor({1.f, 0.f}, {1, 2}), k = tensor({std::log(3.f), 5.f, 0.f, 5.f}, {2, 2}), v = tensor({4.f, 8.f}, {2, 1});
  CHECK(list(attention(q, k, v, {.scale = 1.f}))[0] == doctest::Approx(5));
  CHECK(list(attention(q, k, v, {.scale = 2.f}))[0] == doctest::Approx(4.4));
  // 1 / sqrt(D) unless said otherwise.
  CHECK(list(attention(q, k, v))[0] == doctest::Approx(list(attention(q, k, v, {.scale = 1.f / std::sqrt(2.f)}))[0]));
}

TEST_CASE("a mask hides keys or is added to the scores; a query without keys gives zeros, not NaN") {
  const auto q = blank<float>({3, 4}), k = blank<float>({2, 4});
  const auto v = tensor({2.f, 6.f}, {2, 1});
  const auto allowed = tensor({true, true, false, true, false, false}, {3, 2});
  CHECK(list(attention(q, k, v, {}, allowed)) == Values{4, 6, 0});
  constexpr float hidden = -std::numeric_limits<float>::infinity(), least = std::numeric_limits<float>::lowest();
  const auto added = tensor({0.f, std::log(3.f), hidden, hidden, least, least}, {3, 2});
  const auto y = list(attention(q, k, v, {}, added));
  CHECK(y[0] == doctest::Approx(5));
  CHECK(y[1] == 0);
  CHECK(y[2] == 4);
  // Padding: one row for all queries.
  CHECK(list(attention(q, k, v, {}, tensor({false, true}, {1, 2}))) == Values{6, 6, 6});
}

TEST_CASE("a causal query sees the keys up to its own, counted from the last") {
  const auto v = tensor({1.f, 3.f, 5.f}, {3, 1});
  CHECK(list(attention(blank<float>({3, 2}), blank<float>({3, 2}), v, {.causal = true})) == Values{1, 2, 3});
  CHECK(list(attention(blank<float>({2, 2}), blank<float>({3, 2}), v, {.causal = true})) == Values{2, 3});
  CHECK(list(attention(blank<float>({1, 2}), blank<float>({3, 2}), v, {.causal = true})) == Values{3});
  CHECK(list(attention(blank<float>({4, 2}), blank<float>({3, 2}), v, {.causal = true})) == Values{0, 1, 2, 3});
}

TEST_CASE("query heads share key heads in order, also where there is one query only") {
  const auto v = tensor({1.f, 2.f}, {2, 1, 1});
  CHECK(list(attention(blank<float>({4, 1, 3}), blank<float>({2, 1, 3}), v)) == Values{1, 1, 2, 2});
  CHECK(list(attention(blank<float>({4, 2, 3}), blank<float>({2, 1, 3}), v)) == Values{1, 1, 1, 1, 2, 2, 2, 2});
  // Every query head has values of its own, but keys are shared.
  const auto own = tensor({1.f, 2.f, 3.f, 4.f}, {4, 1, 1});
  CHECK(list(attention(blank<float>({4, 1, 3}), blank<float>({2, 1, 3}), own)) == Values{1, 2, 3, 4});
  // One head of keys for all, and a batch of queries against one of keys.
  CHECK(attention(blank<float>({5, 4, 2, 3}), blank<float>({1, 1, 3}), blank<float>({1, 2})).shape() == Shape{5, 4, 2, 2});
}

TEST_CASE("nothing to attend to or to write is no error") {
  CHECK(list(attention(blank<float>({2, 3}), blank<float>({0, 3}), blank<float>({0, 1}))) == Values{0, 0});
  CHECK(attention(blank<float>({0, 3}), blank<float>({4, 3}), blank<float>({4, 2})).shape() == Shape{0, 2});
  CHECK(list(attention(blank<float>({1, 0}), blank<float>({2, 0}), tensor({1.f, 3.f}, {2, 1}))) == Values{2});
}

TEST_CASE("attention says which shapes do not fit") {
  const auto q = blank<float>({4, 2, 8});
  CHECK(has(message_of<ShapeError>([&] { attention(q, blank<float>({4, 3, 7}), blank<float>({4, 3, 8})); }), "last dimensions"));
  CHECK(has(message_of<ShapeError>([&] { attention(q, blank<float>({4, 3, 8}), blank<float>({4, 2, 8})); }), "number of rows"));
  CHECK(has(message_of<ShapeError>([&] { attention(q, blank<float>({3, 3, 8}), blank<float>({3, 3, 8})); }), "divides"));
  CHECK(has(message_of<ShapeError>([&] { attention(q, blank<float>({8}), blank<float>({8})); }), "two dimensions"));
  CHECK_THROWS_AS(attention(q, q, q, {}, blank<bool>({3, 2})), ShapeError);
  CHECK_THROWS_AS(attention_into(blank<float>({4, 2, 7}), q, q, q), ShapeError);
  CHECK_THROWS_AS(attention(q, q, q, {}, SharedTensor<bool, ReferenceHeap>{}), InvalidArgument);
  CHECK_THROWS_AS(attention(SharedTensor<float, ReferenceHeap>{}, q, q), InvalidArgument);
}

}  // namespace cotenant::test
