#include "cotenant/models/encoder_weights.hpp"

#include <doctest/doctest.h>

#include "golden.hpp"

using namespace cotenant;
using test::models;

TEST_CASE("encoder_weights: half precision is used as it is") {
  CHECK(encoder_dtype(Checkpoint::open(models + "bert-bf16")) == DType::bf16);
  CHECK(encoder_dtype(Checkpoint::open(models + "bert-f16")) == DType::f16);
  CHECK(encoder_dtype(Checkpoint::open(models + "bert")) == DType::f32);
  test::check_golden("bert-bf16", Encoder<bf16>::open(models + "bert-bf16"), 1e-5);
  test::check_golden("bert-f16", Encoder<f16>::open(models + "bert-f16"), 1e-5);
  CHECK_THROWS_AS(Encoder<float>::open(models + "bert-bf16"), TypeError);
}

TEST_CASE("encoder_weights: a copy's queries, keys and values are one product") {
  const auto encoder = Encoder<float>::open(models + "bert");
  const auto copy = encoder.copy_to(Heap{});
  for (std::size_t i = 0; i < copy.weights().layers.size(); ++i) {
    const auto& from = encoder.weights().layers[i];
    const auto& to = copy.weights().layers[i];
    CHECK(from.projections().size() == 3);
    const auto all = to.projections();
    REQUIRE(all.size() == 1);
    const auto hidden = from.value.weight.shape(0);
    CHECK(all[0].weight.shape() == Shape{3 * hidden, hidden});
    CHECK(all[0].bias.view()(2 * hidden + 1) == from.value.bias.view()(1));
    CHECK(all[0].weight.view()(hidden + 1, 2) == from.key.weight.view()(1, 2));
    CHECK(to.query.weight.view()(1, 2) == from.query.weight.view()(1, 2));
  }
}
