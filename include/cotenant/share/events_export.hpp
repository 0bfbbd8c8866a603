// A manager's events and statistics for other tools: chrome_trace() for a trace viewer, prometheus() for a metrics server.
#ifndef COTENANT_SHARE_EVENTS_EXPORT_HPP
#define COTENANT_SHARE_EVENTS_EXPORT_HPP
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cotenant/core/json_writer.hpp"
#include "cotenant/share/events.hpp"
#include "cotenant/share/options.hpp"
#include "cotenant/share/stats.hpp"

namespace cotenant {

// JSON for chrome://tracing, Perfetto and speedscope ("Trace Event Format", JSON object form): one slice for each event that
// took time, one mark for each other, by thread; times in microseconds.
inline std::string chrome_trace(const std::vector<Event>& events) {
  JsonWriter json(0);
  json.begin_object().key("traceEvents").begin_array();
  for (const Event& event : events) {
    const bool slice = event.duration > 0;
    json.begin_object()
        .member("name", std::string(to_string(event.kind)) + " " + event.tensor)
        .member("cat", to_string(event.kind))
        .member("ph", slice ? "X" : "i")
        .member("ts", event.seconds * 1e6)
        .member("pid", std::size_t{1})
        .member("tid", event.thread);
    if (slice) json.member("dur", event.duration * 1e6);
    else json.member("s", "t");  // the mark belongs to its thread
    json.key("args").begin_object().member("tensor", event.tensor).member("model", event.model).member("bytes", event.bytes).end_object();
    json.end_object();
  }
  json.end_array().member("displayTimeUnit", "ms").end_object();
  return json.take();
}

namespace detail {
// A label's value: backslash, quote and newline escaped, as the text exposition format 0.0.4 asks.
inline std::string prometheus_label(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  return out;
}
}  // namespace detail

// Prometheus's text exposition format, version 0.0.4. Events are counted only where they are recorded.
inline std::string prometheus(const SharingStats& stats, const EventCounts& counts = {}) {
  std::string text;
  const auto metric = [&](const char* name, const char* type, const char* help) {
    text += std::string("# HELP cotenant_") + name + " " + help + "\n# TYPE cotenant_" + name + " " + type + "\n";
  };
  const auto value = [&](const char* name, const std::string& labels, const std::string& number) {
    text += std::string("cotenant_") + name + (labels.empty() ? "" : "{" + labels + "}") + " " + number + "\n";
  };
  const auto one = [&](const char* name, const char* type, const char* help, std::size_t number) {
    metric(name, type, help);
    value(name, "", std::to_string(number));
  };
  one("tensors", "gauge", "Registered names.", stats.total_tensors);
  one("models", "gauge", "Active models.", stats.total_models);
  one("memory_bytes", "gauge", "Bytes of registered blocks in memory, each counted once.", stats.true_bytes);
  one("memory_peak_bytes", "gauge", "The largest memory_bytes so far.", stats.peak_bytes);
  if (stats.max_memory != ManagerOptions::unlimited) one("memory_limit_bytes", "gauge", "The budget.", stats.max_memory);
  one("derived_bytes", "gauge", "Bytes of artefacts kept with the blocks.", stats.derived_bytes);
  one("replaced_bytes", "gauge", "Bytes of blocks whose pages were given back for artefacts.", stats.replaced_bytes);
  one("away_bytes", "gauge", "Bytes that were evicted and return with the next lease.", stats.away_bytes);
  one("saved_bytes", "gauge", "Bytes that sharing saves over one copy for each holder.", stats.saved_bytes);
  one("deduplicated_bytes_total", "counter", "Bytes that registrations found in memory already.", stats.deduplicated_bytes);
  one("hits_total", "counter", "Leases by name that found their tensor.", stats.hits);
  one("misses_total", "counter", "Leases by name that did not.", stats.misses);
  one("evictions_total", "counter", "Blocks that left memory.", stats.evictions);
  one("reloads_total", "counter", "Blocks that came back.", stats.reloads);
  if (!stats.storage_bytes.empty()) metric("storage_bytes", "gauge", "memory_bytes by kind of storage.");
  for (const auto& [storage, bytes] : stats.storage_bytes)
    value("storage_bytes", "storage=\"" + detail::prometheus_label(storage) + "\"", std::to_string(bytes));
  if (!stats.models.empty()) metric("model_bytes", "gauge", "Bytes that a model holds: alone, with others.");
  for (const auto& [name, model] : stats.models) {
    const std::string label = "model=\"" + detail::prometheus_label(name) + "\",held=\"";
    value("model_bytes", label + "alone\"", std::to_string(model.unique_bytes));
    value("model_bytes", label + "shared\"", std::to_string(model.shared_bytes));
  }
  if (!stats.models.empty()) metric("model_leases", "gauge", "Leases of a model.");
  for (const auto& [name, model] : stats.models) value("model_leases", "model=\"" + detail::prometheus_label(name) + "\"", std::to_string(model.leases));
  bool any = false;
  for (std::size_t number : counts.events) any = any || number > 0;
  if (any) {
    metric("events_total", "counter", "Events by kind.");
    for (std::size_t kind = 0; kind < event_kinds; ++kind)
      value("events_total", std::string("kind=\"") + to_string(static_cast<EventKind>(kind)) + "\"", std::to_string(counts.events[kind]));
  }
  return text;
}

}  // namespace cotenant

#endif
