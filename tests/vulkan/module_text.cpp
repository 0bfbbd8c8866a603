#include "cotenant/vulkan/module_text.hpp"

#include <doctest/doctest.h>

#include "changed_module.hpp"

using namespace cotenant::test;

TEST_CASE("instructions have all their words, and no others") {
  const std::size_t load = find(61);
  CHECK(has(changed(load, 4u << 16 | 255u), "too long"));
  CHECK(has(changed(find(248), 2u << 16 | 253u), "too long"));
  CHECK(has(changed(find(253), 1u << 16 | 248u), "too short"));
  CHECK(has(changed(load, 4u << 16 | 25u), "none of a kernel on storage buffers"));
  CHECK(has(changed(find(32) + 2, 77), "a storage class that kernels do not have"));
}
