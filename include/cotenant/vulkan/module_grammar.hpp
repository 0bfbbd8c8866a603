// words_of(): the words of each SPIR-V instruction that a compute kernel may consist of, ours or somebody else's.
#ifndef COTENANT_VULKAN_MODULE_GRAMMAR_HPP
#define COTENANT_VULKAN_MODULE_GRAMMAR_HPP
#include "cotenant/vulkan/spirv.hpp"

namespace cotenant::vulkan::spirv {

// SPIR-V specification, section 3.42. The words after the first, a letter each:
//   t  the type of the result          v  a value                      l  a literal
//   r  the result                      k  a constant                   s  text, to its end
//   y  a type                          b  a label                      m  memory operands, or nothing
//   c  a storage class                 f  a function                   n  tensor operands
//   i  any id                          e  a set of instructions        w  pairs of a literal and a label, to the end
//                                                                      p  pairs of a value and a label, to the end
// ? the next one or nothing; * the next one as often as there are words.
struct Grammar {
  Op first, last;
  const char* words;
  constexpr Grammar(Op from, Op to, const char* all) : first(from), last(to), words(all) {}
  constexpr Grammar(Op op, const char* all) : Grammar(op, op, all) {}
};
inline constexpr Grammar grammar[] = {
    {Op::Nop, ""}, {Op::Undef, "tr"}, {Op::SourceContinued, "s"}, {Op::Source, "ll*l"}, {Op::SourceExtension, "s"}, {Op::Name, "is"}, {Op::MemberName, "ils"},
    {Op::String, "rs"}, {Op::Line, "ill"}, {Op::Extension, "s"}, {Op::ExtInstImport, "rs"}, {Op::ExtInst, "trel*i"}, {Op::MemoryModel, "ll"},
    {Op::EntryPoint, "lfs*i"}, {Op::ExecutionMode, "fl*l"}, {Op::Capability, "l"},
    // types and constants
    {Op::TypeVoid, Op::TypeBool, "r"}, {Op::TypeInt, "rll"}, {Op::TypeFloat, "rl?l"}, {Op::TypeVector, Op::TypeMatrix, "ryl"}, {Op::TypeArray, "ryk"},
    {Op::TypeRuntimeArray, "ry"}, {Op::TypeStruct, "r*y"}, {Op::TypePointer, "rcy"}, {Op::TypeFunction, "ry*y"}, {Op::TypeForwardPointer, "yc"},
    {Op::ConstantTrue, Op::ConstantFalse, "tr"}, {Op::Constant, "trl*l"}, {Op::ConstantComposite, "tr*k"}, {Op::ConstantNull, "tr"},
    {Op::SpecConstantTrue, Op::SpecConstantFalse, "tr"}, {Op::SpecConstant, "trl*l"}, {Op::SpecConstantComposite, "tr*k"}, {Op::SpecConstantOp, "trl*l"},
    // functions and memory
    {Op::Function, "trly"}, {Op::FunctionParameter, "tr"}, {Op::FunctionEnd, ""}, {Op::FunctionCall, "trf*v"}, {Op::Variable, "trc?i"}, {Op::Load, "trvm"},
    {Op::Store, "vvm"}, {Op::CopyMemory, "vvmm"}, {Op::AccessChain, Op::InBoundsAccessChain, "trv*v"}, {Op::PtrAccessChain, "trvv*v"},
        {Op::ArrayLength, "trvl"},
    {Op::InBoundsPtrAccessChain, "trvv*v"},
    // annotations
    {Op::Decorate, "il*l"}, {Op::MemberDecorate, "yll*l"}, {Op::DecorationGroup, "r"}, {Op::GroupDecorate, "i*i"}, {Op::GroupMemberDecorate, "i*l"},
    // composites and conversions
    {Op::VectorExtractDynamic, "trvv"}, {Op::VectorInsertDynamic, "trvvv"}, {Op::VectorShuffle, "trvvl*l"}, {Op::CompositeConstruct, "tr*v"},
    {Op::CompositeExtract, "trvl*l"}, {Op::CompositeInsert, "trvvl*l"}, {Op::CopyObject, Op::Transpose, "trv"}, {Op::ConvertFToU, Op::ConvertPtrToU, "trv"},
    {Op::ConvertUToPtr, "trv"}, {Op::Bitcast, "trv"},
    // arithmetic, comparisons, bits
    {Op::SNegate, Op::FNegate, "trv"}, {Op::IAdd, Op::SMulExtended, "trvv"}, {Op::Any, Op::IsInf, "trv"}, {Op::LogicalEqual, Op::LogicalAnd, "trvv"},
    {Op::LogicalNot, "trv"}, {Op::Select, "trvvv"}, {Op::IEqual, Op::FUnordGreaterThanEqual, "trvv"}, {Op::ShiftRightLogical, Op::BitwiseAnd, "trvv"},
    {Op::Not, "trv"}, {Op::BitFieldInsert, "trvvvv"}, {Op::BitFieldSExtract, Op::BitFieldUExtract, "trvvv"}, {Op::BitReverse, Op::BitCount, "trv"},
    // barriers and atomics
    {Op::ControlBarrier, "kkk"}, {Op::MemoryBarrier, "kk"}, {Op::AtomicLoad, "trvkk"}, {Op::AtomicStore, "vkkv"}, {Op::AtomicExchange, "trvkkv"},
    {Op::AtomicCompareExchange, "trvkkkvv"}, {Op::AtomicIIncrement, Op::AtomicIDecrement, "trvkk"}, {Op::AtomicIAdd, Op::AtomicXor, "trvkkv"},
    // control flow
    {Op::Phi, "trp"}, {Op::LoopMerge, "bbl*l"}, {Op::SelectionMerge, "bl"}, {Op::Label, "r"}, {Op::Branch, "b"}, {Op::BranchConditional, "vbb*l"},
    {Op::Switch, "vbw"}, {Op::Kill, Op::Return, ""}, {Op::ReturnValue, "v"}, {Op::Unreachable, ""}, {Op::NoLine, ""}, {Op::ModuleProcessed, "s"},
    {Op::ExecutionModeId, "fl*k"}, {Op::DecorateId, "il*i"},
    // subgroups
    {Op::GroupNonUniformElect, "trk"}, {Op::GroupNonUniformAll, Op::GroupNonUniformAllEqual, "trkv"}, {Op::GroupNonUniformBroadcast, "trkvv"},
    {Op::GroupNonUniformBroadcastFirst, Op::GroupNonUniformInverseBallot, "trkv"}, {Op::GroupNonUniformBallotBitExtract, "trkvv"},
    {Op::GroupNonUniformBallotBitCount, "trklv"}, {Op::GroupNonUniformBallotFindLSB, Op::GroupNonUniformBallotFindMSB, "trkv"},
    {Op::GroupNonUniformShuffle, Op::GroupNonUniformShuffleDown, "trkvv"}, {Op::GroupNonUniformIAdd, Op::GroupNonUniformLogicalXor, "trklv?v"},
    {Op::CopyLogical, "trv"}, {Op::PtrEqual, Op::PtrDiff, "trvv"}, {Op::TerminateInvocation, ""},
    // integer dot products, cooperative matrices, tensors
    {Op::SDot, Op::SUDot, "trvv?l"}, {Op::SDotAccSat, Op::SUDotAccSat, "trvvv?l"}, {Op::TypeCooperativeMatrixKHR, "rykkkk"},
    {Op::CooperativeMatrixLoadKHR, "trvk?vm"}, {Op::CooperativeMatrixStoreKHR, "vvk?vm"}, {Op::CooperativeMatrixMulAddKHR, "trvvv?l"},
    {Op::CooperativeMatrixLengthKHR, "try"}, {Op::CooperativeMatrixLoadTensorNV, "trvvvmn"}, {Op::CooperativeMatrixStoreTensorNV, "vvvmn"},
    {Op::TypeTensorLayoutNV, "rkk"}, {Op::TypeTensorViewNV, "rkk*k"}, {Op::CreateTensorLayoutNV, "tr"},
    {Op::TensorLayoutSetDimensionNV, Op::TensorLayoutSliceNV, "trv*v"}, {Op::CreateTensorViewNV, "tr"}, {Op::DecorateString, "il*l"},
    {Op::MemberDecorateString, "yll*l"},
};

// Null where a compute kernel has no such instruction.
constexpr const char* words_of(Op op) {
  for (const Grammar& one : grammar) if (op >= one.first && op <= one.last) return one.words;
  return nullptr;
}

// Operands of the instructions of GLSL.std.450, from number 1 on; 0: not for compute kernels.
inline constexpr char extended_operands[] = "111111111111111111111111221111111121222222333332332121111111111111221323111000223";

}  // namespace cotenant::vulkan::spirv

#endif
