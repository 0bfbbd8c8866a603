#include "cotenant/vulkan/queue.hpp"

#include <doctest/doctest.h>

#include "cotenant/vulkan/command_pool.hpp"
#include "cotenant/vulkan/timeline.hpp"

namespace vk = cotenant::vulkan;

TEST_CASE("commands wait for points of other timelines and raise one of theirs, in both forms of handing over") {
  vk::Driver driver(cotenant::VulkanOptions{});
  for (const bool newer : {true, false}) {
    if (newer && !driver.capabilities().synchronization2) continue;
    vk::Queue queue(driver.handle(), driver.families()[0], 0, true, newer);
    vk::CommandPool pool(driver, queue.family());
    const vk::Timeline before(driver), after(driver);
    const auto nothing = [&] {
      const VkCommandBuffer commands = pool.begin();
      CHECK(vkEndCommandBuffer(commands) == VK_SUCCESS);
      return commands;
    };
    const VkCommandBuffer first = nothing(), second = nothing();
    CHECK(queue.submit(first, {}, {before.handle(), 5}) == VK_SUCCESS);
    const vk::TimelineValue wait{before.handle(), 5};
    CHECK(queue.submit(second, {&wait, 1}, {after.handle(), 7}) == VK_SUCCESS);
    CHECK(after.wait(7) == VK_SUCCESS);
    CHECK(before.reached(5));
    CHECK_FALSE(after.reached(8));
  }
}
