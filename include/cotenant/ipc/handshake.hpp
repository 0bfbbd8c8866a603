// The two messages that a consumer and a producer of shared tensors exchange: who I am, and here is the memory.
#ifndef COTENANT_IPC_HANDSHAKE_HPP
#define COTENANT_IPC_HANDSHAKE_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cotenant/core/utf8.hpp"
#include "cotenant/ipc/arena_manifest.hpp"

namespace cotenant::detail {

// A message is one packet: "cotenant", then little-endian words of 32 bits (version, and what follows), then text that fills the
// rest. Both sides say their version first, so that programs of different versions part with a sentence, not with garbage.
inline constexpr std::uint32_t handshake_version = 1;
inline constexpr std::size_t max_message_bytes = 1024;
// What a message's text is cut to, so that it stays below the limit with room for later words.
inline constexpr std::size_t max_message_text = 512;

// consumer -> producer: version, text = the name of the model that attaches.
struct Hello {
  std::uint32_t version = handshake_version;
  std::string model;
};
// producer -> consumer: version, status, number of descriptors that come with it, text = why not.
struct Welcome {
  std::uint32_t version = handshake_version;
  bool accepted = true;
  std::uint32_t descriptors = 0;
  std::string reason;
};

// Text of a peer that may be printed: at most max_message_text bytes of UTF-8, no control characters.
inline std::string peer_text(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const DecodedCodePoint decoded = decode_utf8(text, at);
    std::string letter;
    append_utf8(letter, decoded.code_point < 0x20 || decoded.code_point == 0x7F ? replacement_character : decoded.code_point);
    if (result.size() + letter.size() > max_message_text) break;
    result += letter;
    at += decoded.length;
  }
  return result;
}

template <std::size_t Words> std::string write_message(const std::uint32_t (&words)[Words], std::string_view text) {
  std::string message(arena_magic);
  for (const std::uint32_t word : words)
    for (int byte = 0; byte < 4; ++byte) message.push_back(static_cast<char>(static_cast<unsigned char>(word >> (8 * byte))));
  return message.append(peer_text(text));
}
inline std::string write_hello(const Hello& hello) { return write_message({hello.version}, hello.model); }
inline std::string write_welcome(const Welcome& welcome) {
  return write_message({welcome.version, welcome.accepted ? 0u : 1u, welcome.descriptors}, welcome.reason);
}

// The words and the text of a message; nothing where it is none.
template <std::size_t Words> std::optional<std::string_view> read_message(std::string_view message, std::uint32_t (&words)[Words]) {
  constexpr std::size_t begin = arena_magic.size();
  if (message.size() > max_message_bytes || message.size() < begin + 4 * Words || message.substr(0, begin) != arena_magic) return std::nullopt;
  unsigned char bytes[4 * Words];
  std::memcpy(bytes, message.data() + begin, sizeof bytes);
  for (std::size_t i = 0; i < Words; ++i) words[i] = static_cast<std::uint32_t>(get_little_endian(bytes + 4 * i, 4));
  return message.substr(begin + sizeof bytes);
}

// Nothing where it is no hello. A producer has nobody to tell, so this is no error.
inline std::optional<Hello> read_hello(std::string_view message) {
  std::uint32_t words[1];
  const auto text = read_message(message, words);
  if (!text) return std::nullopt;
  return Hello{words[0], peer_text(*text)};
}

// Errors: BadFile where it is no welcome; Unsupported for another version.
inline Welcome read_welcome(std::string_view message, const std::string& source) {
  std::uint32_t version[1];
  const bool any = read_message(message, version).has_value();
  if (any && version[0] != handshake_version)
    raise<Unsupported>(source + " speaks version " + std::to_string(version[0]) + " of the handshake, but this program speaks version " +
                       std::to_string(handshake_version) + ": build both with the same cotenant");
  std::uint32_t words[3];
  const auto text = read_message(message, words);
  if (!text || words[1] > 1 || words[2] > max_parts || (words[1] == 1 && words[2] != 0))
    raise<BadFile>(source + " answered with " + std::to_string(message.size()) + " bytes that are no welcome: no cotenant producer listens there");
  return {words[0], words[1] == 0, words[2], peer_text(*text)};
}

}  // namespace cotenant::detail

#endif
