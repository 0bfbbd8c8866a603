// Report: the statistics as a table for people.
#ifndef COTENANT_SHARE_REPORT_HPP
#define COTENANT_SHARE_REPORT_HPP
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/share/options.hpp"
#include "cotenant/share/stats.hpp"
#include "cotenant/share/tensor_groups.hpp"

namespace cotenant {
namespace detail {

// The columns a terminal needs for UTF-8 text: its code points. Control characters are replaced by '?', so that a
// name cannot move the cursor.
inline std::string printable(std::string text) {
  for (char& c : text) if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return text;
}
inline std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// Rows of cells with columns as wide as their widest cell; the first `left` columns align left, the others right.
inline std::string text_table(const std::vector<std::vector<std::string>>& rows, std::size_t left) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t column = 0; column < row.size(); ++column) widths[column] = std::max(widths[column], columns(row[column]));
  }
  std::string text;
  for (std::size_t index = 0; index < rows.size(); ++index) {
    std::string line = " ";
    for (std::size_t column = 0; column < rows[index].size(); ++column) {
      const std::string& cell = rows[index][column];
      const std::string padding(widths[column] - columns(cell), ' ');
      line += " " + (column < left ? cell + padding : padding + cell) + " ";
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    text += line + "\n";
    if (index > 0) continue;
    std::size_t width = 0;
    for (std::size_t column : widths) width += column + 2;
    text += "  ";
    for (std::size_t column = 2; column < width; ++column) text += "─";
    text += "\n";
  }
  return text;
}

inline std::string percent(double fraction) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * fraction);
  return text;
}

}  // namespace detail

// Totals, then one line per model and one per tensor or group of like tensors, the largest first.
inline std::string report(const SharingStats& stats) {
  using detail::printable;
  const auto count = [](std::size_t number, const std::string& noun) { return std::to_string(number) + " " + noun + (number == 1 ? "" : "s"); };
  std::string text = "Tensor sharing: " + count(stats.total_tensors, "tensor") + ", " + count(stats.total_models, "model") + "\n";
  text += "  memory    " + format_bytes(stats.true_bytes);
  if (stats.max_memory != ManagerOptions::unlimited) text += " of " + format_bytes(stats.max_memory);
  text += " (peak " + format_bytes(stats.peak_bytes) + ")\n";
  if (stats.derived_bytes > 0) text += "  derived   " + format_bytes(stats.derived_bytes) + " made from them and kept beside them, such as packed weights\n";
  if (stats.replaced_bytes > 0) text += "  replaced  " + format_bytes(stats.replaced_bytes) + " of files' pages that those are read instead of, given back\n";
  if (stats.away_bytes > 0 || stats.evictions > 0)
    text += "  away      " + format_bytes(stats.away_bytes) + " evicted, back with the next lease (" + count(stats.evictions,
        "eviction") + ", " + count(stats.reloads, "reload") + ")\n";
  if (stats.deduplicated > 0) text += "  joined    " + format_bytes(stats.deduplicated_bytes) + " of " + count(stats.deduplicated, "tensor")
    + " that equalled others\n";
  text += "  separate  " + format_bytes(stats.separate_bytes) + " if every model had its own copy of what it holds\n";
  text += "  saved     " + format_bytes(stats.saved_bytes);
  if (stats.separate_bytes > 0) text += " (" + detail::percent(static_cast<double>(stats.saved_bytes) / static_cast<double>(stats.separate_bytes)) + ")";
  text += "\n  lookups   " + count(stats.hits, "hit") + ", " + std::to_string(stats.misses) + (stats.misses == 1 ? " miss" : " misses") + " (" +
          detail::percent(stats.hit_rate) + " hits)\n";

  if (!stats.models.empty()) {
    std::vector<std::vector<std::string>> rows{{"model", "tensors", "leases", "total", "unique", "shared", "proportional"}};
    for (const auto& [name, model] : stats.models)
      rows.push_back({printable(name), std::to_string(model.tensors.size()), std::to_string(model.leases), format_bytes(model.total_bytes),
                      format_bytes(model.unique_bytes), format_bytes(model.shared_bytes),
                      format_bytes(static_cast<std::size_t>(model.proportional_bytes + 0.5))});
    text += "\n" + detail::text_table(rows, 1);
  }
  if (!stats.tensors.empty()) {
    struct Line {
      std::size_t extra, bytes;
      std::vector<std::string> cells;
    };
    std::vector<Line> lines;
    for (const auto& group : detail::tensor_groups(stats)) {
      const TensorUsage& tensor = *group.front();
      Line line{0, 0, {}};
      for (const TensorUsage* member : group) line.extra += member->extra_bytes, line.bytes += member->bytes;
      std::string holders;
      for (const auto& [model, leases] : tensor.holders)
        holders += (holders.empty() ? "" : ", ") + printable(model) + (leases > 1 && group.size() == 1 ? " ×" + std::to_string(leases) : "");
      if (tensor.pinned) holders += holders.empty() ? "pinned" : " (pinned)";
      if (!tensor.writer.empty()) holders += (holders.empty() ? "written by " : ", written by ") + printable(tensor.writer);
      if (!tensor.resident) holders += holders.empty() ? "evicted" : " (evicted)";
      if (holders.empty()) holders = tensor.can_be_freed ? "nobody: can be freed" : tensor.grants.empty() ? "nobody" : "nobody yet: granted";
      const bool alone = group.size() == 1;
      line.cells = {alone ? printable(tensor.name) : printable(tensor.name) + " and " + std::to_string(group.size() - 1) + " more",
                    std::string(to_string(tensor.dtype)),
                    alone ? to_string(tensor.shape) : "",
                    tensor.storage,
                    format_bytes(line.bytes),
                    format_bytes(line.extra),
                    holders};
      lines.push_back(std::move(line));
    }
    std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return std::pair(a.extra, a.bytes) > std::pair(b.extra, b.bytes); });
    std::vector<std::vector<std::string>> rows{{"tensor", "type", "shape", "storage", "bytes", "extra", "held by"}};
    for (Line& line : lines) rows.push_back(std::move(line.cells));
    // The last column is text of any length: padding it on the left would be wrong.
    text += "\n" + detail::text_table(rows, 7);
  }
  return text;
}

}  // namespace cotenant

#endif
