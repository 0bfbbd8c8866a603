// Equal content: one block under several names, protected by copy-on-write, and measured opportunities.
#include "cotenant/share/duplicates.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/share/manager.hpp"
#include "cotenant/storage/mapped.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace share_tests;
using namespace cotenant::literals;

namespace {
constexpr std::size_t elements_of_64_kib = 64_KiB / sizeof(float);
}

TEST_CASE("equal tensors become one block with several names") {
  ct::TensorSharingManager manager{{.record_events = true}};
  const auto a = manager.register_tensor("a", ramp(elements_of_64_kib));
  auto mine = ramp(elements_of_64_kib);
  const auto b = manager.register_tensor("b", mine, {.producer = "m"});
  CHECK(a.block() == b.block());
  CHECK_NOTHROW(mine.mutable_view());  // it was not taken
  CHECK(manager.stats().true_bytes == 64_KiB);
  CHECK(manager.stats().deduplicated == 1);
  CHECK(manager.stats().deduplicated_bytes == 64_KiB);
  CHECK(manager.event_counts()[ct::EventKind::dedup] == 1);
  CHECK(manager.tensor_memory_usage().at("b").holders.contains("m"));
  SUBCASE("a writer of one name does not change the other") {
    {
      auto write = manager.write<float>("b", "w");
      CHECK_FALSE(write.in_place());
      write.view()(0) = -1;
    }
    CHECK(manager.get<float>("a", "m")->view()(0) == 0.0f);
    CHECK(manager.get<float>("b", "m")->view()(0) == -1.0f);
    const auto c = manager.register_tensor("c", ramp(elements_of_64_kib));
    CHECK(c.block() == a.block());
  }
  SUBCASE("forgetting one keeps the other") {
    CHECK(manager.forget("a"));
    CHECK(manager.get<float>("b", "m")->view()(9) == 9.0f);
    CHECK(manager.stats().true_bytes == 64_KiB);
  }
}

TEST_CASE("what differs in one byte, in shape, in type or in storage is not the same") {
  ct::TensorSharingManager manager;
  manager.register_tensor("a", ramp(elements_of_64_kib));
  auto other = ramp(elements_of_64_kib);
  other.mutable_view()(elements_of_64_kib / 3) += 1;
  manager.register_tensor("b", other);
  manager.register_tensor("c", ramp(elements_of_64_kib).reshape({2, elements_of_64_kib / 2}));
  manager.register_tensor("d", ramp(elements_of_64_kib).reshape({elements_of_64_kib / 2, 2}).transpose());
  manager.register_tensor("small", ramp());
  manager.register_tensor("small too", ramp());
  std::vector<float> memory(elements_of_64_kib);
  for (std::size_t i = 0; i < elements_of_64_kib; ++i) memory[i] = static_cast<float>(i);
  manager.register_tensor("e", ct::borrow(std::span<float>(memory), {elements_of_64_kib}));
  CHECK(manager.stats().deduplicated == 0);
  ct::TensorSharingManager off{{.deduplicate = false}};
  off.register_tensor("a", ramp(elements_of_64_kib));
  off.register_tensor("b", ramp(elements_of_64_kib));
  CHECK(off.stats().true_bytes == 128_KiB);
}

TEST_CASE("quantised tensors are equal where their values and their scales are") {
  ct::TensorSharingManager manager;
  const auto quantised = [](std::int8_t last, float last_scale) {
    ct::Quantized<std::int8_t, ct::Heap> tensor{ct::full<std::int8_t>({256, 256}, 3), ct::full<float>({256, 1}, 0.5f), {}};
    tensor.values.mutable_view()(255, 255) = last;
    tensor.scale.mutable_view()(255, 0) = last_scale;
    return tensor;
  };
  manager.register_tensor("a", quantised(3, 0.5f));
  const std::size_t alone = manager.stats().true_bytes;
  const auto b = manager.register_tensor("b", quantised(3, 0.5f), {.producer = "m"});
  CHECK(manager.stats().deduplicated == 1);
  CHECK(manager.stats().true_bytes == alone);
  CHECK(b.values.block() == manager.get<std::int8_t>("a", "m")->block());
  CHECK(b.scale.view()(255, 0) == 0.5f);
  CHECK(manager.get<float>("b", "m")->view()(255, 255) == 1.5f);
  // Other values, another scale, no scale, a zero point.
  manager.register_tensor("values", quantised(4, 0.5f));
  manager.register_tensor("scale", quantised(3, 0.25f));
  manager.register_tensor("bare", ct::full<std::int8_t>({256, 256}, 3));
  auto with_zero = quantised(3, 0.5f);
  with_zero.zero_point = ct::zeros<std::int8_t>({256, 1});
  manager.register_tensor("zero point", with_zero);
  CHECK(manager.stats().deduplicated == 1);
  CHECK(manager.find_duplicates().empty());
  SUBCASE("a writer of one name does not change the other") {
    {
      auto write = manager.write<std::int8_t>("b", "w");
      CHECK_FALSE(write.in_place());
      write.view()(0, 0) = 7;
    }
    CHECK(manager.get<float>("a", "n")->view()(0, 0) == 1.5f);
    CHECK(manager.get<float>("b", "n")->view()(0, 0) == 3.5f);
  }
  SUBCASE("what was not joined is found by comparing") {
    ct::TensorSharingManager off{{.deduplicate = false}};
    off.register_tensor("a", quantised(3, 0.5f));
    off.register_tensor("b", quantised(3, 0.5f));
    off.register_tensor("scale", quantised(3, 0.25f));
    const auto found = off.find_duplicates();
    REQUIRE(found.size() == 1);
    CHECK(found[0].tensors == std::vector<std::string>{"a", "b"});
  }
}

