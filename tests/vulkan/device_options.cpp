#include "cotenant/vulkan/device_options.hpp"

#include <doctest/doctest.h>

TEST_CASE("without a word a device is used without validation, with pointers, and its memory is its own limit") {
  const cotenant::VulkanOptions options;
  CHECK_FALSE(options.validation);
  CHECK(options.addressing == cotenant::vulkan::Addressing::pointers);
  CHECK(options.max_memory == std::size_t(-1));
  CHECK(options.batch > 1);
}
