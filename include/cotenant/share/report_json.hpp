// The manager's structs as JSON: to_json(stats), to_json(recommendations), …
#ifndef COTENANT_SHARE_REPORT_JSON_HPP
#define COTENANT_SHARE_REPORT_JSON_HPP
#include <concepts>
#include <cstddef>
#include <string>
#include <vector>

#include "cotenant/core/json_writer.hpp"
#include "cotenant/share/options.hpp"
#include "cotenant/share/stats.hpp"
#include "cotenant/share/timeline.hpp"

namespace cotenant {

// write_json(json, x) writes x as one value. The members are named as in the struct.
inline void write_json(JsonWriter& json, const std::string& text) { json.value(text); }
inline void write_json(JsonWriter& json, std::size_t number) { json.value(number); }

template <class T> void write_json(JsonWriter& json, const std::vector<T>& values);
template <class Map> requires std::same_as<typename Map::key_type, std::string> void write_json(JsonWriter& json, const Map& values);

inline void write_json(JsonWriter& json, const Shape& shape) {
  json.begin_array();
  for (std::size_t extent : shape) json.value(extent);
  json.end_array();
}

inline void write_json(JsonWriter& json, const TensorUsage& tensor) {
  json.begin_object().member("name", tensor.name).member("bytes", tensor.bytes).member("extra_bytes", tensor.extra_bytes).member("derived_bytes",
      tensor.derived_bytes);
  write_json(json.key("shape"), tensor.shape);
  json.member("dtype", to_string(tensor.dtype)).member("storage", tensor.storage).member("references", tensor.references).member("leases", tensor.leases);
  write_json(json.key("holders"), tensor.holders);
  write_json(json.key("grants"), tensor.grants);
  json.member("producer", tensor.producer)
      .member("source", tensor.source)
      .member("form", tensor.form)
      .member("pinned", tensor.pinned)
      .member("can_be_freed", tensor.can_be_freed)
      .member("resident", tensor.resident)
      .member("version", tensor.version)
      .member("writer", tensor.writer)
      .end_object();
}

inline void write_json(JsonWriter& json, const ModelUsage& model) {
  json.begin_object()
      .member("name", model.name)
      .member("total_bytes", model.total_bytes)
      .member("unique_bytes", model.unique_bytes)
      .member("shared_bytes", model.shared_bytes);
  json.member("proportional_bytes", model.proportional_bytes).member("leases", model.leases).member("hits", model.hits);
  write_json(json.key("tensors"), model.tensors);
  json.end_object();
}

// max_memory is null where there is no budget.
inline void write_json(JsonWriter& json, const SharingStats& stats) {
  json.begin_object()
      .member("total_tensors", stats.total_tensors)
      .member("total_models", stats.total_models)
      .member("true_bytes", stats.true_bytes)
      .member("derived_bytes", stats.derived_bytes)
      .member("replaced_bytes", stats.replaced_bytes)
      .member("peak_bytes", stats.peak_bytes);
  if (stats.max_memory == ManagerOptions::unlimited) json.member("max_memory", nullptr);
  else json.member("max_memory", stats.max_memory);
  json.member("separate_bytes", stats.separate_bytes)
      .member("saved_bytes", stats.saved_bytes)
      .member("hits", stats.hits)
      .member("misses", stats.misses)
      .member("away_bytes", stats.away_bytes)
      .member("evictions", stats.evictions)
      .member("reloads", stats.reloads)
      .member("deduplicated", stats.deduplicated)
      .member("deduplicated_bytes", stats.deduplicated_bytes)
      .member("hit_rate", stats.hit_rate);
  write_json(json.key("storage_bytes"), stats.storage_bytes);
  write_json(json.key("tensors"), stats.tensors);
  write_json(json.key("models"), stats.models);
  json.end_object();
}

inline void write_json(JsonWriter& json, const SharingOpportunity& opportunity) {
  json.begin_object().member("tensor_kind", opportunity.tensor_kind);
  write_json(json.key("models"), opportunity.models);
  write_json(json.key("tensors"), opportunity.tensors);
  json.member("potential_bytes", opportunity.potential_bytes).end_object();
}

inline void write_json(JsonWriter& json, const MeasuredDuplicate& duplicate) {
  json.begin_object();
  write_json(json.key("tensors"), duplicate.tensors);
  json.member("equal_shapes", duplicate.equal_shapes).member("saved_bytes", duplicate.saved_bytes).end_object();
}

inline void write_json(JsonWriter& json, const OptimizationResult& result) {
  json.begin_object().member("initial_bytes", result.initial_bytes).member("current_bytes", result.current_bytes).member("freed_bytes", result.freed_bytes);
  json.member("freed_tensors", result.freed_tensors)
      .member("percentage", result.percentage)
      .member("remaining_tensors", result.remaining_tensors)
      .member("freed_derived_bytes", result.freed_derived_bytes)
      .member("trimmed_bytes", result.trimmed_bytes);
  write_json(json.key("freed_names"), result.freed_names);
  write_json(json.key("evicted_names"), result.evicted_names);
  json.end_object();
}

inline void write_json(JsonWriter& json, const OptimizationRecommendations& advice) {
  json.begin_object();
  write_json(json.key("largest_tensors"), advice.largest_tensors);
  write_json(json.key("low_reference_tensors"), advice.low_reference_tensors);
  write_json(json.key("opportunities"), advice.opportunities);
  write_json(json.key("duplicates"), advice.duplicates);
  json.member("idle_bytes", advice.idle_bytes).member("potential_savings", advice.potential_savings);
  write_json(json.key("advice"), advice.advice);
  json.end_object();
}

inline void write_json(JsonWriter& json, const ShareResult& result) {
  json.begin_object().member("status", to_string(result.status)).member("granted", result.granted).key("consumers").begin_object();
  for (const auto& [consumer, share] : result.consumers)
    json.key(consumer).begin_object().member("status", to_string(share.status)).member("how", share.how).member("bytes", share.bytes).end_object();
  json.end_object().end_object();
}

inline void write_json(JsonWriter& json, const TimelineSample& sample) {
  json.begin_object().member("seconds", sample.seconds).member("true_bytes", sample.true_bytes);
  write_json(json.key("model_bytes"), sample.model_bytes);
  json.end_object();
}

template <class T> void write_json(JsonWriter& json, const std::vector<T>& values) {
  json.begin_array();
  for (const T& value : values) write_json(json, value);
  json.end_array();
}
template <class Map> requires std::same_as<typename Map::key_type, std::string> void write_json(JsonWriter& json, const Map& values) {
  json.begin_object();
  for (const auto& [name, value] : values) write_json(json.key(name), value);
  json.end_object();
}

// Any of the structs of stats.hpp, a ShareResult, a TimelineSample, or a vector or map of them. indent: spaces per
// level; 0 for one line.
template <class T> std::string to_json(const T& value, std::size_t indent = 0) {
  JsonWriter json(indent);
  write_json(json, value);
  return json.take();
}

}  // namespace cotenant

#endif
