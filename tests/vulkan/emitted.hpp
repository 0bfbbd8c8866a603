// What tests of the emitter share: devices to emit for, and a check of what came out.
#ifndef COTENANT_TESTS_VULKAN_EMITTED_HPP
#define COTENANT_TESTS_VULKAN_EMITTED_HPP
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../error_text.hpp"
#include "cotenant/vulkan/launch.hpp"
#include "cotenant/vulkan/module_check.hpp"

namespace cotenant::test {

// A device of Vulkan 1.3 with what every desktop GPU has.
inline vulkan::Capabilities usual_device() {
  vulkan::Capabilities device;
  device.name = "usual device";
  device.api_version = 1u << 22 | 3u << 12;
  device.subgroup_size = 32;
  device.shared_memory_bytes = 32768;
  device.shader_int8 = device.shader_int16 = device.shader_int64 = device.storage_8bit = device.storage_16bit = true;
  device.specials_preserved_f32 = device.rounds_to_even_f32 = true;
  return device;
}

// Checks a module as custom kernels are, and all of it where SPIRV-Tools are installed and know its capabilities.
inline void check_valid(const vulkan::spirv::Words& words, bool known_to_tools = true) {
  CHECK(message([&] { static_cast<void>(vulkan::detail::ModuleCheck(words)); }) == "no error");
  static const bool installed = std::system("command -v spirv-val > /dev/null 2>&1") == 0;
  if (!installed || !known_to_tools) return;
  char path[] = "/tmp/cotenant-XXXXXX";
  const int file = ::mkstemp(path);
  REQUIRE(file >= 0);
  const std::size_t bytes = words.size() * sizeof(std::uint32_t);
  const bool written = ::write(file, words.data(), bytes) == static_cast<ssize_t>(bytes);
  ::close(file);
  const std::string command = std::string("spirv-val --target-env vulkan1.3 --scalar-block-layout ") + path;
  const int status = written ? std::system(command.c_str()) : -1;
  std::remove(path);
  CHECK(status == 0);
}
// How many instructions of one opcode a module has.
inline std::size_t count_of(const vulkan::spirv::Words& words, vulkan::spirv::Op op) {
  std::size_t count = 0;
  for (std::size_t at = 5; at < words.size(); at += words[at] >> 16) count += (words[at] & 0xFFFFu) == static_cast<std::uint32_t>(op) ? 1 : 0;
  return count;
}

}  // namespace cotenant::test

#endif
