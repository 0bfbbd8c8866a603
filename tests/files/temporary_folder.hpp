// TemporaryFolder: a fresh folder for one test, removed with everything in it at the end.
#ifndef COTENANT_TESTS_FILES_TEMPORARY_FOLDER_HPP
#define COTENANT_TESTS_FILES_TEMPORARY_FOLDER_HPP
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(std::filesystem::temp_directory_path() / ("cotenant-test-" + std::to_string(std::random_device{}()) + std::to_string(std::random_device{}()))) {
    std::filesystem::create_directories(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  std::filesystem::path write(const std::string& name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path path_;
};

// What a safetensors file looks like with this header and this data.
inline std::string safetensors_bytes(std::string_view header, std::string_view data, std::size_t claimed = std::size_t(-1)) {
  const unsigned long long length = claimed == std::size_t(-1) ? header.size() : claimed;
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(static_cast<unsigned char>(length >> (8 * i))));
  return bytes.append(header).append(data);
}

#endif
