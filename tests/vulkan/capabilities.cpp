#include "cotenant/vulkan/capabilities.hpp"

#include <doctest/doctest.h>

#include <string>

TEST_CASE("every type of device has a name") {
  using cotenant::vulkan::DeviceType;
  CHECK(std::string(to_string(DeviceType::discrete)) == "discrete");
  CHECK(std::string(to_string(DeviceType::software)) == "software");
  CHECK(std::string(to_string(DeviceType::other)) == "other");
}
