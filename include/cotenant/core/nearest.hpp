// nearest_names: the names most like one that is not there, for error messages.
#ifndef COTENANT_CORE_NEAREST_HPP
#define COTENANT_CORE_NEAREST_HPP
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cotenant {

// Insertions, deletions and replacements of one byte that turn a into b (Levenshtein).
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// "'a', 'b', 'c'": up to `count` of the names, the nearest first; "none" where there are no names.
inline std::string nearest_names(std::string_view wanted, const std::vector<std::string_view>& names, std::size_t count = 3) {
  // A distance costs the product of both lengths: names from a hostile file are compared by their beginning only.
  constexpr std::size_t compared = 256;
  std::vector<std::pair<std::size_t, std::string_view>> ranked;
  for (std::string_view name : names) ranked.emplace_back(edit_distance(wanted.substr(0, compared), name.substr(0, compared)), name);
  count = std::min(count, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count), ranked.end());
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += (i ? ", '" : "'") + std::string(ranked[i].second) + "'";
  return text.empty() ? "none" : text;
}

}  // namespace cotenant

#endif
