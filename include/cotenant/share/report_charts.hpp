// The pictures of the HTML report as inline SVG: who holds what, memory over time, bytes per model.
#ifndef COTENANT_SHARE_REPORT_CHARTS_HPP
#define COTENANT_SHARE_REPORT_CHARTS_HPP
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/utf8.hpp"
#include "cotenant/share/options.hpp"
#include "cotenant/share/stats.hpp"
#include "cotenant/share/tensor_groups.hpp"
#include "cotenant/share/timeline.hpp"

namespace cotenant::detail {

// Text for HTML content and attributes: markup escaped, control characters and bytes that are not UTF-8 replaced.
inline std::string html(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const DecodedCodePoint decoded = decode_utf8(text, at);
    at += decoded.length;
    switch (decoded.code_point) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: append_utf8(out, decoded.code_point < 0x20 || decoded.code_point == 0x7F ? replacement_character : decoded.code_point);
    }
  }
  return out;
}

// At most `most` code points, the middle left out: names differ at their ends.
inline std::string shortened(std::string_view text, std::size_t most) {
  std::vector<std::string_view> points;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = decode_utf8(text, at).length;
    points.push_back(text.substr(at, length));
    at += length;
  }
  if (points.size() <= most) return std::string(text);
  std::string out;
  for (std::size_t index = 0; index < most / 2; ++index) out += points[index];
  out += "…";
  for (std::size_t index = points.size() - (most - most / 2 - 1); index < points.size(); ++index) out += points[index];
  return out;
}

// A coordinate with one decimal, whatever the program's locale.
inline std::string px(double value) {
  const long tenths = std::lround(value * 10);
  std::string text = std::to_string(std::labs(tenths) / 10);
  if (tenths % 10 != 0) text += "." + std::to_string(std::labs(tenths) % 10);
  return tenths < 0 ? "-" + text : text;
}

inline std::string svg_text(double x, double y, std::string_view text, std::string_view classes = "", std::string_view attributes = "") {
  std::string out = "<text x=\"" + px(x) + "\" y=\"" + px(y) + "\"";
  if (!classes.empty()) out += " class=\"" + std::string(classes) + "\"";
  if (!attributes.empty()) out += " " + std::string(attributes);
  return out + ">" + html(text) + "</text>";
}
// `title` is shown under the mouse.
inline std::string svg_rect(double x, double y, double width, double height, std::string_view attributes, std::string_view title = "") {
  std::string out =
      "<rect x=\"" + px(x) + "\" y=\"" + px(y) + "\" width=\"" + px(std::max(width, 0.0)) + "\" height=\"" + px(height) + "\" " + std::string(attributes);
  return title.empty() ? out + "/>" : out + "><title>" + html(title) + "</title></rect>";
}
inline std::string svg(double width, double height, const std::string& content, std::string_view label) {
  return "<svg viewBox=\"0 0 " + px(width) + " " + px(height) + "\" width=\"" + px(width) + "\" height=\"" + px(height) + "\" role=\"img\" aria-label=\"" +
         html(label) + "\">" + content + "</svg>";
}

// Models have a colour by their place in the alphabet; the page defines as many as this.
inline constexpr std::size_t color_count = 8;
inline std::string fill(std::size_t color) { return "fill=\"var(--c" + std::to_string(color % color_count) + ")\""; }
using ColorOf = std::map<std::string, std::size_t>;

// The tensors as the rows of the matrix. Where many tensors of one storage have the same holders, as the weights of one
// checkpoint do, they are one row.
struct MatrixRow {
  std::string label, title, detail;
  std::size_t bytes = 0;
  std::map<std::string, std::size_t> holders;
  std::vector<std::string> grants;
  bool pinned = false;
  bool is_view = false;
};

inline std::vector<MatrixRow> matrix_rows(const SharingStats& stats) {
  std::vector<MatrixRow> rows;
  for (const auto& group : tensor_groups(stats)) {
    const TensorUsage& tensor = *group.front();
    MatrixRow row{
        tensor.name,   tensor.name, std::string(to_string(tensor.dtype)) + " " + to_string(tensor.shape) + " · " + tensor.storage, 0, {}, tensor.grants,
        tensor.pinned, false};
    row.is_view = group.size() == 1 && tensor.extra_bytes == 0;
    for (const TensorUsage* member : group) {
      row.bytes += member->bytes;
      for (const auto& [model, leases] : member->holders) row.holders[model] += leases;
    }
    if (group.size() > 1) {
      row.label = std::to_string(group.size()) + " tensors";
      row.title = tensor.name + " … " + group.back()->name;
      row.detail = shortened(tensor.name, 30) + " … · " + tensor.storage;
    }
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const MatrixRow& a, const MatrixRow& b) { return a.bytes > b.bytes; });
  return rows;
}

