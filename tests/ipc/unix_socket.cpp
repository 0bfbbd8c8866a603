// Packets with descriptors: whole, owned at once, never waited for longer than said.
#include "cotenant/ipc/unix_socket.hpp"

#include "support.hpp"

#if defined(__linux__)
#include <fcntl.h>

using namespace ipc_tests;
using namespace cotenant::detail;

namespace {
struct Pair {
  Pair() {
    int numbers[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, numbers) == 0);
    a = ct::Descriptor(numbers[0]);
    b = ct::Descriptor(numbers[1]);
  }
  ct::Descriptor a, b;
};
Deadline soon() { return std::chrono::steady_clock::now() + std::chrono::milliseconds(20); }
}  // namespace

TEST_CASE("a message arrives whole, with its descriptors, and nothing stays open") {
  const std::size_t before = open_descriptors();
  {
    const Pair pair;
    const ct::Descriptor file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK(send_message(pair.a, "first", {file.number(), file.number()}));
    CHECK(send_message(pair.a, "second"));
    const Received first = receive_message(pair.b, soon());
    CHECK(first.outcome == Received::Outcome::message);
    CHECK(first.message == "first");
    CHECK_FALSE(first.truncated);
    REQUIRE(first.descriptors.size() == 2);
    CHECK((::fcntl(first.descriptors[1].number(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(receive_message(pair.b, soon()).message == "second");
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("nothing, the end, and too much are told apart") {
  Pair pair;
  CHECK(receive_message(pair.b, true).outcome == Received::Outcome::nothing_yet);
  CHECK(receive_message(pair.b, soon()).outcome == Received::Outcome::nothing_yet);
  CHECK(send_message(pair.a, std::string(max_message_bytes, 'x')));
  CHECK_FALSE(receive_message(pair.b, true).truncated);
  CHECK(send_message(pair.a, std::string(max_message_bytes + 1, 'x')));
  CHECK(receive_message(pair.b, true).truncated);
  CHECK(is_connected(pair.b));
  pair.a.close();
  CHECK_FALSE(is_connected(pair.b));
  CHECK(receive_message(pair.b, soon()).outcome == Received::Outcome::closed);
  CHECK_FALSE(send_message(pair.b, "anybody?"));
}

TEST_CASE("descriptors that nobody wants are closed by the system") {
  const Pair pair;
  const ct::Descriptor file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 3; ++i) {
    CHECK(send_message(pair.a, "take this", {file.number(), file.number(), file.number()}));
    const Received received = receive_message(pair.b, false);
    CHECK(received.message == "take this");
    CHECK(received.descriptors.empty());
  }
  CHECK(open_descriptors() == before);
  CHECK_FALSE(send_message(pair.a, "too many", std::vector<int>(max_parts + 1, file.number())));
  CHECK(send_message(pair.a, "as many as may be", std::vector<int>(max_parts, file.number())));
  CHECK(receive_message(pair.b, true).descriptors.size() == max_parts);
  CHECK(open_descriptors() == before);
}

TEST_CASE("a peer is who the system says it is") {
  const Pair pair;
  CHECK(peer_of(pair.a).process == ::getpid());
  CHECK(peer_of(pair.a).user == ::geteuid());
}

TEST_CASE("nobody there is not found, at once or after the deadline; impossible paths are said to be") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(static_cast<void>(connect_to(folder / "nobody", soon(), false)), ct::NotFound);
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(static_cast<void>(connect_to(folder / "nobody", soon(), true)), ct::NotFound);
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(19));
  CHECK_THROWS_AS(static_cast<void>(connect_to(std::string(200, 'x'), soon(), false)), ct::InvalidArgument);
  CHECK_THROWS_AS(static_cast<void>(connect_to("", soon(), false)), ct::InvalidArgument);
  folder.write("file", "no socket");
  CHECK_THROWS_AS(static_cast<void>(connect_to(folder / "file", soon(), false)), ct::NotFound);
}

#endif
