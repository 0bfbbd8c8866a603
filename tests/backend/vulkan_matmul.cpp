// The Vulkan backend passes the suite: products.
#include "vulkan_fixture.hpp"

using cotenant::test::VulkanFixture;
TYPE_TO_STRING(VulkanFixture);
COTENANT_BACKEND_SUITE_MATMUL(VulkanFixture)
