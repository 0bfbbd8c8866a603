// CacheFolder: the path of a folder that is not there yet; what comes to lie at it is removed at the end of the test.
#ifndef COTENANT_TESTS_VULKAN_CACHE_FOLDER_HPP
#define COTENANT_TESTS_VULKAN_CACHE_FOLDER_HPP
#include <chrono>
#include <filesystem>
#include <string>

namespace cotenant::test {

struct CacheFolder {
  std::string path = (std::filesystem::temp_directory_path() / ("cotenant-cache-" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()))).string();
  ~CacheFolder() { std::filesystem::remove_all(path); }
};

}  // namespace cotenant::test

#endif
