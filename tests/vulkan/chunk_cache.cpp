#include "cotenant/vulkan/chunk_cache.hpp"

#include <doctest/doctest.h>

namespace vk = cotenant::vulkan;

TEST_CASE("staging memory is used again, up to what may be kept") {
  cotenant::VulkanOptions options;
  options.faults = std::make_shared<vk::Faults>();
  vk::Driver driver(options);
  vk::ChunkCache cache(driver, vk::MemoryKind::staging, 4096, 20000);
  const auto made = [&] { return options.faults->calls(vk::Step::allocate_memory); };
  const VkBuffer first = cache.get(100)->buffer();
  CHECK(cache.get(4000)->buffer() == first);
  CHECK(made() == 1);
  CHECK(cache.get(5000)->bytes() == 8192);
  CHECK(made() == 2);
  cache.get(100000).reset();  // too large to be kept
  CHECK(made() == 3);
  cache.get(100000).reset();
  CHECK(made() == 4);
  CHECK(cache.trim() == 4096 + 8192);
  CHECK(cache.trim() == 0);
  cache.get(100).reset();
  CHECK(made() == 5);
}
