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

TEST_CASE("a module has a header, and instructions that fill it") {
  CHECK(has(refusal({}), "header"));
  CHECK(has(changed(0, 0x03022307), "other order"));
  CHECK(has(changed(3, 0), "bound of ids"));
  CHECK(has(changed(axpy.size() - 1, axpy.back() + (7u << 16)), "has a length of"));
  CHECK(has(changed(find(248), 248u), "has a length of 0"));
}

TEST_CASE("what memory is aligned to is a power of two") {
  Words words = axpy;
  const std::size_t load = find(61);
  const Words aligned{2, 4};
  words[load] += 2u << 16;
  words.insert(words.begin() + static_cast<std::ptrdiff_t>(load) + 4, aligned.begin(), aligned.end());
  CHECK(refusal(words) == "no error");
  words[load + 5] = 3;
  CHECK(has(refusal(words), "no power of two"));
}
