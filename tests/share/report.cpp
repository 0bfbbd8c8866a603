// The report as text: its totals, its rows, its alignment.
#include "cotenant/share/report.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "cotenant/share/manager.hpp"
#include "memory_spill.hpp"
#include "support.hpp"

namespace ct = cotenant;
using share_tests::has;

TEST_CASE("an empty manager has a report") {
  const std::string text = ct::TensorSharingManager().report();
  CHECK(has(text, "0 tensors, 0 models"));
  CHECK(has(text, "saved     0 B\n"));
  CHECK_FALSE(has(text, "held by"));
}

TEST_CASE("the report says who holds what and what it saved") {
  ct::TensorSharingManager manager{{.max_memory = 1 << 20}};
  manager.register_tensor("text_embedding", ct::zeros<float>({1, 768}), {.producer = "bert-base-uncased"});
  const auto a = manager.get<float>("text_embedding", "t5-base");
  const auto b = manager.get<float>("text_embedding", "t5-base");
  const auto half = manager.create_view<float>("text_embedding", "half", {0, 0}, {1, 384}, "distilbert");
  manager.register_tensor("waiting", ct::zeros<float>({16}), {.consumers = {"bart"}});
  manager.register_tensor("idle", ct::zeros<float>({16}));
  manager.register_tensor("weights", ct::zeros<float>({16}), {.pinned = true});
  static_cast<void>(manager.try_get<float>("nothing", "m"));
  const std::string text = manager.report();
  CHECK(has(text, "5 tensors, 4 models"));
  CHECK(has(text, "memory    3.2 KiB of 1.0 MiB (peak 3.2 KiB)"));
  CHECK(has(text, "saved     4.5 KiB (58.5 %)"));
  CHECK(has(text, "2 hits, 1 miss (66.7 % hits)"));
  CHECK(has(text, "bert-base-uncased, t5-base ×2"));
  CHECK(has(text, "nobody yet: granted"));
  CHECK(has(text, "nobody: can be freed"));
  CHECK(has(text, "pinned\n"));
  CHECK(has(text, "[1, 768]"));
}

TEST_CASE("the report says what is away and what was joined") {
  ct::TensorSharingManager manager{{.max_memory = 1 << 17, .spill = std::make_shared<share_tests::MemorySpill>()}};
  for (int i = 0; i < 3; ++i) manager.register_tensor("t" + std::to_string(i), ct::full<float>({1 << 14}, static_cast<float>(i)), {.producer = i == 1 ? "p" : ""});
  manager.register_tensor("again", ct::full<float>({1 << 14}, 2.0f));
  const auto write = manager.write<float>("t1", "w");
  const std::string text = manager.report();
  CHECK(has(text, "away      64.0 KiB evicted, back with the next lease (1 eviction, 0 reloads)"));
  CHECK(has(text, "joined    64.0 KiB of 1 tensor that equalled others"));
  CHECK(has(text, "evicted\n"));
  CHECK(has(text, "written by w"));
}

TEST_CASE("columns align, also for names that are not ASCII, and a name cannot steer the terminal") {
  const std::string table = ct::detail::text_table({{"name", "bytes"}, {"é中", "1"}, {"long name", "12345"}}, 1);
  CHECK(table == "  name       bytes\n  ────────────────\n  é中             1\n  long name  12345\n");
  CHECK(ct::detail::printable("a\x1b[31m\n") == "a?[31m?");
  CHECK(ct::detail::percent(0.6667) == "66.7 %");
}
