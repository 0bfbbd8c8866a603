// FilePlace: which file bytes come from, and whether it is still as it was.
#include "cotenant/storage/file_place.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>

#include "cotenant/storage/mapped.hpp"

namespace ct = cotenant;

#if !defined(_WIN32)
TEST_CASE("a mapped file knows itself, and sees when it was written to, replaced or removed") {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / ("cotenant-file-place-" + std::to_string(std::random_device()()));
  std::ofstream(path) << "0123456789";
  ct::Mapped storage, other;
  const ct::Allocation first = ct::Mapped::map(path, &storage.file), second = ct::Mapped::map(path, &other.file);
  REQUIRE(storage.file);
  CHECK(storage.file->is_unchanged());
  const auto at = storage.place_of(static_cast<const char*>(first.data) + 3), there = other.place_of(static_cast<const char*>(second.data) + 3);
  REQUIRE((at && there));
  CHECK(at->offset == 3);
  CHECK(same_bytes(*at, *there));
  CHECK(at->key() == there->key());
  CHECK_FALSE(same_bytes(*at, *storage.place_of(first.data)));
  CHECK_FALSE(storage.place_of(&storage).has_value());
  CHECK_FALSE(ct::Mapped().place_of(first.data).has_value());
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
  CHECK_FALSE(storage.file->is_unchanged());
  ct::Mapped later;
  const ct::Allocation third = ct::Mapped::map(path, &later.file);
  CHECK_FALSE(same_bytes(*storage.place_of(first.data), *later.place_of(third.data)));  // to be compared, not believed
  ct::Mapped().deallocate(third);
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) - std::chrono::seconds(1));
  CHECK(storage.file->is_unchanged());
  std::filesystem::remove(path);
  CHECK_FALSE(storage.file->is_unchanged());
  ct::Mapped().deallocate(first);
  ct::Mapped().deallocate(second);
}
#endif
