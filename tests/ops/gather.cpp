// gather: rows by index, from both ends, any shape of indices, and what it refuses.
#include <cotenant/ops/gather.hpp>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("the result has the indices' shape and the table's without its first axis") {
  const auto table = tensor({1.f, 2.f, 3.f, 4.f}, {2, 2});
  CHECK(list(gather(table, tensor<std::int32_t>({1, -2}, {2}))) == Values{3, 4, 1, 2});
  CHECK(gather(table, blank<std::int64_t>({3, 1})).shape() == Shape{3, 1, 2});
  CHECK(gather(table.select(1, 0), blank<std::int64_t>({})).shape() == Shape{});
  static_assert(std::same_as<decltype(gather<float>(blank<bf16>({1}), blank<std::int32_t>({1})))::element_type, float>);
}

TEST_CASE("an index outside the table is refused before anything is written") {
  const auto table = tensor({1.f, 2.f}, {2});
  CHECK(has(message_of<InvalidArgument>([&] { gather(table, tensor<std::int32_t>({0, 2}, {2})); }), "2 rows"));
  CHECK_THROWS_AS(gather(table, tensor<std::int64_t>({-3}, {1})), InvalidArgument);
  CHECK_THROWS_AS(gather(blank<float>({0, 3}), blank<std::int32_t>({1})), ShapeError);
  CHECK_THROWS_AS(gather(blank<float>({}), blank<std::int32_t>({1})), ShapeError);
  CHECK(gather(blank<float>({0, 3}), blank<std::int32_t>({0})).shape() == Shape{0, 3});
  const auto out = tensor({7.f, 7.f}, {2});
  CHECK_THROWS_AS(gather_into(out, table, tensor<std::int32_t>({0, 5}, {2})), InvalidArgument);
  CHECK(list(out) == Values{7, 7});
}

}  // namespace cotenant::test
