// Options of devices for tests: every call validated, both ways to address buffers, nothing kept on the disk.
// COTENANT_TEST_VULKAN=plain leaves validation out, for machines without the layer; =discrete has the kernels of a large GPU chosen
// (those without matrices) and launched as there, whatever computes: tiles, parts of depth, packed and turned sides.
#ifndef COTENANT_TESTS_VULKAN_CHECKED_OPTIONS_HPP
#define COTENANT_TESTS_VULKAN_CHECKED_OPTIONS_HPP
#include <cstdlib>
#include <string>

#include "cotenant/vulkan/storage_class.hpp"

namespace cotenant::test {

inline VulkanOptions checked_options(bool descriptors = false) {
  const char* const chosen = std::getenv("COTENANT_TEST_VULKAN");
  const std::string mode = chosen != nullptr ? chosen : "";
  const bool plain = mode == "plain" || mode == "discrete";
  VulkanOptions options;
  if (mode == "discrete")
    options.pretend = [](vulkan::Capabilities& device) { device.type = vulkan::DeviceType::discrete, device.multiprocessors = 132; };
  options.validation = !plain;
  options.synchronization_validation = !plain && descriptors;
  options.addressing = descriptors ? vulkan::Addressing::descriptors : vulkan::Addressing::pointers;
  options.zero_copy = false;
  options.cache_folder = "-";
  return options;
}

}  // namespace cotenant::test

#endif
