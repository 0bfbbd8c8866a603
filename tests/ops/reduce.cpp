// reduce's front door: axes, kept dimensions, empty ranges, and what it refuses.
#include <cotenant/ops/reduce.hpp>

#include <cmath>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("no axes means all of them") {
  const auto x = tensor({1.f, -5.f, 3.f, 4.f, 0.f, 2.f}, {2, 3});
  CHECK(list(reduce_sum(x)) == Values{5});
  CHECK(reduce_sum(x).shape() == Shape{});
  CHECK(reduce_sum(x, {.axes = {}, .keep_dimensions = true}).shape() == Shape{1, 1});
}

TEST_CASE("axes may be named in any order, from either end, and stay as dimensions of one where asked") {
  const auto x = tensor({1.f, -5.f, 3.f, 4.f, 0.f, 2.f}, {2, 3});
  CHECK(list(reduce_max(x, {.axes = {-1}, .keep_dimensions = true})) == Values{3, 4});
  CHECK(reduce_max(x, {.axes = {-1}, .keep_dimensions = true}).shape() == Shape{2, 1});
  CHECK(reduce_max(x, {.axes = {0}, .keep_dimensions = true}).shape() == Shape{1, 3});
  CHECK(list(reduce_min(x, {.axes = {1, 0}})) == Values{-5});
  CHECK_THROWS_AS(reduce_sum(x, {.axes = {0, -2}}), ShapeError);
  CHECK_THROWS_AS(reduce_sum(x, {.axes = {2}}), ShapeError);
  CHECK_THROWS_AS(reduce_sum(SharedTensor<float, ReferenceHeap>{}), InvalidArgument);
}

TEST_CASE("reductions of nothing have the values of their neutral elements") {
  const auto x = blank<float>({2, 0});
  CHECK(list(reduce_sum(x, {.axes = {1}})) == Values{0, 0});
  CHECK(std::isinf(list(reduce_max(x, {.axes = {1}}))[0]));
  CHECK(std::isnan(list(reduce_mean(x, {.axes = {1}}))[0]));
  CHECK(list(reduce_max(blank<std::int8_t>({0}))) == Values{-128});
  CHECK(list(reduce_min(blank<std::int8_t>({0}))) == Values{127});
}

TEST_CASE("the mean of integers is float; a sum keeps its element") {
  CHECK(list(reduce_mean(tensor<std::int32_t>({1, 2}, {2}))) == Values{1.5});
  static_assert(std::same_as<decltype(reduce_sum(blank<std::int32_t>({1})))::element_type, std::int32_t>);
}

}  // namespace cotenant::test
