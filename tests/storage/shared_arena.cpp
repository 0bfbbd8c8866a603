// SharedArena: sealed memory without a name, and named memory that its dead owner leaves to the next.
#include "cotenant/storage/shared_arena.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <utility>

#if defined(__linux__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace ct = cotenant;

#if defined(__linux__)

namespace {
std::string unique_name(const char* what) { return "/cotenant-test-" + std::to_string(::getpid()) + "-" + what; }
char first_byte(const ct::Descriptor& descriptor) {
  char byte = 0;
  return ::pread(descriptor.number(), &byte, 1, 0) == 1 ? byte : '\0';
}
}  // namespace

TEST_CASE("an arena is written, then sealed against everybody") {
  ct::SharedArena arena = ct::SharedArena::create(10'000, "cotenant-test-arena");
  REQUIRE(arena.writable().size() == 10'000);
  CHECK(arena.writable()[9'999] == std::byte{0});
  arena.writable()[0] = std::byte{'x'};
  CHECK_FALSE(arena.sealed());
  CHECK_FALSE(ct::detail::is_sealed(arena.descriptor()));
  arena.seal();
  CHECK(arena.sealed());
  CHECK(arena.writable().empty());
  CHECK(ct::detail::is_sealed(arena.descriptor()));
  const int number = arena.descriptor().number();
  CHECK(first_byte(arena.descriptor()) == 'x');
  CHECK(::pwrite(number, "y", 1, 0) < 0);
  CHECK(::ftruncate(number, 0) != 0);
  CHECK(::ftruncate(number, 20'000) != 0);
  CHECK(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, number, 0) == MAP_FAILED);
  CHECK((::fcntl(number, F_GETFD) & FD_CLOEXEC) != 0);
  arena.seal();  // twice is once
  CHECK(first_byte(arena.descriptor()) == 'x');
}

TEST_CASE("moving an arena moves its memory") {
  ct::SharedArena first = ct::SharedArena::create(64), second = ct::SharedArena::create(128);
  const int number = first.descriptor().number();
  second = std::move(first);
  CHECK_FALSE(first);
  CHECK(second.descriptor().number() == number);
  CHECK(second.writable().size() == 64);
  CHECK_THROWS_AS(first.seal(), ct::InvalidArgument);
  CHECK_THROWS_AS(static_cast<void>(ct::SharedArena::create(std::size_t(1) << 63)), ct::OutOfMemory);
}

TEST_CASE("a named arena is opened by its name, and goes with its owner") {
  const std::string name = unique_name("named");
  CHECK_THROWS_AS(static_cast<void>(ct::SharedArena::open_named(name)), ct::NotFound);
  {
    ct::SharedArena arena = ct::SharedArena::create_named(name, 4096);
    arena.writable()[0] = std::byte{'n'};
    arena.seal();
    CHECK(first_byte(ct::SharedArena::open_named(name)) == 'n');
    CHECK_THROWS_WITH_AS(static_cast<void>(ct::SharedArena::create_named(name, 64)), doctest::Contains("alive"), ct::AlreadyRegistered);
    const ct::SharedArena moved(std::move(arena));
    CHECK(moved.named());
    CHECK(first_byte(ct::SharedArena::open_named(name)) == 'n');
  }
  CHECK_THROWS_AS(static_cast<void>(ct::SharedArena::open_named(name)), ct::NotFound);
}

TEST_CASE("the name that a killed process left behind is taken over") {
  const std::string name = unique_name("stale");
  const ::pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const ct::SharedArena arena = ct::SharedArena::create_named(name, 4096);
    ::raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK_NOTHROW(static_cast<void>(ct::SharedArena::open_named(name)));
  const ct::SharedArena arena = ct::SharedArena::create_named(name, 8192);
  CHECK(arena.writable().size() == 8192);
}

TEST_CASE("names that are none are refused, and so is more than there is") {
  for (const std::string& name : {std::string(), std::string("/"), std::string("weights"), std::string("/a/b"), std::string("/.."),
                                  "/" + std::string(255, 'x'), std::string("/a\0b", 4)})
    CHECK_THROWS_AS(static_cast<void>(ct::SharedArena::create_named(name, 64)), ct::InvalidArgument);
  const std::string name = unique_name("huge");
  CHECK_THROWS_AS(static_cast<void>(ct::SharedArena::create_named(name, std::size_t(1) << 60)), ct::OutOfMemory);
  CHECK_THROWS_AS(static_cast<void>(ct::SharedArena::open_named(name)), ct::NotFound);  // nothing is left
}

#else

TEST_CASE("arenas say that they need Linux") {
  CHECK_THROWS_AS(static_cast<void>(ct::SharedArena::create(64)), ct::Unsupported);
  CHECK_THROWS_AS(static_cast<void>(ct::SharedArena::create_named("/cotenant-test", 64)), ct::Unsupported);
  CHECK_THROWS_AS(static_cast<void>(ct::SharedArena::open_named("/cotenant-test")), ct::Unsupported);
}

#endif
