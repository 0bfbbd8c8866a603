#include "cotenant/files/file_record.hpp"

#include <doctest/doctest.h>

#include <string>

#include "../error_text.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;
using test::has, test::message;

namespace {
// A file with two tensors, one of them packed pairs.
void write(const std::filesystem::path& path, std::uint64_t generation = 5) {
  SafetensorsWriter writer;
  writer.add("a", from({1.0f, 2.0f}, {2}));
  writer.add("p", full<std::uint8_t>({3}, 0x78));
  std::map<std::string, StoredTensor> special;
  special["p"].dtype = DType::i4x2;
  special["p"].shape = {3};
  detail::FileRecord::describe(writer, generation, special);
  writer.write(path);
}
}  // namespace

TEST_CASE("file_record: written and read, with every byte proved") {
  const TemporaryFolder folder;
  write(folder / "tensors-1.safetensors");
  const detail::FileRecord record = detail::FileRecord::read(folder / "tensors-1.safetensors");
  CHECK(record.generation == 5);
  CHECK(record.bytes == std::filesystem::file_size(folder / "tensors-1.safetensors"));
  REQUIRE(record.tensors.size() == 2);
  CHECK(record.damaged.empty());
  const StoredTensor& a = record.tensors.at("a");
  CHECK(a.dtype == DType::f32);
  CHECK(a.shape == Shape{2});
  CHECK(a.file == "tensors-1.safetensors");
  CHECK(a.checksums.size() == 1);
  CHECK(record.tensors.at("p").dtype == DType::i4x2);
}

TEST_CASE("file_record: one changed byte anywhere is found") {
  const TemporaryFolder folder;
  write(folder / "good.safetensors");
  const std::string good = folder.read("good.safetensors");
  const detail::FileRecord record = detail::FileRecord::read(folder / "good.safetensors");
  const std::size_t data = record.tensors.at("a").position;
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    folder.write("bad.safetensors", bytes);
    CAPTURE(at);
    // In a tensor's bytes or in its checksum it costs that tensor, in anything else the file.
    std::size_t damaged = 0;
    const std::string text = message([&] { damaged = detail::FileRecord::read(folder / "bad.safetensors").damaged.size(); });
    CHECK(damaged + (has(text, "bad_file") ? 1 : 0) == 1);
    if (at >= data) CHECK(damaged == 1);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, data, good.size() - 1}) {
    folder.write("bad.safetensors", good.substr(0, size));
    CHECK(has(message([&] { detail::FileRecord::read(folder / "bad.safetensors"); }), "bad_file"));
  }
  CHECK(has(message([&] { detail::FileRecord::read(folder / "absent.safetensors"); }), "not_found"));
}
