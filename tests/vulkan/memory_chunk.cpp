#include "cotenant/vulkan/memory_chunk.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>

#include "../error_text.hpp"
#include "checked_options.hpp"

namespace vk = cotenant::vulkan;

namespace {
cotenant::VulkanOptions with_faults() {
  cotenant::VulkanOptions options = cotenant::test::checked_options();
  options.faults = std::make_shared<vk::Faults>();
  return options;
}
}  // namespace

TEST_CASE("memory of every kind has an address, and the host sees what it must") {
  vk::Driver driver(with_faults());
  for (const auto kind : {vk::MemoryKind::device, vk::MemoryKind::staging, vk::MemoryKind::parameters}) {
    vk::MemoryChunk chunk(driver, 4096, kind);
    CHECK(chunk.address() != 0);
    CHECK(chunk.bytes() == 4096);
    CHECK((chunk.mapped() != nullptr) == (kind != vk::MemoryKind::device));
    if (chunk.mapped() != nullptr) std::memset(chunk.mapped(), 7, 4096);
    vk::MemoryChunk other = std::move(chunk);
    CHECK(chunk.buffer() == VK_NULL_HANDLE);
    CHECK(other.buffer() != VK_NULL_HANDLE);
  }
  CHECK(driver.instance().messages().count() == 0);
}

TEST_CASE("a chunk that fails at any step leaves nothing behind") {
  const auto options = with_faults();
  {
    vk::Driver driver(options);
    for (const auto step : {vk::Step::create_buffer, vk::Step::allocate_memory, vk::Step::bind_memory, vk::Step::map_memory}) {
      options.faults->fail(step, VK_ERROR_OUT_OF_DEVICE_MEMORY);
      CHECK(cotenant::test::has(cotenant::test::message([&] { vk::MemoryChunk chunk(driver, 4096, vk::MemoryKind::staging); }), "out_of_memory"));
    }
    vk::MemoryChunk chunk(driver, 4096, vk::MemoryKind::staging);
    CHECK(driver.instance().messages().count() == 0);
  }
  // The layer complains of what is left when a device is closed.
  CHECK(vk::Instance::get(options.validation, false, true)->messages().count() == 0);
}
