#include "cotenant/vulkan/api.hpp"

#include <doctest/doctest.h>

#include "../error_text.hpp"

namespace vk = cotenant::vulkan;

TEST_CASE("a result of Vulkan is an error of its kind that says what was asked for") {
  const auto code = [](VkResult result) {
    try {
      vk::check(result, "asking for the moon");
    } catch (const cotenant::Error& error) {
      CHECK(std::string(error.what()).find("asking for the moon failed with " + vk::to_string(result)) == 0);
      return error.code();
    }
    return cotenant::ErrorCode::not_found;
  };
  CHECK(code(VK_ERROR_OUT_OF_DEVICE_MEMORY) == cotenant::ErrorCode::out_of_memory);
  CHECK(code(VK_ERROR_OUT_OF_HOST_MEMORY) == cotenant::ErrorCode::out_of_memory);
  CHECK(code(VK_ERROR_DEVICE_LOST) == cotenant::ErrorCode::device_lost);
  CHECK(code(VK_ERROR_FEATURE_NOT_PRESENT) == cotenant::ErrorCode::unsupported);
  CHECK(code(static_cast<VkResult>(-77)) == cotenant::ErrorCode::unsupported);
  vk::check(VK_SUCCESS, "nothing");
  vk::check(VK_INCOMPLETE, "nothing");
}
