// Capabilities: what the CPU backend found on this machine, as a struct and as text.
#ifndef COTENANT_CPU_CAPABILITIES_HPP
#define COTENANT_CPU_CAPABILITIES_HPP
#include <cstddef>
#include <cstdio>
#include <string>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include "cotenant/core/config.hpp"
#include "cotenant/share/options.hpp"

namespace cotenant {

// Sizes in bytes; 0 where the system does not say.
struct Capabilities {
  std::string cpu_target;        // the kernels in use, by Highway's name, e.g. "AVX2"
  std::size_t vector_bytes = 0;  // of that target
  std::size_t cores = 0;         // hardware threads of the machine
  std::size_t threads = 0;       // that kernels may use
  std::size_t memory = 0;
  std::size_t page = 0;
  std::size_t level1_data_cache = 0;
  std::size_t level2_cache = 0;
  std::size_t level3_cache = 0;
};

namespace detail {
// Bytes of the last cache that processor 0 can fill, by the kernel, or 0. glibc adds up those of all parts of a processor, of
// which one core reaches one only: 384 MiB were said where 32 MiB are.
[[gnu::cold]] inline std::size_t reachable_level3_cache() {
  for (int index = 0; index < 8; ++index) {
    const auto read = [index](const char* name) {
      unsigned long value = 0;
      char path[64];
      std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
      if (std::FILE* const file = std::fopen(path, "r")) {
        if (std::fscanf(file, "%lu", &value) != 1) value = 0;
        std::fclose(file);
      }
      return static_cast<std::size_t>(value);
    };
    if (read("level") == 3) return read("size") << 10;  // "32768K"
  }
  return 0;
}
}  // namespace detail

// Everything that does not depend on a backend. Cpu::capabilities() fills in the rest.
[[gnu::cold]] inline Capabilities machine_capabilities() {
  Capabilities result;
  result.cores = std::thread::hardware_concurrency();
#if defined(__unix__) || defined(__APPLE__)
  const auto ask = [](int name) {
    const long value = sysconf(name);
    return value > 0 ? static_cast<std::size_t>(value) : std::size_t{0};
  };
  result.page = ask(_SC_PAGESIZE);
#ifdef _SC_PHYS_PAGES
  result.memory = ask(_SC_PHYS_PAGES) * result.page;
#endif
#ifdef _SC_LEVEL1_DCACHE_SIZE  // glibc
  result.level1_data_cache = ask(_SC_LEVEL1_DCACHE_SIZE);
  result.level2_cache = ask(_SC_LEVEL2_CACHE_SIZE);
  result.level3_cache = ask(_SC_LEVEL3_CACHE_SIZE);
  if (const std::size_t reachable = detail::reachable_level3_cache(); reachable != 0) result.level3_cache = reachable;
#endif
#endif
  return result;
}

// One line, e.g. "CPU target AVX2 (32-byte vectors), 2 of 4 cores, 7.7 GiB memory, caches 32 KiB + 512 KiB + 16.0 MiB".
inline std::string to_string(const Capabilities& capabilities) {
  const auto size = [](std::size_t bytes) { return bytes == 0 ? std::string("unknown") : format_bytes(bytes); };
  return "CPU target " + capabilities.cpu_target + " (" + std::to_string(capabilities.vector_bytes) + "-byte vectors), " +
                     std::to_string(capabilities.threads) + " of " + std::to_string(capabilities.cores) + (capabilities.cores == 1 ? " core, " : " cores, ") +
                     size(capabilities.memory) + " memory, caches " + size(capabilities.level1_data_cache) + " + " + size(capabilities.level2_cache) + " + " +
                     size(capabilities.level3_cache);
}

}  // namespace cotenant

#endif
