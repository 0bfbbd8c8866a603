#include "cotenant/vulkan/spirv_grammar.hpp"

#include <doctest/doctest.h>

#include <string>

namespace spirv = cotenant::vulkan::spirv;

TEST_CASE("grammar_of: operands of instructions, and none of what cotenant does not emit") {
  const auto operands = [](spirv::Op op) { return std::string(spirv::grammar_of(static_cast<std::uint32_t>(op))->operands); };
  CHECK(operands(spirv::Op::FAdd) == "trii");
  CHECK(operands(spirv::Op::Load) == "trim");
  CHECK(operands(spirv::Op::LoopMerge) == "iil");
  CHECK(spirv::grammar_of(87) == nullptr);  // OpImageSampleImplicitLod
}
