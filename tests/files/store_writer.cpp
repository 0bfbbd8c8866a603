#include "cotenant/files/store_writer.hpp"

#include <doctest/doctest.h>

#include <string>

#include "cotenant/files/safetensors.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;

TEST_CASE("store_writer: a commit is one file and one generation") {
  const TemporaryFolder temporary;
  detail::StoreFolder folder(temporary.path());
  const StoreOptions options;
  detail::StoreWriter writer(folder, options);
  detail::StoreWriter::Batch batch;
  batch.emplace("a", detail::StoreWriter::item("a", full(Shape{3}, 1.0f)));
  batch.emplace("b", detail::StoreWriter::item("b", full(Shape{2}, i4x2(1, 2))));
  CHECK(writer.store(batch).tensors == 2);
  const auto manifest = folder.manifest();
  CHECK(manifest->generation == 1);
  REQUIRE(manifest->files.size() == 1);
  const auto& [name, bytes] = *manifest->files.begin();
  CHECK(bytes == std::filesystem::file_size(temporary / name));
  const auto file = SafetensorsFile::open(temporary / name);
  CHECK(file.info("a").position == manifest->tensors.at("a").position);
  CHECK(file.info("b").type == "U8");
  CHECK(manifest->tensors.at("b").dtype == DType::i4x2);
  writer.remove({"absent"});
  CHECK(folder.manifest() == manifest);  // nothing changed, nothing written
  writer.remove({"a", "absent"});
  CHECK(folder.manifest()->generation == 2);
  CHECK(folder.manifest()->files.size() == 1);
}

TEST_CASE("store_writer: a commit of another process is built upon, not overwritten") {
  const TemporaryFolder temporary;
  const StoreOptions options;
  detail::StoreFolder one(temporary.path()), two(temporary.path());
  detail::StoreWriter first(one, options), second(two, options);
  first.store({{"a", detail::StoreWriter::item("a", full(Shape{3}, 1.0f))}});
  second.store({{"b", detail::StoreWriter::item("b", full(Shape{3}, 2.0f))}});
  first.store({{"c", detail::StoreWriter::item("c", full(Shape{3}, 3.0f))}});
  CHECK(two.manifest()->tensors.size() == 3);
  CHECK(two.manifest()->generation == 3);
}
