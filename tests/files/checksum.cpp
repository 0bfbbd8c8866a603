#include "cotenant/files/checksum.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace cotenant;

namespace {
// The buffer of xxHash's own self test (tests/sanity_test.c of release 0.8).
std::vector<unsigned char> sanity_buffer() {
  std::vector<unsigned char> bytes(2367);
  std::uint64_t generator = 2654435761u;
  for (unsigned char& byte : bytes) {
    byte = static_cast<unsigned char>(generator >> 56);
    generator *= 11400714785074694797u;
  }
  return bytes;
}
}  // namespace

TEST_CASE("checksum: published values of XXH64") {
  CHECK(xxh64("", 0) == 0xEF46DB3751D8E999u);
  CHECK(xxh64("a", 1) == 0xD24EC4F1A98C6E5Bu);
  CHECK(xxh64("abc", 3) == 0x44BC2CF5AD770999u);
  const auto buffer = sanity_buffer();
  const std::pair<std::size_t, std::uint64_t> expected[] = {
      {1, 0xE934A84ADB052768u},  {4, 0x9136A0DCA57457EEu},  {14, 0x8282DCC4994E35C8u},  {31, 0x299B39A290E6D783u},
      {32, 0x18B216492BB44B70u}, {33, 0x55C8DC3E578F5B59u}, {222, 0xB641AE8CB691C174u}, {2367, 0xA82418DDEC0EA581u}};
  for (const auto& [bytes, sum] : expected) CHECK(xxh64(buffer.data(), bytes) == sum);
}

TEST_CASE("checksum: pieces of any length give the sum of the whole") {
  const auto buffer = sanity_buffer();
  for (std::size_t piece : {1, 3, 7, 8, 31, 32, 33, 64, 100, 1000}) {
    Xxh64 sum;
    for (std::size_t at = 0; at < buffer.size(); at += piece) {
      CHECK(sum.digest() == xxh64(buffer.data(), at));  // looking does not disturb
      sum.update(buffer.data() + at, std::min(piece, buffer.size() - at));
    }
    CHECK(sum.digest() == xxh64(buffer.data(), buffer.size()));
  }
}

TEST_CASE("checksum: one per chunk") {
  constexpr std::size_t chunk = ChunkedChecksum::chunk_bytes;
  std::string bytes(2 * chunk + 5, 'x');
  for (std::size_t i = 0; i < bytes.size(); i += 777) bytes[i] = static_cast<char>(i / 777);
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 5}) {
    ChunkedChecksum sums;
    const std::size_t first = size / 3;
    sums.update(bytes.data(), first);
    sums.update(bytes.data() + first, size - first);
    const std::vector<std::uint64_t> taken = sums.take();
    REQUIRE(taken.size() == ChunkedChecksum::chunks(size));
    for (std::size_t i = 0; i < taken.size(); ++i) CHECK(taken[i] == xxh64(bytes.data() + i * chunk, std::min(chunk, size - i * chunk)));
    CHECK(sums.take().empty());
  }
}

TEST_CASE("checksum: as digits") {
  CHECK(checksum_digits(0) == "0000000000000000");
  CHECK(checksum_digits(0xFEDCBA9876543210u) == "fedcba9876543210");
  CHECK(read_checksum_digits("fedcba9876543210") == 0xFEDCBA9876543210u);
  for (const char* bad : {"", "fedcba987654321", "fedcba98765432100", "fedcba987654321g", "FEDCBA9876543210"}) CHECK_FALSE(read_checksum_digits(bad).has_value());
}
