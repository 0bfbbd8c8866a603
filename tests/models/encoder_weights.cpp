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
