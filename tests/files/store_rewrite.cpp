#include "cotenant/files/store_rewrite.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../error_text.hpp"
#include "cotenant/files/store.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;
using test::has, test::message;

namespace {
SharedTensor<float> two_pages(float value) { return full(Shape{2048}, value); }  // 8 KiB
std::size_t data_file_count(const TemporaryFolder& folder) { return detail::StoreFolder(folder.path()).data_files().size(); }
}  // namespace

TEST_CASE("store_rewrite: a file of which most is dead is written anew, and nothing else changes") {
  const TemporaryFolder folder;
  auto now = std::chrono::system_clock::now();
  TensorStore store(folder.path(), {.clock = [&] { return now; }}), reader(folder.path());
  for (int i = 0; i < 4; ++i) store.put("t" + std::to_string(i), two_pages(static_cast<float>(i)));
  store.put("pairs", full(Shape{5}, i4x2(3, -4)));
  store.put("flags", full(Shape{2}, true));
  store.synchronize();
  const auto held = reader.load<float>("t1");
  const auto used = std::filesystem::last_write_time(folder / store.info("t0").file);
  now += std::chrono::hours(24);
  CHECK(store.compact().files == 0);  // nothing is dead
  store.remove("t1");
  CHECK(store.compact(0.5).files == 0);  // less than half is
  store.save("t2", two_pages(22));
  const std::size_t before = store.bytes();
  const CompactResult result = store.compact(0.4);
  CHECK(result.files == 1);
  CHECK(result.freed_bytes > 16000);
  CHECK(store.bytes() == before - result.freed_bytes);
  CHECK(store.compact(0).files == 0);
  CHECK(data_file_count(folder) == 2);
  CHECK(reader.load<float>("t0").view()(7) == 0.0f);
  CHECK(reader.load<float>("t2").view()(7) == 22.0f);
  CHECK(reader.load<float>("t3").view()(2047) == 3.0f);
  CHECK(reader.load<i4x2>("pairs").view()(4) == i4x2(3, -4));
  CHECK(reader.load<bool>("flags").view()(1));
  CHECK(held.view()(2047) == 1.0f);
  // Being moved is no use: it grows old as before.
  CHECK(std::filesystem::last_write_time(folder / store.info("t0").file) == used);
  std::filesystem::remove(folder / "manifest.json");
  const RebuildResult rebuilt = store.rebuild();
  CHECK(rebuilt.tensors == 5);
  CHECK(store.damaged().empty());
}

TEST_CASE("store_rewrite: a damaged tensor is not copied, so that it never looks sound") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  for (const char* name : {"good", "bad", "gone"}) store.put(name, two_pages(1));
  store.synchronize();
  const StoredTensor bad = store.info("bad");
  std::string bytes = folder.read(bad.file);
  bytes[bad.position + 5] = 'x';
  folder.write(bad.file, bytes);
  store.remove("gone");
  CHECK(store.compact(0.1).files == 1);
  CHECK(store.load<float>("good").view()(9) == 1.0f);
  CHECK(store.info("good").file != bad.file);
  CHECK(store.info("bad").file == bad.file);
  CHECK(has(message([&] { store.load<float>("bad"); }), "bad_file"));
}

TEST_CASE("store_rewrite: a commit that would not fit moves what is dead out of its way first") {
  const TemporaryFolder folder;
  TensorStore store(folder.path(), {.max_bytes = 40'000});
  for (int i = 0; i < 4; ++i) store.put("t" + std::to_string(i), two_pages(static_cast<float>(i)));  // 32 KiB and a header
  store.synchronize();
  store.remove(std::vector<std::string>{"t0", "t1"});
  CHECK(store.bytes() > 32'000);
  store.save("t4", two_pages(4));
  CHECK(store.bytes() < 26'000);
  CHECK(store.names() == std::vector<std::string>{"t2", "t3", "t4"});
  CHECK(store.load<float>("t3").view()(0) == 3.0f);
  CHECK(store.damaged().empty());
  CHECK(has(message([&] { store.save("t5", full(Shape{9000}, 1.0f)); }), "budget_exceeded"));
  CHECK(store.names().size() == 3);
}

TEST_CASE("store_rewrite: how much of a file is dead") {
  Manifest manifest;
  manifest.files = {{"f", 1000}};
  manifest.tensors["a"].file = "f";
  manifest.tensors["a"].stored_bytes = 300;
  manifest.tensors["b"].file = "g";
  manifest.tensors["b"].stored_bytes = 500;
  CHECK(detail::StoreRewrite::dead_bytes(manifest, "f") == 700);
}
