#include "cotenant/vulkan/storage_class.hpp"

#include "test_device.hpp"

using namespace cotenant;

TEST_CASE("handles are equal where their streams are") {
  const test::Checked gpu;
  const Vulkan same = *gpu, tenant = gpu->stream("tenant");
  CHECK(same == *gpu);
  CHECK_FALSE(tenant == *gpu);
  CHECK(tenant.stream_name() == "tenant");
  CHECK(&tenant.device() == &gpu->device());
  CHECK(gpu->stream("tenant") == tenant);
}
TEST_CASE("pages are the device's until they are unpinned") {
  const test::Checked gpu;
  if (!gpu->capabilities().host_import) return;
  const Allocation pages = heap_cache().allocate(HeapCache::page);
  gpu->pin(pages);
  CHECK(gpu->device().memory().imports().find_host(pages.data, 16).chunk != nullptr);
  gpu->unpin(pages.data);
  CHECK(gpu->device().memory().imports().find_host(pages.data, 16).chunk == nullptr);
  heap_cache().deallocate(pages);
}

TEST_CASE("an import of what nobody writes on the host is not written either") {
  const test::Checked gpu;
  if (!gpu->capabilities().host_import) return;
  const auto open = from<float>({1, 2, 3}, {3}), frozen = from<float>({1, 2, 3}, {3});
  frozen.freeze();
  CHECK_NOTHROW(gpu->import(open).check_writable());
  CHECK_THROWS_AS(gpu->import(frozen).check_writable(), ReadOnly);
}
