// The manifest of an arena: what is written comes back, and what is hostile is refused before anything uses it.
#include "cotenant/ipc/arena_manifest.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace ct = cotenant;

namespace {

// An arena with this text as its manifest, and `data` bytes before it.
std::string arena_with(const std::string& manifest, std::size_t data = 256) {
  std::string arena(data, '\0');
  ct::detail::write_arena_header(reinterpret_cast<unsigned char*>(arena.data()), {data, manifest.size()});
  return arena + manifest;
}
std::string tensor_text(const std::string& name, const std::string& rest) { return "{\"name\":\"" + name + "\"," + rest + "}"; }
std::string manifest_text(const std::string& tensors, const std::string& files = "", const std::string& metadata = "") {
  return "{\"files\":[" + files + "],\"tensors\":[" + tensors + "],\"metadata\":{" + metadata + "}}";
}
ct::ArenaManifest read(const std::string& arena) { return ct::detail::read_arena(arena, "arena"); }
// One tensor; the data end at byte 256.
ct::ArenaManifest read_tensor(const std::string& rest, const std::string& files = "") { return read(arena_with(manifest_text(tensor_text("t", rest), files))); }

}  // namespace

TEST_CASE("a manifest comes back as it was written") {
  ct::ArenaManifest manifest;
  manifest.part_bytes = {4096, 1000, 0};
  manifest.tensors.push_back({"größe \"1\"", ct::DType::f32, {{2, 3}, {3, 1}, 16}, 0});
  manifest.tensors.push_back({"backwards", ct::DType::i64, {{4}, {-1}, 3}, 1});
  manifest.tensors.push_back({"repeated", ct::DType::bf16, {{5, 7}, {0, 1}, 2}, 1});
  manifest.tensors.push_back({"scalar", ct::DType::boolean, {{}, {}, 9}, 0});
  manifest.tensors.push_back({"nothing", ct::DType::i4x2, ct::contiguous_layout({3, 0}), 2});
  manifest.metadata = {{"config.json", "{\n \"a\": 1}"}, {"", ""}};
  const ct::ArenaManifest back = ct::detail::read_manifest(ct::detail::write_manifest(manifest), 4096, "test");
  CHECK(back.part_bytes == manifest.part_bytes);
  CHECK(back.metadata == manifest.metadata);
  REQUIRE(back.tensors.size() == manifest.tensors.size());
  for (std::size_t i = 0; i < back.tensors.size(); ++i) {
    CHECK(back.tensors[i].name == manifest.tensors[i].name);
    CHECK(back.tensors[i].dtype == manifest.tensors[i].dtype);
    CHECK(back.tensors[i].layout == manifest.tensors[i].layout);
    CHECK(back.tensors[i].part == manifest.tensors[i].part);
  }
  CHECK(back.tensors[1].bytes() == 32);
}

TEST_CASE("a header that contradicts itself is refused") {
  const std::string good = arena_with(manifest_text(""));
  CHECK(read(good).tensors.empty());
  CHECK_THROWS_WITH_AS(read(""), doctest::Contains("0 bytes"), ct::BadFile);
  CHECK_THROWS_AS(read(good.substr(0, 63)), ct::BadFile);
  std::string other = good;
  other[0] = 'C';
  CHECK_THROWS_WITH_AS(read(other), doctest::Contains("does not begin"), ct::BadFile);
  other = good;
  other[8] = 2;
  CHECK_THROWS_WITH_AS(read(other), doctest::Contains("format 2"), ct::Unsupported);
  CHECK_THROWS_WITH_AS(read(good.substr(0, good.size() - 1)), doctest::Contains("does not lie inside"), ct::BadFile);
  for (const int byte : {16, 23, 24, 31}) {  // where the manifest lies, and its length: made huge
    other = good;
    other[static_cast<std::size_t>(byte)] = '\xff';
    CHECK_THROWS_AS(read(other), ct::BadFile);
  }
  other = good;
  other[16] = 8, other[17] = 0;  // inside the header
  CHECK_THROWS_AS(read(other), ct::BadFile);
}

