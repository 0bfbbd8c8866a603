#include "cotenant/vulkan/module_grammar.hpp"

#include <doctest/doctest.h>

#include <string_view>

using namespace cotenant::vulkan::spirv;

TEST_CASE("instructions have their words, and what no kernel has is none") {
  CHECK(std::string_view(words_of(Op::Load)) == "trvm");
  CHECK(std::string_view(words_of(Op::FAdd)) == "trvv");
  CHECK(std::string_view(words_of(Op::LoopMerge)) == "bbl*l");
  CHECK(std::string_view(words_of(Op::CooperativeMatrixStoreTensorNV)) == "vvvmn");
  CHECK(std::string_view(words_of(Op::Return)).empty());
  CHECK(words_of(Op{25}) == nullptr);  // OpTypeImage
  CHECK(words_of(Op{60000}) == nullptr);
  CHECK(sizeof extended_operands == 82);
}

TEST_CASE("no instruction has two grammars") {
  for (const Grammar& one : grammar) {
    CHECK(one.last >= one.first);
    for (const Grammar& other : grammar) CHECK((&other == &one || other.first > one.last || other.last < one.first));
  }
}