// Rows: tensors by size. Columns: models. A filled cell is a lease, an outlined one a grant.
inline std::string matrix_chart(const SharingStats& stats, const ColorOf& colors) {
  std::vector<MatrixRow> rows = matrix_rows(stats);
  constexpr std::size_t most_rows = 60;
  const std::size_t left_out = rows.size() > most_rows ? rows.size() - most_rows : 0;
  if (left_out > 0) rows.resize(most_rows);
  std::size_t longest = 0;
  for (const auto& [model, color] : colors) longest = std::max(longest, std::min<std::size_t>(model.size(), 28));
  constexpr double label = 290, bar = 220, cell = 44, row_height = 38;
  // Labels rise at 45 degrees, about 4.9 units per letter of 11.5 units.
  const double head = 26 + 4.9 * static_cast<double>(longest), left = label + bar + 130;
  const double width = left + cell * static_cast<double>(colors.size()) + head,
               height = head + row_height * static_cast<double>(rows.size()) + (left_out ? 26 : 6);
  std::size_t largest = 1;
  for (const MatrixRow& row : rows) largest = std::max(largest, row.bytes);
  std::string out;
  for (const auto& [model, color] : colors) {
    const double x = left + cell * (static_cast<double>(color) + 0.5);
    out += svg_text(x, head - 10, shortened(model, 28), "label", "transform=\"rotate(-45 " + px(x) + " " + px(head - 10) + ")\"");
  }
  for (std::size_t index = 0; index < rows.size(); ++index) {
    const MatrixRow& row = rows[index];
    const double y = head + row_height * static_cast<double>(index);
    out += "<line x1=\"0\" x2=\"" + px(left + cell * static_cast<double>(colors.size())) + "\" y1=\"" + px(y) + "\" y2=\"" + px(y) +
           "\" class=\"rule\"/><g><title>" + html(row.title) + "</title>";
    out += svg_text(0, y + 17, shortened(row.label, 38), "strong") +
           svg_text(0, y + 31, shortened(row.detail + (row.is_view ? " · view, 0 extra bytes" : ""), 52), "small") + "</g>";
    const double length = bar * static_cast<double>(row.bytes) / static_cast<double>(largest);
    out += svg_rect(label, y + 14, std::max(length, 1.5), 10, "rx=\"2\" class=\"amount\"") +
           svg_text(label + std::max(length, 1.5) + 7, y + 23, format_bytes(row.bytes) + (row.pinned ? " · pinned" : ""), "small");
    for (const auto& [model, color] : colors) {
      const double x = left + cell * static_cast<double>(color);
      const auto held = row.holders.find(model);
      if (held != row.holders.end()) {
        out += svg_rect(x + 4, y + 6, cell - 8, row_height - 12, "rx=\"5\" " + fill(color),
                        model + " holds " + row.label + ": " + std::to_string(held->second) + (held->second == 1 ? " lease" : " leases"));
        if (held->second > 1 && row.label == row.title) out += svg_text(x + cell / 2, y + 23, "×" + std::to_string(held->second), "in-cell");
      } else if (std::find(row.grants.begin(), row.grants.end(), model) != row.grants.end()) {
        out += svg_rect(x + 5, y + 7, cell - 10, row_height - 14,
                        "rx=\"5\" fill=\"none\" stroke-dasharray=\"3 3\" stroke=\"var(--c" + std::to_string(color % color_count) + ")\"",
                        model + " may use " + row.label + " (grant)");
      } else {
        out += "<circle cx=\"" + px(x + cell / 2) + "\" cy=\"" + px(y + row_height / 2) + "\" r=\"1.5\" class=\"none\"/>";
      }
    }
  }
  if (left_out > 0) out += svg_text(0, height - 6, "and " + std::to_string(left_out) + " smaller ones", "small");
  return svg(width, height, out, "Which model holds which tensor");
}

// One bar per model: what only it holds, solid, and what it shares, pale.
inline std::string models_chart(const SharingStats& stats, const ColorOf& colors) {
  constexpr double label = 250, bar = 420, row_height = 34;
  std::size_t largest = 1;
  for (const auto& [name, model] : stats.models) largest = std::max(largest, model.unique_bytes + model.shared_bytes);
  std::string out;
  double y = 0;
  for (const auto& [name, model] : stats.models) {
    const double unit = bar / static_cast<double>(largest), unique = unit * static_cast<double>(model.unique_bytes),
                 shared = unit * static_cast<double>(model.shared_bytes);
    const std::string color = fill(colors.at(name));
    out += "<g><title>" + html(name) + "</title>" + svg_text(0, y + 21, shortened(name, 34), "strong") + "</g>";
    out += svg_rect(label, y + 8, unique, 18, color, format_bytes(model.unique_bytes) + " that only " + name + " holds");
    out += svg_rect(label + unique, y + 8, shared, 18, color + " fill-opacity=\"0.38\"", format_bytes(model.shared_bytes) + " that others hold too");
    const double share = unit * model.proportional_bytes;
    out += "<line x1=\"" + px(label + share) + "\" x2=\"" + px(label + share) + "\" y1=\"" + px(y + 5) + "\" y2=\"" + px(y + 29) + "\" class=\"mark\"/>";
    out += svg_text(label + unique + shared + 10, y + 21, format_bytes(model.unique_bytes) + " own + " + format_bytes(model.shared_bytes) + " shared", "small");
    y += row_height;
  }
  return svg(label + bar + 230, y + 4, out, "Bytes that each model holds");
}

