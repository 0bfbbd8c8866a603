// report_html(): one self-contained page with who holds what, memory over time and what sharing saved.
#ifndef COTENANT_SHARE_REPORT_HTML_HPP
#define COTENANT_SHARE_REPORT_HTML_HPP
#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cotenant/share/manager.hpp"
#include "cotenant/share/report_charts.hpp"

namespace cotenant {

// A table of the caller's, shown below the summary: measurements of the operating system, for example. The first row
// is the head; the first column aligns left. Everything is escaped.
struct HtmlTable {
  std::string title;
  std::vector<std::vector<std::string>> rows;
  std::string note = {};
};

struct HtmlOptions {
  std::string title = "Tensor sharing";
  std::string subtitle = {};
  std::vector<HtmlTable> tables = {};
};

namespace detail {

// Colours: eight hues that stay apart for colour-blind readers (after Okabe and Ito, "Color Universal Design"),
// darkened on white and lightened on black until text of 3:1 contrast.
inline constexpr std::string_view html_style = R"css(
:root{color-scheme:light dark;--bg:#fbfbf9;--panel:#fff;--ink:#1c2024;--soft:#667079;--line:#e4e6e8;--amount:#aab4be;--true:#1c2024;--good:#0b7a56;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b5569a;--c4:#b58900;--c5:#3f9fd8;--c6:#7b5bd6;--c7:#6b7480}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--panel:#1c2024;--ink:#e8eaec;--soft:#98a2ab;--line:#2e343a;--amount:#56616c;--true:#f4f5f6;--good:#4cc9a0;
--c0:#4aa3df;--c1:#f08a4b;--c2:#34c49a;--c3:#d987c0;--c4:#e0b84a;--c5:#86c9f2;--c6:#a78bfa;--c7:#9aa5b1}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 24px 64px}h1{font-size:30px;line-height:1.2;margin:0;letter-spacing:-.01em}h2{font-size:18px;margin:0 0 4px}
p{margin:0;color:var(--soft)}header p{margin-top:6px;font-size:16px}
section{background:var(--panel);border:1px solid var(--line);border-radius:12px;padding:22px 24px;margin-top:20px}section>p{margin-bottom:16px;max-width:70ch}
.wide{overflow-x:auto}.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:16px;margin-top:24px}
.card{background:var(--panel);border:1px solid var(--line);border-radius:12px;padding:16px 20px}
.card b{display:block;font-size:26px;line-height:1.25;font-weight:650;letter-spacing:-.01em}
.card span{color:var(--soft);font-size:13.5px}.card.good b{color:var(--good)}
svg{display:block;font-family:inherit}
svg text{fill:var(--ink);font-size:13px}svg .small{fill:var(--soft);font-size:11.5px}svg .label{font-size:11.5px}svg .strong{font-weight:600}
svg .end{text-anchor:end}svg .middle{text-anchor:middle}svg .in-cell{text-anchor:middle;fill:var(--panel);font-size:11.5px;font-weight:700}
.rule{stroke:var(--line)}.amount{fill:var(--amount)}.none{fill:var(--line)}
.true{fill:none;stroke:var(--true);stroke-width:2.25;stroke-linejoin:round}.mark{stroke:var(--ink);stroke-width:2}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;margin-top:12px;font-size:13px;color:var(--soft)}
.legend i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:7px}
.legend i.stroke{height:0;border-top:3px solid var(--true);border-radius:0;vertical-align:middle;width:18px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 14px 7px 0;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:500;font-size:13px}tr:last-child td{border-bottom:0}
footer{margin-top:24px;color:var(--soft);font-size:13px}
)css";

inline std::string html_card(const std::string& number, const std::string& meaning, const char* classes = "card") {
  return "<div class=\"" + std::string(classes) + "\"><b>" + html(number) + "</b><span>" + html(meaning) + "</span></div>";
}
inline std::string html_section(const std::string& title, const std::string& text, const std::string& content) {
  return "<section><h2>" + html(title) + "</h2>" + (text.empty() ? "" : "<p>" + html(text) + "</p>") + "<div class=\"wide\">" + content + "</div></section>\n";
}
inline std::string html_table(const std::vector<std::vector<std::string>>& rows) {
  std::string out = "<table>";
  for (std::size_t index = 0; index < rows.size(); ++index) {
    const char* const tag = index == 0 ? "th" : "td";
    out += "<tr>";
    for (const std::string& cell : rows[index]) out += std::string("<") + tag + ">" + html(cell) + "</" + tag + ">";
    out += "</tr>";
  }
  return out + "</table>";
}

