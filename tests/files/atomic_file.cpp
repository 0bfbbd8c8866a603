#include "cotenant/files/atomic_file.hpp"

#include <doctest/doctest.h>

#include <iterator>
#include <string>

#include "temporary_folder.hpp"

using namespace cotenant;

TEST_CASE("atomic_file: an old file stays until the new one is complete, and nothing is left over") {
  const TemporaryFolder folder;
  folder.write("file", "old");
  {
    AtomicFile file(folder / "file");
    file.write("half a fi");
  }
  CHECK(folder.read("file") == "old");
  AtomicFile file(folder / "file");
  file.write("new ");
  file.write("content", 3);
  CHECK(folder.read("file") == "old");
  file.commit();
  CHECK(folder.read("file") == "new con");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("atomic_file: two writers of one name do not mix") {
  const TemporaryFolder folder;
  AtomicFile a(folder / "file"), b(folder / "file");
  a.write("aaaa");
  b.write("bb");
  a.commit();
  CHECK(folder.read("file") == "aaaa");
  b.commit();
  CHECK(folder.read("file") == "bb");
}

TEST_CASE("atomic_file: a folder that is not there, and a name that is a folder") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(AtomicFile(folder / "absent/file"), IoError);
  std::filesystem::create_directories(folder / "taken/inside");
  AtomicFile file(folder / "taken");
  file.write("x");
  CHECK_THROWS_AS(file.commit(), IoError);
  CHECK(std::filesystem::is_directory(folder / "taken/inside"));
}

TEST_CASE("atomic_file: what is known only at the end is written over its place") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "file");
  const std::string large(100'000, 'x');
  file.write("head ....");
  file.write(large);
  file.rewrite(5, "1234");
  file.write("end");
  file.commit();
  CHECK(folder.read("file") == "head 1234" + large + "end");
}
