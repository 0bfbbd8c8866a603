// map's front door: broadcasting, result elements, in-place use, and what it refuses.
#include <cotenant/ops/map.hpp>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("operands broadcast to one shape") {
  const auto row = tensor({1.f, 2.f}, {2}), column = tensor({10.f, 20.f}, {2, 1});
  CHECK(list(map([](auto a, auto b) { return a + b; }, row, column)) == Values{11, 12, 21, 22});
  CHECK_THROWS_AS(map([](auto a, auto b) { return a + b; }, row, blank<float>({3})), ShapeError);
  CHECK_THROWS_AS(map([](auto x) { return x; }, SharedTensor<float, ReferenceHeap>{}), InvalidArgument);
}

TEST_CASE("values of the lambda are constants of the expression") {
  const float scale = 3;
  CHECK(list(map([scale](auto x) { return x * scale - 1; }, tensor({1.f, 2.f}, {2}))) == Values{2, 5});
}

TEST_CASE("result elements: the operands' own, float for mixtures, bool for conditions, or the one named") {
  const auto f = blank<float>({2});
  const auto h = blank<f16>({2});
  const auto i = blank<std::int32_t>({2});
  const auto add = [](auto x, auto y) { return x + y; };
  static_assert(std::same_as<decltype(map([](auto x) { return x; }, h))::element_type, f16>);
  static_assert(std::same_as<decltype(map(add, h, i))::element_type, float>);
  static_assert(std::same_as<decltype(map(add, i, i))::element_type, std::int32_t>);
  static_assert(std::same_as<decltype(map([](auto x) { return x > 0; }, f))::element_type, bool>);
  static_assert(std::same_as<decltype(map<bf16>(add, f, h))::element_type, bf16>);
  CHECK(map(add, h, i).size() == 2);
}

TEST_CASE("map_into works in place and refuses outputs that others read or that repeat elements") {
  auto x = tensor({1.f, 2.f}, {2});
  const auto twice = [](auto v) { return v * 2.f; };
  map_into(x, twice, x);
  CHECK(list(x) == Values{2, 4});
  CHECK(has(message_of<ReadOnly>([&] { map_into(blank<float>({1}).broadcast_to({2}), twice, x); }), "stride 0"));
  CHECK_THROWS_AS(map_into(blank<float>({3}), twice, x), ShapeError);
  auto published = blank<float>({2});
  published.block()->publish();
  CHECK(has(message_of<ReadOnly>([&] { map_into(published, twice, x); }), "detach()"));
  published.detach();
  map_into(published, twice, x);
  CHECK(list(published) == Values{4, 8});
}

TEST_CASE("cast converts as convert() does") {
  CHECK(list(cast<std::int8_t>(tensor({1.9f, -1.9f, 1000.f}, {3}))) == Values{1, -1, 127});
  CHECK(list(cast<bool>(tensor({0.f, 0.5f}, {2}))) == Values{0, 1});
}

}  // namespace cotenant::test
