// Mapped: read-only files as blocks of bytes.
#include "cotenant/storage/mapped.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "cotenant/share/manager.hpp"
#include "cotenant/share/tensor.hpp"

namespace ct = cotenant;

namespace {

// A file that is removed at the end of the test.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& content) : path_(std::filesystem::temp_directory_path() / ("cotenant-mapped-test-" + name)) {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("a file is mapped whole") {
  static_assert(ct::Storage<ct::Mapped> && !ct::AllocatingStorage<ct::Mapped> && !ct::Mapped::writable);
  const TemporaryFile file("whole", std::string("abc\0def", 7));
  const ct::Allocation allocation = ct::Mapped::map(file.path());
  REQUIRE(allocation.bytes == 7);
  CHECK(std::memcmp(allocation.data, "abc\0def", 7) == 0);
  ct::Mapped().deallocate(allocation);
}

TEST_CASE("an empty file has no address") {
  const TemporaryFile file("empty", "");
  const ct::Allocation allocation = ct::Mapped::map(file.path());
  CHECK(allocation.bytes == 0);
  CHECK(allocation.data == nullptr);
  ct::Mapped().deallocate(allocation);
}

TEST_CASE("what cannot be mapped says which file and why") {
  CHECK_THROWS_WITH_AS(ct::Mapped::map("/nonexistent/file"), doctest::Contains("/nonexistent/file"), ct::NotFound);
  CHECK_THROWS_AS(ct::Mapped::map(std::filesystem::temp_directory_path()), ct::IoError);
}

TEST_CASE("pages of a file may be dropped and come back; anonymous pages stay") {
  const std::string text(100'000, 'x');
  const TemporaryFile file("dropped", text);
  const ct::BlockRef block = ct::Block::adopt(ct::Mapped(), ct::Mapped::map(file.path()));
  const char* const data = static_cast<const char*>(block->data());
  for (const std::size_t first : {std::size_t{0}, std::size_t{5000}, std::size_t{99'999}}) {
    const auto gone = block->drop_pages(data + first, text.size() - first);
#if !defined(_WIN32)
    CHECK((gone.empty() || reinterpret_cast<const char*>(gone.data()) >= data + first));
    CHECK(gone.empty() == (first == 99'999));
#endif
    CHECK(std::memcmp(data, text.data(), text.size()) == 0);
  }
  const ct::Allocation room = ct::Mapped::anonymous(100'000);
  std::memcpy(room.data, text.data(), text.size());
  const ct::BlockRef only = ct::Block::adopt(ct::Mapped{.from_file = false}, room);
  CHECK(only->drop_pages(room.data, text.size()).empty());
  CHECK(std::memcmp(room.data, text.data(), text.size()) == 0);
  const ct::SharedTensor<float> heap = ct::full({64}, 3.0f);
  CHECK(heap.block()->drop_pages(heap.view().data(), heap.bytes()).empty());
  CHECK(heap.view()(63) == 3.0f);
}

TEST_CASE("tensors on a file are read-only, outlive the name of the file, and can be shared") {
  float values[16];
  for (int i = 0; i < 16; ++i) values[i] = static_cast<float>(i);
  auto file = std::make_unique<TemporaryFile>("tensor", std::string(reinterpret_cast<const char*>(values), sizeof values));
  const ct::BlockRef block = ct::Block::adopt(ct::Mapped(), ct::Mapped::map(file->path()));
  file.reset();
  ct::SharedTensor<float, ct::Mapped> tensor(block, ct::contiguous_layout({4, 4}));
  CHECK(tensor.view()(3, 3) == 15.0f);
  CHECK(block->published());
  CHECK_THROWS_AS(tensor.check_writable(), ct::ReadOnly);
  CHECK_THROWS_AS((ct::SharedTensor<float, ct::Mapped>(block, ct::contiguous_layout({17}))), ct::ShapeError);
  CHECK_THROWS_AS((ct::SharedTensor<float, ct::Heap>(block, ct::contiguous_layout({4}))), ct::TypeError);
  ct::TensorSharingManager manager;
  manager.register_tensor("weights", tensor.slice(0, 1, 3));
  CHECK(manager.get<float, ct::Mapped>("weights", "m")->view()(0, 0) == 4.0f);
  CHECK_THROWS_WITH_AS(static_cast<void>(manager.get<float>("weights", "m")), doctest::Contains("'mapped'"), ct::TypeError);
  CHECK(manager.stats().true_bytes == 64);
}
