// The manager's structs as JSON, read back by the library's own strict reader.
#include "cotenant/share/report_json.hpp"

#include <doctest/doctest.h>

#include <string>

#include "cotenant/core/json_field.hpp"
#include "cotenant/share/manager.hpp"

namespace ct = cotenant;

TEST_CASE("every struct becomes JSON that a strict reader accepts") {
  ct::TensorSharingManager manager{{.record_timeline = true}};
  manager.register_tensor("text_embedding", ct::zeros<float>({1, 768}), {.producer = "bert \"quoted\" \xFF"});
  const auto lease = manager.get<float>("text_embedding", "t5-small");
  manager.register_model("bert-base");
  manager.share("text_embedding", "t5-small", {"bart"});

  const std::string stats = to_json(manager.stats());
  const ct::json::Value value = ct::json::parse(stats, "stats");
  const ct::json::Field field(value, "stats");
  CHECK(field["total_tensors"].integer() == 1);
  CHECK(field["true_bytes"].integer() == 3072);
  CHECK(field["hit_rate"].number() == 1.0);
  CHECK(field["tensors"]["text_embedding"]["dtype"].string() == "f32");
  CHECK(field["tensors"]["text_embedding"]["holders"]["t5-small"].integer() == 1);
  CHECK(field["models"]["t5-small"]["shared_bytes"].integer() == 3072);
  CHECK(stats.find("\"max_memory\":null") != std::string::npos);
  CHECK(stats.find("\"shape\":[1,768]") != std::string::npos);
  CHECK(to_json(ct::TensorSharingManager({.max_memory = 64}).stats()).find("\"max_memory\":64") != std::string::npos);

  for (const std::string& text : {to_json(manager.tensor_memory_usage()), to_json(manager.model_memory_usage(), 2),
                                  to_json(manager.analyze_sharing_opportunities()), to_json(manager.optimization_recommendations(), 4),
                                  to_json(manager.optimize_memory()), to_json(manager.timeline()), to_json(manager.share("x", "y", {}))})
    CHECK_NOTHROW(ct::json::parse(text, "report"));
  CHECK(to_json(manager.share("x", "y", {})) == R"({"status":"not_found","granted":0,"consumers":{}})");
  CHECK(to_json(manager.optimize_memory()) ==
        R"({"initial_bytes":3072,"current_bytes":3072,"freed_bytes":0,"freed_tensors":0,"percentage":0,"remaining_tensors":1,)"
        R"("freed_derived_bytes":0,"trimmed_bytes":0,"freed_names":[],"evicted_names":[]})");
}
