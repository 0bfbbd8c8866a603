// The operands of each SPIR-V instruction that cotenant emits: which of its words are ids.
#ifndef COTENANT_VULKAN_SPIRV_GRAMMAR_HPP
#define COTENANT_VULKAN_SPIRV_GRAMMAR_HPP
#include <cstdint>
#include <initializer_list>
#include <map>

#include "cotenant/vulkan/spirv.hpp"

namespace cotenant::vulkan::spirv {

// How an instruction's words after the first read: t result type, r result, i id, l literal, s text, m memory operands, n tensor
// operands, * as many ids as there are, + as many literals as there are, ? one literal if there is one.
struct Grammar {
  Op op;
  const char* operands;
};
inline const Grammar* grammar_of(std::uint32_t opcode) {
  static const std::map<std::uint32_t, Grammar> table = [] {
    std::map<std::uint32_t, Grammar> all;
    const auto add = [&](const char* operands, std::initializer_list<Op> ops) { for (const Op op : ops) all[static_cast<std::uint32_t>(op)] = {op, operands}; };
    add("s", {Op::Extension}), add("rs", {Op::ExtInstImport}), add("tril*", {Op::ExtInst}), add("ll", {Op::MemoryModel}), add("lis*", {Op::EntryPoint});
    add("il+", {Op::ExecutionMode, Op::Decorate}), add("l", {Op::Capability}), add("ill+", {Op::MemberDecorate});
    add("r", {Op::TypeVoid, Op::TypeBool}), add("rll", {Op::TypeInt}), add("rl?", {Op::TypeFloat}), add("ril", {Op::TypeVector}), add("rii", {Op::TypeArray});
    add("ri", {Op::TypeRuntimeArray}), add("r*", {Op::TypeStruct}), add("rli", {Op::TypePointer}), add("ri*", {Op::TypeFunction});
    add("riiiii", {Op::TypeCooperativeMatrixKHR}), add("rii", {Op::TypeTensorLayoutNV}), add("rii*", {Op::TypeTensorViewNV});
    add("tr", {Op::ConstantTrue, Op::ConstantFalse, Op::ConstantNull, Op::CreateTensorLayoutNV, Op::CreateTensorViewNV}), add("tr+", {Op::Constant});
    add("tr*", {Op::ConstantComposite, Op::CompositeConstruct});
    add("trli", {Op::Function}), add("", {Op::FunctionEnd, Op::Return}), add("trl", {Op::Variable}), add("trim", {Op::Load}), add("iim", {Op::Store});
    add("tri*", {Op::AccessChain, Op::TensorLayoutSetDimensionNV, Op::TensorLayoutSetStrideNV, Op::TensorLayoutSliceNV});
    add("trii+", {Op::VectorShuffle}), add("tri+", {Op::CompositeExtract});
    add("tri", {Op::ConvertFToU, Op::ConvertFToS, Op::ConvertSToF, Op::ConvertUToF, Op::UConvert, Op::SConvert, Op::FConvert, Op::Bitcast, Op::SNegate,
                Op::FNegate, Op::Any, Op::All, Op::LogicalNot, Op::Not, Op::BitCount, Op::CooperativeMatrixLengthKHR});
    add("trii", {Op::VectorExtractDynamic,
                 Op::IAdd,
                 Op::FAdd,
                 Op::ISub,
                 Op::FSub,
                 Op::IMul,
                 Op::FMul,
                 Op::UDiv,
                 Op::SDiv,
                 Op::FDiv,
                 Op::UMod,
                 Op::SRem,
                 Op::VectorTimesScalar,
                 Op::MatrixTimesScalar,
                 Op::UMulExtended,
                 Op::LogicalEqual,
                 Op::LogicalNotEqual,
                 Op::LogicalOr,
                 Op::LogicalAnd,
                 Op::IEqual,
                 Op::INotEqual,
                 Op::UGreaterThan,
                 Op::SGreaterThan,
                 Op::UGreaterThanEqual,
                 Op::SGreaterThanEqual,
                 Op::ULessThan,
                 Op::SLessThan,
                 Op::ULessThanEqual,
                 Op::SLessThanEqual,
                 Op::FOrdEqual,
                 Op::FUnordNotEqual,
                 Op::FOrdLessThan,
                 Op::FOrdGreaterThan,
                 Op::FOrdLessThanEqual,
                 Op::FOrdGreaterThanEqual,
                 Op::ShiftRightLogical,
                 Op::ShiftRightArithmetic,
                 Op::ShiftLeftLogical,
                 Op::BitwiseOr,
                 Op::BitwiseXor,
                 Op::BitwiseAnd,
                 Op::GroupNonUniformAll,
                 Op::GroupNonUniformAny,
                 Op::GroupNonUniformBroadcastFirst,
                 Op::GroupNonUniformBallot});
    add("triii", {Op::Select, Op::BitFieldSExtract, Op::BitFieldUExtract, Op::GroupNonUniformShuffle, Op::GroupNonUniformShuffleXor});
    add("trili", {Op::GroupNonUniformIAdd, Op::GroupNonUniformFAdd, Op::GroupNonUniformSMin, Op::GroupNonUniformUMin, Op::GroupNonUniformFMin,
                  Op::GroupNonUniformSMax, Op::GroupNonUniformUMax, Op::GroupNonUniformFMax});
    add("iii", {Op::ControlBarrier}), add("ii", {Op::MemoryBarrier}),
        add("triiii", {Op::AtomicIAdd, Op::AtomicSMax, Op::AtomicUMax, Op::AtomicAnd, Op::AtomicOr});
    add("iil", {Op::LoopMerge}), add("il", {Op::SelectionMerge}), add("r", {Op::Label}), add("i", {Op::Branch}), add("iii", {Op::BranchConditional});
    add("trii?", {Op::SDot, Op::UDot, Op::SUDot});
    add("triiim", {Op::CooperativeMatrixLoadKHR}), add("iiiim", {Op::CooperativeMatrixStoreKHR}), add("triii?", {Op::CooperativeMatrixMulAddKHR});
    add("triiimn", {Op::CooperativeMatrixLoadTensorNV}), add("iiimn", {Op::CooperativeMatrixStoreTensorNV});
    return all;
  }();
  const auto found = table.find(opcode);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace cotenant::vulkan::spirv

#endif
