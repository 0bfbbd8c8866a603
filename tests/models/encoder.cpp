#include "cotenant/models/encoder.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "../backend/deferred.hpp"
#include "../error_text.hpp"
#include "../files/temporary_folder.hpp"
#include "golden.hpp"
#include "cotenant/cpu/cpu.hpp"
#include "cotenant/files/safetensors_writer.hpp"

using namespace cotenant;
using test::has, test::message;
using test::check_golden, test::models;

namespace {
// A small checkpoint that can be spoilt: every tensor is zero.
class Made {
 public:
  explicit Made(const std::string& config, const std::string& left_out = "", const std::string& misshapen = "") {
    folder.write("config.json", config);
    SafetensorsWriter writer;
    const auto add = [&](const std::string& name, const Shape& shape) {
      if (name != left_out) writer.add(name, zeros<float>(name == misshapen ? Shape{3, 5} : shape));
    };
    add("embeddings.word_embeddings.weight", {10, 8});
    add("embeddings.position_embeddings.weight", {6, 8});
    add("embeddings.token_type_embeddings.weight", {2, 8});
    add("embeddings.LayerNorm.weight", {8});
    add("embeddings.LayerNorm.bias", {8});
    for (const char* name : {"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "intermediate.dense", "output.dense"}) {
      const std::string layer = std::string("encoder.layer.0.") + name;
      const bool wide = std::string(name) == "intermediate.dense", narrow = std::string(name) == "output.dense";
      add(layer + ".weight", {wide ? 12u : 8u, narrow ? 12u : 8u});
      add(layer + ".bias", {wide ? 12u : 8u});
    }
    for (const char* name : {"attention.output.LayerNorm", "output.LayerNorm"})
      for (const char* part : {".weight", ".bias"}) add(std::string("encoder.layer.0.") + name + part, {8});
    writer.write(folder / "model.safetensors");
  }
  TemporaryFolder folder;
};
const std::string config =
    R"({"model_type":"bert","vocab_size":10,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":12,"max_position_embeddings":6})";

View<const std::int32_t> as_view(const std::vector<std::int32_t>& values, const Shape& shape) { return View<const std::int32_t>(std::span<const std::int32_t>(values), shape); }
}  // namespace

TEST_CASE("encoder: outputs equal those of transformers, every family, odd sizes, holes in the mask") {
  for (const char* name : {"bert", "distilbert", "roberta", "bert-odd", "distilbert-odd", "roberta-odd", "bert-legacy"}) check_golden(name, Encoder<>::open(models + name), 1e-5);
}

TEST_CASE("encoder: the same model on a backend that runs later, in memory that the host cannot touch") {
  test::Deferred device;
  for (const char* name : {"bert", "distilbert-odd", "roberta-odd"}) {
    const auto there = Encoder<>::open(models + name).copy_to(device.storage());
    const test::Golden golden(name);
    const auto output = there.forward(golden.tokens());
    CHECK(device.recorded() > 0);
    CHECK(test::largest_error(output.last_hidden_state.copy_to(Heap{}), golden.file.tensor<float>("out.last_hidden_state")) < 1e-5);
    CHECK(device.recorded() == 0);
  }
}

TEST_CASE("encoder: weights are views of the mapped file") {
  const Encoder<> encoder = Encoder<>::open(models + "bert");
  const Block* file = encoder.weights().words.block().get();
  CHECK(file->bytes() == std::filesystem::file_size(models + "bert/model.safetensors"));
  CHECK(encoder.weights().layers[1].output.weight.block().get() == file);
  CHECK(encoder.weights().pooler.bias.block().get() == file);
}

TEST_CASE("encoder: models opened on one checkpoint lease the same weights") {
  TensorSharingManager manager;
  const Checkpoint checkpoint = Checkpoint::open(models + "bert", manager);
  {
    const Encoder<> first = Encoder<>::open(checkpoint, "first"), second = Encoder<>::open(Checkpoint::open(models + "bert/", manager), "second");
    CHECK(first.weights().words.block() == second.weights().words.block());
    const auto stats = manager.stats();
    CHECK(stats.tensors.at("bert/encoder.layer.0.output.dense.weight").leases == 2);
    CHECK(stats.models.count("first") == 1);
    CHECK(manager.release_model("second") > 0);
    check_golden("bert", second, 1e-5);  // its handles keep the bytes
    CHECK_FALSE(manager.can_be_freed("bert/pooler.dense.bias"));
  }
  CHECK(manager.stats().tensors.at("bert/pooler.dense.bias").leases == 0);
}

TEST_CASE("encoder: without a mask or types every token counts and has type 0") {
  const Encoder<> encoder = Encoder<>::open(models + "bert");
  const std::vector<std::int32_t> ids{5, 6, 7, 8, 9, 10}, ones(6, 1), none(6, 0);
  const auto bare = encoder.forward(TokenViews(as_view(ids, {2, 3}))).last_hidden_state;
  const auto full = encoder.forward(TokenViews(as_view(ids, {2, 3}), as_view(ones, {2, 3}), as_view(none, {2, 3}))).last_hidden_state;
  for (std::size_t i = 0; i < bare.size(); ++i) CHECK(bare.view().span()[i] == doctest::Approx(full.view().span()[i]).epsilon(1e-6));
}

