#include "cotenant/files/manifest.hpp"

#include <doctest/doctest.h>

#include <string>

#include "../error_text.hpp"

using namespace cotenant;
using test::has;

namespace {
std::string refused_manifest(const std::string& content) {
  try {
    Manifest::parse_content(content, "m.json");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("m.json") != std::string::npos);
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "accepted";
}
const std::string data_file = "tensors-1-2.safetensors";
// A manifest with one file of 1000 bytes and one tensor that lies in it.
std::string manifest_with(const std::string& fields) {
  return R"({"generation":1,"files":{")" + data_file + R"(":1000},"tensors":{"t":{)" + fields + "}}}";
}
std::string manifest_of_tensor(const std::string& dtype, const std::string& shape, const std::string& position, const std::string& sums = R"(["0123456789abcdef"])") {
  return manifest_with(R"("dtype":")" + dtype + R"(","shape":)" + shape + R"(,"file":")" + data_file + R"(","position":)" + position + R"(,"xxh64":)" + sums);
}
}  // namespace

TEST_CASE("manifest: text and back") {
  Manifest manifest;
  manifest.generation = 41;
  manifest.files = {{data_file, 5'000'000}, {"tensors-3-4.safetensors", 77}};
  manifest.tensors["a \"b\" ü"] = {DType::bf16, {3, 0, 5}, 0, data_file, 64, 0, StoredEncoding::raw, {}};
  manifest.tensors["large"] = {DType::f32, {1100, 1000}, 4'400'000, data_file, 128, 4'400'000, StoredEncoding::raw, {1, 0xFEDCBA9876543210u}};
  manifest.tensors["packed"] = {DType::i4x2, {2}, 2, "tensors-3-4.safetensors", 65, 11, StoredEncoding::zstd, {7}};
  manifest.tensors["scalar"] = {DType::f32, {}, 4, data_file, 4, 4, StoredEncoding::raw, {8}};
  const std::string text = manifest.text();
  const Manifest read = Manifest::parse(text, "m.json");
  CHECK(read.text() == text);
  CHECK(read.generation == 41);
  CHECK(read.file_bytes() == 5'000'077);
  CHECK(read.tensors.at("large").checksums[1] == 0xFEDCBA9876543210u);
  CHECK(read.tensors.at("large").bytes == 4'400'000);
  CHECK(read.tensors.at("packed").encoding == StoredEncoding::zstd);
  CHECK(read.tensors.at("packed").stored_bytes == 11);
  CHECK(read.tensors.at("scalar").shape.rank() == 0);
  CHECK(Manifest::parse(Manifest{}.text(), "m.json").tensors.empty());
  // Readers tell a new state from an old one by the head alone.
  ++manifest.generation;
  CHECK(manifest.text().substr(0, Manifest::head_bytes) != text.substr(0, Manifest::head_bytes));
}

TEST_CASE("manifest: every byte that changes is noticed") {
  Manifest manifest;
  manifest.files = {{data_file, 1000}};
  manifest.tensors["t"] = {DType::f32, {2}, 8, data_file, 64, 8, StoredEncoding::raw, {1}};
  const std::string text = manifest.text();
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string bad = text;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    CHECK_THROWS_AS(Manifest::parse(bad, "m.json"), Error);
    CHECK_THROWS_AS(Manifest::parse(text.substr(0, at), "m.json"), Error);
  }
  CHECK_THROWS_AS(Manifest::parse(text + "x", "m.json"), BadFile);
  CHECK_THROWS_AS(Manifest::parse("{\"cotenant_store\":2,", "m.json"), Unsupported);
}

TEST_CASE("manifest: contents that contradict themselves") {
  CHECK(refused_manifest(manifest_of_tensor("f32", "[2]", "8")) == "accepted");
  CHECK(has(refused_manifest("[]"), "bad_file"));
  CHECK(has(refused_manifest("{}"), "generation"));
  CHECK(has(refused_manifest(R"({"generation":-1,"files":{},"tensors":{}})"), "generation"));
  CHECK(has(refused_manifest(R"({"generation":1,"files":{"tensors-1-2.safetensors":-1},"tensors":{}})"), "must lie between"));
  for (const char* name : {"x", "../tensors-1.safetensors", "tensors-/etc/passwd.safetensors", "tensors-\\\\x.safetensors", "tensors-.safetensors"})
    CHECK(has(refused_manifest(std::string(R"({"generation":1,"files":{")") + name + R"(":1},"tensors":{}})"), "which no store makes"));
  CHECK(has(refused_manifest(R"({"generation":1,"files":{"tensors-a\u0000.safetensors":1},"tensors":{}})"), "bad_file"));
  CHECK(has(refused_manifest(manifest_with("")), "tensors.t: dtype is missing"));
  CHECK(has(refused_manifest(manifest_of_tensor("f64", "[2]", "8")), "no element type"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "2", "8")), "shape is an integer"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[1,1,1,1,1,1,1,1,1]", "8")), "more than 8"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[4611686018427387904]", "8")), "overflows"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[0,4611686018427387904,8]", "8", "[]")), "accepted"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[4611686018427387904,8,0]", "8", "[]")), "overflows"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[-2]", "8")), "must lie between"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[2]", "6")), "no multiple"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[2]", "996")), "beyond its file"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[2]", "9223372036854775804")), "beyond its file"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[2]", "8", "[]")), "0 checksums"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[2]", "8", R"(["0123456789abcdeF"])")), "hexadecimal"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[2]", "8", R"(["0123"])")), "hexadecimal"));
  CHECK(has(refused_manifest(manifest_of_tensor("f32", "[2]", "8", "[5]")), "an integer"));
  CHECK(has(refused_manifest(manifest_with(R"("dtype":"f32","shape":[2],"file":"tensors-9-9.safetensors","position":8,"xxh64":["0123456789abcdef"])")), "not among the files"));
}
