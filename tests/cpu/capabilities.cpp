// The capability report says what the machine has.
#include <cotenant/cotenant.hpp>

#include <string>

#include <doctest/doctest.h>

namespace cotenant::test {

TEST_CASE("the CPU backend describes the machine") {
  const Capabilities capabilities = Cpu::capabilities();
  CHECK(capabilities.cpu_target == Cpu::target_name());
  CHECK(capabilities.threads >= 1);
  CHECK(capabilities.vector_bytes >= sizeof(float));
#ifdef __linux__
  CHECK(capabilities.cores >= 1);
  CHECK(capabilities.page >= 4096);
  CHECK(capabilities.memory > (std::size_t{16} << 20));
#endif
  const std::string text = to_string(capabilities);
  CHECK(text.find(capabilities.cpu_target) != std::string::npos);
  CHECK(text.find(std::to_string(capabilities.vector_bytes) + "-byte vectors") != std::string::npos);
}

TEST_CASE("sizes are written in the unit that fits, unknown ones as such") {
  Capabilities capabilities;
  capabilities.cpu_target = "AVX2";
  capabilities.vector_bytes = 32;
  capabilities.cores = 4;
  capabilities.threads = 2;
  capabilities.memory = std::size_t{7} << 30 | std::size_t{1} << 29;
  capabilities.level1_data_cache = 32 << 10;
  CHECK(to_string(capabilities) == "CPU target AVX2 (32-byte vectors), 2 of 4 cores, 7.5 GiB memory, caches 32.0 KiB + unknown + unknown");
}

}  // namespace cotenant::test
