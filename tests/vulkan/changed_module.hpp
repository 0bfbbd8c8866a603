// A compute kernel's SPIR-V with a word changed or an instruction taken out, and what ModuleCheck says of it.
#ifndef COTENANT_TESTS_VULKAN_CHANGED_MODULE_HPP
#define COTENANT_TESTS_VULKAN_CHANGED_MODULE_HPP
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>

#include "../error_text.hpp"
#include "axpy_spirv.hpp"
#include "cotenant/vulkan/module_check.hpp"

namespace cotenant::test {
using vulkan::spirv::Words;
inline const Words axpy(std::begin(axpy_spirv), std::end(axpy_spirv));

inline std::string refusal(const Words& words) { return message([&] { static_cast<void>(vulkan::detail::ModuleCheck(words)); }); }
// Where the n-th instruction with this opcode begins.
inline std::size_t find(std::uint32_t op, std::size_t n = 0) {
  for (std::size_t at = 5; at < axpy.size(); at += axpy[at] >> 16)
    if ((axpy[at] & 0xffff) == op && n-- == 0) return at;
  FAIL("the module has no such instruction");
  return 0;
}
inline std::string changed(std::size_t at, std::uint32_t word) {
  Words words = axpy;
  words[at] = word;
  return refusal(words);
}
inline std::string without(std::size_t at) {
  Words words = axpy;
  words.erase(words.begin() + static_cast<std::ptrdiff_t>(at), words.begin() + static_cast<std::ptrdiff_t>(at + (words[at] >> 16)));
  return refusal(words);
}
inline std::string twice(std::size_t at, std::size_t to) {
  Words words = axpy;
  const Words copy(words.begin() + static_cast<std::ptrdiff_t>(at), words.begin() + static_cast<std::ptrdiff_t>(at + (words[at] >> 16)));
  words.insert(words.begin() + static_cast<std::ptrdiff_t>(to), copy.begin(), copy.end());
  return refusal(words);
}
}  // namespace cotenant::test

#endif