TEST_CASE("tensors outside their part, or of no known kind, are refused") {
  const std::string end = ",\"part\":0,\"offset\":16,\"bytes\":192";
  CHECK(read_tensor("\"dtype\":\"f32\",\"shape\":[48],\"strides\":[1]" + end).tensors[0].layout.offset == 16);
  // One element too far; backwards below the beginning; by a stride; by an offset.
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[49],\"strides\":[1],\"part\":0,\"offset\":16,\"bytes\":196"), ct::ShapeError);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[18],\"strides\":[-1],\"part\":0,\"offset\":16,\"bytes\":72"), ct::ShapeError);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[2],\"strides\":[48],\"part\":0,\"offset\":16,\"bytes\":8"), ct::ShapeError);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[1],\"strides\":[1],\"part\":0,\"offset\":64,\"bytes\":4"), ct::ShapeError);
  // Sizes whose product or sum overflows, also beside a zero stride.
  const std::string huge = "9223372036854775807";
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"i64\",\"shape\":[" + huge + "],\"strides\":[1],\"part\":0,\"offset\":0,\"bytes\":0"), ct::ShapeError);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"u8\",\"shape\":[" + huge + "," + huge + "],\"strides\":[0,0],\"part\":0,\"offset\":0,\"bytes\":1"), ct::ShapeError);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"u8\",\"shape\":[3],\"strides\":[" + huge + "],\"part\":0,\"offset\":0,\"bytes\":3"), ct::ShapeError);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"u8\",\"shape\":[3],\"strides\":[-9223372036854775808],\"part\":0,\"offset\":0,\"bytes\":3"), ct::ShapeError);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"u8\",\"shape\":[2],\"strides\":[1],\"part\":0,\"offset\":" + huge + ",\"bytes\":2"), ct::ShapeError);
  // No such type, part, rank; numbers of another kind.
  CHECK_THROWS_WITH_AS(read_tensor("\"dtype\":\"f64\",\"shape\":[1],\"strides\":[1]" + end), doctest::Contains("f64"), ct::BadFile);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[48],\"strides\":[1],\"part\":1,\"offset\":0,\"bytes\":192"), ct::BadFile);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[48],\"strides\":[1],\"part\":-1,\"offset\":0,\"bytes\":192"), ct::BadFile);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[48],\"strides\":[]" + end), ct::BadFile);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"strides\":[1,1,1,1,1,1,1,1,1]" + end), ct::BadFile);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[-1],\"strides\":[1]" + end), ct::BadFile);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[1.5],\"strides\":[1]" + end), ct::BadFile);
  CHECK_THROWS_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[48],\"strides\":[1],\"part\":0,\"offset\":16"), ct::BadFile);
  CHECK_THROWS_WITH_AS(read_tensor("\"dtype\":\"f32\",\"shape\":[48],\"strides\":[1],\"part\":0,\"offset\":16,\"bytes\":191"),
                       doctest::Contains("191"), ct::BadFile);
}

TEST_CASE("names are there, of a sensible length, and unique") {
  const std::string rest = "\"dtype\":\"u8\",\"shape\":[1],\"strides\":[1],\"part\":0,\"offset\":64,\"bytes\":1";
  CHECK_THROWS_WITH_AS(read(arena_with(manifest_text(tensor_text("a", rest) + "," + tensor_text("b", rest) + "," + tensor_text("a", rest)))),
                       doctest::Contains("'a' twice"), ct::BadFile);
  CHECK_THROWS_AS(read(arena_with(manifest_text(tensor_text("", rest)))), ct::BadFile);
  CHECK_THROWS_AS(read(arena_with(manifest_text(tensor_text(std::string(4097, 'n'), rest)))), ct::BadFile);
  CHECK(read(arena_with(manifest_text(tensor_text(std::string(4096, 'n'), rest)))).tensors.size() == 1);
}

TEST_CASE("text that is no manifest is refused") {
  for (const char* text : {"", "[]", "{}", "{\"files\":[],\"tensors\":{},\"metadata\":{}}", "{\"files\":[],\"tensors\":[],\"metadata\":{\"a\":1}}",
                           "{\"files\":[-1],\"tensors\":[],\"metadata\":{}}", "{\"files\":[],\"tensors\":[1],\"metadata\":{}}"})
    CHECK_THROWS_AS(read(arena_with(text)), ct::BadFile);
  std::string many = "0";
  for (int i = 0; i < 253; ++i) many += ",0";
  CHECK_THROWS_WITH_AS(read(arena_with(manifest_text("", many))), doctest::Contains("254"), ct::BadFile);
}
