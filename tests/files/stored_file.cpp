#include "cotenant/files/stored_file.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <string>

#include "temporary_folder.hpp"

#if !defined(_WIN32)
using namespace cotenant;

TEST_CASE("stored_file: parts at any position, read and mapped") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; text.size() < 3 * 4096 + 100; ++i) text += std::to_string(i) + ",";
  const auto file = StoredFile::open(folder.write("file", text));
  REQUIRE(file);
  CHECK(file->bytes() == text.size());
  for (const std::size_t first : {std::size_t{0}, std::size_t{1}, std::size_t{4095}, std::size_t{4096}, std::size_t{9000}, text.size()})
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{100}, text.size() - first}) {
      if (bytes > text.size() - first) continue;
      const auto part = file->map(first, bytes);
      CHECK((bytes == 0 || std::memcmp(part.data(), text.data() + first, bytes) == 0));
      CHECK(part.block->bytes() < bytes + 4096);
      std::string copy(bytes, '\0');
      CHECK(file->read(copy.data(), bytes, first) == bytes);
      CHECK(copy == text.substr(first, bytes));
    }
  std::string more(200, '\0');
  CHECK(file->read(more.data(), 200, text.size() - 7) == 7);
}

TEST_CASE("stored_file: a mapped part outlives the file and its name") {
  const TemporaryFolder folder;
  StoredFile::Part part;
  {
    const auto file = StoredFile::open(folder.write("file", "hello"));
    part = file->map(1, 3);
    std::filesystem::remove(folder / "file");
  }
  CHECK(std::memcmp(part.data(), "ell", 3) == 0);
  CHECK_FALSE(StoredFile::open(folder / "file").has_value());
  CHECK_THROWS_AS(StoredFile::open(folder.path()), IoError);
}

TEST_CASE("stored_file: last use is the time of modification") {
  const TemporaryFolder folder;
  const auto path = folder.write("file", "hello");
  const auto then = std::chrono::system_clock::now() - std::chrono::hours(50);
  StoredFile::open(path)->set_last_used(then);
  const auto difference = StoredFile::open(path)->last_used() - then;
  CHECK(difference < std::chrono::milliseconds(1));
  CHECK(difference > -std::chrono::milliseconds(1));
}
#endif
