// The Vulkan backend passes WebNN's conformance cases, by pointers and by descriptors, with validation.
#include "vulkan_fixture.hpp"

#include "wpt_suite.hpp"

using cotenant::test::VulkanFixture;
TYPE_TO_STRING(VulkanFixture);
COTENANT_BACKEND_SUITE_WPT(VulkanFixture)