// "250 ms", "12.5 s", "3.0 min"
inline std::string format_seconds(double seconds) {
  if (seconds >= 120) return px(seconds / 60) + " min";
  if (seconds >= 1) return px(seconds) + " s";
  return px(seconds * 1000) + " ms";
}

// Stacked areas: what each model would need for itself. The line: what there is. The gap is what sharing saved.
inline std::string timeline_chart(std::vector<TimelineSample> samples, const ColorOf& colors) {
  constexpr double left = 84, right = 12, top = 12, bottom = 34, width = 960, height = 320, plot = width - left - right, tall = height - top - bottom;
  // Changes within one tick of the clock would lie on each other: then each change is one step.
  const bool by_time = samples.back().seconds > 0;
  const double last = by_time ? samples.back().seconds : static_cast<double>(samples.size());
  if (!by_time) for (std::size_t index = 0; index < samples.size(); ++index) samples[index].seconds = static_cast<double>(index);
  std::vector<TimelineSample> columns;  // the last sample of each unit of width
  for (TimelineSample& sample : samples) {
    const bool same = !columns.empty() && std::floor(columns.back().seconds / last * plot) == std::floor(sample.seconds / last * plot);
    if (same) columns.pop_back();
    columns.push_back(std::move(sample));
  }
  std::size_t most = 1;
  std::vector<std::string> order;
  for (const TimelineSample& sample : columns) {
    std::size_t sum = 0;
    for (const auto& [model, bytes] : sample.model_bytes) {
      sum += bytes;
      // The first to come lies at the bottom, so that nobody's area jumps when another model comes.
      if (std::find(order.begin(), order.end(), model) == order.end()) order.push_back(model);
    }
    most = std::max({most, sum, sample.true_bytes});
  }
  const auto x_of = [&](double seconds) { return left + plot * std::min(seconds / last, 1.0); };
  const auto y_of = [&](double bytes) { return top + tall * (1 - bytes / (1.06 * static_cast<double>(most))); };
  std::string out;
  for (int line = 0; line <= 4; ++line) {
    const double bytes = static_cast<double>(most) * line / 4;
    out += "<line x1=\"" + px(left) + "\" x2=\"" + px(width - right) + "\" y1=\"" + px(y_of(bytes)) + "\" y2=\"" + px(y_of(bytes)) + "\" class=\"rule\"/>";
    out += svg_text(left - 8, y_of(bytes) + 4, format_bytes(static_cast<std::size_t>(bytes)), "small end");
    if (by_time)
      out += svg_text(left + plot * line / 4, height - 10, format_seconds(last * line / 4), line == 4 ? "small end" : line == 0 ? "small" : "small middle");
  }
  if (!by_time) out += svg_text(left, height - 10, "changes, in order", "small");
  // Steps: each value holds until the next sample, the last one to the right edge.
  const auto steps = [&](auto value_of) {
    std::vector<std::pair<double, double>> points;
    for (std::size_t index = 0; index < columns.size(); ++index) {
      const double y = y_of(static_cast<double>(value_of(index)));
      points.emplace_back(x_of(columns[index].seconds), y);
      points.emplace_back(index + 1 < columns.size() ? x_of(columns[index + 1].seconds) : width - right, y);
    }
    return points;
  };
  const auto path = [](const std::vector<std::pair<double, double>>& points, char first) {
    std::string text;
    for (const auto& [x, y] : points) {
      text += (text.empty() ? first : 'L') + px(x) + " " + px(y);
    }
    return text;
  };
  std::vector<std::size_t> below(columns.size(), 0);
  for (const std::string& model : order) {
    auto floor = steps([&](std::size_t index) { return below[index]; });
    for (std::size_t index = 0; index < columns.size(); ++index) {
      const auto found = columns[index].model_bytes.find(model);
      if (found != columns[index].model_bytes.end()) below[index] += found->second;
    }
    const auto ceiling = steps([&](std::size_t index) { return below[index]; });
    std::reverse(floor.begin(), floor.end());
    out += "<path " + fill(colors.at(model)) + " fill-opacity=\"0.55\" d=\"" + path(ceiling, 'M') + path(floor, 'L') + "Z\"><title>" + html(model) +
           "</title></path>";
  }
  out +=
      "<path class=\"true\" d=\"" + path(steps([&](std::size_t index) { return columns[index].true_bytes; }), 'M') + "\"><title>memory in use</title></path>";
  return svg(width, height, out, "Memory over time");
}

}  // namespace cotenant::detail

#endif
