// ListeningSocket: one owner per path, nothing of anybody else's removed, nothing left behind.
#include "cotenant/ipc/listening_socket.hpp"

#include "support.hpp"

#if defined(__linux__)

using namespace ipc_tests;
using namespace cotenant::detail;

namespace {
std::size_t files_in(const TemporaryFolder& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder.path()), std::filesystem::directory_iterator()));
}
Deadline in_half_a_second() { return std::chrono::steady_clock::now() + std::chrono::milliseconds(500); }
}  // namespace

TEST_CASE("a socket is this user's alone, and goes with its owner") {
  const TemporaryFolder folder;
  const auto path = folder / "socket";
  {
    const ListeningSocket socket(path, false);
    struct ::stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    CHECK(S_ISSOCK(status.st_mode));
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(connect_to(path, in_half_a_second(), false));
    CHECK_THROWS_WITH_AS(ListeningSocket(path, false), doctest::Contains("another process"), ct::AlreadyRegistered);
    CHECK(connect_to(path, in_half_a_second(), false));  // the failed one took nothing away
  }
  CHECK(files_in(folder) == 0);
  const ListeningSocket open(path, true);
  struct ::stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0666);
}

TEST_CASE("what a killed process left is replaced") {
  const TemporaryFolder folder;
  const auto path = folder / "socket";
  Child child([&](const Child::Talk& talk) {
    const ListeningSocket socket(path, false);
    talk.say('r');
    talk.hear();
    return 0;
  });
  REQUIRE(child.talk().hear() == 'r');
  CHECK_THROWS_AS(ListeningSocket(path, false), ct::AlreadyRegistered);
  CHECK(child.kill() == -SIGKILL);
  CHECK(files_in(folder) == 2);
  CHECK_THROWS_AS(static_cast<void>(connect_to(path, in_half_a_second(), false)), ct::NotFound);
  {
    const ListeningSocket socket(path, false);
    CHECK(connect_to(path, in_half_a_second(), false));
  }
  CHECK(files_in(folder) == 0);
}

TEST_CASE("a file, and another program's socket, stay") {
  const TemporaryFolder folder;
  folder.write("file", "precious");
  CHECK_THROWS_WITH_AS(ListeningSocket(folder / "file", false), doctest::Contains("no socket"), ct::AlreadyRegistered);
  CHECK(folder.read("file") == "precious");
  const ct::Descriptor other = make_socket();
  const ::sockaddr_un address = socket_address(folder / "other");
  REQUIRE(::bind(other.number(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(other.number(), 1) == 0);
  CHECK_THROWS_WITH_AS(ListeningSocket(folder / "other", false), doctest::Contains("living"), ct::AlreadyRegistered);
  CHECK(connect_to(folder / "other", in_half_a_second(), false));
  CHECK(files_in(folder) == 2);
  CHECK_THROWS_AS(ListeningSocket(folder / "missing" / "socket", false), ct::IoError);
  CHECK_THROWS_AS(ListeningSocket(folder / std::string(120, 'x'), false), ct::InvalidArgument);
}

TEST_CASE("what others put in its place is not removed") {
  const TemporaryFolder folder;
  {
    const ListeningSocket socket(folder / "socket", false);
    std::filesystem::remove(folder / "socket");
    folder.write("socket", "somebody else's");
  }
  CHECK(folder.read("socket") == "somebody else's");
}

#endif
