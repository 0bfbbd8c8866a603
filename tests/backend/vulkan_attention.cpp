// The Vulkan backend passes the suite: attention.
#include "vulkan_fixture.hpp"

#include "attention_suite.hpp"

using cotenant::test::VulkanFixture;
TYPE_TO_STRING(VulkanFixture);
COTENANT_BACKEND_SUITE_ATTENTION(VulkanFixture)
