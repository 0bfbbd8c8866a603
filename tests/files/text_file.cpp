#include "cotenant/files/text_file.hpp"

#include <doctest/doctest.h>

#include "temporary_folder.hpp"

using namespace cotenant;

TEST_CASE("text_file: the whole content, also of an empty file") {
  const TemporaryFolder folder;
  const std::string content("a\r\nb\0c", 6);
  CHECK(read_text_file(folder.write("file", content)) == content);
  CHECK(read_text_file(folder.write("empty", "")).empty());
  CHECK(read_text_file_if_there(folder / "empty").has_value());
}

TEST_CASE("text_file: a file that is not there, or is a folder") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(read_text_file(folder / "absent"), NotFound);
  CHECK_FALSE(read_text_file_if_there(folder / "absent").has_value());
  CHECK_THROWS_AS(read_text_file_if_there(folder.path()), IoError);
}
