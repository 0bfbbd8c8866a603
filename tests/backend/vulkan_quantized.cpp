// The Vulkan backend passes the suite: quantised values and their products.
#include "vulkan_fixture.hpp"

#include "quantized_suite.hpp"

using cotenant::test::VulkanFixture;
TYPE_TO_STRING(VulkanFixture);
COTENANT_BACKEND_SUITE_QUANTIZED(VulkanFixture)
