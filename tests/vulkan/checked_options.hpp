// Options of devices for tests: every call validated, both ways to address buffers, nothing kept on the disk.
// COTENANT_TEST_VULKAN=plain leaves validation out, for machines without the layer.
#ifndef COTENANT_TESTS_VULKAN_CHECKED_OPTIONS_HPP
#define COTENANT_TESTS_VULKAN_CHECKED_OPTIONS_HPP
#include <cstdlib>
#include <string>

#include "cotenant/vulkan/storage_class.hpp"

namespace cotenant::test {

inline VulkanOptions checked_options(bool descriptors = false) {
  // "plain": for machines without the layer.
  const char* const chosen = std::getenv("COTENANT_TEST_VULKAN");
  const bool plain = chosen != nullptr && std::string(chosen) == "plain";
  VulkanOptions options;
  options.validation = !plain;
  options.synchronization_validation = !plain && descriptors;
  options.addressing = descriptors ? vulkan::Addressing::descriptors : vulkan::Addressing::pointers;
  options.zero_copy = false;
  options.cache_folder = "-";
  return options;
}

}  // namespace cotenant::test

#endif
