// The pieces of the charts: numbers and names as text, rows, a timeline without time.
#include "cotenant/share/report_charts.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace ct = cotenant;

TEST_CASE("coordinates, names and durations as text") {
  using namespace ct::detail;
  CHECK(px(1.04) == "1");
  CHECK(px(-0.26) == "-0.3");
  CHECK(px(12.35) == "12.4");
  CHECK(px(0) == "0");
  CHECK(shortened("abcdefghij", 10) == "abcdefghij");
  CHECK(shortened("abcdefghijk", 10) == "abcde…hijk");
  CHECK(shortened("éééééé", 5) == "éé…éé");
  CHECK(format_seconds(0.25) == "250 ms");
  CHECK(format_seconds(12.5) == "12.5 s");
  CHECK(format_seconds(180) == "3 min");
  CHECK(html("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
}

TEST_CASE("a timeline within one tick of the clock is drawn by its changes") {
  std::vector<ct::TimelineSample> samples(3);
  samples[1].true_bytes = 1024;
  samples[2].true_bytes = 512;
  samples[2].model_bytes["m"] = 512;
  const std::string chart = ct::detail::timeline_chart(samples, {{"m", 0}});
  CHECK(chart.find("changes, in order") != std::string::npos);
  CHECK(chart.find("nan") == std::string::npos);
  CHECK(chart.ends_with("</svg>"));
}

TEST_CASE("a long timeline is drawn with at most one step per unit of width") {
  std::vector<ct::TimelineSample> samples(20000);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i].seconds = static_cast<double>(i) * 0.001;
    samples[i].true_bytes = i % 2 ? 100 : 200;
    samples[i].model_bytes["m"] = 100;
  }
  const std::string chart = ct::detail::timeline_chart(samples, {{"m", 0}});
  CHECK(chart.size() < 100000);
  CHECK(chart.find("20 s") != std::string::npos);
}

TEST_CASE("the rows of the matrix") {
  ct::SharingStats stats;
  for (int i = 0; i < 7; ++i) {
    ct::TensorUsage tensor;
    tensor.name = "w" + std::to_string(i);
    tensor.bytes = 10;
    tensor.extra_bytes = 10;
    tensor.storage = "mapped";
    tensor.holders = {{"a", 1}, {"b", 2}};
    stats.tensors.emplace(tensor.name, tensor);
  }
  CHECK(ct::detail::matrix_rows(stats).size() == 1);
  CHECK(ct::detail::matrix_rows(stats)[0].bytes == 70);
  CHECK(ct::detail::matrix_rows(stats)[0].holders.at("b") == 14);
  stats.tensors.at("w3").holders.erase("b");
  stats.tensors.at("w3").bytes = 100;
  const auto rows = ct::detail::matrix_rows(stats);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].label == "w3");
  CHECK(rows[1].label == "6 tensors");
  stats.tensors.at("w4").pinned = true;  // told apart, and five remain together
  CHECK(ct::detail::matrix_rows(stats).size() == 3);
  stats.tensors.at("w5").pinned = true;  // four are listed one by one
  CHECK(ct::detail::matrix_rows(stats).size() == 7);
}
