#include "cotenant/vulkan/imports.hpp"

#include <doctest/doctest.h>

#include "cotenant/storage/heap.hpp"
#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;

TEST_CASE("imported pages are found by their addresses on both sides, whole or not at all, and work keeps them") {
  const Checked gpu;
  if (!gpu->capabilities().host_import) return;
  constexpr std::size_t bytes = 4 * cotenant::HeapCache::page;
  const cotenant::Allocation pages = cotenant::heap_cache().allocate(bytes);
  auto* const host = static_cast<std::byte*>(pages.data);
  {
    vk::Imports imports;
    CHECK_FALSE(imports.any());
    CHECK(imports.find_host(host, 1).chunk == nullptr);
    const cotenant::Allocation there = imports.add(gpu->device().driver(), pages.data, bytes);
    const auto address = reinterpret_cast<VkDeviceAddress>(there.data);
    CHECK(imports.any());
    CHECK(imports.bytes() == bytes);
    CHECK(imports.find_host(host, bytes).address() == address);
    CHECK(imports.find_host(host + 100, bytes - 100).offset == 100);
    CHECK(imports.find_host(host + 100, bytes - 99).chunk == nullptr);
    CHECK(imports.find_host(host - 1, 2).chunk == nullptr);
    CHECK(imports.find(address + bytes - 1).offset == bytes - 1);
    CHECK(imports.find(address + bytes).chunk == nullptr);
    const vk::Imports::Found held = imports.find(address);
    CHECK_FALSE(imports.remove(address + 1));
    CHECK(imports.remove(address));
    CHECK_FALSE(imports.remove_host(host));
    CHECK(imports.bytes() == 0);
    CHECK(imports.find(address).chunk == nullptr);
    CHECK(held.chunk->mapped() == host);
  }
  cotenant::heap_cache().deallocate(pages);
}
