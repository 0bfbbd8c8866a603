// Stats: nothing by default, and for any tenancy the byte counts that a plain count of bytes gives.
#include "cotenant/share/stats.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;

TEST_CASE("what was not filled in is nothing") {
  const ct::TensorUsage tensor;
  CHECK(tensor.bytes == 0);
  CHECK(tensor.extra_bytes == 0);
  CHECK(tensor.shape == ct::Shape{});
  CHECK(tensor.dtype == ct::DType::f32);
  CHECK(tensor.references == 0);
  CHECK_FALSE(tensor.pinned);
  CHECK_FALSE(tensor.can_be_freed);
  const ct::ModelUsage model;
  CHECK(model.total_bytes + model.unique_bytes + model.shared_bytes + model.leases + model.hits == 0);
  CHECK(model.proportional_bytes == 0);
  const ct::OptimizationResult result;
  CHECK(result.freed_bytes + result.freed_tensors + result.trimmed_bytes == 0);
  CHECK(result.percentage == 0);
  CHECK(ct::OptimizationRecommendations{}.potential_savings == 0);
  CHECK(ct::SharingOpportunity{}.potential_bytes == 0);
}

TEST_CASE("a manager that nobody used") {
  const ct::TensorSharingManager manager{{.max_memory = 12345}};
  const ct::SharingStats stats = manager.stats();
  CHECK(stats.total_tensors + stats.total_models + stats.true_bytes + stats.peak_bytes + stats.separate_bytes + stats.saved_bytes == 0);
  CHECK(stats.max_memory == 12345);
  CHECK(stats.hit_rate == 0);  // not 0 / 0
  CHECK(stats.tensors.empty());
  CHECK(stats.models.empty());
  CHECK(ct::TensorSharingManager().stats().max_memory == ct::ManagerOptions::unlimited);
}

TEST_CASE("names are found without making a string") {
  ct::SharingStats stats;
  stats.tensors["x"].bytes = 4;
  CHECK(stats.tensors.find(std::string_view("x"))->second.bytes == 4);
  CHECK(stats.models.find(std::string_view("x")) == stats.models.end());
}

