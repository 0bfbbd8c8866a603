// Any text as what lies beside a model's weights: a configuration, a tokenizer with a vocabulary, and a text to tokenize.
// The input is up to three parts with a zero byte between them. Refused, or every token is one of the vocabulary's.
#include <string>
#include <vector>

#include "cotenant/models/config.hpp"
#include "cotenant/models/wordpiece_files.hpp"
#include "support.hpp"

namespace {
void check(const cotenant::WordPiece& tokenizer, std::size_t vocabulary, std::string_view text) {
  const cotenant::Encoding encoding = tokenizer.encode(text, 64);
  fuzz::require(encoding.ids.size() <= 64, "a text is cut to its room");
  for (const std::int32_t id : encoding.ids) fuzz::require(id >= 0 && static_cast<std::size_t>(id) < vocabulary, "a token is one of the vocabulary's");
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cotenant;
  std::string_view parts[3], rest(reinterpret_cast<const char*>(data), size);
  for (std::string_view& part : parts) {
    part = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  }
  try {
    const json::Value value = json::parse(parts[0], "fuzz");
    const json::Field root(value, "fuzz");
    try {
      const EncoderConfig config = EncoderConfig::from(root);
      fuzz::require(config.heads != 0 && config.head_size() * config.heads == config.hidden_size, "heads share the width out");
    } catch (const Error&) {
    }
    WordPieceOptions options;
    std::vector<std::string> tokens = detail::read_tokenizer(root, options);
    const std::size_t vocabulary = tokens.size();
    detail::read_tokenizer_config(root, options);
    check(WordPiece(std::move(tokens), std::move(options)), vocabulary, parts[2]);
  } catch (const Error&) {
  }
  try {
    std::vector<std::string> tokens = detail::read_vocabulary(parts[1]);
    const std::size_t vocabulary = tokens.size();
    check(WordPiece(std::move(tokens), {}), vocabulary, parts[2]);
  } catch (const Error&) {
  }
  return 0;
}
