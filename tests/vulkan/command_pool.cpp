#include "cotenant/vulkan/command_pool.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"

namespace vk = cotenant::vulkan;

TEST_CASE("a buffer that came back is recorded into again, and one that could not be begun is not lost") {
  cotenant::VulkanOptions options;
  options.faults = std::make_shared<vk::Faults>();
  vk::Driver driver(options);
  vk::CommandPool pool(driver, driver.families()[0]);
  const VkCommandBuffer first = pool.begin(), second = pool.begin();
  CHECK(first != second);
  CHECK(vkEndCommandBuffer(first) == VK_SUCCESS);
  pool.give_back(first);
  CHECK(pool.begin() == first);
  pool.drop(first);
  CHECK(vkEndCommandBuffer(second) == VK_SUCCESS);
  pool.give_back(second);
  options.faults->fail(vk::Step::record, VK_ERROR_OUT_OF_HOST_MEMORY);
  CHECK(cotenant::test::has(cotenant::test::message([&] { pool.begin(); }), "out_of_memory: recording work"));
  CHECK(pool.begin() == second);
  // Begun ahead of time, where there is one; without the memory for it, begin() asks again.
  CHECK(vkEndCommandBuffer(second) == VK_SUCCESS);
  pool.give_back(second);
  options.faults->fail(vk::Step::record, VK_ERROR_OUT_OF_HOST_MEMORY);
  pool.prepare();
  pool.prepare();
  options.faults->fail(vk::Step::record, VK_ERROR_OUT_OF_HOST_MEMORY);
  CHECK(pool.begin() == second);
  CHECK(cotenant::test::has(cotenant::test::message([&] { pool.begin(); }), "out_of_memory"));
}
