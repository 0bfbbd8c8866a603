// A store as the place that a manager's tensors go to and come back from.
#include "cotenant/files/store_spill.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "cotenant/share/manager.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;

TEST_CASE("a manager with a store works on more than its budget, and leaves the store empty") {
  const TemporaryFolder folder;
  const auto spill = std::make_shared<StoreSpill>(folder.path());
  {
    TensorSharingManager manager{{.max_memory = 3 * 65536, .spill = spill}};
    for (int i = 0; i < 6; ++i) manager.register_tensor("t" + std::to_string(i), full<float>({16384}, static_cast<float>(i)));
    for (int round = 0; round < 2; ++round)
      for (int i = 0; i < 6; ++i) {
        const auto lease = manager.get<float>("t" + std::to_string(i), "m");
        CHECK(lease->view()(0) == static_cast<float>(i));
        CHECK(lease->view()(16383) == static_cast<float>(i));
        CHECK(manager.stats().true_bytes <= 3 * 65536);
      }
    CHECK(spill->store().names().size() >= 3);
  }
  CHECK(spill->store().names().empty());
}

TEST_CASE("damage on the way is an error, not other elements") {
  const TemporaryFolder folder;
  TensorSharingManager manager{{.spill = std::make_shared<StoreSpill>(folder.path())}};
  manager.register_tensor("x", full<float>({16384}, 3.0f));
  manager.register_tensor("y", full<float>({4096}, 4.0f));
  CHECK(manager.optimize_memory().evicted_names.size() == 2);
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder.path())) {
    if (!file.is_regular_file() || file.file_size() < 65536) continue;
    std::fstream stream(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(file.file_size() - 100));
    stream.put('\x55');
  }
  CHECK_THROWS_AS(static_cast<void>(manager.get<float>("x", "m")), BadFile);
  CHECK(manager.contains("x"));
  CHECK(manager.get<float>("y", "m")->view()(0) == 4.0f);
}
