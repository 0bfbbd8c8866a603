#include "cotenant/vulkan/faults.hpp"

#include <doctest/doctest.h>

using namespace cotenant::vulkan;

TEST_CASE("a planned fault hits the calls it was planned for and no other") {
  Faults faults;
  CHECK(faults.next(Step::submit) == VK_SUCCESS);
  faults.fail(Step::submit, VK_ERROR_DEVICE_LOST, 1, 2);
  CHECK(faults.next(Step::submit) == VK_SUCCESS);
  CHECK(faults.next(Step::wait) == VK_SUCCESS);
  CHECK(faults.next(Step::submit) == VK_ERROR_DEVICE_LOST);
  CHECK(faults.next(Step::submit) == VK_ERROR_DEVICE_LOST);
  CHECK(faults.next(Step::submit) == VK_SUCCESS);
  CHECK(faults.calls(Step::submit) == 5);
  CHECK(faults.calls(Step::allocate_memory) == 0);
}