TEST_CASE("encoder: ids of one sequence need no batch axis") {
  const Encoder<> encoder = Encoder<>::open(models + "bert");
  const auto a = encoder.encode(from<std::int32_t>({5, 6, 7}, {3})), b = encoder.encode(from<std::int32_t>({5, 6, 7}, {1, 3}));
  CHECK(a.shape() == Shape{1, 32});
  for (std::size_t i = 0; i < 32; ++i) CHECK(a.view()(0, i) == b.view()(0, i));
}

TEST_CASE("encoder: many threads may encode on one model") {
  const Encoder<> encoder = Encoder<>::open(models + "bert");
  const auto expected = encoder.encode(from<std::int32_t>({5, 6, 7}, {3}));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        const auto result = encoder.encode(from<std::int32_t>({5, 6, 7}, {3}));
        for (std::size_t j = 0; j < 32; ++j) wrong += result.view()(0, j) != expected.view()(0, j);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("encoder: padding changes nothing for the tokens beside it") {
  for (const char* name : {"bert", "distilbert", "roberta"}) {
    const Encoder<> encoder = Encoder<>::open(models + std::string(name));
    const std::int32_t pad = encoder.config().padding_id;
    const std::vector<std::int32_t> alone{7, 8, 9}, padded{7, 8, 9, pad, pad}, mask{1, 1, 1, 0, 0};
    const auto a = encoder.encode(TokenViews(as_view(alone, {1, 3}))), b = encoder.encode(TokenViews(as_view(padded, {1, 5}), as_view(mask, {1, 5})));
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(a.view().span()[i] == doctest::Approx(b.view().span()[i]).epsilon(1e-5));
  }
}

TEST_CASE("encoder: a sequence of nothing but padding gives zeros, not NaN") {
  const Encoder<> encoder = Encoder<>::open(models + "bert");
  const std::vector<std::int32_t> ids{0, 0, 5, 6}, mask{0, 0, 1, 1};
  const auto result = encoder.encode(TokenViews(as_view(ids, {2, 2}), as_view(mask, {2, 2})));
  float sum = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    CHECK(result.view()(0, i) == 0.0f);
    sum += result.view()(1, i) * result.view()(1, i);
  }
  CHECK(sum == doctest::Approx(1.0f));
}

TEST_CASE("encoder: inputs that do not fit say what does") {
  const Encoder<> encoder = Encoder<>::open(models + "bert");
  const auto run = [&](const std::vector<std::int32_t>& ids, const Shape& shape, const std::vector<std::int32_t>& mask = {},
                       const std::vector<std::int32_t>& types = {}) {
    return message([&] {
      encoder.forward(TokenViews(as_view(ids, shape), mask.empty() ? View<const std::int32_t>{} : as_view(mask, {mask.size()}),
                                 types.empty() ? View<const std::int32_t>{} : as_view(types, shape)));
    });
  };
  CHECK(has(run({1, 200}, {1, 2}), "token id 200 at [0, 1]"));
  CHECK(has(run({1, -1}, {1, 2}), "outside the vocabulary of 200"));
  CHECK(has(run(std::vector<std::int32_t>(65, 3), {1, 65}), "longer than the 64 positions"));
  CHECK(has(run({1, 2}, {2}), "shape [batch, length]"));
  CHECK(has(run({}, {1, 0}), "shape_mismatch"));
  CHECK(has(run({1, 2}, {1, 2}, {1, 1}), "attention mask"));
  CHECK(has(run({1, 2}, {1, 2}, {}, {0, 2}), "token type 2"));
  CHECK(has(message([&] { encoder.forward(TokenViews{}); }), "shape_mismatch"));
  CHECK(has(message([&] {
              const Encoder<> distilled = Encoder<>::open(models + "distilbert");
              const std::vector<std::int32_t> ids{1};
              distilled.forward(TokenViews(as_view(ids, {1, 1})), {.pooler = true});
            }),
            "no pooler"));
  // RoBERTa's table holds padding_id + 1 rows that no token gets, and padding takes none of the others.
  const Encoder<> roberta = Encoder<>::open(models + "roberta");
  CHECK(roberta.config().max_length() == 62);
  std::vector<std::int32_t> ids(64, 1);
  std::fill(ids.begin(), ids.begin() + 62, 5);
  CHECK_NOTHROW(roberta.forward(TokenViews(as_view(ids, {1, 64}))));
  ids[63] = 5;
  CHECK_THROWS_AS(roberta.forward(TokenViews(as_view(ids, {1, 64}))), ShapeError);
}

TEST_CASE("encoder: a checkpoint that lacks a tensor, or has one of another shape, names it") {
  CHECK_NOTHROW(Encoder<>::open(Made(config).folder.path()));
  for (const char* name : {"embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight", "embeddings.LayerNorm.bias", "encoder.layer.0.attention.self.key.bias",
                           "encoder.layer.0.output.dense.weight", "encoder.layer.0.output.LayerNorm.weight"}) {
    CAPTURE(name);
    const Made without(config, name), other(config, "", name);
    const std::string missing = message([&] { Encoder<>::open(without.folder.path()); }), misshapen = message([&] { Encoder<>::open(other.folder.path()); });
    CHECK(has(missing, "not_found"));
    CHECK(has(missing, std::string(name).substr(0, 20).c_str()));
    CHECK(has(misshapen, "shape_mismatch"));
    CHECK(has(misshapen, "[3, 5]"));
    CHECK(has(misshapen, name));
  }
  CHECK_THROWS_AS(Encoder<>::open(COTENANT_TEST_DATA "/unsupported/gpt2"), Unsupported);
  CHECK(has(message([&] { Encoder<>::open(models + "no such model"); }), "not_found"));
}
