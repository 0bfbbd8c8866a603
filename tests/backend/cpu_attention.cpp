// The CPU backend passes the suite: attention, softmax along odd axes, norms with a residual, rotary. And gives what torch
// and transformers gave.
#include "cpu_fixture.hpp"

#include <array>
#include <cstring>
#include <random>

#include "attention_suite.hpp"
#include "cotenant/files/safetensors.hpp"
#include "rows_suite.hpp"

namespace cotenant::test {
namespace {
using Golden = SharedTensor<float, Mapped>;
SafetensorsFile golden() { return SafetensorsFile::open(COTENANT_TEST_DATA "/rows/golden.safetensors"); }

double largest_difference(const SharedTensor<float>& ours, const Golden& theirs) {
  REQUIRE(ours.shape() == theirs.shape());
  double worst = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double difference = std::abs(static_cast<double>(ours.view().data()[i]) - static_cast<double>(theirs.view().data()[i]));
    worst = difference <= worst ? worst : difference;  // a NaN counts
  }
  return worst;
}
}  // namespace

TEST_CASE("attention as torch.nn.functional.scaled_dot_product_attention") {
  const SafetensorsFile file = golden();
  for (const std::string name : {"plain", "wide", "groups", "one_query", "causal", "padding", "holes", "bias"}) {
    CAPTURE(name);
    const auto part = [&](const char* key) { return file.tensor<float>("attention." + name + "." + key); };
    AttentionOptions options{.causal = name == "causal"};
    if (name == "wide") options.scale = 0.7f;
    const bool hides = name == "padding" || name == "holes";
    const SharedTensor<float> out = hides            ? attention(part("q"), part("k"), part("v"), options, file.tensor<bool>("attention." + name + ".mask"))
                                    : name == "bias" ? attention(part("q"), part("k"), part("v"), options, part("mask"))
                                                     : attention(part("q"), part("k"), part("v"), options);
    CHECK(largest_difference(out, part("out")) < 2e-6);
  }
}

TEST_CASE("softmax and log_softmax as torch's, along every axis") {
  const SafetensorsFile file = golden();
  const Golden x = file.tensor<float>("softmax.x");
  for (std::ptrdiff_t axis = 0; axis < 3; ++axis) {
    CHECK(largest_difference(softmax(x, axis), file.tensor<float>("softmax." + std::to_string(axis))) < 2e-7);
    CHECK(largest_difference(log_softmax(x, axis), file.tensor<float>("log_softmax." + std::to_string(axis))) < 4e-6);
  }
}

TEST_CASE("softmax of more than the caches hold has the bits of each row alone") {
  // Results of 40 MB: beyond the third level of most machines they are written past the caches.
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(-8, 8);
  for (const std::size_t length : {std::size_t{5000}, std::size_t{100}, std::size_t{16}}) {
    auto x = empty<float>({10'000'000 / length, length});
    for (float& value : x.mutable_view().span()) value = uniform(random);
    const auto y = softmax(x), z = log_softmax(x);
    for (const std::ptrdiff_t row : {std::ptrdiff_t{0}, std::ptrdiff_t{1}, std::ptrdiff_t{17}, std::ptrdiff_t{-1}}) {
      const auto same = [&](const SharedTensor<float>& all, const SharedTensor<float>& alone) {
        const auto of_all = all.select(0, row);
        return std::memcmp(of_all.view().data(), alone.view().data(), length * sizeof(float)) == 0;
      };
      CHECK(same(y, softmax(x.select(0, row))));
      CHECK(same(z, log_softmax(x.select(0, row))));
    }
    const auto first = softmax(x.select(0, 0));
    softmax_into(x, x);
    CHECK(std::memcmp(x.view().data(), y.view().data(), x.size() * sizeof(float)) == 0);
    CHECK(std::memcmp(x.view().data(), first.view().data(), length * sizeof(float)) == 0);
  }
}

#ifndef COTENANT_SERIAL
TEST_CASE("attention and rows have the same bits on one thread and on all") {
  std::mt19937 random(6);
  std::uniform_real_distribution<float> uniform(-2, 2);
  const auto filled = [&](const Shape& shape) {
    auto x = empty<float>(shape);
    for (float& value : x.mutable_view().span()) value = uniform(random);
    return x;
  };
  const auto q = filled({1, 3, 700, 40}), k = filled({1, 3, 300, 40}), v = filled({1, 3, 300, 40}), x = filled({500, 1000}), scale = filled({1000});
  const auto results = [&] {
    return std::array{attention(q, k, v), attention(q, k, v, {.causal = true}), softmax(x, 0), softmax(x, 1), rms_norm(x, scale)};
  };
  const auto on_all = results();
  tbb::task_arena one(1);
  const auto on_one = one.execute(results);
  for (std::size_t i = 0; i < on_all.size(); ++i)
    CHECK(std::memcmp(on_all[i].view().data(), on_one[i].view().data(), on_all[i].size() * sizeof(float)) == 0);
}
#endif

TEST_CASE("norms as torch's and as Llama's") {
  const SafetensorsFile file = golden();
  const auto part = [&](const char* key) { return file.tensor<float>(std::string("norm.") + key); };
  CHECK(largest_difference(rms_norm(part("x"), part("scale"), 1e-3f), part("rms")) < 2e-6);
  CHECK(largest_difference(rms_norm(part("x"), part("scale"), 1e-3f, part("residual")), part("rms_residual")) < 2e-6);
  CHECK(largest_difference(layer_norm(part("x"), part("scale"), part("bias"), 1e-3f, part("residual")), part("layer_residual")) < 2e-6);
}

TEST_CASE("rotary as GPT-NeoX (halves, whole rows and parts) and GPT-J (neighbours)") {
  const SafetensorsFile file = golden();
  const Golden x = file.tensor<float>("rotary.x");
  const RotaryTables whole = rotary_tables(7, 12), part = rotary_tables(7, 8);
  CHECK(largest_difference(rotary(x, whole.cosine, whole.sine), file.tensor<float>("rotary.halves")) < 2e-6);
  CHECK(largest_difference(rotary(x, whole.cosine, whole.sine, RotaryPairs::neighbours), file.tensor<float>("rotary.neighbours")) < 2e-6);
  CHECK(largest_difference(rotary(x, part.cosine, part.sine), file.tensor<float>("rotary.partial")) < 2e-6);
}
}  // namespace cotenant::test

using cotenant::test::CpuFixture;
TYPE_TO_STRING(CpuFixture);
COTENANT_BACKEND_SUITE_ATTENTION(CpuFixture)
COTENANT_BACKEND_SUITE_MORE_ROWS(CpuFixture)
