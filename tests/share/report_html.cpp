// The report as a page: self-contained, well-formed, escaped.
#include "cotenant/share/report_html.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support.hpp"

namespace ct = cotenant;
using namespace std::chrono_literals;
using share_tests::has;

namespace {

std::size_t occurrences(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

// Whether every element that is opened is closed in order, and attributes are quoted; void elements of HTML aside.
bool well_formed(std::string_view page) {
  std::vector<std::string> open;
  for (std::size_t at = page.find('<'); at != page.npos; at = page.find('<', at)) {
    const std::size_t end = page.find('>', at);
    if (end == page.npos) return false;
    const std::string_view tag = page.substr(at + 1, end - at - 1);
    at = end;
    const std::string name(tag.substr(tag.starts_with('/') ? 1 : 0, tag.find_first_of(" /", 1) - (tag.starts_with('/') ? 1 : 0)));
    if (tag.starts_with('!') || name == "meta" || tag.ends_with('/')) continue;
    if (occurrences(tag, "\"") % 2 != 0) return false;
    if (!tag.starts_with('/')) {
      open.push_back(name);
    } else {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    }
  }
  return open.empty();
}

}  // namespace

TEST_CASE("an empty manager has a page") {
  const std::string page = ct::report_html(ct::TensorSharingManager());
  CHECK(well_formed(page));
  CHECK(page.starts_with("<!DOCTYPE html>"));
  CHECK_FALSE(has(page, "Memory over time"));
  CHECK_FALSE(has(page, "Who holds what"));
}

TEST_CASE("the page shows holders, memory over time and savings") {
  const auto time = std::make_shared<ct::TimePoint>();
  ct::TensorSharingManager manager{{.max_memory = 1 << 20, .clock = [time] { return *time; }, .record_timeline = true}};
  manager.register_tensor("text_embedding", ct::zeros<float>({1, 768}), {.producer = "bert", .consumers = {"bart"}});
  *time += 2s;
  const auto lease = manager.get<float>("text_embedding", "t5");
  const auto view = manager.create_view<float>("text_embedding", "half", {0, 0}, {1, 384}, "distilbert");
  *time += 2s;
  manager.release_model("bert");
  const std::string page = ct::report_html(manager, {.title = "A & B", .tables = {{"Measured", {{"", "with <sharing>"}, {"resident", "1 MiB"}}, "A note."}}});
  CHECK(well_formed(page));
  CHECK(has(page, "<h1>A &amp; B</h1>"));
  CHECK(has(page, "<th>with &lt;sharing&gt;</th>"));
  CHECK(has(page, "t5 holds text_embedding: 1 lease"));
  CHECK(has(page, "bart may use text_embedding (grant)"));
  CHECK(has(page, "view, 0 extra bytes"));
  CHECK(has(page, "Memory over time"));
  CHECK(has(page, "<title>bert</title></path>"));  // released by now, but it was there
  CHECK(has(page, "4 s"));
  CHECK(has(page, "1.5 KiB saved"));
  CHECK(occurrences(page, "<svg ") == 4);
}

TEST_CASE("nothing in the page comes from elsewhere or runs") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ct::zeros<float>({16}), {.producer = "m"});
  const std::string page = ct::report_html(manager);
  for (const char* part : {"http:", "https:", "url(", "@import", "<script", "<link", "<img", "src="}) CHECK_FALSE(has(page, part));
  CHECK(has(page, "prefers-color-scheme:dark"));
}

TEST_CASE("names are escaped wherever they stand") {
  ct::TensorSharingManager manager{{.record_timeline = true}};
  const std::string evil = "\"><script>alert('&')</script>\x01\xFF";
  manager.register_tensor(evil, ct::zeros<float>({16}), {.producer = evil, .consumers = {evil + "2"}});
  const std::string page = ct::report_html(manager, {.title = evil, .subtitle = evil, .tables = {{evil, {{evil}}, evil}}});
  CHECK(well_formed(page));
  CHECK_FALSE(has(page, "<script"));
  CHECK(has(page, "&lt;script&gt;"));
  CHECK_FALSE(has(page, "\x01"));
  CHECK_FALSE(has(page, "\xFF"));
}

TEST_CASE("many tensors with the same holders are one row, and many rows are cut") {
  ct::TensorSharingManager manager;
  for (int i = 0; i < 50; ++i) manager.register_tensor("weight" + std::to_string(100 + i), ct::zeros<float>({16}), {.producer = "encoder"});
  std::string page = ct::report_html(manager);
  CHECK(has(page, "50 tensors"));
  CHECK(has(page, "weight100 … weight149"));
  CHECK(occurrences(page, " holds 50 tensors") == 1);
  for (int i = 0; i < 70; ++i) manager.register_tensor("t" + std::to_string(i), ct::zeros<float>({16}), {.producer = "model" + std::to_string(i)});
  page = ct::report_html(manager);
  CHECK(well_formed(page));
  CHECK(has(page, "and 11 smaller ones"));
}
