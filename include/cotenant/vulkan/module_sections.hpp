// section_of(): in which part of a SPIR-V module an instruction stands; what declares types and constants, what ends a block.
#ifndef COTENANT_VULKAN_MODULE_SECTIONS_HPP
#define COTENANT_VULKAN_MODULE_SECTIONS_HPP
#include "cotenant/vulkan/spirv.hpp"

namespace cotenant::vulkan::spirv {

constexpr bool is_type(Op op) {
  return (op >= Op::TypeVoid && op <= Op::TypeFunction) || op == Op::TypeCooperativeMatrixKHR || op == Op::TypeTensorLayoutNV || op == Op::TypeTensorViewNV;
}
constexpr bool is_constant(Op op) { return (op >= Op::ConstantTrue && op <= Op::SpecConstantOp) || op == Op::Undef; }
constexpr bool ends_block(Op op) { return (op >= Op::Branch && op <= Op::Unreachable) || op == Op::TerminateInvocation; }

// In the order of SPIR-V's specification, section 2.4.
enum class Section {
  capabilities, extensions, instruction_sets, memory_model, entry_points, execution_modes, sources, names, processes, annotations, declarations, functions
};
// Of variables that of the module's own; those of a function stand in it.
constexpr Section section_of(Op op) {
  switch (op) {
    case Op::Capability: return Section::capabilities;
    case Op::Extension: return Section::extensions;
    case Op::ExtInstImport: return Section::instruction_sets;
    case Op::MemoryModel: return Section::memory_model;
    case Op::EntryPoint: return Section::entry_points;
    case Op::ExecutionMode: case Op::ExecutionModeId: return Section::execution_modes;
    case Op::SourceContinued: case Op::Source: case Op::SourceExtension: case Op::String: return Section::sources;
    case Op::Name: case Op::MemberName: return Section::names;
    case Op::ModuleProcessed: return Section::processes;
    case Op::Decorate: case Op::MemberDecorate: case Op::DecorationGroup: case Op::GroupDecorate: case Op::GroupMemberDecorate:
    case Op::DecorateId: case Op::DecorateString: case Op::MemberDecorateString: return Section::annotations;
    case Op::Variable: case Op::TypeForwardPointer: return Section::declarations;
    default: return is_type(op) || is_constant(op) ? Section::declarations : Section::functions;
  }
}

}  // namespace cotenant::vulkan::spirv

#endif
