#include "cotenant/vulkan/module_sections.hpp"

#include <doctest/doctest.h>

using namespace cotenant::vulkan::spirv;

TEST_CASE("instructions stand in the sections of the specification") {
  CHECK(section_of(Op::Capability) < section_of(Op::Extension));
  CHECK(section_of(Op::EntryPoint) < section_of(Op::ExecutionModeId));
  CHECK(section_of(Op::String) == Section::sources);
  CHECK(section_of(Op::Name) < section_of(Op::ModuleProcessed));
  CHECK(section_of(Op::DecorateString) == section_of(Op::Decorate));
  for (const Op op : {Op::TypeVoid, Op::TypeForwardPointer, Op::TypeTensorLayoutNV, Op::Constant, Op::SpecConstantOp, Op::Undef, Op::Variable})
    CHECK(section_of(op) == Section::declarations);
  for (const Op op : {Op::Function, Op::Label, Op::IAdd, Op::Return}) CHECK(section_of(op) == Section::functions);
  CHECK(ends_block(Op::Return));
  CHECK(ends_block(Op::TerminateInvocation));
  CHECK_FALSE(ends_block(Op::SelectionMerge));
}
