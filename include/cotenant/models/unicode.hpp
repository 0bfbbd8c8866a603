// unicode: properties, lower case and canonical decomposition of code points, as BERT's tokenizer defines them.
#ifndef COTENANT_MODELS_UNICODE_HPP
#define COTENANT_MODELS_UNICODE_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>

#include "cotenant/models/unicode_tables.hpp"

namespace cotenant::unicode {

namespace detail {
// The last entry of a sorted table that does not begin after c, or its end.
template <class Row, std::size_t Count> const Row* find_range(const Row (&table)[Count], char32_t c) {
  const Row* after = std::upper_bound(std::begin(table), std::end(table), c, [](char32_t value, const Row& row) { return value < row.first; });
  return after == std::begin(table) || (after - 1)->last < c ? std::end(table) : after - 1;
}
template <class Row, std::size_t Count> bool contains(const Row (&table)[Count], char32_t c) { return find_range(table, c) != std::end(table); }
}  // namespace detail

// White_Space of the Unicode standard.
inline bool is_space(char32_t c) { return c < 0x80 ? c == ' ' || (c >= 9 && c <= 13) : detail::contains(spaces, c); }
// P* categories and every ASCII symbol.
inline bool is_punctuation(char32_t c) {
  if (c < 0x80) return (c > 32 && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 127);
  return detail::contains(punctuation, c);
}
// Characters that cleaning drops: control, format and private-use ones, and U+FFFD.
inline bool is_removed(char32_t c) { return c < 0x80 ? (c < 32 && c != '\t' && c != '\n' && c != '\r') || c == 127 : detail::contains(removed, c); }
// Category Mn: the accents that stand above or below a letter.
inline bool is_nonspacing_mark(char32_t c) { return c >= 0x300 && detail::contains(nonspacing_marks, c); }

// The blocks of Chinese ideographs as BERT's tokenizer lists them (its fifth begins 0x100 late; kept, for its ids).
inline bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

// Appends the lower case of one code point, without regard to its neighbours.
inline void append_lower(std::u32string& text, char32_t c) {
  if (c < 0x80) {
    text.push_back(c >= 'A' && c <= 'Z' ? c + 32 : c);
  } else if (c == 0x130) {
    text.append({U'i', char32_t{0x307}});  // the only one whose lower case is longer
  } else {
    const CaseRange* row = detail::find_range(lower_case, c);
    const bool has_lower = row != std::end(lower_case) && (c - row->first) % row->step == 0;
    text.push_back(has_lower ? static_cast<char32_t>(static_cast<std::int32_t>(c) + row->distance) : c);
  }
}

inline std::uint8_t combining_class(char32_t c) {
  if (c < 0x300) return 0;
  const ClassRange* row = detail::find_range(combining_classes, c);
  return row == std::end(combining_classes) ? std::uint8_t{0} : row->combining_class;
}

// Appends the full canonical decomposition of one code point; Hangul by arithmetic (Unicode 15, section 3.12).
inline void append_decomposed(std::u32string& text, char32_t c) {
  constexpr char32_t syllables = 0xAC00, leading = 0x1100, vowels = 0x1161, trailing = 0x11A7;
  constexpr char32_t vowel_count = 21, trailing_count = 28, syllable_count = 11172;
  if (c < 0xC0) {
    text.push_back(c);
  } else if (c - syllables < syllable_count) {
    const char32_t index = c - syllables;
    text.push_back(leading + index / (vowel_count * trailing_count));
    text.push_back(vowels + index % (vowel_count * trailing_count) / trailing_count);
    if (index % trailing_count != 0) text.push_back(trailing + index % trailing_count);
  } else {
    const auto* row =
        std::lower_bound(std::begin(decompositions), std::end(decompositions), c, [](const Decomposition& d, char32_t value) { return d.code_point < value; });
    if (row == std::end(decompositions) || row->code_point != c) text.push_back(c);
    else text.append(decomposition_pool + row->begin, row->length);
  }
}

// Normalisation form D of a text: decomposed, marks in canonical order.
inline std::u32string decompose(const std::u32string& text) {
  std::u32string result;
  result.reserve(text.size());
  for (char32_t c : text) append_decomposed(result, c);
  // Neighbouring marks are sorted by class; equal classes keep their order.
  for (std::size_t at = 0; at < result.size();) {
    std::size_t end = at;
    while (end < result.size() && combining_class(result[end]) != 0) ++end;
    if (end - at > 1)
      std::stable_sort(result.begin() + static_cast<std::ptrdiff_t>(at), result.begin() + static_cast<std::ptrdiff_t>(end),
                       [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    at = end == at ? at + 1 : end;
  }
  return result;
}

}  // namespace cotenant::unicode

#endif
