#include "cotenant/vulkan/module_grammar.hpp"

#include <doctest/doctest.h>

#include <string_view>

TEST_CASE("instructions have their words, and what no kernel has is none") {
  using cotenant::vulkan::detail::words_of_instruction;
  CHECK(std::string_view(words_of_instruction(61)) == "trvm");   // OpLoad
  CHECK(std::string_view(words_of_instruction(129)) == "trvv");  // OpFAdd
  CHECK(std::string_view(words_of_instruction(253)).empty());    // OpReturn
  CHECK(words_of_instruction(25) == nullptr);                    // OpTypeImage
  CHECK(words_of_instruction(60000) == nullptr);
  // In order, and no instruction twice: the first that fits is taken.
  int last = -1;
  for (const auto& one : cotenant::vulkan::detail::module_instructions) {
    CHECK(one.first > last);
    CHECK(one.last >= one.first);
    last = one.last;
  }
  CHECK(sizeof cotenant::vulkan::detail::extended_operands == 82);
}
