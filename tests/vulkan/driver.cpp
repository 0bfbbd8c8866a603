#include "cotenant/vulkan/driver.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"

namespace vk = cotenant::vulkan;

TEST_CASE("a call that fails is an error that names the device, and a lost device stays lost") {
  cotenant::VulkanOptions options;
  options.faults = std::make_shared<vk::Faults>();
  vk::Driver driver(options);
  driver.require(vk::Step::submit, [] { return VK_SUCCESS; }, [] { return "working"; });
  options.faults->fail(vk::Step::submit, VK_ERROR_OUT_OF_DEVICE_MEMORY);
  const std::string text = cotenant::test::message([&] { driver.require(vk::Step::submit, [] { return VK_SUCCESS; }, [] { return "working"; }); });
  CHECK(cotenant::test::has(text, "out_of_memory: working on '" + driver.capabilities().name));
  CHECK_FALSE(driver.lost());
  driver.check_not_lost();
  options.faults->fail(vk::Step::submit, VK_ERROR_DEVICE_LOST);
  CHECK(driver.call(vk::Step::submit, [] { return VK_SUCCESS; }) == VK_ERROR_DEVICE_LOST);
  CHECK(driver.lost());
  CHECK(cotenant::test::has(cotenant::test::message([&] { driver.check_not_lost(); }), "device_lost"));
}

TEST_CASE("a device that cannot be opened is an error, not a half-open device") {
  cotenant::VulkanOptions options;
  options.faults = std::make_shared<vk::Faults>();
  options.faults->fail(vk::Step::create_device, VK_ERROR_INITIALIZATION_FAILED);
  CHECK(cotenant::test::has(cotenant::test::message([&] { vk::Driver driver(options); }), "unsupported: opening the Vulkan device"));
}

TEST_CASE("there is memory that the host sees, and none with properties that nobody has") {
  const vk::Driver driver(cotenant::VulkanOptions{});
  CHECK(driver.memory_type(~0u, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) >= 0);
  CHECK(driver.memory_type(~0u, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) >= 0);
  CHECK(driver.memory_type(0, 0) == -1);
  CHECK(driver.memory_type(~0u, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) == -1);
}
