#include "cotenant/files/store_folder.hpp"

#include <doctest/doctest.h>

#include <string>

#include "temporary_folder.hpp"

using namespace cotenant;

namespace {
Manifest one_tensor(std::uint64_t generation, const std::string& file) {
  Manifest manifest;
  manifest.generation = generation;
  manifest.files = {{file, 8}};
  manifest.tensors["t"] = {DType::f32, {2}, 8, file, 0, 8, StoredEncoding::raw, {xxh64("12345678", 8)}};
  return manifest;
}
}  // namespace

TEST_CASE("store_folder: the manifest is read again only where it changed") {
  const TemporaryFolder temporary;
  detail::StoreFolder folder(temporary.path());
  CHECK(folder.manifest()->tensors.empty());
  temporary.write("manifest.json", one_tensor(1, "tensors-1.safetensors").text());
  const auto first = folder.manifest();
  CHECK(first->generation == 1);
  CHECK(folder.manifest() == first);
  temporary.write("manifest.json", one_tensor(2, "tensors-1.safetensors").text());
  CHECK(folder.manifest()->generation == 2);
  CHECK(first->generation == 1);
}

TEST_CASE("store_folder: a tensor that moves to another file between two looks is found there") {
  const TemporaryFolder temporary;
  detail::StoreFolder folder(temporary.path());
  temporary.write("manifest.json", one_tensor(1, "tensors-1.safetensors").text());
  CHECK(folder.manifest()->generation == 1);
  CHECK_THROWS_AS(folder.open("t"), BadFile);  // its file is missing
  temporary.write("tensors-2.safetensors", "12345678");
  temporary.write("manifest.json", one_tensor(2, "tensors-2.safetensors").text());
  const auto opened = folder.open("t");
  CHECK(opened.entry.file == "tensors-2.safetensors");
  CHECK(opened.file.bytes() == 8);
  temporary.write("tensors-2.safetensors", "1234567");
  CHECK_THROWS_AS(folder.open("t"), BadFile);
  CHECK_THROWS_AS(folder.open("u"), NotFound);
}

TEST_CASE("store_folder: what was verified is forgotten with its file") {
  const TemporaryFolder temporary;
  detail::StoreFolder folder(temporary.path());
  const StoredTensor entry = one_tensor(1, "tensors-1.safetensors").tensors.at("t");
  CHECK_FALSE(folder.verified(entry));
  folder.set_verified(entry);
  CHECK(folder.verified(entry));
  folder.set(one_tensor(2, "tensors-1.safetensors"), "");
  CHECK(folder.verified(entry));
  folder.set(one_tensor(3, "tensors-2.safetensors"), "");
  CHECK_FALSE(folder.verified(entry));
}
