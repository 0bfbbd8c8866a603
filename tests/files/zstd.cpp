#include "cotenant/files/zstd.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cotenant/files/store.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;

namespace {
SharedTensor<float> repetitive(std::size_t count) {
  auto tensor = empty<float>({count});
  for (std::size_t i = 0; i < count; ++i) tensor.mutable_view().span()[i] = static_cast<float>(i % 100);
  return tensor;
}
bool equal(const SharedTensor<float, Mapped>& tensor) {
  for (std::size_t i = 0; i < tensor.size(); ++i)
    if (tensor.view()(i) != static_cast<float>(i % 100)) return false;
  return true;
}
}  // namespace

#if defined(COTENANT_ZSTD)
TEST_CASE("zstd: a frame and its limits") {
  const std::string text(1000, 'a');
  std::vector<char> packed(Zstd::bound(text.size())), out(1000);
  const std::size_t length = Zstd::compress(packed.data(), packed.size(), text.data(), text.size());
  CHECK(length < 100);
  CHECK(Zstd::decompress(out.data(), 1000, packed.data(), packed.size()) == length);
  CHECK(std::string(out.begin(), out.end()) == text);
  CHECK(Zstd::decompress(out.data(), 999, packed.data(), packed.size()) == 0);
  CHECK(Zstd::decompress(out.data(), 1000, packed.data(), length - 1) == 0);
  CHECK(Zstd::decompress(out.data(), 1000, text.data(), text.size()) == 0);
  CHECK(Zstd::decompress(out.data(), 1000, packed.data(), 0) == 0);
  CHECK_THROWS_AS(Zstd::compress(packed.data(), 3, text.data(), text.size()), OutOfMemory);
}

TEST_CASE("zstd: cold tensors of a store become smaller and stay the same") {
  const TemporaryFolder folder;
  auto now = std::chrono::system_clock::now();
  TensorStore store(folder.path(), {.clock = [&] { return now; }});
  constexpr std::size_t count = 2'500'000;  // two chunks and a part of one
  auto noise = empty<std::uint8_t>({5000});
  std::uint32_t state = 1;
  for (auto& byte : noise.mutable_view().span()) byte = static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
  store.put("cold", repetitive(count));
  store.put("noise", noise);
  store.synchronize();
  CHECK(store.compress(std::chrono::hours(1)).empty());
  now += std::chrono::hours(24);
  store.save("hot", repetitive(1000));
  CHECK(store.compress(std::chrono::hours(1)) == std::vector<std::string>{"cold"});
  CHECK(store.compress(std::chrono::hours(1)).empty());
  CHECK(store.info("cold").encoding == StoredEncoding::zstd);
  CHECK(store.info("cold").stored_bytes < count / 4);
  CHECK(store.info("noise").encoding == StoredEncoding::raw);
  TensorStore other(folder.path());
  CHECK(equal(other.load<float>("cold")));
  CHECK(equal(other.load<float>("hot")));
  CHECK(other.read<float>("cold").view()(count - 1) == static_cast<float>((count - 1) % 100));
  CHECK(other.damaged().empty());
  auto load = other.load_progressively<float>("cold");
  CHECK(load.advance());
  CHECK(load.ready_rows() == ChunkedChecksum::chunk_bytes / 4);
  CHECK(equal(load.rows()));
  CHECK(equal(load.finish()));

  const StoredTensor entry = store.info("cold");
  std::string file = folder.read(entry.file);
  file[entry.position + entry.stored_bytes / 2] = static_cast<char>(~file[entry.position + entry.stored_bytes / 2]);
  folder.write(entry.file, file);
  CHECK_THROWS_AS(TensorStore(folder.path()).load<float>("cold"), BadFile);
  CHECK(TensorStore(folder.path()).damaged().size() == 1);
}

TEST_CASE("zstd: compressed tensors move, and come back when the manifest is lost, with every frame proved") {
  const TemporaryFolder folder;
  auto now = std::chrono::system_clock::now();
  TensorStore store(folder.path(), {.clock = [&] { return now; }});
  constexpr std::size_t count = 1'500'000;  // two chunks
  auto half = empty<std::uint8_t>({20'000});  // four of eight bits: compressed it takes half
  std::uint32_t state = 1;
  for (auto& byte : half.mutable_view().span()) byte = static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 28);
  store.put("a", repetitive(count));
  store.put("b", half);
  store.put("pairs", full(Shape{9000}, i4x2(1, -2)));
  store.synchronize();
  now += std::chrono::hours(24);
  CHECK(store.compress(std::chrono::hours(1)).size() == 3);
  store.remove("b");
  CHECK(store.compact(0.1).files == 1);
  CHECK(store.info("a").encoding == StoredEncoding::zstd);
  CHECK(equal(store.load<float>("a")));
  CHECK(store.load<i4x2>("pairs").view()(8999) == i4x2(1, -2));
  const Manifest manifest = Manifest::parse(folder.read("manifest.json"), "m");
  std::filesystem::remove(folder / "manifest.json");
  CHECK(store.rebuild().tensors == 2);
  Manifest again = Manifest::parse(folder.read("manifest.json"), "m");
  again.generation = manifest.generation;
  CHECK(again.text() == manifest.text());
  CHECK(equal(TensorStore(folder.path()).load_progressively<float>("a").finish()));
  // One wrong bit of a frame costs that tensor.
  const StoredTensor entry = store.info("a");
  std::string file = folder.read(entry.file);
  file[entry.position + entry.stored_bytes / 2] = static_cast<char>(file[entry.position + entry.stored_bytes / 2] ^ 16);
  folder.write(entry.file, file);
  std::filesystem::remove(folder / "manifest.json");
  const RebuildResult result = store.rebuild();
  CHECK(result.tensors == 1);
  CHECK(result.damaged_tensors.count("a") == 1);
}
#else
TEST_CASE("zstd: without it a compressed tensor is an error that says why, and all others load") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  store.save("a", repetitive(100));
  store.save("b", repetitive(100));
  Manifest manifest = Manifest::parse(folder.read("manifest.json"), "manifest.json");
  manifest.tensors.at("a").encoding = StoredEncoding::zstd;
  manifest.generation += 1;
  folder.write("manifest.json", manifest.text());
  CHECK(equal(store.load<float>("b")));
  CHECK_THROWS_AS(store.load<float>("a"), Unsupported);
  CHECK_THROWS_AS(store.read<float>("a"), Unsupported);
  CHECK_THROWS_AS(store.compress(std::chrono::hours(1)), Unsupported);
  CHECK(store.damaged().size() == 1);
}
#endif
