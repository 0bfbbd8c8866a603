// What the manager computes about itself: bytes per model, opportunities, advice.
#include "cotenant/share/inventory.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace share_tests;

TEST_CASE("bytes per model: unique, shared and proportional") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ct::zeros<float>({1024}), {.producer = "a"});
  const auto b = manager.get<float>("x", "b");
  const auto half = manager.create_view<float>("x", "half", {0}, {512}, "c");
  const auto overlap = manager.create_view<float>("x", "overlap", {256}, {512}, "c");
  manager.register_tensor("own", ct::zeros<float>({2048}), {.producer = "c"});
  const auto stats = manager.stats();
  CHECK(stats.total_tensors == 4);
  CHECK(stats.total_models == 3);
  CHECK(stats.true_bytes == 4096 + 8192);
  const auto& c = stats.models.at("c");
  CHECK(c.total_bytes == 2048 + 2048 + 8192);
  CHECK(c.unique_bytes == 8192);
  CHECK(c.shared_bytes == 3072);  // the union of both views
  CHECK(c.proportional_bytes == doctest::Approx(8192 + 1024));
  CHECK(c.leases == 3);
  CHECK(c.tensors == std::vector<std::string>{"half", "overlap", "own"});
  const auto& a = stats.models.at("a");
  CHECK(a.unique_bytes == 0);
  CHECK(a.shared_bytes == 4096);
  CHECK(a.proportional_bytes == doctest::Approx(3072.0 / 3 + 1024.0 / 2));
  CHECK(stats.saved_bytes == 4096 + 3072);  // b's copy and c's part
  CHECK(stats.separate_bytes == stats.true_bytes + stats.saved_bytes);
  CHECK(a.proportional_bytes + stats.models.at("b").proportional_bytes + c.proportional_bytes == doctest::Approx(static_cast<double>(stats.true_bytes)));
}

TEST_CASE("sharing opportunities among active models") {
  ct::TensorSharingManager manager;
  CHECK(manager.analyze_sharing_opportunities().empty());
  manager.register_model("bert-base-uncased");
  CHECK(manager.analyze_sharing_opportunities().empty());  // one model shares with nobody
  manager.register_tensor("text_embedding", ct::zeros<float>({1, 768}), {.producer = "bert-base-uncased", .consumers = {"t5-small"}});
  manager.register_model("openai/whisper-tiny");
  manager.register_model("google/vit-base-patch16-224");
  auto found = manager.analyze_sharing_opportunities();
  REQUIRE(found.size() == 1);
  CHECK(found[0].tensor_kind == "text_embedding");
  CHECK(found[0].models == std::vector<std::string>{"bert-base-uncased", "t5-small"});
  CHECK(found[0].tensors == std::vector<std::string>{"text_embedding"});
  CHECK(found[0].potential_bytes == 3072);
  const auto lease = manager.get<float>("text_embedding", "t5-small");
  CHECK(manager.analyze_sharing_opportunities()[0].potential_bytes == 0);
  manager.register_model("facebook/wav2vec2-base");
  found = manager.analyze_sharing_opportunities();
  REQUIRE(found.size() == 2);
  CHECK(found[1].tensor_kind == "audio_embedding");
  manager.add_sharing_pattern("graph_embedding", {"gnn", "vit"});
  manager.register_model("my-gnn2");
  found = manager.analyze_sharing_opportunities();
  REQUIRE(found.size() == 3);
  CHECK(found[2].models == std::vector<std::string>{"google/vit-base-patch16-224", "my-gnn2"});
  manager.release_model("my-gnn2");
  CHECK(manager.analyze_sharing_opportunities().size() == 2);
}

TEST_CASE("recommendations") {
  ct::TensorSharingManager manager;
  for (int i = 1; i <= 12; ++i) manager.register_tensor("t" + std::to_string(i), ct::zeros<float>({static_cast<std::size_t>(i) * 1024}), {.producer = "gpt2-medium"});
  const auto shared = manager.get<float>("t5", "flan-t5");
  manager.pin("t1");
  manager.release("t2", "gpt2-medium");
  const auto advice = manager.optimization_recommendations();
  REQUIRE(advice.largest_tensors.size() == 10);
  CHECK(advice.largest_tensors[0].name == "t12");
  CHECK(advice.largest_tensors[9].name == "t3");
  CHECK(advice.low_reference_tensors.size() == 10);  // all but the pinned one and the shared one
  CHECK(advice.idle_bytes == 8192);
  REQUIRE(advice.opportunities.size() == 1);
  CHECK(advice.opportunities[0].models == std::vector<std::string>{"flan-t5", "gpt2-medium"});
  CHECK(advice.potential_savings == 8192);
  CHECK(advice.advice.size() == 2);
  CHECK(has(advice.advice[0], "8.0 KiB"));
}
