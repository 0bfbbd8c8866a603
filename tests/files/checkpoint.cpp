#include "cotenant/files/checkpoint.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "cotenant/files/safetensors_writer.hpp"
#include "../error_text.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;
using test::has, test::message;

namespace {
void write(const TemporaryFolder& folder, const std::string& file, float first, const std::string& tensor = "a") {
  SafetensorsWriter writer;
  writer.add(tensor, from({first, 2.0f}, {2}));
  writer.write(folder / file);
}
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

TEST_CASE("checkpoint: with a manager every tensor has a name, and its bytes count once") {
  TensorSharingManager manager;
  const Checkpoint checkpoint = Checkpoint::open(COTENANT_TEST_DATA "/models/bert", manager);
  CHECK(manager.stats().total_tensors == 39);
  std::size_t bytes = 0;
  for (const std::string_view name : checkpoint.names()) bytes += checkpoint.info(name).end - checkpoint.info(name).begin;
  CHECK(manager.stats().true_bytes == bytes);
  const Checkpoint again = Checkpoint::open(COTENANT_TEST_DATA "/models/bert/", manager);
  CHECK(manager.stats().total_tensors == 39);
  CHECK(manager.stats().true_bytes == bytes);
  // The checkpoints themselves hold no tensor, so any of them may be evicted: the handles are the manager's and this one.
  CHECK(checkpoint.tensor<float>("pooler.dense.bias").use_count() == 2);
  CHECK(again.tensor<float>("pooler.dense.bias").block() == checkpoint.tensor<float>("pooler.dense.bias").block());
  const auto lease = again.lease<float>("pooler.dense.bias", "model");
  CHECK(lease.name() == "bert/pooler.dense.bias");
  CHECK(lease->block() == checkpoint.tensor<float>("pooler.dense.bias").block());
}

TEST_CASE("checkpoint: a budget that its largest tensor does not fit is refused, and nothing is left behind") {
  TensorSharingManager manager{{.max_memory = 3000}};
  CHECK(has(message([&] { Checkpoint::open(COTENANT_TEST_DATA "/models/bert", manager); }), "budget_exceeded"));
  CHECK(manager.stats().total_tensors == 0);
  CHECK(manager.stats().true_bytes == 0);
}

TEST_CASE("checkpoint: a file larger than the budget is leased tensor by tensor") {
  TensorSharingManager manager{{.max_memory = 40000}};
  const Checkpoint small = Checkpoint::open(COTENANT_TEST_DATA "/models/bert", manager), whole = Checkpoint::open(COTENANT_TEST_DATA "/models/bert");
  CHECK(manager.stats().total_tensors == 39);
  for (int round = 0; round < 2; ++round)
    for (const std::string_view name : whole.names()) {
      const auto lease = small.lease<float>(name, "model");
      const auto expected = whole.tensor<float>(name).view();
      CHECK(std::memcmp(lease->view().data(), expected.data(), expected.size() * sizeof(float)) == 0);
      CHECK(manager.stats().true_bytes <= 40000);
    }
  CHECK(manager.stats().evictions > 20);
}

TEST_CASE("checkpoint: three that share 80 % of their tensors take little more than one") {
  TensorSharingManager manager;
  const TemporaryFolder folders[3];
  constexpr std::size_t backbone = 65536, head = 32768;  // 8 tensors of 256 KiB that are equal, 2 of 128 KiB that are not: 11 % of the bytes
  std::vector<Checkpoint> checkpoints;
  std::size_t one = 0;
  for (int i = 0; i < 3; ++i) {
    SafetensorsWriter writer;
    for (int tensor = 0; tensor < 8; ++tensor) writer.add("layer" + std::to_string(tensor), full<float>({backbone}, static_cast<float>(tensor)));
    for (int tensor = 0; tensor < 2; ++tensor) writer.add("head" + std::to_string(tensor), full<float>({head}, static_cast<float>(10 * i + tensor + 100)));
    writer.write(folders[i] / "model.safetensors");
    checkpoints.push_back(Checkpoint::open(folders[i].path(), manager, "model" + std::to_string(i)));
    if (i == 0) one = manager.stats().true_bytes;
  }
  CHECK(one == (8 * backbone + 2 * head) * sizeof(float));
  CHECK(manager.stats().true_bytes <= one * 5 / 4);
  CHECK(manager.stats().deduplicated == 16);
  for (int i = 0; i < 3; ++i) {
    const auto head_lease = checkpoints[static_cast<std::size_t>(i)].lease<float>("head1", "m");
    CHECK(head_lease->view()(head - 1) == static_cast<float>(10 * i + 101));
    const auto layer = checkpoints[static_cast<std::size_t>(i)].lease<float>("layer3", "m");
    CHECK(layer->view()(backbone - 1) == 3.0f);
    CHECK(layer->block() == checkpoints[0].tensor<float>("layer3").block());
  }
  // The three have one layout and one size: none of them may take another's mapping for its own.
  REQUIRE(manager.forget("model1/head0"));
  CHECK(checkpoints[1].lease<float>("head0", "m")->view()(0) == 110.0f);
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
