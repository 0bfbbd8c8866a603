#include "cotenant/vulkan/timeline.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "../error_text.hpp"

namespace vk = cotenant::vulkan;

TEST_CASE("a timeline is waited for until somebody raises it, also longer than it is polled") {
  vk::Driver driver(cotenant::VulkanOptions{});
  const vk::Timeline timeline(driver);
  CHECK(timeline.reached(0));
  CHECK_FALSE(timeline.reached(1));
  CHECK(timeline.wait(0) == VK_SUCCESS);
  const auto raise_to = [&](std::uint64_t value) {
    VkSemaphoreSignalInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO;
    info.semaphore = timeline.handle();
    info.value = value;
    return vkSignalSemaphore(driver.handle(), &info);
  };
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    CHECK(raise_to(3) == VK_SUCCESS);
  });
  std::thread other([&] { CHECK(timeline.poll(1) == VK_SUCCESS); });
  CHECK(timeline.wait(2) == VK_SUCCESS);
  CHECK(timeline.reached(3));
  CHECK(timeline.poll(3) == VK_SUCCESS);
  later.join();
  other.join();
  CHECK_FALSE(timeline.reached(4));
}

TEST_CASE("a lost device is not waited for") {
  cotenant::VulkanOptions options;
  options.faults = std::make_shared<vk::Faults>();
  vk::Driver driver(options);
  const vk::Timeline timeline(driver);
  options.faults->fail(vk::Step::wait, VK_ERROR_DEVICE_LOST);
  CHECK(timeline.wait(1) == VK_ERROR_DEVICE_LOST);
  CHECK(timeline.wait(1) == VK_ERROR_DEVICE_LOST);
  CHECK(timeline.poll(1) == VK_ERROR_DEVICE_LOST);
  options.faults->fail(vk::Step::create_stream, VK_ERROR_OUT_OF_HOST_MEMORY);
  CHECK(cotenant::test::has(cotenant::test::message([&] { vk::Timeline none(driver); }), "out_of_memory: making a timeline"));
}
