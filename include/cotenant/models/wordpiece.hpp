// WordPiece: text to token ids and back, as Hugging Face's BertTokenizer does it.
#ifndef COTENANT_MODELS_WORDPIECE_HPP
#define COTENANT_MODELS_WORDPIECE_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/error.hpp"
#include "cotenant/core/utf8.hpp"
#include "cotenant/models/token_batch.hpp"
#include "cotenant/models/unicode.hpp"
#include "cotenant/models/wordpiece_vocabulary.hpp"
#include "cotenant/share/tensor.hpp"

namespace cotenant {

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
      : vocabulary_(std::make_shared<const WordPieceVocabulary>(std::move(vocabulary), std::move(options))) {}

  // Reads tokenizer.json, or vocab.txt, with tokenizer_config.json and sentence_bert_config.json where they are there.
  // Defined in models/wordpiece_files.hpp. Errors: NotFound, BadFile; Unsupported for another kind of tokenizer.
  static WordPiece open(const std::filesystem::path& folder);

  const WordPieceOptions& options() const { return vocabulary_->options(); }
  std::size_t vocabulary_size() const { return vocabulary_->size(); }
  std::int32_t padding_id() const { return vocabulary_->padding(); }
  std::int32_t unknown_id() const { return vocabulary_->unknown(); }
  // The token of an id. Errors: InvalidArgument.
  const std::string& token(std::int32_t id) const { return vocabulary_->token(id); }
  // The id of a token, or nothing.
  std::optional<std::int32_t> id(std::string_view token) const { return vocabulary_->id(token); }

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
      const WordPieceVocabulary::Special* found = vocabulary_->special_at(text, at);
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
    append(encoding, {}, vocabulary_->classifier(), 0);
    std::vector<std::int32_t> ids = tokenize(text);
    ids.resize(std::min(ids.size(), max_length - 2));
    append(encoding, ids, vocabulary_->separator(), 0);
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
    append(encoding, {}, vocabulary_->classifier(), 0);
    append(encoding, a, vocabulary_->separator(), 0);
    append(encoding, b, vocabulary_->separator(), 1);
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
    TokenBatch batch{full(shape, vocabulary_->padding()), zeros<std::int32_t>(shape), zeros<std::int32_t>(shape)};
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
      if (characters > 0) vocabulary_->append_pieces(word, characters, ids);
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

  std::shared_ptr<const WordPieceVocabulary> vocabulary_;  // shared by copies
};

}  // namespace cotenant

#endif
