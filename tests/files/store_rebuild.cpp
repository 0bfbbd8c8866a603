// A manifest that is lost or damaged is made again from the files, which prove themselves; what is damaged costs only itself.
#include "cotenant/files/store_rebuild.hpp"

#include <doctest/doctest.h>

#include <string>

#include "../error_text.hpp"
#include "cotenant/files/store.hpp"
#include "ramp.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;
using test::has, test::message, test::ramp;

namespace {
void flip(const TemporaryFolder& folder, const std::string& file, std::size_t at) {
  std::string bytes = folder.read(file);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  folder.write(file, bytes);
}
// A store with several commits, replaced, removed and special tensors in it.
void fill(const TemporaryFolder& folder) {
  TensorStore store(folder.path());
  store.put("a", ramp({100}));
  store.put("large", ramp({1'500'000}));  // two chunks
  store.put("old", ramp({10}, 1));
  store.synchronize();
  store.put("pairs", full(Shape{2, 3}, i4x2(-8, 7)));
  store.put("flags", full(Shape{3}, true));
  store.put("none", empty<float>({0, 4}));
  store.synchronize();
  store.save("old", ramp({10}, 2));
  store.save("\"quoted\" ü", ramp({1}));
}
}  // namespace

TEST_CASE("store_rebuild: a lost manifest is an error, costs nothing, and is made again with the same content") {
  const TemporaryFolder folder;
  fill(folder);
  TensorStore before(folder.path());
  const Manifest manifest = Manifest::parse(folder.read("manifest.json"), "m");
  CHECK_FALSE(before.rebuild().rebuilt);  // it is good
  bool knew_it = false;
  SUBCASE("damaged behind its first bytes, and mended by who had read it while it was good") {
    flip(folder, "manifest.json", 200);
    knew_it = true;
  }
  SUBCASE("lost") { std::filesystem::remove(folder / "manifest.json"); }
  SUBCASE("damaged") { flip(folder, "manifest.json", 100); }
  SUBCASE("cut short") { std::filesystem::resize_file(folder / "manifest.json", 90); }
  SUBCASE("empty") { std::filesystem::resize_file(folder / "manifest.json", 0); }
  TensorStore store(folder.path());
  CHECK(has(message([&] { store.names(); }), "rebuild()"));
  CHECK(has(message([&] { store.save("b", ramp({4})); }), "bad_file"));
  CHECK(has(message([&] { store.sweep(); }), "bad_file"));  // and sweeps nothing away
  // Also by one who has read it while it was good.
  const RebuildResult result = knew_it ? before.rebuild() : store.rebuild();
  CHECK(result.rebuilt);
  CHECK(result.tensors == 7);
  CHECK(result.damaged_tensors.empty());
  CHECK(result.damaged_files.empty());
  Manifest again = Manifest::parse(folder.read("manifest.json"), "m");
  CHECK(again.generation > manifest.generation);
  again.generation = manifest.generation;
  CHECK(again.text() == manifest.text());
  CHECK(store.damaged().empty());
  CHECK(store.load<float>("old").view()(0) == 2.0f);
  CHECK(store.load<i4x2>("pairs").view()(1, 2) == i4x2(-8, 7));
  store.save("b", ramp({4}));
  CHECK(before.load<float>("b").view()(3) == 3.0f);
}

TEST_CASE("store_rebuild: damaged tensors and files cost themselves, and an older version does not come back in their place") {
  const TemporaryFolder folder;
  fill(folder);
  const Manifest manifest = Manifest::parse(folder.read("manifest.json"), "m");
  const StoredTensor large = manifest.tensors.at("large"), pairs = manifest.tensors.at("pairs"), old = manifest.tensors.at("old");
  flip(folder, large.file, large.position + large.bytes - 1);
  flip(folder, old.file, old.position);
  flip(folder, pairs.file, 30);  // in the header
  folder.write("tensors-00000009-00000009.safetensors", "no such file");
  std::filesystem::remove(folder / "manifest.json");
  TensorStore store(folder.path());
  const RebuildResult result = store.rebuild();
  CHECK(result.tensors == 2);
  CHECK(store.names() == std::vector<std::string>{"\"quoted\" ü", "a"});
  CHECK(store.load<float>("a").view()(99) == 99.0f);
  REQUIRE(result.damaged_tensors.size() == 2);
  CHECK(has(result.damaged_tensors.at("large"), "4194304 to 6000000"));
  CHECK(result.damaged_tensors.count("old") == 1);
  REQUIRE(result.damaged_files.size() == 2);
  CHECK(result.damaged_files.count(pairs.file) == 1);
  // They stay, for whoever wants to look at them, also beside the next writer.
  store.save("b", ramp({1}));
  CHECK(std::filesystem::exists(folder / (pairs.file + ".damaged")));
  CHECK_FALSE(std::filesystem::exists(folder / pairs.file));
}

TEST_CASE("store_rebuild: files of an earlier format are told apart, not trusted") {
  const TemporaryFolder folder;
  SafetensorsWriter writer;
  writer.add("x", ramp({3}));
  writer.write(folder / "tensors-1-1.safetensors");
  const RebuildResult result = TensorStore(folder.path()).rebuild();
  CHECK(result.rebuilt);
  CHECK(result.tensors == 0);
  REQUIRE(result.damaged_files.size() == 1);
  CHECK(has(result.damaged_files.begin()->second, "keeps checksums"));
}

TEST_CASE("store_rebuild: of a folder that is not there, or empty, nothing is made") {
  const TemporaryFolder folder;
  CHECK_FALSE(TensorStore(folder / "absent").rebuild().rebuilt);
  CHECK_FALSE(std::filesystem::exists(folder / "absent"));
  CHECK_FALSE(TensorStore(folder.path()).rebuild().rebuilt);
}
