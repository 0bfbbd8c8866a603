// One change of a store's folder: kept whole, given up without a trace, and what a dead process left.
#include "cotenant/files/store_commits.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "temporary_folder.hpp"

using namespace cotenant;

namespace {
// A file with the tensor "a", entered in the manifest.
std::string write_one(Manifest& next, detail::StoreCommits::NewFiles& files) {
  SafetensorsWriter writer;
  const auto tensor = full(Shape{4}, 1.0f);
  writer.add("a", DType::f32, tensor.block(), tensor.layout());
  const auto written = files.write(next, writer, {});
  next.tensors["a"] = {DType::f32, Shape{4}, 16, written.name, written.tensors[0].position, 16, StoredEncoding::raw, written.tensors[0].checksums};
  return written.name;
}
}  // namespace

TEST_CASE("store_commits: what is kept has a file and a generation of its own, what is given up leaves nothing") {
  const TemporaryFolder temporary;
  detail::StoreFolder folder(temporary / "store");
  const StoreOptions options;
  detail::StoreCommits commits(folder, options);
  std::string given_up, kept;
  CHECK(commits.change([&](Manifest& next, auto& files) { return given_up = write_one(next, files), false; }) == 0);
  CHECK_FALSE(std::filesystem::exists(folder.path() / given_up));
  CHECK(folder.manifest()->tensors.empty());
  commits.change([&](Manifest& next, auto& files) { return kept = write_one(next, files), true; });
  CHECK(std::filesystem::exists(folder.path() / kept));
  CHECK(folder.manifest()->generation == 1);
  CHECK(folder.manifest()->tensors.count("a") == 1);
  // The file goes with the last tensor in it.
  const std::size_t bytes = folder.manifest()->files.at(kept);
  CHECK(commits.change([](Manifest& next, auto&) { return next.tensors.erase("a") == 1; }) == bytes);
  CHECK_FALSE(std::filesystem::exists(folder.path() / kept));
}

TEST_CASE("store_commits: a change that throws leaves nothing, and the next one can begin") {
  const TemporaryFolder temporary;
  detail::StoreFolder folder(temporary.path());
  const StoreOptions options;
  detail::StoreCommits commits(folder, options);
  std::string name;
  const auto fails = [&](Manifest& next, auto& files) -> bool {
    name = write_one(next, files);
    raise<IoError>("the disk is full");
  };
  CHECK_THROWS_AS(commits.change(fails), IoError);
  CHECK_FALSE(std::filesystem::exists(folder.path() / name));
  commits.change([&](Manifest& next, auto& files) { return name = write_one(next, files), true; });
  CHECK(std::filesystem::exists(folder.path() / name));
}

TEST_CASE("store_commits: files that no manifest names are what a dead process left") {
  const TemporaryFolder temporary;
  detail::StoreFolder folder(temporary.path());
  const StoreOptions options;
  detail::StoreCommits commits(folder, options);
  std::string kept;
  commits.change([&](Manifest& next, auto& files) { return kept = write_one(next, files), true; });
  const std::string stray = "tensors-00000009-00000000.safetensors";
  std::ofstream(temporary / stray) << "left behind";
  std::ofstream(temporary / "notes.txt") << "not of the store";
  CHECK(commits.change([](Manifest&, auto&) { return false; }, true) == 11);
  CHECK_FALSE(std::filesystem::exists(temporary / stray));
  CHECK(std::filesystem::exists(temporary / kept));
  CHECK(std::filesystem::exists(temporary / "notes.txt"));
}