// Two bars: what separate copies would need, and what there is.
inline std::string savings_chart(const SharingStats& stats) {
  constexpr double label = 150, bar = 640;
  const double unit = bar / static_cast<double>(std::max<std::size_t>(stats.separate_bytes, 1)), used = unit * static_cast<double>(stats.true_bytes);
  std::string out = svg_text(0, 25, "separate copies", "strong") + svg_rect(label, 8, bar, 26, "rx=\"4\" class=\"amount\"") +
                    svg_text(label + bar + 10, 25, format_bytes(stats.separate_bytes));
  out += svg_text(0, 67, "shared", "strong") + svg_rect(label, 50, std::max(used, 2.0), 26, "rx=\"4\" " + fill(0));
  if (stats.saved_bytes > 0)
    out += svg_rect(label + used + 2, 51, bar - used - 3, 24, "rx=\"4\" fill=\"none\" stroke=\"var(--good)\" stroke-dasharray=\"4 4\"", "saved");
  const bool inside = bar - used > 190;  // room for the words
  if (inside) out += svg_text(label + used + 14, 67, format_bytes(stats.true_bytes) + " in use, " + format_bytes(stats.saved_bytes) + " saved");
  else out += svg_text(label + bar + 10, 67, format_bytes(stats.true_bytes));
  return svg(label + bar + 100, 84, out, "Memory with separate copies and with sharing");
}

}  // namespace detail

// A complete HTML document without scripts and external resources; follows the reader's light or dark preference.
// `timeline` may be empty: then that chart is left out.
inline std::string report_html(const SharingStats& stats, const std::vector<TimelineSample>& timeline = {}, const HtmlOptions& options = {}) {
  using namespace detail;
  ColorOf colors;
  for (const auto& [name, model] : stats.models) colors.emplace(name, 0);
  std::size_t next = 0;
  for (auto& [name, color] : colors) color = next++;

  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>" +
      html(options.title) + "</title><style>" + std::string(html_style) + "</style></head>\n<body><main><header><h1>" + html(options.title) + "</h1>";
  out += "<p>" +
         html(options.subtitle.empty() ? std::to_string(stats.total_models) + " models live in " + std::to_string(stats.total_tensors) + " tensors."
                                       : options.subtitle) +
         "</p></header>\n";
  const double saved = stats.separate_bytes == 0 ? 0 : static_cast<double>(stats.saved_bytes) / static_cast<double>(stats.separate_bytes);
  out += "<div class=\"cards\">" + html_card(format_bytes(stats.true_bytes), stats.max_memory == ManagerOptions::unlimited
                                                                                 ? "in use, peak " + format_bytes(stats.peak_bytes)
                                                                                 : "in use of " + format_bytes(stats.max_memory));
  out += html_card(format_bytes(stats.saved_bytes), percent(saved) + " of what separate copies need", "card good");
  out += html_card(std::to_string(stats.total_tensors), "tensors by name, " + std::to_string(stats.total_models) + " models");
  out += html_card(percent(stats.hit_rate),
      "hit rate: " + std::to_string(stats.hits) + " lookups found their tensor, " + std::to_string(stats.misses) + " did not") + "</div>\n";

  out += html_section("What sharing saved", "If every model had its own copy of the bytes it holds, against the bytes that there are.", savings_chart(stats));
  for (const HtmlTable& table : options.tables) out += html_section(table.title, table.note, html_table(table.rows));
  if (!stats.tensors.empty())
    out += html_section("Who holds what",
                        "A filled cell is a lease: the model is using the tensor. A dashed one is a grant: it may. Tensors with the same holders are one row.",
                        matrix_chart(stats, colors));
  if (!timeline.empty()) {
    ColorOf seen = colors;  // models that were released before the report have colours too
    for (const TimelineSample& sample : timeline)
      for (const auto& [model, bytes] : sample.model_bytes) if (seen.emplace(model, next).second) ++next;
    std::string legend = "<div class=\"legend\"><span><i class=\"stroke\"></i>memory in use</span>";
    std::erase_if(seen, [&](const auto& model) {
      return std::none_of(timeline.begin(), timeline.end(), [&](const TimelineSample& sample) { return sample.model_bytes.contains(model.first); });
    });
    for (const auto& [model, color] : seen)
      legend += "<span><i style=\"background:var(--c" + std::to_string(color % color_count) + ")\"></i>" + html(shortened(model, 40)) + "</span>";
    out += html_section("Memory over time", "The areas are what each model would need for itself; the line is what they need together.",
                        timeline_chart(timeline, seen) + legend + "</div>");
  }
  if (!stats.models.empty()) {
    std::vector<std::vector<std::string>> rows{{"model", "tensors", "leases", "total", "unique", "shared", "proportional"}};
    for (const auto& [name, model] : stats.models)
      rows.push_back({name, std::to_string(model.tensors.size()), std::to_string(model.leases), format_bytes(model.total_bytes),
                      format_bytes(model.unique_bytes), format_bytes(model.shared_bytes),
                      format_bytes(static_cast<std::size_t>(model.proportional_bytes + 0.5))});
    out += html_section("Each model",
                        "Solid: bytes that only this model holds. Pale: bytes that others hold too. The mark is its fair share: each byte divided by the "
                        "number of its holders.",
                        models_chart(stats, colors));
    out += html_section("In numbers", "", html_table(rows));
  }
  return out + "<footer>Every block of memory is counted once, however many names, views and models use it.</footer></main></body></html>\n";
}

// The same for a manager, with its timeline where it records one.
inline std::string report_html(const TensorSharingManager& manager, const HtmlOptions& options = {}) {
  return report_html(manager.stats(), manager.timeline(), options);
}

}  // namespace cotenant

#endif
