#include "cotenant/files/store_spill.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>

#include "cotenant/share/manager.hpp"
#include "ramp.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;
using test::ramp;

TEST_CASE("store_spill: tensors larger than the budget together, each the same when it is leased again") {
  const TemporaryFolder folder;
  const auto spill = std::make_shared<StoreSpill>(folder / "spill");
  {
    TensorSharingManager manager{{.max_memory = 100'000, .spill = spill}};
    for (int i = 0; i < 10; ++i) {
      manager.register_tensor("t" + std::to_string(i), ramp({10'000}, i));
      CHECK(manager.stats().true_bytes <= 100'000);
    }
    CHECK(spill->store().names().size() >= 8);
    for (int round = 0; round < 2; ++round)
      for (int i = 0; i < 10; ++i) {
        const auto lease = manager.get<float>("t" + std::to_string(i), "model");
        CHECK(lease->view()(0) == static_cast<float>(i));
        CHECK(lease->view()(9'999) == static_cast<float>(i + 9'999));
        CHECK(manager.stats().true_bytes <= 100'000);
      }
  }
  CHECK(spill->store().names().empty());
  CHECK(spill->store().bytes() == 0);
}

TEST_CASE("store_spill: a disk that is full keeps the tensor in memory, damage is an error for who asks") {
  const TemporaryFolder folder;
  StoreOptions options = StoreSpill::default_options();
  options.max_bytes = 60'000;
  options.when_full = WhenFull::sweep_oldest;  // must not be obeyed
  StoreSpill spill(folder.path(), options);
  const auto a = ramp({10'000}, 0), b = ramp({10'000}, 1);
  spill.save("key-1", a.view().data(), a.bytes(), {"a", DType::f32, {10'000}});
  CHECK_THROWS_AS(spill.save("key-2", b.view().data(), b.bytes(), {"b", DType::f32, {10'000}}), BudgetExceeded);
  CHECK(spill.store().load<float>("key-1").view()(9'999) == 9'999.0f);
  const StoredTensor entry = spill.store().info("key-1");
  {
    std::fstream file(folder / entry.file, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(entry.position + 5));
    file << "damage";
  }
  StoreSpill other(folder.path());
  auto room = empty<float>({10'000});
  CHECK_THROWS_AS(other.load("key-1", room.mutable_view().data(), 40'000), BadFile);
  CHECK_THROWS_AS(other.load("key-1", room.mutable_view().data(), 39'999), InvalidArgument);
  CHECK_THROWS_AS(other.load("key-9", room.mutable_view().data(), 40'000), NotFound);
  other.erase("key-1");
  other.erase("key-1");
  CHECK(other.store().names().empty());
}

TEST_CASE("store_spill: blocks with padding, with bools, and what a dead process left") {
  const TemporaryFolder folder;
  auto now = std::chrono::system_clock::now();
  StoreOptions options = StoreSpill::default_options();
  options.clock = [&] { return now; };
  const std::string bytes(128, '\x07');
  std::string back(128, '\0');
  {
    StoreSpill spill(folder.path(), options);
    spill.save("padded", bytes.data(), bytes.size(), {"x", DType::f32, {10}});
    spill.save("flags", bytes.data(), bytes.size(), {"x", DType::boolean, {128}});
    CHECK(spill.store().info("padded").dtype == DType::u8);
    spill.load("flags", back.data(), back.size());
    CHECK(back == bytes);
  }
  now += std::chrono::hours(24 * 6);
  CHECK(StoreSpill(folder.path(), options).store().names().size() == 2);
  now += std::chrono::hours(24 * 8);
  CHECK(StoreSpill(folder.path(), options).store().names().empty());
}
