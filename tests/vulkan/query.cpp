#include "cotenant/vulkan/query.hpp"

#include <doctest/doctest.h>

namespace vk = cotenant::vulkan;

TEST_CASE("a device's report keeps to what Vulkan promises of every device") {
  const auto instance = vk::Instance::get(false, false, false);
  for (VkPhysicalDevice device : instance->devices()) {
    const vk::Query query(instance->handle(), device);
    const vk::Capabilities& found = query.capabilities();
    CHECK(!found.name.empty());
    CHECK(found.api_version >= VK_API_VERSION_1_2);
    CHECK(found.queues >= 1);
    CHECK(found.push_constant_bytes >= 128);
    CHECK(found.shared_memory_bytes >= 16384);
    CHECK(found.max_workgroup_invocations >= 128);
    CHECK(found.max_workgroup_count[0] >= 65535);
    CHECK(found.storage_buffer_alignment <= 256);
    CHECK(found.subgroup_size >= 1);
    CHECK(found.min_subgroup_size <= found.max_subgroup_size);
    CHECK(found.device_memory > 0);
    CHECK(found.cooperative_matrix == !found.matrix_shapes.empty());
    CHECK(query.missing() == nullptr);
  }
}
