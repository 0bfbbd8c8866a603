#include "cotenant/files/store_lock.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>

#if !defined(_WIN32)
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include "temporary_folder.hpp"

using namespace cotenant;

TEST_CASE("store_lock: it excludes another process, and ends with its holder") {
  const TemporaryFolder folder;
  int held[2];
  REQUIRE(::pipe(held) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const StoreLock lock(folder.path());
    if (::write(held[1], "x", 1) != 1) ::_exit(1);
    ::pause();
  }
  char byte = 0;
  REQUIRE(::read(held[0], &byte, 1) == 1);
  const int descriptor = ::open((folder / "lock").c_str(), O_RDWR);
  CHECK(::flock(descriptor, LOCK_EX | LOCK_NB) != 0);
  ::close(descriptor);
  REQUIRE(::kill(child, SIGKILL) == 0);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  {
    const StoreLock lock(folder.path());
    CHECK(lock.previous_died());
  }
  CHECK_FALSE(StoreLock(folder.path()).previous_died());
  ::close(held[0]);
  ::close(held[1]);
}

TEST_CASE("store_lock: two holders in one process, and a folder that is not there") {
  const TemporaryFolder folder;
  std::optional<StoreLock> first(std::in_place, folder.path());
  const int descriptor = ::open((folder / "lock").c_str(), O_RDWR);
  CHECK(::flock(descriptor, LOCK_EX | LOCK_NB) != 0);
  first.reset();
  CHECK(::flock(descriptor, LOCK_EX | LOCK_NB) == 0);
  ::close(descriptor);
  CHECK_THROWS_AS(StoreLock(folder / "absent"), IoError);
}
#endif
