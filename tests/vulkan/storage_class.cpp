#include "cotenant/vulkan/storage_class.hpp"

#include "cotenant/share/manager.hpp"
#include "cotenant/vulkan/copies.hpp"
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

TEST_CASE("an import and the host's tensor are frozen together, whichever is frozen later") {
  const test::Checked gpu;
  if (!gpu->capabilities().host_import) return;
  auto host = from<float>({1, 2, 3}, {3});
  const auto imported = gpu->import(host), again = gpu->import(host);
  CHECK_NOTHROW(imported.check_writable());
  host.freeze();
  CHECK_THROWS_AS(imported.check_writable(), ReadOnly);
  auto other = from<float>({1, 2, 3}, {3});
  const auto first = gpu->import(other), second = gpu->import(other);
  first.freeze();
  CHECK_THROWS_AS(second.check_writable(), ReadOnly);
  CHECK_THROWS_AS(static_cast<void>(other.mutable_view()), ReadOnly);
}

TEST_CASE("a write lease copies a device's tensor on the device, where others hold it, and an import always") {
  const test::Checked gpu;
  TensorSharingManager manager;
  const auto values = [](const SharedTensor<float, Vulkan>& tensor) { return test::to_host(tensor); };
  const std::vector<float> old{1, 2, 3, 4}, fresh{3, 5, 7, 9};
  manager.register_tensor("x", test::to_device(*gpu, old));
  {
    const auto reader = manager.get<float, Vulkan>("x", "reader");
    {
      const auto lease = manager.write<float, Vulkan>("x", "writer");
      CHECK_FALSE(lease.in_place());
      CHECK(values(*lease) == old);
      test::twice_plus_one(*gpu, *reader, *lease);
      CHECK(values(*reader) == old);
    }
    CHECK(values(*reader) == old);
  }
  CHECK(values(*manager.get<float, Vulkan>("x", "reader")) == fresh);
  gpu->synchronize();
  CHECK(manager.write<float, Vulkan>("x", "writer").in_place());
  if (!gpu->capabilities().host_import) return;
  const auto host = from<float>({1, 2, 3, 4}, {4});
  manager.register_tensor("imported", gpu->import(host));
  {
    const auto lease = manager.write<float, Vulkan>("imported", "writer");
    CHECK_FALSE(lease.in_place());
    CHECK_NOTHROW(lease->check_writable());
    test::twice_plus_one(*gpu, *lease, *lease);
  }
  CHECK(values(*manager.get<float, Vulkan>("imported", "reader")) == fresh);
  CHECK(host.view()(1) == 2.f);
}
