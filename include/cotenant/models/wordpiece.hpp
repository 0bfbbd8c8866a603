// WordPiece: text to token ids and back, as Hugging Face's BertTokenizer does it.
#ifndef COTENANT_MODELS_WORDPIECE_HPP
#define COTENANT_MODELS_WORDPIECE_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/error.hpp"
#include "cotenant/core/utf8.hpp"
#include "cotenant/models/prefix_tree.hpp"
#include "cotenant/models/token_batch.hpp"
#include "cotenant/models/unicode.hpp"
#include "cotenant/share/tensor.hpp"

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

// The ids of one sequence with [CLS] and [SEP]; type 1 marks the second text of a pair.
struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> token_type_ids;
};

// Immutable once made: any number of threads may encode at once, and copies share one vocabulary. Bytes that are not
// UTF-8 count as U+FFFD.
class WordPiece {
 public:
  // Token i of the vocabulary has id i; an empty string is an id without a token. Of equal tokens the last counts.
  // Errors: BadFile where a special token is missing from the vocabulary, or a token is not UTF-8.
  WordPiece(std::vector<std::string> vocabulary, WordPieceOptions options)
      : tables_(std::make_shared<const Tables>(std::move(vocabulary), std::move(options))) {}

  // Reads tokenizer.json, or vocab.txt, with tokenizer_config.json and sentence_bert_config.json where they are there.
  // Defined in models/wordpiece_files.hpp. Errors: NotFound, BadFile; Unsupported for another kind of tokenizer.
  static WordPiece open(const std::filesystem::path& folder);

  const WordPieceOptions& options() const { return tables_->options; }
  std::size_t vocabulary_size() const { return tables_->vocabulary.size(); }
  std::int32_t padding_id() const { return tables_->padding; }
  std::int32_t unknown_id() const { return tables_->unknown; }
  // The token of an id. Errors: InvalidArgument.
  const std::string& token(std::int32_t id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= vocabulary_size())
      raise<InvalidArgument>("token id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(vocabulary_size()) + " tokens");
    return tables_->vocabulary[static_cast<std::size_t>(id)];
  }
  // The id of a token, or nothing.
  std::optional<std::int32_t> id(std::string_view token) const { return tables_->id(token); }

