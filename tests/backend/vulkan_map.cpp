// The Vulkan backend passes the suite: element-wise ops and copies.
#include "vulkan_fixture.hpp"

using cotenant::test::VulkanFixture;
TYPE_TO_STRING(VulkanFixture);
COTENANT_BACKEND_SUITE_MAP(VulkanFixture)
