#include "cotenant/files/safetensors_writer.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "ramp.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;
using test::ramp;

TEST_CASE("safetensors_writer: what is written is read back, aligned and without a copy") {
  const TemporaryFolder temporary;
  SafetensorsWriter writer;
  // The tensors of tests/data/make_safetensors.py, of which the Python package checks the values with --read.
  writer.add("i8", ramp<std::int8_t>({7}, -3));
  writer.add("f32", ramp<float>({3, 4}, -3));
  writer.add("f16", ramp<f16>({2, 1, 3}, -3));
  writer.add("bf16", ramp<bf16>({5}, -3));
  writer.add("u8", ramp<std::uint8_t>({3}, 0));
  writer.add("i64", ramp<std::int64_t>({2}, -3));
  writer.add("i32", ramp<std::int32_t>({2, 2}, -3));
  auto flags = empty<bool>({3, 3});
  for (std::size_t i = 0; i < 9; ++i) flags.mutable_view().span()[i] = i % 2 == 1;
  writer.add("bool", flags);
  writer.add("scalar", from({2.5f}, {}));
  writer.add("empty", empty<float>({0, 4}));
  writer.add("name with \"quotes\", \\ and ünïcödé 😀", ramp<float>({1}, -3));
  writer.add("control \n\x01 name", ramp<float>({1}, 0));
  writer.set_metadata("format", "pt");
  writer.set_metadata("note", "zwölf\n\"x\"\\");
  writer.write(temporary / "types.safetensors");

  const auto file = SafetensorsFile::open(temporary / "types.safetensors");
  CHECK_FALSE(file.copied());
  CHECK(file.tensors().front().type == "I64");
  CHECK(file.tensors().front().position % 64 == 0);
  for (const SafetensorsInfo& info : file.tensors()) CHECK(info.position % size_of(*info.dtype) == 0);
  CHECK(file.tensor<float>("f32").view()(2, 3) == 8.0f);
  CHECK(file.tensor<bf16>("bf16").view()(4) == bf16(1.0f));
  CHECK(file.tensor<bool>("bool").view()(2, 1));
  CHECK(file.tensor<float>("scalar").view()() == 2.5f);
  CHECK(file.contains("control \n\x01 name"));
  CHECK(file.metadata().at("note") == "zwölf\n\"x\"\\");
  // For a look by another reader: tests/data/make_safetensors.py --read.
  if (const char* keep = std::getenv("COTENANT_KEEP_FILES")) std::filesystem::copy(temporary / "types.safetensors", keep, std::filesystem::copy_options::overwrite_existing);
}

TEST_CASE("safetensors_writer: views of any layout are written in row-major order") {
  const TemporaryFolder temporary;
  const auto base = ramp<float>({2, 3, 4}, 0);
  SafetensorsWriter writer;
  writer.add("transposed", base.transpose(0, 2));
  writer.add("strided", base.slice(2, 3, -1, -2));
  writer.add("repeated", from({1.0f, 2.0f}, {2, 1}).broadcast_to({3, 2, 2}));
  writer.write(temporary / "views");
  const auto file = SafetensorsFile::open(temporary / "views");
  const auto transposed = file.tensor<float>("transposed");
  CHECK(transposed.shape() == Shape{4, 3, 2});
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t k = 0; k < 2; ++k) CHECK(transposed.view()(i, j, k) == base.view()(k, j, i));
  CHECK(file.tensor<float>("strided").view()(1, 2, 0) == base.view()(1, 2, 3));
  CHECK(file.tensor<float>("strided").view()(1, 2, 1) == base.view()(1, 2, 1));
  CHECK(file.tensor<float>("repeated").view()(2, 1, 1) == 2.0f);
}

TEST_CASE("safetensors_writer: refusals") {
  const TemporaryFolder temporary;
  SafetensorsWriter writer;
  writer.add("a", ramp<float>({2}, 0));
  CHECK_THROWS_AS(writer.add("a", ramp<float>({2}, 0)), AlreadyRegistered);
  CHECK_THROWS_AS(writer.add("__metadata__", ramp<float>({2}, 0)), InvalidArgument);
  CHECK_THROWS_AS(writer.add("\xFF", ramp<float>({2}, 0)), InvalidArgument);
  CHECK_THROWS_AS(writer.add("none", SharedTensor<float>{}), InvalidArgument);
  CHECK_THROWS_AS(writer.set_metadata("k", "\xC3"), InvalidArgument);
  CHECK_THROWS_AS(writer.write(temporary / "no such folder/file"), IoError);
}

TEST_CASE("safetensors_writer: says where each tensor lies, and the checksum of its bytes") {
  const TemporaryFolder temporary;
  SafetensorsWriter writer;
  const auto wide = ramp<float>({40, 30}, 0);
  writer.add("bytes", ramp<std::uint8_t>({3}, 5));
  writer.add("turned", wide.transpose());
  writer.add("none", empty<float>({0}));
  const std::size_t promised = writer.file_bytes();
  const std::vector<WrittenTensor> written = writer.write(temporary / "x", AtomicFile::Durability::not_durable);
  const std::string file = temporary.read("x");
  CHECK(file.size() == promised);
  REQUIRE(written.size() == 3);
  for (const WrittenTensor& tensor : written) {
    CHECK(tensor.bytes == (tensor.name == "turned" ? 4800 : tensor.name == "bytes" ? 3 : 0));
    REQUIRE(tensor.checksums.size() == (tensor.bytes == 0 ? 0 : 1));
    if (tensor.bytes != 0) CHECK(tensor.checksums[0] == xxh64(file.data() + tensor.position, tensor.bytes));
  }
  const auto turned = SafetensorsFile::open(temporary / "x").tensor<float>("turned");
  for (std::size_t i = 0; i < 30; ++i)
    for (std::size_t k = 0; k < 40; ++k) CHECK(turned.view()(i, k) == wide.view()(k, i));
}

TEST_CASE("safetensors_writer: checksums in the metadata prove the header and every tensor") {
  const TemporaryFolder temporary;
  SafetensorsWriter writer;
  writer.set_metadata("kind", "\"quoted\":\"text\"");
  writer.set_checksum_metadata("sums \":\"");
  writer.add("a", ramp<float>({1500, 1000}, 0));  // two chunks
  writer.add("b", ramp<std::uint8_t>({3}, 5));
  const std::size_t promised = writer.file_bytes();
  const auto written = writer.write(temporary / "x");
  std::string file = temporary.read("x");
  CHECK(file.size() == promised);
  const auto read = SafetensorsFile::open(temporary / "x");
  CHECK(read.metadata().at("kind") == "\"quoted\":\"text\"");
  const std::string sums = read.metadata().at("sums \":\"");
  REQUIRE(sums.size() == 4 * 16);
  CHECK(sums.substr(16) == checksum_digits(written[0].checksums[0]) + checksum_digits(written[0].checksums[1]) + checksum_digits(written[1].checksums[0]));
  std::string header = file.substr(0, read.info("a").position);
  header.replace(header.find(sums), sums.size(), sums.size(), '0');
  CHECK(sums.substr(0, 16) == checksum_digits(xxh64(header.data(), header.size())));
}