TEST_CASE("a tensor that needs no room of its own is admitted to a full budget") {
  ct::TensorSharingManager manager{{.max_memory = 64_KiB}};
  manager.register_tensor("a", ramp(elements_of_64_kib), {.producer = "m"});
  CHECK_NOTHROW(manager.register_tensor("b", ramp(elements_of_64_kib), {.producer = "m"}));
  CHECK_THROWS_AS(manager.register_tensor("c", ct::zeros<float>({elements_of_64_kib}), {.producer = "m"}), ct::BudgetExceeded);
}

TEST_CASE("duplicates that were not joined are found by comparing") {
  ct::TensorSharingManager manager{{.deduplicate = false, .deduplicate_from = 1024}};
  CHECK(manager.find_duplicates().empty());
  manager.register_tensor("table", ramp(4096).reshape({64, 64}));
  manager.register_tensor("same table", ramp(4096).reshape({64, 64}));
  manager.register_tensor("cut", ramp(2048).reshape({32, 64}));
  auto narrow = ct::empty<float>({64, 16});
  for (std::size_t i = 0; i < 64; ++i)
    for (std::size_t j = 0; j < 16; ++j) narrow.mutable_view()(i, j) = static_cast<float>(i * 64 + j);
  manager.register_tensor("narrow", std::move(narrow));
  manager.register_tensor("other", ct::full<float>({64, 64}, 5));
  manager.register_tensor("other type", ct::zeros<std::int32_t>({64, 64}));
  const auto half = manager.create_view<float>("table", "view", {0, 0}, {32, 64}, "m");  // shares already
  const auto found = manager.find_duplicates();
  REQUIRE(found.size() == 2);
  CHECK(found[0].tensors == std::vector<std::string>{"same table", "table"});
  CHECK(found[0].equal_shapes);
  CHECK(found[0].saved_bytes == 16384);
  CHECK(found[1].tensors == std::vector<std::string>{"same table", "cut", "narrow"});
  CHECK_FALSE(found[1].equal_shapes);
  CHECK(found[1].saved_bytes == 8192 + 4096);
  const auto advice = manager.optimization_recommendations();
  CHECK(advice.duplicates.size() == 2);
  CHECK(advice.potential_savings >= 16384 + 8192 + 4096);
  CHECK(has(advice.advice[1], "'table' hold the same as 'same table': 16.0 KiB"));
  CHECK(manager.optimize_memory().freed_tensors == 5);  // the comparison held on to nothing
}

TEST_CASE("one place in one file is equal to itself without being read; equal files are compared once, and again where one was written to") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("cotenant-duplicates-" + std::to_string(std::random_device()()));
  std::filesystem::create_directory(folder);
  const auto write = [&](const char* name, char value) { std::ofstream(folder / name, std::ios::binary) << std::string(64_KiB, value); };
  write("a", 1);
  write("b", 1);
  const auto open = [&](const char* name) {
    ct::Mapped storage;
    const ct::Allocation mapping = ct::Mapped::map(folder / name, &storage.file);
    return ct::SharedTensor<std::uint8_t, ct::Mapped>(ct::Block::adopt(std::move(storage), mapping), ct::contiguous_layout(ct::Shape{std::size_t{64_KiB}}));
  };
  const std::size_t before = ct::detail::ProvenEqual::instance().size();
  {
    ct::TensorSharingManager manager;
    const auto a = manager.register_tensor("a", open("a"));
    CHECK(manager.register_tensor("same file", open("a")).block() == a.block());
    CHECK(ct::detail::ProvenEqual::instance().size() == before);
    CHECK(manager.register_tensor("b", open("b")).block() == a.block());
    CHECK(ct::detail::ProvenEqual::instance().size() == before + 2);
  }
  for (const bool changed : {false, true}) {
    if (changed) {
      std::fstream(folder / "b", std::ios::binary | std::ios::in | std::ios::out).seekp(20'000).put(7);
      std::filesystem::last_write_time(folder / "b", std::filesystem::last_write_time(folder / "a") + std::chrono::seconds(5));
    }
    ct::TensorSharingManager manager;
    const auto a = manager.register_tensor("a", open("a")), b = manager.register_tensor("b", open("b"));
    CHECK((b.block() == a.block()) == !changed);
    CHECK(b.view()(20'000) == (changed ? 7 : 1));
  }
  CHECK(ct::detail::ProvenEqual::instance().size() == before + 2);
  std::filesystem::remove_all(folder);
}
