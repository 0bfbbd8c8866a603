// Traces and metrics: valid, complete, and safe against any name.
#include "cotenant/share/events_export.hpp"

#include <doctest/doctest.h>

#include <string>

#include "cotenant/core/json.hpp"
#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace share_tests;

TEST_CASE("a trace is JSON with a slice or a mark for every event") {
  ct::TensorSharingManager manager{{.record_events = true}};
  manager.register_tensor("a \"quoted\" name\n", ramp(), {.producer = "m"});
  { auto write = manager.write<float>("a \"quoted\" name\n", "w"); }
  const auto trace = ct::json::parse(ct::chrome_trace(manager.events()), "the trace");
  const auto& events = *trace.get_if<ct::json::Object>()->find("traceEvents")->get_if<ct::json::Array>();
  REQUIRE(events.size() == 3);
  const auto text = [&](std::size_t index, const char* member) { return *events[index].get_if<ct::json::Object>()->find(member)->get_if<std::string>(); };
  CHECK(text(0, "name") == "registered a \"quoted\" name\n");
  CHECK(text(0, "ph") == "i");
  CHECK(text(1, "cat") == "lease");
  CHECK(text(2, "cat") == "write");
  CHECK(text(2, "ph") == "X");
  CHECK(ct::json::parse(ct::chrome_trace({}), "an empty trace").get_if<ct::json::Object>()->find("traceEvents")->get_if<ct::json::Array>()->empty());
}

TEST_CASE("metrics") {
  ct::TensorSharingManager manager{{.max_memory = 1000, .record_events = true}};
  manager.register_tensor("x", ramp(), {.producer = "a\\b\"c\nd"});
  const auto lease = manager.get<float>("x", "t5");
  const std::string text = ct::prometheus(manager.stats(), manager.event_counts());
  for (const char* line : {"\ncotenant_memory_bytes 64\n", "\ncotenant_memory_limit_bytes 1000\n", "\ncotenant_hits_total 1\n", "\n# TYPE cotenant_hits_total counter\n",
                           "\ncotenant_storage_bytes{storage=\"heap\"} 64\n", "\ncotenant_model_bytes{model=\"t5\",held=\"shared\"} 64\n",
                           "\ncotenant_model_leases{model=\"a\\\\b\\\"c\\nd\"} 1\n", "\ncotenant_events_total{kind=\"lease\"} 2\n"})
    CHECK_MESSAGE(has(text, line), line);
  CHECK(text.back() == '\n');
  const std::string nothing = ct::prometheus(ct::TensorSharingManager().stats());
  CHECK_FALSE(has(nothing, "limit"));
  CHECK_FALSE(has(nothing, "events_total"));
}
