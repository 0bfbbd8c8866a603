// WordPiece::open: a tokenizer from the files of a Hugging Face checkpoint directory.
#ifndef COTENANT_MODELS_WORDPIECE_FILES_HPP
#define COTENANT_MODELS_WORDPIECE_FILES_HPP
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/json_field.hpp"
#include "cotenant/files/text_file.hpp"
#include "cotenant/models/wordpiece.hpp"

namespace cotenant {

namespace detail {

// One token per line, line i has id i.
inline std::vector<std::string> read_vocabulary(std::string_view text) {
  std::vector<std::string> tokens;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    tokens.emplace_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return tokens;
}

// Special tokens are written as a string or as an object with "content".
inline std::string token_content(const json::Field& field, std::string otherwise) {
  if (!field) return otherwise;
  return field.is<json::Object>() ? field["content"].string() : field.string();
}

inline std::vector<std::string> read_tokenizer(const json::Field& root, WordPieceOptions& options) {
  const json::Field model = root["model"];
  // Files of before 2020 have no type; then the continuing prefix tells WordPiece from the others.
  const std::string type = model["type"].string_or(model["continuing_subword_prefix"] && !model["merges"] ? "WordPiece" : "unknown");
  if (type != "WordPiece") raise<Unsupported>(root.path() + " holds a tokenizer of type '" + type + "', but only WordPiece is supported");
  options.continuation = model["continuing_subword_prefix"].string_or(options.continuation);
  options.unknown = model["unk_token"].string_or(options.unknown);
  if (model["max_input_chars_per_word"]) options.max_characters_per_word = model["max_input_chars_per_word"].size(1, SIZE_MAX);
  if (const json::Field normalizer = root["normalizer"]) {
    const std::string kind = normalizer["type"].string();
    if (kind != "BertNormalizer") raise<Unsupported>(root.path() + " normalises with '" + kind + "', but only BertNormalizer is supported");
    options.clean_text = normalizer["clean_text"].boolean_or(options.clean_text);
    options.split_chinese = normalizer["handle_chinese_chars"].boolean_or(options.split_chinese);
    options.lowercase = normalizer["lowercase"].boolean_or(options.lowercase);
    if (normalizer["strip_accents"]) options.strip_accents = normalizer["strip_accents"].boolean();
  }

  const json::Field vocabulary = model["vocab"], added = root["added_tokens"];
  // Ids are counted from 0, with gaps where tokens were dropped or are reserved (BERT: 994). The table has a place for each id up to the
  // greatest, so that one stays within a few times the entries: a small file makes no large table.
  const std::size_t entries = vocabulary.object().members().size() + (added ? added.array().size() : 0);
  const std::size_t greatest = 4096 + 4 * entries;
  std::vector<std::string> tokens;
  const auto put = [&](const std::string& token, const json::Field& id) {
    const std::size_t at = id.size(0, greatest);
    if (at >= tokens.size()) tokens.resize(at + 1);
    tokens[at] = token;
  };
  for (const json::Member& entry : vocabulary.object().members()) put(entry.key, json::Field(entry.value, model.path() + ".vocab." + entry.key));
  if (added)
    for (const json::Value& value : added.array()) {
      const json::Field token(value, added.path());
      const std::string content = token["content"].string();
      if (token["single_word"].boolean_or(false) || token["normalized"].boolean_or(false))
        raise<Unsupported>(added.path() + ": the added token '" + content + "' asks for 'single_word' or 'normalized', which are not supported");
      put(content, token["id"]);
      options.special.push_back(content);
    }
  return tokens;
}

inline void read_tokenizer_config(const json::Field& root, WordPieceOptions& options) {
  options.lowercase = root["do_lower_case"].boolean_or(options.lowercase);
  options.split_chinese = root["tokenize_chinese_chars"].boolean_or(options.split_chinese);
  if (root["strip_accents"]) options.strip_accents = root["strip_accents"].boolean();
  options.unknown = token_content(root["unk_token"], options.unknown);
  options.classifier = token_content(root["cls_token"], options.classifier);
  options.separator = token_content(root["sep_token"], options.separator);
  options.padding = token_content(root["pad_token"], options.padding);
  options.mask = token_content(root["mask_token"], options.mask);
  // "No limit" is written as a huge number.
  if (root["model_max_length"] && root["model_max_length"].number() >= 2 && root["model_max_length"].number() < 1e9)
    options.max_length = root["model_max_length"].size(2, 1000000000);
}

}  // namespace detail

inline WordPiece WordPiece::open(const std::filesystem::path& folder) {
  WordPieceOptions options;
  std::vector<std::string> tokens;
  if (const auto text = read_text_file_if_there(folder / "tokenizer.json")) {
    const std::string name = (folder / "tokenizer.json").string();
    const json::Value value = json::parse(*text, name);
    tokens = detail::read_tokenizer(json::Field(value, name), options);
  } else if (const auto vocabulary = read_text_file_if_there(folder / "vocab.txt")) {
    tokens = detail::read_vocabulary(*vocabulary);
  } else {
    raise<NotFound>("'" + folder.string() + "' has neither tokenizer.json nor vocab.txt: a WordPiece tokenizer needs one of them");
  }
  if (const auto text = read_text_file_if_there(folder / "tokenizer_config.json")) {
    const std::string name = (folder / "tokenizer_config.json").string();
    const json::Value value = json::parse(*text, name);
    detail::read_tokenizer_config(json::Field(value, name), options);
  }
  // Sentence encoders are trained on shorter texts than the transformer could take.
  if (const auto text = read_text_file_if_there(folder / "sentence_bert_config.json")) {
    const std::string name = (folder / "sentence_bert_config.json").string();
    const json::Value value = json::parse(*text, name);
    const json::Field length = json::Field(value, name)["max_seq_length"];
    if (length) options.max_length = length.size(2, 1000000000);
  }
  return WordPiece(std::move(tokens), std::move(options));
}

}  // namespace cotenant

#endif
