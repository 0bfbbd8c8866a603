// WordPieceVocabulary: the tokens of a WordPiece tokenizer: the pieces that a word is made of, and the special ones that a text may name.
#ifndef COTENANT_MODELS_WORDPIECE_VOCABULARY_HPP
#define COTENANT_MODELS_WORDPIECE_VOCABULARY_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/error.hpp"
#include "cotenant/core/utf8.hpp"
#include "cotenant/models/prefix_tree.hpp"

namespace cotenant {

struct WordPieceOptions {
  bool clean_text = true;               // drop control characters, make every white space a space
  bool split_chinese = true;            // each ideograph is a word
  bool lowercase = true;
  std::optional<bool> strip_accents{};  // nothing: as lowercase
  std::size_t max_characters_per_word = 100;  // a longer word is unknown
  std::string continuation = "##";
  std::string unknown = "[UNK]", classifier = "[CLS]", separator = "[SEP]", padding = "[PAD]", mask = "[MASK]";
  // Found as they are in the raw text, before it is normalised. The five above are always among them.
  std::vector<std::string> special{};
  // The most tokens of one sequence where the caller names no limit.
  std::size_t max_length = std::numeric_limits<std::size_t>::max();
};

// Immutable once made: any number of threads may look up at once.
class WordPieceVocabulary {
 public:
  // A token that counts wherever it stands in the raw text.
  struct Special {
    std::string text;
    std::int32_t id;
  };

  // Token i has id i; an empty string is an id without a token. Of equal tokens the last counts.
  // Errors: BadFile where a special token is missing, or a token is not UTF-8.
  WordPieceVocabulary(std::vector<std::string> tokens, WordPieceOptions options) : options_(std::move(options)), tokens_(std::move(tokens)) {
    if (tokens_.size() > std::size_t{INT32_MAX})
      raise<BadFile>("a vocabulary of " + std::to_string(tokens_.size()) + " tokens has more than an id can count");
    for (std::size_t i = 0; i < tokens_.size(); ++i) insert(tokens_[i], static_cast<std::int32_t>(i));
    unknown_ = required(options_.unknown);
    classifier_ = required(options_.classifier);
    separator_ = required(options_.separator);
    padding_ = required(options_.padding);
    for (const std::string* token : {&options_.unknown, &options_.classifier, &options_.separator, &options_.padding, &options_.mask}) add_special(*token);
    for (const std::string& token : options_.special) add_special(token);
  }

  const WordPieceOptions& options() const { return options_; }
  std::size_t size() const { return tokens_.size(); }
  std::int32_t unknown() const { return unknown_; }
  std::int32_t classifier() const { return classifier_; }
  std::int32_t separator() const { return separator_; }
  std::int32_t padding() const { return padding_; }
  // The token of an id. Errors: InvalidArgument.
  const std::string& token(std::int32_t id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= size())
      raise<InvalidArgument>("token id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(size()) + " tokens");
    return tokens_[static_cast<std::size_t>(id)];
  }
  // The id of a token, or nothing.
  std::optional<std::int32_t> id(std::string_view token) const {
    const auto value = goes_on(token) ? tree_.find(continuations, token.substr(options_.continuation.size())) : tree_.find(words, token);
    return value < 0 ? std::nullopt : std::optional(value);
  }

  // The special token that lies at byte `at` of a text, the longest of several; or null.
  const Special* special_at(std::string_view text, std::size_t at) const {
    if (!begins_special_[static_cast<unsigned char>(text[at])]) return nullptr;
    for (const Special& special : special_)
      if (text.substr(at, special.text.size()) == special.text) return &special;
    return nullptr;
  }
  // Appends the ids of a word of so many characters: the longest token that begins it, then the longest that goes on, …; a word that
  // cannot be completed is unknown.
  void append_pieces(std::string_view word, std::size_t characters, std::vector<std::int32_t>& ids) const {
    const std::size_t before = ids.size();
    std::uint32_t root = characters > options_.max_characters_per_word ? no_root : words;
    while (!word.empty() && root != no_root) {
      const PrefixTree::Match match = tree_.longest(root, word);
      if (match.length == 0) {
        root = no_root;
        break;
      }
      ids.push_back(match.value);
      word.remove_prefix(match.length);
      root = options_.continuation.empty() ? words : continuations;
    }
    if (root != no_root) return;
    ids.resize(before);
    ids.push_back(unknown_);
  }

 private:
  // The two roots of the tree: tokens that begin a word, and those that go on inside one.
  static constexpr std::uint32_t words = 0, continuations = 1, no_root = std::numeric_limits<std::uint32_t>::max();

  bool goes_on(std::string_view token) const {
    return !options_.continuation.empty() && token.size() > options_.continuation.size() && token.starts_with(options_.continuation);
  }
  void insert(std::string_view token, std::int32_t token_id) {
    if (token.empty()) return;
    for (std::size_t at = 0; at < token.size();) {
      const DecodedCodePoint decoded = decode_utf8(token, at);
      // A match then always ends where a character ends.
      if (!decoded.valid) raise<BadFile>("token " + std::to_string(token_id) + " of the vocabulary is not UTF-8");
      at += decoded.length;
    }
    if (goes_on(token)) tree_.insert(continuations, token.substr(options_.continuation.size()), token_id);
    else tree_.insert(words, token, token_id);
  }
  std::int32_t required(const std::string& token) const {
    const auto found = id(token);
    if (!found) raise<BadFile>("the vocabulary of " + std::to_string(tokens_.size()) + " tokens has no '" + token + "', which the tokenizer needs");
    return *found;
  }
  void add_special(const std::string& token) {
    const auto found = id(token);
    if (!found || token.empty()) return;
    if (std::any_of(special_.begin(), special_.end(), [&](const Special& other) { return other.text == token; })) return;
    special_.push_back({token, *found});
    begins_special_[static_cast<unsigned char>(token[0])] = true;
    // Where several match, the longest counts.
    std::stable_sort(special_.begin(), special_.end(), [](const Special& a, const Special& b) { return a.text.size() > b.text.size(); });
  }

  WordPieceOptions options_;
  std::vector<std::string> tokens_;
  PrefixTree tree_{2};
  std::vector<Special> special_;
  std::array<bool, 256> begins_special_{};
  std::int32_t unknown_ = 0, classifier_ = 0, separator_ = 0, padding_ = 0;
};

}  // namespace cotenant

#endif