TEST_CASE("any tenancy: the bytes of each model and the saving are those of a plain count") {
  std::mt19937 random(6);
  const auto number = [&](std::size_t first, std::size_t last) { return std::uniform_int_distribution<std::size_t>(first, last)(random); };
  for (int round = 0; round < 40; ++round) {
    ct::TensorSharingManager manager;
    // Byte ranges by name: (tensor, first byte, last byte). Views are 16-float pieces of a tensor that may overlap.
    std::map<std::string, std::pair<std::size_t, std::pair<std::size_t, std::size_t>>> ranges;
    std::map<std::string, std::vector<std::string>> held;  // names by model
    std::vector<ct::Lease<float>> leases;
    const std::size_t tensors = number(1, 4), models = number(1, 4);
    std::size_t true_bytes = 0, hits = 0;
    for (std::size_t t = 0; t < tensors; ++t) {
      const std::size_t floats = 16 * number(2, 6);
      const std::string name = "tensor" + std::to_string(t);
      manager.register_tensor(name, share_tests::ramp(floats));
      ranges[name] = {t, {0, floats * 4}};
      true_bytes += floats * 4;  // whole cache lines: no padding
      for (std::size_t v = number(0, 2); v > 0; --v) {
        const std::size_t first = number(0, floats - 16);
        const std::string view = name + "_view" + std::to_string(v), model = "model" + std::to_string(number(0, models - 1));
        leases.push_back(manager.create_view<float>(name, view, {first}, {16}, model));
        ranges[view] = {t, {first * 4, (first + 16) * 4}};
        held[model].push_back(view);
      }
    }
    for (std::size_t m = 0; m < models; ++m)
      for (const auto& [name, range] : ranges)
        for (std::size_t count = number(0, 5); count > 3; --count) {
          const std::string model = "model" + std::to_string(m);
          leases.push_back(manager.get<float>(name, model));
          held[model].push_back(name);
          ++hits;
        }

    // One byte at a time: which models hold it.
    std::map<std::pair<std::size_t, std::size_t>, std::set<std::string>> holders;
    for (const auto& [model, names] : held)
      for (const std::string& name : names)
        for (std::size_t byte = ranges[name].second.first; byte < ranges[name].second.second; ++byte) holders[{ranges[name].first, byte}].insert(model);
    std::size_t saved = 0;
    struct Count {
      std::size_t unique = 0, shared = 0;
      double proportional = 0;
    };
    std::map<std::string, Count> counts;
    for (const auto& [byte, by] : holders) {
      saved += by.size() - 1;
      for (const std::string& model : by) {
        ++(by.size() == 1 ? counts[model].unique : counts[model].shared);
        counts[model].proportional += 1.0 / static_cast<double>(by.size());
      }
    }

    const ct::SharingStats stats = manager.stats();
    REQUIRE(stats.total_tensors == ranges.size());
    REQUIRE(stats.tensors.size() == ranges.size());
    REQUIRE(stats.total_models == held.size());
    REQUIRE(stats.true_bytes == true_bytes);
    REQUIRE(stats.peak_bytes == true_bytes);
    REQUIRE(stats.saved_bytes == saved);
    REQUIRE(stats.separate_bytes == true_bytes + saved);
    REQUIRE(stats.hits == hits);
    std::size_t extra = 0, tensor_leases = 0, model_leases = 0;
    for (const auto& [name, tensor] : stats.tensors) {
      CHECK(tensor.name == name);
      CHECK(tensor.bytes == ranges[name].second.second - ranges[name].second.first);
      std::size_t sum = 0;
      for (const auto& [model, count] : tensor.holders) sum += count;
      CHECK(sum == tensor.leases);
      extra += tensor.extra_bytes;
      tensor_leases += tensor.leases;
    }
    CHECK(extra == true_bytes);
    for (const auto& [name, model] : stats.models) {
      std::vector<std::string> names = held[name];
      CHECK(model.leases == names.size());
      model_leases += model.leases;
      std::sort(names.begin(), names.end());
      names.erase(std::unique(names.begin(), names.end()), names.end());
      CHECK(std::set<std::string>(model.tensors.begin(), model.tensors.end()) == std::set<std::string>(names.begin(), names.end()));
      std::size_t total = 0;
      for (const std::string& tensor : names) total += ranges[tensor].second.second - ranges[tensor].second.first;
      CHECK(model.total_bytes == total);
      CHECK(model.unique_bytes == counts[name].unique);
      CHECK(model.shared_bytes == counts[name].shared);
      CHECK(model.proportional_bytes == doctest::Approx(counts[name].proportional));
    }
    CHECK(tensor_leases == leases.size());
    CHECK(model_leases == leases.size());
  }
}

TEST_CASE("optimize_memory: what it freed is what is missing, and a part of what was there") {
  ct::TensorSharingManager manager;
  manager.register_tensor("kept", share_tests::ramp(64), {.producer = "m"});
  manager.register_tensor("idle", share_tests::ramp(192));
  CHECK(manager.optimization_recommendations().idle_bytes == 768);
  const ct::OptimizationResult result = manager.optimize_memory();
  CHECK(result.initial_bytes == 1024);
  CHECK(result.current_bytes == 256);
  CHECK(result.freed_bytes == 768);
  CHECK(result.percentage == doctest::Approx(75));
  CHECK(result.freed_tensors == 1);
  CHECK(result.remaining_tensors == 1);
  CHECK(result.freed_names == std::vector<std::string>{"idle"});
  CHECK(manager.optimization_recommendations().idle_bytes == 0);
  CHECK(manager.stats().peak_bytes == 1024);
}
