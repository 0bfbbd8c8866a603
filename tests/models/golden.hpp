// check_golden: an encoder against the outputs that transformers recorded for tests/data/models.
#ifndef COTENANT_TESTS_MODELS_GOLDEN_HPP
#define COTENANT_TESTS_MODELS_GOLDEN_HPP
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <utility>

#include "instances.hpp"

namespace cotenant::test {

inline const std::string models = COTENANT_TEST_DATA "/models/";

template <Storage S> double largest_error(const SharedTensor<float, S>& ours, const SharedTensor<float, Mapped>& expected) {
  REQUIRE(ours.shape() == expected.shape());
  const auto row_major = ours.contiguous();
  const auto a = row_major.view().span(), b = expected.view().span();
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    worst = difference <= worst ? worst : difference;  // a NaN counts
  }
  return worst;
}

struct Golden {
  explicit Golden(const std::string& name) : file(SafetensorsFile::open(models + name + "/golden.safetensors")) {
    for (auto [key, tensor] : {std::pair{"in.input_ids", &ids}, {"in.attention_mask", &mask}, {"in.token_type_ids", &types}})
      if (file.contains(key)) *tensor = file.tensor<std::int32_t>(key);
  }
  TokenViews tokens() const { return TokenViews(ids.view(), mask.view(), types.view()); }

  SafetensorsFile file;
  SharedTensor<std::int32_t, Mapped> ids, mask, types;
};

template <class E> void check_golden(const std::string& name, const E& encoder, double tolerance) {
  CAPTURE(name);
  const Golden golden(name);
  const auto output = encoder.forward(golden.tokens(), {.hidden_states = true, .pooler = golden.file.contains("out.pooler_output")});
  CHECK(output.hidden_states.size() == encoder.config().layers + 1);
  for (std::size_t i = 0; i < output.hidden_states.size(); ++i)
    CHECK(largest_error(output.hidden_states[i], golden.file.tensor<float>("out.hidden." + std::to_string(i))) < tolerance);
  CHECK(largest_error(output.last_hidden_state, golden.file.tensor<float>("out.last_hidden_state")) < tolerance);
  if (golden.file.contains("out.pooler_output")) CHECK(largest_error(output.pooler_output, golden.file.tensor<float>("out.pooler_output")) < tolerance);
  // Without hidden states the layers work in place.
  CHECK(largest_error(encoder.forward(golden.tokens()).last_hidden_state, golden.file.tensor<float>("out.last_hidden_state")) < tolerance);
  if (golden.file.contains("out.mean_pooled_normalized"))
    CHECK(largest_error(encoder.encode(golden.tokens()), golden.file.tensor<float>("out.mean_pooled_normalized")) < tolerance);
}

}  // namespace cotenant::test

#endif
