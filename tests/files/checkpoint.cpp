#include "cotenant/files/checkpoint.hpp"

#include <doctest/doctest.h>

#include <string>

#include "cotenant/files/safetensors_writer.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;

namespace {
void write(const TemporaryFolder& folder, const std::string& file, float first, const std::string& tensor = "a") {
  SafetensorsWriter writer;
  writer.add(tensor, from({first, 2.0f}, {2}));
  writer.write(folder / file);
}
template <class F> std::string message(F f) {
  try {
    f();
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "no error";
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
}  // namespace

TEST_CASE("checkpoint: views without a manager") {
  const Checkpoint checkpoint = Checkpoint::open(COTENANT_TEST_DATA "/models/bert");
  CHECK(checkpoint.name() == "bert");
  CHECK(checkpoint.names().size() == 39);
  CHECK(checkpoint.tensor<float>("pooler.dense.weight").shape() == Shape{32, 32});
  CHECK(has(message([&] { checkpoint.tensor<float>("pooler.dense.weights"); }), "'pooler.dense.weight'"));
  CHECK_THROWS_AS(checkpoint.tensor<f16>("pooler.dense.weight"), TypeError);
  CHECK_THROWS_AS(static_cast<void>(checkpoint.lease<float>("pooler.dense.weight", "m")), InvalidArgument);
  CHECK(has(message([&] { Checkpoint::open("no such folder"); }), "not_found"));
}

TEST_CASE("checkpoint: with a manager every tensor has a name, and the file counts once") {
  TensorSharingManager manager;
  const Checkpoint checkpoint = Checkpoint::open(COTENANT_TEST_DATA "/models/bert", manager);
  CHECK(manager.stats().total_tensors == 39);
  CHECK(manager.stats().true_bytes == std::filesystem::file_size(COTENANT_TEST_DATA "/models/bert/model.safetensors"));
  const Checkpoint again = Checkpoint::open(COTENANT_TEST_DATA "/models/bert/", manager);
  CHECK(manager.stats().total_tensors == 39);
  // The second mapping is gone: the handles are the manager's 39, one per checkpoint, and this one.
  CHECK(checkpoint.tensor<float>("pooler.dense.bias").use_count() == 39 + 2 + 1);
  CHECK(again.tensor<float>("pooler.dense.bias").block() == checkpoint.tensor<float>("pooler.dense.bias").block());
  const auto lease = again.lease<float>("pooler.dense.bias", "model");
  CHECK(lease.name() == "bert/pooler.dense.bias");
  CHECK(lease->block() == checkpoint.tensor<float>("pooler.dense.bias").block());
}

TEST_CASE("checkpoint: a budget that the file does not fit is refused, and nothing is left behind") {
  TensorSharingManager manager{{.max_memory = 50000}};
  CHECK(has(message([&] { Checkpoint::open(COTENANT_TEST_DATA "/models/bert", manager); }), "budget_exceeded"));
  CHECK(manager.stats().total_tensors == 0);
  CHECK(manager.stats().true_bytes == 0);
}

TEST_CASE("checkpoint: a name that the manager dropped is registered again") {
  TensorSharingManager manager;
  const Checkpoint checkpoint = Checkpoint::open(COTENANT_TEST_DATA "/models/bert", manager, "b");
  REQUIRE(manager.forget("b/pooler.dense.bias"));
  CHECK(checkpoint.lease<float>("pooler.dense.bias", "model")->shape() == Shape{32});
  CHECK(manager.contains("b/pooler.dense.bias"));
}

TEST_CASE("checkpoint: two checkpoints of one name are told apart") {
  const TemporaryFolder one, two;
  write(one, "model.safetensors", 1);
  write(two, "model.safetensors", 7);
  TensorSharingManager manager;
  const Checkpoint first = Checkpoint::open(one.path(), manager, "x");
  CHECK(has(message([&] { Checkpoint::open(two.path(), manager, "x"); }), "already_registered"));
  CHECK_NOTHROW(Checkpoint::open(two.path(), manager, "y"));
  CHECK(first.tensor<float>("a").view()(0) == 1.0f);
}

TEST_CASE("checkpoint: tensors in several files") {
  const TemporaryFolder folder;
  write(folder, "model-1.safetensors", 1, "a");
  write(folder, "model-2.safetensors", 2, "b");
  folder.write("model.safetensors.index.json", R"({"metadata":{},"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}})");
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  CHECK(checkpoint.tensor<float>("b").view()(0) == 2.0f);
  CHECK(checkpoint.names().size() == 2);
  write(folder, "model-2.safetensors", 2, "a");
  CHECK(has(message([&] { Checkpoint::open(folder.path()); }), "'a' is both in"));
  folder.write("model.safetensors.index.json", R"({"weight_map":{"a":"../model-1.safetensors"}})");
  CHECK(has(message([&] { Checkpoint::open(folder.path()); }), "no plain file name"));
  folder.write("model.safetensors.index.json", R"({"weight_map":{"a":5}})");
  CHECK(has(message([&] { Checkpoint::open(folder.path()); }), "weight_map.a is an integer"));
  folder.write("model.safetensors.index.json", R"({"weight_map":{"a":"absent.safetensors"}})");
  CHECK(has(message([&] { Checkpoint::open(folder.path()); }), "not_found"));
}