  // The text as its words are looked up: cleaned, ideographs apart, without accents, in lower case (as the options say).
  std::u32string normalize(std::string_view text) const {
    std::u32string result;
    result.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const DecodedCodePoint decoded = decode_utf8(text, at);
      at += decoded.length;
      char32_t c = decoded.code_point;
      if (options().clean_text) {
        if (unicode::is_removed(c)) continue;
        if (unicode::is_space(c)) c = ' ';
      }
      if (options().split_chinese && unicode::is_chinese(c)) result.append({U' ', c, U' '});
      else result.push_back(c);
    }
    // Nothing below U+00C0 has an accent, and most texts have nothing above it.
    if (options().strip_accents.value_or(options().lowercase) && std::any_of(result.begin(), result.end(), [](char32_t c) { return c >= 0xC0; })) {
      result = unicode::decompose(result);
      std::erase_if(result, unicode::is_nonspacing_mark);
    }
    if (options().lowercase) {
      std::u32string lower;
      lower.reserve(result.size());
      for (char32_t c : result) unicode::append_lower(lower, c);
      result = std::move(lower);
    }
    return result;
  }

  // The ids of a text alone: no [CLS], no [SEP], no limit.
  std::vector<std::int32_t> tokenize(std::string_view text) const {
    std::vector<std::int32_t> ids;
    std::size_t start = 0;
    for (std::size_t at = 0; at < text.size();) {
      const Special* found = special_at(text, at);
      if (found == nullptr) {
        ++at;
        continue;
      }
      tokenize_plain(text.substr(start, at - start), ids);
      ids.push_back(found->id);
      at += found->text.size();
      start = at;
    }
    tokenize_plain(text.substr(start), ids);
    return ids;
  }

  // [CLS] text [SEP], cut to max_length tokens in all (at its end). Errors: InvalidArgument for max_length below 2.
  Encoding encode(std::string_view text) const { return encode(text, options().max_length); }
  Encoding encode(std::string_view text, std::size_t max_length) const {
    check_room(max_length, 2);
    Encoding encoding;
    append(encoding, {}, tables_->classifier, 0);
    std::vector<std::int32_t> ids = tokenize(text);
    ids.resize(std::min(ids.size(), max_length - 2));
    append(encoding, ids, tables_->separator, 0);
    return encoding;
  }
  // [CLS] first [SEP] second [SEP]; the longer text is cut first, as Hugging Face's "longest_first" does.
  // Errors: InvalidArgument for max_length below 3.
  Encoding encode_pair(std::string_view first, std::string_view second) const { return encode_pair(first, second, options().max_length); }
  Encoding encode_pair(std::string_view first, std::string_view second, std::size_t max_length) const {
    check_room(max_length, 3);
    std::vector<std::int32_t> a = tokenize(first), b = tokenize(second);
    const std::size_t room = max_length - 3;
    if (a.size() + b.size() > room) {
      std::size_t shorter = std::min(a.size(), b.size()), longer = std::max(shorter, room - std::min(shorter, room));
      if (shorter + longer > room) {
        shorter = room / 2;
        longer = room - shorter;
      }
      const bool first_is_longer = a.size() > b.size();
      a.resize(std::min(a.size(), first_is_longer ? longer : shorter));
      b.resize(std::min(b.size(), first_is_longer ? shorter : longer));
    }
    Encoding encoding;
    append(encoding, {}, tables_->classifier, 0);
    append(encoding, a, tables_->separator, 0);
    append(encoding, b, tables_->separator, 1);
    return encoding;
  }

  // encode() of every text, padded to the longest. Errors: InvalidArgument for no text.
  TokenBatch encode_batch(std::span<const std::string> texts) const { return encode_batch(texts, options().max_length); }
  TokenBatch encode_batch(std::span<const std::string> texts, std::size_t max_length) const {
    std::vector<Encoding> encodings;
    for (const std::string& text : texts) encodings.push_back(encode(text, max_length));
    return pad(encodings);
  }
  // Sequences as one batch. Errors: InvalidArgument for none.
  TokenBatch pad(std::span<const Encoding> encodings) const {
    if (encodings.empty()) raise<InvalidArgument>("a batch of tokens needs at least one sequence");
    std::size_t length = 0;
    for (const Encoding& encoding : encodings) length = std::max(length, encoding.ids.size());
    const Shape shape{encodings.size(), length};
    TokenBatch batch{full(shape, tables_->padding), zeros<std::int32_t>(shape), zeros<std::int32_t>(shape)};
    const auto ids = batch.ids.mutable_view(), mask = batch.attention_mask.mutable_view(), types = batch.token_type_ids.mutable_view();
    for (std::size_t row = 0; row < encodings.size(); ++row)
      for (std::size_t at = 0; at < encodings[row].ids.size(); ++at) {
        ids(row, at) = encodings[row].ids[at];
        types(row, at) = encodings[row].token_type_ids[at];
        mask(row, at) = 1;
      }
    return batch;
  }

 private:
  // The two roots of the tree: tokens that begin a word, and those that go on inside one.
  static constexpr std::uint32_t words = 0, continuations = 1;
  struct Special {
    std::string text;
    std::int32_t id;
  };
  struct Tables {
    Tables(std::vector<std::string> tokens, WordPieceOptions chosen) : options(std::move(chosen)), vocabulary(std::move(tokens)) {
      if (vocabulary.size() > std::size_t{INT32_MAX})
        raise<BadFile>("a vocabulary of " + std::to_string(vocabulary.size()) + " tokens has more than an id can count");
      for (std::size_t i = 0; i < vocabulary.size(); ++i) insert(vocabulary[i], static_cast<std::int32_t>(i));
      unknown = required(options.unknown);
      classifier = required(options.classifier);
      separator = required(options.separator);
      padding = required(options.padding);
      for (const std::string* token : {&options.unknown, &options.classifier, &options.separator, &options.padding, &options.mask}) add_special(*token);
      for (const std::string& token : options.special) add_special(token);
    }
    bool goes_on(std::string_view token) const {
      return !options.continuation.empty() && token.size() > options.continuation.size() && token.starts_with(options.continuation);
    }
    std::optional<std::int32_t> id(std::string_view token) const {
      const auto value = goes_on(token) ? tree.find(continuations, token.substr(options.continuation.size())) : tree.find(words, token);
      return value < 0 ? std::nullopt : std::optional(value);
    }
    void insert(std::string_view token, std::int32_t token_id) {
      if (token.empty()) return;
      for (std::size_t at = 0; at < token.size();) {
        const DecodedCodePoint decoded = decode_utf8(token, at);
        // A match then always ends where a character ends.
        if (!decoded.valid) raise<BadFile>("token " + std::to_string(token_id) + " of the vocabulary is not UTF-8");
        at += decoded.length;
      }
      if (goes_on(token)) tree.insert(continuations, token.substr(options.continuation.size()), token_id);
      else tree.insert(words, token, token_id);
    }
    std::int32_t required(const std::string& token) const {
      const auto found = id(token);
      if (!found) raise<BadFile>("the vocabulary of " + std::to_string(vocabulary.size()) + " tokens has no '" + token + "', which the tokenizer needs");
      return *found;
    }
    void add_special(const std::string& token) {
      const auto found = id(token);
      if (!found || token.empty()) return;
      if (std::any_of(special.begin(), special.end(), [&](const Special& other) { return other.text == token; })) return;
      special.push_back({token, *found});
      begins_special[static_cast<unsigned char>(token[0])] = true;
      // Where several match, the longest counts.
      std::stable_sort(special.begin(), special.end(), [](const Special& a, const Special& b) { return a.text.size() > b.text.size(); });
    }

    WordPieceOptions options;
    std::vector<std::string> vocabulary;
    PrefixTree tree{2};
    std::vector<Special> special;
    std::array<bool, 256> begins_special{};
    std::int32_t unknown = 0, classifier = 0, separator = 0, padding = 0;
  };

  const Special* special_at(std::string_view text, std::size_t at) const {
    if (!tables_->begins_special[static_cast<unsigned char>(text[at])]) return nullptr;
    for (const Special& special : tables_->special)
      if (text.substr(at, special.text.size()) == special.text) return &special;
    return nullptr;
  }

  static void check_room(std::size_t max_length, std::size_t least) {
    if (max_length < least)
      raise<InvalidArgument>("a sequence of at most " + std::to_string(max_length) + " tokens has no room for its " + std::to_string(least) +
                             " special tokens");
  }
  static void append(Encoding& encoding, std::span<const std::int32_t> ids, std::int32_t last, std::int32_t type) {
    encoding.ids.insert(encoding.ids.end(), ids.begin(), ids.end());
    encoding.ids.push_back(last);
    encoding.token_type_ids.resize(encoding.ids.size(), type);
  }

  // White space separates words; each punctuation character is a word.
  void tokenize_plain(std::string_view text, std::vector<std::int32_t>& ids) const {
    std::string word;
    std::size_t characters = 0;
    const auto end_word = [&] {
      if (characters > 0) append_pieces(word, characters, ids);
      word.clear();
      characters = 0;
    };
    for (char32_t c : normalize(text)) {
      const bool alone = unicode::is_punctuation(c);
      if (alone || unicode::is_space(c)) end_word();
      if (unicode::is_space(c)) continue;
      append_utf8(word, c);
      ++characters;
      if (alone) end_word();
    }
    end_word();
  }

  // The longest token that begins the word, then the longest that goes on, …; a word that cannot be completed is unknown.
  void append_pieces(std::string_view word, std::size_t characters, std::vector<std::int32_t>& ids) const {
    const std::size_t before = ids.size();
    std::uint32_t root = characters > options().max_characters_per_word ? no_root : words;
    while (!word.empty() && root != no_root) {
      const PrefixTree::Match match = tables_->tree.longest(root, word);
      if (match.length == 0) {
        root = no_root;
        break;
      }
      ids.push_back(match.value);
      word.remove_prefix(match.length);
      root = options().continuation.empty() ? words : continuations;
    }
    if (root != no_root) return;
    ids.resize(before);
    ids.push_back(tables_->unknown);
  }
  static constexpr std::uint32_t no_root = std::numeric_limits<std::uint32_t>::max();

  std::shared_ptr<const Tables> tables_;
};

}  // namespace cotenant

#endif
