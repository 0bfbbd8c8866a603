// The Vulkan backend passes the suite: softmax, reductions, top_k, norms, gather, rotary, quantisation.
#include "vulkan_fixture.hpp"

#include "rows_suite.hpp"

using cotenant::test::VulkanFixture;
TYPE_TO_STRING(VulkanFixture);
COTENANT_BACKEND_SUITE_ROWS(VulkanFixture)
COTENANT_BACKEND_SUITE_MORE_ROWS(VulkanFixture)
