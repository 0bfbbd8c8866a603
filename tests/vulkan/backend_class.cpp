#include "cotenant/vulkan/backend_class.hpp"

#include "cotenant/vulkan/backend.hpp"
#include "test_device.hpp"

using namespace cotenant;
static_assert(Backend<VulkanBackend>);

TEST_CASE("a backend is its storage's, and the same each time") {
  const test::Checked gpu;
  VulkanBackend& backend = gpu->backend_instance();
  CHECK(&backend == &gpu->backend_instance());
  CHECK(backend.storage() == *gpu);
  CHECK_FALSE(backend.runs_when_called);
  backend.synchronize();
}
