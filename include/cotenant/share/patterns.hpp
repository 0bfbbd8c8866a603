// Patterns: which families of models work on the same kind of tensor, matched on the names of models.
#ifndef COTENANT_SHARE_PATTERNS_HPP
#define COTENANT_SHARE_PATTERNS_HPP
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/error.hpp"

namespace cotenant {

// A kind of tensor and the families whose models can share one.
struct SharingPattern {
  std::string tensor_kind;
  std::vector<std::string> families;
};

inline std::vector<SharingPattern> default_sharing_patterns() {
  return {
      {"text_embedding", {"bert", "distilbert", "roberta", "t5", "llama", "bart", "gpt2"}},
      {"vision_embedding", {"vit", "clip", "detr", "swin", "dino"}},
      {"audio_embedding", {"whisper", "wav2vec2", "clap", "hubert"}},
      {"vision_text_joint", {"clip", "llava", "blip", "xclip"}},
      {"audio_text_joint", {"clap", "whisper-text", "wav2vec2-text"}},
  };
}

namespace detail {
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// The runs of ASCII letters and digits, in lower case.
inline std::vector<std::string> name_tokens(std::string_view name) {
  std::vector<std::string> tokens;
  bool inside = false;
  for (const char original : name) {
    const char c = lower(original);
    const bool is_part = is_digit(c) || (c >= 'a' && c <= 'z');
    if (is_part && !inside) tokens.emplace_back();
    if (is_part) tokens.back() += c;
    inside = is_part;
  }
  return tokens;
}

// A token is of a family when only a version follows: bert, bert2, dinov2, llama3b, swin2sr; never distilbert or bertopic.
inline bool token_matches(std::string_view token, std::string_view family) {
  if (!token.starts_with(family)) return false;
  const std::string_view rest = token.substr(family.size());
  return rest.empty() || is_digit(rest[0]) || (rest.size() > 1 && rest[0] == 'v' && is_digit(rest[1]));
}
}  // namespace detail

// Whether a model's name says that it is of a family. Names are split at everything that is not a letter or digit; what
// stands before the last '/' is its publisher ("meta-llama/…") and does not count. A family of several
// tokens ("whisper-text") needs all of them, in order. Upper and lower case are the same.
inline bool matches_family(std::string_view model, std::string_view family) {
  while (!model.empty() && model.back() == '/') model.remove_suffix(1);
  const std::size_t slash = model.rfind('/');
  if (slash != std::string_view::npos) model.remove_prefix(slash + 1);
  const std::vector<std::string> wanted = detail::name_tokens(family);
  std::size_t found = 0;
  for (const std::string& token : detail::name_tokens(model))
    if (found < wanted.size() && detail::token_matches(token, wanted[found])) ++found;
  return !wanted.empty() && found == wanted.size();
}

// A table of patterns. The defaults are the families in common use; add() extends it.
class SharingPatterns {
 public:
  SharingPatterns() : patterns_(default_sharing_patterns()) {}

  const std::vector<SharingPattern>& all() const { return patterns_; }
  // Adds families to a kind of tensor, new or known. Errors: InvalidArgument where a name has no letter or digit.
  void add(const std::string& tensor_kind, const std::vector<std::string>& families) {
    if (tensor_kind.empty()) raise<InvalidArgument>("a sharing pattern needs the kind of tensor that its families share, but an empty name was given");
    for (const std::string& family : families)
      if (detail::name_tokens(family).empty())
        raise<InvalidArgument>("'" + family + "' cannot be a model family of '" + tensor_kind + "': it has no letter or digit to match");
    auto found = std::find_if(patterns_.begin(), patterns_.end(), [&](const SharingPattern& pattern) { return pattern.tensor_kind == tensor_kind; });
    if (found == patterns_.end()) found = patterns_.insert(found, {tensor_kind, {}});
    for (const std::string& family : families)
      if (std::find(found->families.begin(), found->families.end(), family) == found->families.end()) found->families.push_back(family);
  }
  // The kinds of tensor that a model of this name works on.
  std::vector<std::string> kinds_of(std::string_view model) const {
    std::vector<std::string> kinds;
    for (const SharingPattern& pattern : patterns_)
      if (std::any_of(pattern.families.begin(), pattern.families.end(), [&](const std::string& family) { return matches_family(model, family); }))
        kinds.push_back(pattern.tensor_kind);
    return kinds;
  }

 private:
  std::vector<SharingPattern> patterns_;
};

}  // namespace cotenant

#endif
