#include "cotenant/vulkan/spirv_words.hpp"

#include <doctest/doctest.h>

namespace spirv = cotenant::vulkan::spirv;
using spirv::Words;

TEST_CASE("an instruction says how many words it has, itself among them") {
  Words section;
  spirv::write(section, spirv::Op::Capability, {1u});
  spirv::write(section, spirv::Op::Return, {});
  spirv::write(section, spirv::Op::TypeStruct, Words{7, 8, 9});
  CHECK(section == Words{2u << 16 | 17u, 1, 1u << 16 | 253u, 4u << 16 | 30u, 7, 8, 9});
  Words all{1};
  spirv::append(all, {2, 3});
  CHECK(all == Words{1, 2, 3});
}

TEST_CASE("a text ends with a zero byte and fills whole words with more of them") {
  CHECK(spirv::text("") == Words{0});
  CHECK(spirv::text("abc") == Words{0x00636261});
  CHECK(spirv::text("abcd") == Words{0x64636261, 0});
}
