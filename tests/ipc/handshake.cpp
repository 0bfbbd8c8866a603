// The messages between producer and consumer: written and read back, and garbage refused.
#include "cotenant/ipc/handshake.hpp"

#include <doctest/doctest.h>

#include <string>

namespace ct = cotenant;
using namespace cotenant::detail;

TEST_CASE("a hello says version and model") {
  const auto hello = read_hello(write_hello({7, "bert"}));
  REQUIRE(hello);
  CHECK(hello->version == 7);
  CHECK(hello->model == "bert");
  CHECK(read_hello(write_hello({}))->model.empty());
}

TEST_CASE("a welcome says yes with a number of descriptors, or no with a reason") {
  const Welcome yes = read_welcome(write_welcome({handshake_version, true, 3, ""}), "it");
  CHECK(yes.accepted);
  CHECK(yes.descriptors == 3);
  const Welcome no = read_welcome(write_welcome({handshake_version, false, 0, "full"}), "it");
  CHECK_FALSE(no.accepted);
  CHECK(no.reason == "full");
}

TEST_CASE("what is no message is refused at any length") {
  const std::string hello = write_hello({1, "model"}), welcome = write_welcome({handshake_version, true, 1, ""});
  for (std::size_t length = 0; length < 12; ++length) CHECK_FALSE(read_hello(hello.substr(0, length)));
  for (std::size_t length = 0; length < 20; ++length) CHECK_THROWS_AS(read_welcome(welcome.substr(0, length), "it"), ct::BadFile);
  CHECK_FALSE(read_hello(std::string(max_message_bytes, 'x')));
  CHECK_FALSE(read_hello(hello + std::string(max_message_bytes, 'x')));
  std::string other = welcome;
  other[0] = 'C';
  CHECK_THROWS_WITH_AS(read_welcome(other, "it"), doctest::Contains("no cotenant producer"), ct::BadFile);
  other = welcome;
  other[12] = 2;  // neither yes nor no
  CHECK_THROWS_AS(read_welcome(other, "it"), ct::BadFile);
  other = welcome;
  other[17] = 1;  // 257 descriptors
  CHECK_THROWS_AS(read_welcome(other, "it"), ct::BadFile);
  CHECK_THROWS_AS(read_welcome(write_welcome({handshake_version, false, 1, "no"}), "it"), ct::BadFile);
}

TEST_CASE("another version is named, whatever else its message holds") {
  CHECK_THROWS_WITH_AS(read_welcome(write_welcome({9, true, 1, ""}), "it"), doctest::Contains("version 9"), ct::Unsupported);
  std::string message = write_welcome({9, true, 1, ""});
  CHECK_THROWS_AS(read_welcome(message.substr(0, 12), "it"), ct::Unsupported);
}

TEST_CASE("a peer's text is short, and can be printed") {
  CHECK(peer_text("a\x1b[31m\n\xff") == "a\xEF\xBF\xBD[31m\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(peer_text(std::string(5000, 'x')).size() == max_message_text);
  CHECK(peer_text(std::string(max_message_text - 1, 'x') + "é").size() == max_message_text - 1);
  CHECK(write_hello({1, std::string(5000, 'x')}).size() <= max_message_bytes);
  CHECK(read_hello(write_hello({1, std::string(5000, '\n')}))->model.size() <= max_message_text);
}
