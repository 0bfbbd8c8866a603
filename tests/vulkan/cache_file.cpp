#include "cotenant/vulkan/cache_file.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "cache_folder.hpp"

namespace vk = cotenant::vulkan;
using cotenant::test::CacheFolder;

namespace {
void overwrite(const std::string& path, std::size_t at, char value) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(value);
}
}  // namespace

TEST_CASE("a cache comes back as it was written, and leaves nothing else in its folder") {
  const CacheFolder folder;
  const std::string path = folder.path + "/deeper/cache.bin";
  CHECK(vk::cache_file::read(path).empty());
  std::vector<unsigned char> content(1001);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<unsigned char>(i * 7);
  CHECK(vk::cache_file::write(path, content));
  CHECK(vk::cache_file::read(path) == content);
  content.resize(3);
  CHECK(vk::cache_file::write(path, content));
  CHECK(vk::cache_file::read(path) == content);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path + "/deeper")) static_cast<void>(entry), ++files;
  CHECK(files == 1);
}

TEST_CASE("a damaged cache is no cache: any byte changed, cut off, or something behind it") {
  const CacheFolder folder;
  const std::string path = folder.path + "/cache.bin";
  const std::vector<unsigned char> content(64, 42);
  for (std::size_t at = 0; at < 64 + 24; ++at) {
    REQUIRE(vk::cache_file::write(path, content));
    overwrite(path, at, 'Z');
    CHECK(vk::cache_file::read(path).empty());
  }
  for (std::size_t length : {0, 7, 23, 24, 60}) {
    REQUIRE(vk::cache_file::write(path, content));
    std::filesystem::resize_file(path, length);
    CHECK(vk::cache_file::read(path).empty());
  }
  REQUIRE(vk::cache_file::write(path, content));
  std::ofstream(path, std::ios::app | std::ios::binary) << "more";
  CHECK(vk::cache_file::read(path).empty());
}

TEST_CASE("a folder that cannot be written to costs the cache and nothing else") {
  const CacheFolder folder;
  std::ofstream(folder.path) << "a file where the folder should be";
  CHECK_FALSE(vk::cache_file::write(folder.path + "/cache.bin", {1, 2, 3}));
}

TEST_CASE("caches of two devices or two drivers are two files, in the folder that was wished for") {
  vk::Capabilities a, b, c;
  b.pipeline_cache_uuid[3] = 1;
  c.driver_version = 2;
  CHECK(vk::cache_file_name("vulkan", a) != vk::cache_file_name("vulkan", b));
  CHECK(vk::cache_file_name("vulkan", a) != vk::cache_file_name("vulkan", c));
  CHECK(vk::cache_file_name("vulkan", a) == "vulkan-00000000000000000000000000000000-00000000.bin");
  CHECK(vk::cache_folder("/somewhere") == "/somewhere");
  CHECK(vk::cache_folder("-").empty());
}
