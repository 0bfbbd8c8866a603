// Checksums of stored bytes: XXH64, and one per chunk of a tensor, so that its first rows are known good before the last are read.
#ifndef COTENANT_FILES_CHECKSUM_HPP
#define COTENANT_FILES_CHECKSUM_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cotenant {

// XXH64 with seed 0 (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md): finds damage, not malice. Four lanes of one
// 64-bit multiplication each keep it at memory speed in plain C++.
class Xxh64 {
 public:
  void update(const void* data, std::size_t bytes) noexcept {
    if (bytes == 0) return;
    const auto* at = static_cast<const unsigned char*>(data);
    total_ += bytes;
    if (held_ != 0) {
      const std::size_t taken = std::min(bytes, sizeof rest_ - held_);
      std::memcpy(rest_ + held_, at, taken);
      held_ += taken, at += taken, bytes -= taken;
      if (held_ < sizeof rest_) return;
      stripe(rest_);
      held_ = 0;
    }
    std::array<std::uint64_t, 4> lanes = lanes_;  // a local copy stays in registers
    for (; bytes >= sizeof rest_; at += sizeof rest_, bytes -= sizeof rest_)
      for (std::size_t lane = 0; lane < 4; ++lane) lanes[lane] = round(lanes[lane], read<std::uint64_t>(at + 8 * lane));
    lanes_ = lanes;
    std::memcpy(rest_, at, bytes);
    held_ = bytes;
  }

  // The checksum of everything so far; more may follow.
  std::uint64_t digest() const noexcept {
    std::uint64_t sum = prime5;
    if (total_ >= sizeof rest_) {
      sum = rotate(lanes_[0], 1) + rotate(lanes_[1], 7) + rotate(lanes_[2], 12) + rotate(lanes_[3], 18);
      for (std::uint64_t lane : lanes_) sum = (sum ^ round(0, lane)) * prime1 + prime4;
    }
    sum += total_;
    std::size_t at = 0;
    for (; at + 8 <= held_; at += 8) sum = rotate(sum ^ round(0, read<std::uint64_t>(rest_ + at)), 27) * prime1 + prime4;
    if (at + 4 <= held_) {
      sum = rotate(sum ^ (read<std::uint32_t>(rest_ + at) * prime1), 23) * prime2 + prime3;
      at += 4;
    }
    for (; at < held_; ++at) sum = rotate(sum ^ (rest_[at] * prime5), 11) * prime1;
    sum = (sum ^ (sum >> 33)) * prime2;
    sum = (sum ^ (sum >> 29)) * prime3;
    return sum ^ (sum >> 32);
  }

 private:
  static constexpr std::uint64_t prime1 = 0x9E3779B185EBCA87u, prime2 = 0xC2B2AE3D27D4EB4Fu, prime3 = 0x165667B19E3779F9u,
                                 prime4 = 0x85EBCA77C2B2AE63u, prime5 = 0x27D4EB2F165667C5u;

  static std::uint64_t rotate(std::uint64_t value, int by) noexcept { return (value << by) | (value >> (64 - by)); }
  static std::uint64_t round(std::uint64_t lane, std::uint64_t input) noexcept { return rotate(lane + input * prime2, 31) * prime1; }
  // Little-endian, as the specification reads; every system that cotenant builds for is.
  template <class T> static T read(const unsigned char* at) noexcept {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  void stripe(const unsigned char* at) noexcept {
    for (std::size_t lane = 0; lane < 4; ++lane) lanes_[lane] = round(lanes_[lane], read<std::uint64_t>(at + 8 * lane));
  }

  // Wraps around by definition: prime1 + prime2, prime2, 0, -prime1.
  std::array<std::uint64_t, 4> lanes_{prime1 + prime2, prime2, 0, std::uint64_t{0} - prime1};
  unsigned char rest_[32];
  std::size_t held_ = 0;
  std::uint64_t total_ = 0;
};

inline std::uint64_t xxh64(const void* data, std::size_t bytes) noexcept {
  Xxh64 sum;
  sum.update(data, bytes);
  return sum.digest();
}

// A checksum as text: 16 hexadecimal digits.
inline std::string checksum_digits(std::uint64_t value) {
  std::string text(16, '0');
  for (std::size_t at = 16; at-- > 0; value >>= 4) text[at] = "0123456789abcdef"[value & 15];
  return text;
}
// Nothing where the text is anything else.
inline std::optional<std::uint64_t> read_checksum_digits(std::string_view text) {
  std::uint64_t value = 0;
  if (text.size() != 16) return std::nullopt;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    value = value * 16 + static_cast<std::uint64_t>(digit);
  }
  return value;
}

// One checksum per chunk_bytes; the last chunk may be shorter, and no bytes have no checksum.
class ChunkedChecksum {
 public:
  // Small enough that the first rows of a large tensor are usable at once (about 1 ms), large enough that the sums of a
  // 100 GB tensor fill half a megabyte.
  static constexpr std::size_t chunk_bytes = std::size_t{4} << 20;
  static constexpr std::size_t chunks(std::size_t bytes) { return bytes / chunk_bytes + (bytes % chunk_bytes != 0); }

  void update(const void* data, std::size_t bytes) {
    const auto* at = static_cast<const unsigned char*>(data);
    while (bytes != 0) {
      const std::size_t taken = std::min(bytes, chunk_bytes - in_chunk_);
      current_.update(at, taken);
      at += taken, bytes -= taken, in_chunk_ += taken;
      if (in_chunk_ == chunk_bytes) close();
    }
  }
  // The checksums of everything since the last take().
  std::vector<std::uint64_t> take() {
    if (in_chunk_ != 0) close();
    return std::exchange(sums_, {});
  }

 private:
  void close() {
    sums_.push_back(current_.digest());
    current_ = Xxh64();
    in_chunk_ = 0;
  }
  Xxh64 current_;
  std::size_t in_chunk_ = 0;
  std::vector<std::uint64_t> sums_;
};

}  // namespace cotenant

#endif
