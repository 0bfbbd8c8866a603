// ModuleTypes: whether the instructions of a SPIR-V module compute with operands of types that they take.
#ifndef COTENANT_VULKAN_MODULE_TYPES_HPP
#define COTENANT_VULKAN_MODULE_TYPES_HPP
#include <cstddef>
#include <cstdint>

#include "cotenant/vulkan/module_text.hpp"

namespace cotenant::vulkan::detail {

// SPIR-V specification, sections 3.42.6 to 3.42.24, and 2 of the extended instructions' for GLSL.std.450. For modules whose ids are all
// defined, each as the kind of thing that is used: see ModuleCheck.
class ModuleTypes : protected ModuleText {
 protected:
  using ModuleText::ModuleText;
  ~ModuleTypes() = default;

  std::uint32_t pointee(std::uint32_t pointer) const {
    const Instruction* const t = definition(type_of(pointer));
    if (t == nullptr || t->op != Op::TypePointer) fail_id(pointer, "is no pointer");
    return t->operands[1];
  }
  // The type of member `index` of a composite; `id` of the index where it is one.
  std::uint32_t member(std::uint32_t type, std::uint32_t index, std::uint32_t id) const {
    const Instruction* const t = definition(type);
    switch (t == nullptr ? Op::Nop : t->op) {
      case Op::TypeVector: case Op::TypeMatrix: if (id == 0 && index >= t->operands[1]) break; return t->operands[0];
      case Op::TypeArray: case Op::TypeRuntimeArray: case Op::TypeCooperativeMatrixKHR: return t->operands[0];
      case Op::TypeStruct:
        if (id != 0) {
          const Instruction* const constant = definition(id);
          if (constant->op != Op::Constant) fail("a member of a struct is chosen by what is no constant");
          index = constant->operands[0];
        }
        if (index < t->operands.size()) return t->operands[index];
        break;
      default: break;
    }
    fail("a part is taken of what has no such part");
  }
  void check_types(const Instruction& one) {
    at_ = one.at;
    const auto& x = one.operands;
    const Op op = one.op;
    const Kind result = kind_of(one.type);
    const auto all = [&](char of, std::size_t from, std::size_t to) {
      for (std::size_t i = from; i < to; ++i) if (kind(x[i]).of != of || kind(x[i]).count != result.count) return false;
      return true;
    };
    const auto like = [&](std::size_t from, std::size_t to) {
      for (std::size_t i = from; i < to; ++i) if (!(kind(x[i]) == result)) return false;
      return true;
    };
    const auto within = [op](Op first, Op last) { return op >= first && op <= last; };
    constexpr const char* types = "operands or a result of types that the instruction does not take";
    if (op == Op::TypeInt) expect(x[0] == 8 || x[0] == 16 || x[0] == 32 || x[0] == 64, "an integer of unknown width");
    else if (op == Op::TypeFloat) expect(x[0] == 16 || x[0] == 32 || x[0] == 64, "a float of unknown width");
    else if (op == Op::TypeVector)
      expect(x[1] >= 2 && x[1] <= 4 && kind_of(x[0]).of != 'o' && kind_of(x[0]).of != 'p' && kind_of(x[0]).count == 1, "a vector that is none");
    else if (op == Op::TypeMatrix) expect(x[1] >= 2 && x[1] <= 4 && kind_of(x[0]).of == 'f' && kind_of(x[0]).count > 1, "a matrix that is none");
    else if (op == Op::TypeArray) expect(kind(x[1]).of == 'i' && kind(x[1]).count == 1, "an array whose length is no integer");
    else if (op == Op::TypeStruct) for (const std::uint32_t part : x)
      expect(definition(part)->op != Op::TypeVoid && definition(part)->op != Op::TypeFunction, "a struct of what has no values");
    else if (within(Op::ConstantTrue, Op::ConstantFalse) || within(Op::SpecConstantTrue, Op::SpecConstantFalse))
      expect(result.of == 'b' && result.count == 1, types);
    else if (op == Op::Constant || op == Op::SpecConstant)
      expect((result.of == 'i' || result.of == 'f') && result.count == 1 && x.size() == (result.width + 31) / 32, "a constant of another size than its type");
    else if (op == Op::ConstantComposite || op == Op::SpecConstantComposite || op == Op::CompositeConstruct) check_construct(one, result);
    else if (op == Op::Function) check_function(one);
    else if (op == Op::FunctionParameter) expect(definition(one.type)->op != Op::TypeVoid, types);
    else if (op == Op::FunctionCall) check_call(one);
    else if (op == Op::Variable) {
      const Instruction* const t = definition(one.type);
      expect(t->op == Op::TypePointer && t->operands[0] == x[0], "a variable whose pointer has another storage class");
      expect(definition(t->operands[1])->op != Op::TypeVoid && definition(t->operands[1])->op != Op::TypeFunction, types);
    } else if (op == Op::Load) expect(pointee(x[0]) == one.type, "a load of another type than its pointer's");
    else if (op == Op::Store) expect(pointee(x[0]) == type_of(x[1]), "a store of another type than its pointer's");
    else if (op == Op::CopyMemory) expect(pointee(x[0]) == pointee(x[1]), types);
    else if (within(Op::AccessChain, Op::PtrAccessChain) || op == Op::InBoundsPtrAccessChain) {
      std::uint32_t type = pointee(x[0]);
      for (std::size_t i = op >= Op::PtrAccessChain ? 2 : 1; i < x.size(); ++i)
        expect(kind(x[i]).of == 'i' && kind(x[i]).count == 1, types), type = member(type, 0, x[i]);
      const Instruction *const to = definition(one.type), *const from = definition(type_of(x[0]));
      expect(to->op == Op::TypePointer && to->operands[1] == type && to->operands[0] == from->operands[0],
             "a pointer to a part, of another type than the part");
    } else if (op == Op::ArrayLength) {
      const Instruction* const t = definition(pointee(x[0]));
      expect(t->op == Op::TypeStruct && x[1] < t->operands.size() && definition(t->operands[x[1]])->op == Op::TypeRuntimeArray && result.of == 'i',
             "the length of what is no array");
    } else if (op == Op::VectorExtractDynamic) expect(kind(x[0]).count > 1 && kind(x[0]).of == result.of && result.count == 1 && kind(x[1]).of == 'i', types);
    else if (op == Op::VectorInsertDynamic) expect(like(0, 1) && kind(x[1]).of == result.of && kind(x[1]).count == 1 && kind(x[2]).of == 'i', types);
    else if (op == Op::VectorShuffle) {
      expect(kind(x[0]).of == result.of && kind(x[1]).of == result.of && kind(x[0]).width == result.width && kind(x[1]).width == result.width &&
          x.size() - 2 == result.count, types);
      for (std::size_t i = 2; i < x.size(); ++i)
        expect(x[i] == 0xffffffff || x[i] < kind(x[0]).count + kind(x[1]).count, "a part is taken of what has no such part");
    } else if (op == Op::CompositeExtract || op == Op::CompositeInsert) {
      std::uint32_t type = type_of(op == Op::CompositeExtract ? x[0] : x[1]);
      for (std::size_t i = op == Op::CompositeExtract ? 1 : 2; i < x.size(); ++i) type = member(type, x[i], 0);
      expect(op == Op::CompositeExtract ? type == one.type : type == type_of(x[0]) && one.type == type_of(x[1]), types);
    } else if (op == Op::CopyObject) expect(type_of(x[0]) == one.type, types);
    else if (op == Op::ConvertFToU || op == Op::ConvertFToS) expect(result.of == 'i' && all('f', 0, 1), types);
    else if (op == Op::ConvertSToF || op == Op::ConvertUToF) expect(result.of == 'f' && all('i', 0, 1), types);
    else if (op == Op::UConvert || op == Op::SConvert) expect(result.of == 'i' && all('i', 0, 1), types);
    else if (op == Op::FConvert || op == Op::QuantizeToF16) expect(result.of == 'f' && all('f', 0, 1), types);
    else if (op == Op::Bitcast) {
      const Kind from = kind(x[0]);
      expect(from.of != 'o' && from.of != 'b' && result.of != 'o' && result.of != 'b', types);
      expect(from.of == 'p' || result.of == 'p' || from.width * from.count == result.width * result.count, types);
    } else if (op == Op::SNegate || op == Op::Not || op == Op::BitReverse || op == Op::IAdd || op == Op::ISub || op == Op::IMul ||
        within(Op::UDiv, Op::SDiv) || within(Op::UMod, Op::SMod) || within(Op::BitwiseOr, Op::BitwiseAnd)) expect(result.of == 'i' && like(0, x.size()), types);
    else if (within(Op::ShiftRightLogical, Op::ShiftLeftLogical)) expect(result.of == 'i' && like(0, 1) && all('i', 1, 2), types);
    else if (op == Op::FNegate || op == Op::FAdd || op == Op::FSub || op == Op::FMul || op == Op::FDiv || within(Op::FRem, Op::FMod))
      expect(result.of == 'f' && like(0, x.size()), types);
    else if (op == Op::MatrixTimesScalar) expect(type_of(x[0]) == one.type && kind(x[1]).of != 'o' && kind(x[1]).count == 1, types);
    else if (op == Op::CooperativeMatrixMulAddKHR) check_multiply_add(one);
    else if (op == Op::VectorTimesScalar) expect(result.of == 'f' && like(0, 1) && kind(x[1]).of == 'f' && kind(x[1]).count == 1, types);
    else if (op == Op::Dot) expect(result.of == 'f' && result.count == 1 && kind(x[0]) == kind(x[1]) && kind(x[0]).of == 'f' && kind(x[0]).count > 1, types);
    else if (op == Op::Any || op == Op::All) expect(result == Kind({'b', 1, 1}) && kind(x[0]).of == 'b', types);
    else if (op == Op::IsNan || op == Op::IsInf) expect(result.of == 'b' && all('f', 0, 1), types);
    else if (within(Op::LogicalEqual, Op::LogicalNot)) expect(result.of == 'b' && like(0, x.size()), types);
    else if (op == Op::Select)
      expect(kind(x[0]).of == 'b' && type_of(x[1]) == one.type && type_of(x[2]) == one.type && (kind(x[0]).count == result.count || kind(x[0]).count == 1),
             types);
    else if (within(Op::IEqual, Op::SLessThanEqual)) expect(result.of == 'b' && all('i', 0, 2) && kind(x[0]) == kind(x[1]), types);
    else if (within(Op::FOrdEqual, Op::FUnordGreaterThanEqual)) expect(result.of == 'b' && all('f', 0, 2) && kind(x[0]) == kind(x[1]), types);
    else if (within(Op::BitFieldInsert, Op::BitFieldUExtract))
      expect(result.of == 'i' && like(0, op == Op::BitFieldInsert ? 2 : 1) && kind(x[x.size() - 2]).of == 'i' && kind(x.back()).of == 'i', types);
    else if (op == Op::BitCount) expect(result.of == 'i' && all('i', 0, 1), types);
    else if (op == Op::AtomicLoad || within(Op::AtomicExchange, Op::AtomicXor)) {
      expect((result.of == 'i' || result.of == 'f') && result.count == 1 && pointee(x[0]) == one.type, types);
      if (op != Op::AtomicLoad && op != Op::AtomicIIncrement && op != Op::AtomicIDecrement) expect(kind(x.back()) == result, types);
    } else if (op == Op::AtomicStore) expect(pointee(x[0]) == type_of(x[3]) && kind(x[3]).count == 1 && kind(x[3]).of != 'o', types);
    else if (op == Op::Phi) {
      for (std::size_t i = 0; i + 1 < x.size(); i += 2) expect(type_of(x[i]) == one.type, types);
      expect(x.size() >= 2, "a phi without a value");
    } else if (op == Op::BranchConditional) expect(kind(x[0]) == Kind({'b', 1, 1}) && (x.size() == 3 || x.size() == 5), types);
    else if (op == Op::Switch) expect(kind(x[0]).of == 'i' && kind(x[0]).count == 1 && kind(x[0]).width <= 32, types);
    else if (op == Op::ExtInst) check_extended(one, result);
    else if (op == Op::GroupNonUniformElect || op == Op::GroupNonUniformAll || op == Op::GroupNonUniformAny)
      expect(result == Kind({'b', 1, 1}) && (op == Op::GroupNonUniformElect || kind(x[1]) == result), types);
    else if (op == Op::GroupNonUniformBroadcast || op == Op::GroupNonUniformBroadcastFirst ||
        within(Op::GroupNonUniformShuffle, Op::GroupNonUniformShuffleDown)) expect(result.of != 'o' && result.of != 'p' && kind(x[1]) == result, types);
    else if (op == Op::GroupNonUniformBallot) expect(result == Kind({'i', 32, 4}) && kind(x[1]) == Kind({'b', 1, 1}), types);
    else if (op == Op::GroupNonUniformInverseBallot || within(Op::GroupNonUniformBallotBitCount, Op::GroupNonUniformBallotFindMSB))
      expect(kind(x.back()).of == 'i' && kind(x.back()).count == 4, types);
    else if (op == Op::GroupNonUniformBallotBitExtract) expect(kind(x[1]).of == 'i' && kind(x[1]).count == 4, types);
    else if (within(Op::GroupNonUniformIAdd, Op::GroupNonUniformLogicalXor))
      expect(result.of == (op >= Op::GroupNonUniformLogicalAnd ? 'b' : op == Op::GroupNonUniformFAdd || op == Op::GroupNonUniformFMul ||
          op == Op::GroupNonUniformFMin || op == Op::GroupNonUniformFMax ? 'f' : 'i') && kind(x[2]) == result, types);
  }
  void check_construct(const Instruction& one, const Kind& result) const {
    const Instruction* const t = definition(one.type);
    const auto& x = one.operands;
    constexpr const char* parts = "a composite of other parts than its type's";
    if (t->op == Op::TypeVector) {
      std::uint32_t total = 0;
      for (const std::uint32_t part : x) {
        expect(kind(part).of == result.of && kind(part).width == result.width, parts);
        total += kind(part).count;
      }
      expect(total == result.count, parts);
    } else if (t->op == Op::TypeStruct || t->op == Op::TypeArray || t->op == Op::TypeMatrix) {
      for (std::size_t i = 0; i < x.size(); ++i)
        expect(t->op == Op::TypeStruct ? i < t->operands.size() && type_of(x[i]) == t->operands[i] : type_of(x[i]) == t->operands[0], parts);
      if (t->op == Op::TypeMatrix) expect(x.size() == t->operands[1], parts);
      if (t->op == Op::TypeStruct) expect(x.size() == t->operands.size(), parts);
      if (t->op == Op::TypeArray)
        if (const Instruction* const length = definition(t->operands[1]); length->op == Op::Constant) expect(x.size() == length->operands[0], parts);
    } else {
      expect(t->op == Op::TypeCooperativeMatrixKHR && x.size() == 1 && kind(x[0]).of == result.of, parts);
    }
  }
  // Operands of a matrix's type: of what, scope, rows, columns, use. Those that are constants of specialization may become equal.
  void check_multiply_add(const Instruction& one) const {
    const auto part = [&](std::uint32_t type, std::size_t i) {
      const Instruction* const t = definition(type);
      expect(t != nullptr && t->op == Op::TypeCooperativeMatrixKHR, "a product of what is no matrix");
      return t->operands[i];
    };
    const auto equal = [&](std::uint32_t left, std::uint32_t right) {
      const Instruction *const a = definition(left), *const b = definition(right);
      return a == b || a->op != Op::Constant || b->op != Op::Constant || a->operands[0] == b->operands[0];
    };
    const std::uint32_t a = type_of(one.operands[0]), b = type_of(one.operands[1]), sum = type_of(one.operands[2]), result = one.type;
    expect(equal(part(a, 2), part(result, 2)) && equal(part(b, 3), part(result, 3)) && equal(part(a, 3), part(b, 2)) && equal(part(sum, 2), part(result, 2)) &&
        equal(part(sum, 3), part(result, 3)), "a product of matrices of extents that do not fit");
  }
  void check_function(const Instruction& one) const {
    const Instruction* const t = definition(one.operands[1]);
    expect(t->op == Op::TypeFunction && t->operands[0] == one.type, "a function that returns another type than it says");
    std::size_t next = 1;
    const bool returns = definition(one.type)->op != Op::TypeVoid;
    for (auto i = static_cast<std::size_t>(&one - instructions_.data()) + 1; i < instructions_.size() && instructions_[i].op != Op::FunctionEnd; ++i) {
      const Instruction& inside = instructions_[i];
      if (inside.op == Op::FunctionParameter)
        expect(next < t->operands.size() && inside.type == t->operands[next++], "a parameter of another type than its function's");
      if (inside.op == Op::Return) expect(!returns, "a function that returns nothing where it has a type");
      if (inside.op == Op::ReturnValue) expect(returns && type_of(inside.operands[0]) == one.type, "a function that returns another type than it says");
    }
    expect(next == t->operands.size(), "a function with fewer parameters than its type");
  }
  void check_call(const Instruction& one) const {
    const Instruction* const callee = definition(one.operands[0]);
    const Instruction* const t = definition(callee->operands[1]);
    expect(callee->type == one.type && t->op == Op::TypeFunction && t->operands.size() == one.operands.size(), "a call that does not fit its function");
    for (std::size_t i = 1; i < one.operands.size(); ++i) {
      const Instruction* const argument = definition(one.operands[i]);
      expect(argument->type == t->operands[i], "a call that does not fit its function");
    }
  }
  void check_extended(const Instruction& one, const Kind& result) const {
    const auto& x = one.operands;
    if (!is_glsl(*definition(x[0]))) return;
    const std::uint32_t number = x[1];
    expect(number >= 1 && number < sizeof spirv::extended_operands && x.size() - 2 == static_cast<std::size_t>(spirv::extended_operands[number - 1] - '0') &&
        x.size() > 2, "no such function in GLSL.std.450");
    for (std::size_t i = 2; i < x.size(); ++i) if (const Instruction* const value = definition(x[i]); value->type == 0 || value->op == Op::Function)
      fail_id(x[i], "is no value");
    // Pointers, matrices and packed values have rules of their own; the others take what they give.
    const bool own = (number >= 33 && number <= 36) || (number >= 51 && number <= 68) || number == 72;
    if (own) return;
    const bool integer = number == 5 || number == 7 || number == 38 || number == 39 || number == 41 || number == 42 || number == 44 || number == 45 ||
        (number >= 73 && number <= 75);
    expect(result.of == (integer ? 'i' : 'f'), "a function of GLSL.std.450 on types that it does not take");
    for (std::size_t i = 2; i < x.size(); ++i) expect(kind(x[i]) == result, "a function of GLSL.std.450 on types that it does not take");
  }
};

}  // namespace cotenant::vulkan::detail

#endif
