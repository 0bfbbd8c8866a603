#include "cotenant/models/token_batch.hpp"

#include <doctest/doctest.h>

using namespace cotenant;

TEST_CASE("token_batch: views of a batch are views of its tensors; what is absent has no data") {
  const TokenBatch batch{from<std::int32_t>({1, 2, 3, 4}, {2, 2}), from<std::int32_t>({1, 1, 1, 0}, {2, 2}), {}};
  const TokenViews views = batch;
  CHECK(views.ids.data() == batch.ids.view().data());
  CHECK(views.attention_mask(1, 1) == 0);
  CHECK(views.token_type_ids.data() == nullptr);
  CHECK(TokenViews{}.ids.data() == nullptr);
}

TEST_CASE("token_batch: ids of one sequence become a batch of one") {
  const auto ids = from<std::int32_t>({5, 6, 7}, {3});
  const TokenViews views = ids;
  CHECK(views.ids.shape() == Shape{1, 3});
  CHECK(views.ids(0, 2) == 7);
  CHECK(TokenViews(from<std::int32_t>({5, 6}, {2, 1})).ids.shape() == Shape{2, 1});
}
