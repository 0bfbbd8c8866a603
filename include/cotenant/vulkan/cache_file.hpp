// The pipeline cache on disk: a file that is either whole and meant for this device and driver, or ignored.
#ifndef COTENANT_VULKAN_CACHE_FILE_HPP
#define COTENANT_VULKAN_CACHE_FILE_HPP
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cotenant/vulkan/capabilities.hpp"

namespace cotenant::vulkan {

// The folder that caches are kept in: `wished`, else $COTENANT_CACHE, else $XDG_CACHE_HOME/cotenant, else
// $HOME/.cache/cotenant. Empty: nowhere.
inline std::string cache_folder(const std::string& wished) {
  if (wished == "-") return {};
  if (!wished.empty()) return wished;
  const auto environment = [](const char* name, const char* below) {
    const char* const value = std::getenv(name);
    return value == nullptr || *value == '\0' ? std::string() : std::string(value) + below;
  };
  for (const auto& [name, below] : {std::pair{"COTENANT_CACHE", ""}, {"XDG_CACHE_HOME", "/cotenant"}, {"HOME", "/.cache/cotenant"}})
    if (std::string folder = environment(name, below); !folder.empty()) return folder;
  return {};
}

// A name per device and driver, so that an update of the driver starts anew: "<prefix>-<cache UUID>-<driver version>.bin".
inline std::string cache_file_name(const char* prefix, const Capabilities& device) {
  std::string name = std::string(prefix) + "-";
  char digits[16];
  for (const std::uint8_t byte : device.pipeline_cache_uuid) std::snprintf(digits, sizeof digits, "%02x", byte), name += digits;
  std::snprintf(digits, sizeof digits, "-%08x", device.driver_version);
  return name + digits + ".bin";
}

namespace cache_file {
struct Header {
  char magic[8] = {'c', 'o', 't', 'v', 'k', 'p', 'c', '1'};
  std::uint64_t bytes = 0, checksum = 0;
};
inline constexpr std::size_t most = std::size_t{1} << 30;  // a length beyond this is a damaged file

// FNV-1a over 8 bytes at a time: notices damage, and no more is asked of it.
inline std::uint64_t checksum(const void* data, std::size_t bytes) {
  constexpr std::uint64_t prime = 0x100000001b3;
  std::uint64_t hash = 0xcbf29ce484222325 ^ bytes;
  const auto* at = static_cast<const unsigned char*>(data);
  for (; bytes >= 8; at += 8, bytes -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    hash = (hash ^ word) * prime;
    hash ^= hash >> 29;
  }
  for (; bytes > 0; ++at, --bytes) hash = (hash ^ *at) * prime;
  return hash;
}

// Empty where there is no such file, or it is damaged.
inline std::vector<unsigned char> read(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  Header header;
  const Header expected;
  if (!file || std::fread(&header, sizeof header, 1, file.get()) != 1) return {};
  if (std::memcmp(header.magic, expected.magic, sizeof header.magic) != 0 || header.bytes > most) return {};
  std::vector<unsigned char> content(header.bytes);
  if (!content.empty() && std::fread(content.data(), content.size(), 1, file.get()) != 1) return {};
  if (std::fgetc(file.get()) != EOF || checksum(content.data(), content.size()) != header.checksum) return {};
  return content;
}

// Whole or not at all: written beside and renamed. False where the folder cannot be written to; a cache is no reason to fail.
inline bool write(const std::string& path, const std::vector<unsigned char>& content) noexcept {
  for (std::size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1))
    static_cast<void>(::mkdir(path.substr(0, end).c_str(), 0777));
  static std::atomic<unsigned> next{0};
  const auto stamp = std::chrono::steady_clock::now().time_since_epoch().count();
  const std::string beside = path + "." + std::to_string(stamp) + "-" + std::to_string(next.fetch_add(1));
  Header header;
  header.bytes = content.size(), header.checksum = checksum(content.data(), content.size());
  std::FILE* const file = std::fopen(beside.c_str(), "wb");
  if (file == nullptr) return false;
  bool good = std::fwrite(&header, sizeof header, 1, file) == 1 && (content.empty() || std::fwrite(content.data(), content.size(), 1, file) == 1);
  good = std::fclose(file) == 0 && good;
  good = good && std::rename(beside.c_str(), path.c_str()) == 0;
  if (!good) std::remove(beside.c_str());
  return good;
}
}  // namespace cache_file

}  // namespace cotenant::vulkan

#endif
