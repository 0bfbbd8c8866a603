// ModuleCheck: refuses SPIR-V that breaks the specification's rules, on which drivers rely without looking.
#ifndef COTENANT_VULKAN_MODULE_CHECK_HPP
#define COTENANT_VULKAN_MODULE_CHECK_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "cotenant/vulkan/dominators.hpp"
#include "cotenant/vulkan/module_types.hpp"
#include "cotenant/vulkan/module_sections.hpp"

namespace cotenant::vulkan::detail {

// Each instruction's words; ids, defined once and before they are used, on every way, and of the right kind; the order of sections;
// functions, blocks and where branches go; how buffers are laid out; the types of what is computed; capabilities of what kernels have
// besides shaders' types. Not checked: that control flow is structured. Without these rules, of 600 modules whose words had been
// changed at random 8 crashed the driver (Mesa 22.3), which trusts whoever wrote them; and kernels of ours that tools do not know yet
// would be checked by nobody.
class ModuleCheck final : ModuleTypes {
 public:
  // Errors: InvalidArgument, which says where and what.
  explicit ModuleCheck(std::span<const std::uint32_t> words) : ModuleTypes(words) {
    for (const Instruction& one : instructions_) check_order(one);
    at_ = words.size();
    if (state_ != State::outside) fail("the last function does not end");
    if (count(Op::MemoryModel) != 1 || count(Op::EntryPoint) == 0) fail("there is not one memory model, or no entry point");
    for (const Instruction& one : instructions_) check_use(one);
    check_ways();
    check_capabilities();
    for (const Instruction& one : instructions_) check_decoration(one);
    for (const Instruction& one : instructions_) check_types(one);
  }

 private:
  enum class State { outside, parameters, between, block };

  using Decoration = spirv::Decoration;
  using Section = spirv::Section;
  using StorageClass = spirv::StorageClass;

  // ---- sections, functions and blocks ----
  void check_order(const Instruction& one) {
    at_ = one.at;
    const bool anywhere = one.op == Op::Nop || one.op == Op::Line || one.op == Op::NoLine || (one.op == Op::Undef && state_ == State::block) ||
        (one.op == Op::ExtInst && state_ == State::outside && section_ == Section::declarations);
    const Section here = spirv::section_of(one.op);
    if (!anywhere && state_ == State::outside) {
      if (here < section_) fail("the instruction " + number(one.op) + " comes after its section of the module");
      section_ = here;
      if (here == Section::functions && one.op != Op::Function) fail("the instruction " + number(one.op) + " lies outside of every function");
    } else if (!anywhere && here < Section::functions && one.op != Op::Variable) {
      fail("the instruction " + number(one.op) + " lies in a function");
    }
    if (merged_ && !(one.op >= Op::Branch && one.op <= Op::Switch)) fail("no branch follows where ways are said to meet again");
    merged_ = one.op == Op::LoopMerge || one.op == Op::SelectionMerge;
    switch (one.op) {
      case Op::Function:
        if (state_ != State::outside) fail("a function begins in another");
        state_ = State::parameters, blocks_ = 0;
        break;
      case Op::FunctionParameter: if (state_ != State::parameters) fail("a parameter does not stand at the begin of a function"); break;
      case Op::Label:
        if (state_ != State::parameters && state_ != State::between) fail("a block begins where another has not ended");
        state_ = State::block, ++blocks_, first_ = true;
        break;
      case Op::FunctionEnd:
        if (state_ != State::between || blocks_ == 0) fail("a function ends where a block has not, or has no block");
        state_ = State::between;
        break;
      default: if (state_ != State::outside && state_ != State::block && !anywhere) fail("the instruction " + number(one.op) + " lies outside of every block");
    }
    if (one.op == Op::Variable && (one.function != 0) != (static_cast<StorageClass>(one.operands[0]) == StorageClass::Function))
      fail("a variable of this storage class does not lie here");
    if (one.op == Op::Variable && one.function != 0 && blocks_ != 1) fail("a variable lies behind the first block of its function");
    if (one.op == Op::Phi && !first_) fail("a phi does not stand at the begin of its block");
    if (one.op != Op::Label && one.op != Op::Phi && one.op != Op::Line && one.op != Op::NoLine) first_ = false;
    if (spirv::ends_block(one.op)) state_ = State::between;
    if (one.op == Op::FunctionEnd) state_ = State::outside;
  }

  // ---- ids ----
  void check_use(const Instruction& one) {
    at_ = one.at;
    for (const Use& use : one.uses) {
      const Instruction* const there = definition(use.id);
      if (there == nullptr) fail_id(use.id, "is defined nowhere");
      const bool value = there->type != 0 && there->op != Op::Function, earlier = there < &one;
      if ((use.kind == 'y' && !spirv::is_type(there->op)) || (use.kind == 'b' && there->op != Op::Label) || (use.kind == 'f' && there->op != Op::Function) ||
          (use.kind == 'e' && there->op != Op::ExtInstImport) || (use.kind == 'k' && !spirv::is_constant(there->op)) ||
          ((use.kind == 'v' || use.kind == 'p') && !value))
        fail_id(use.id, "is not what the instruction " + number(one.op) + " needs there");
      // A pointer may be named before it is declared; what a phi takes comes from blocks that may lie behind.
      const bool forward = use.kind == 'b' || use.kind == 'f' || use.kind == 'i' || use.kind == 'p' || one.op == Op::TypeForwardPointer ||
          there->op == Op::TypePointer || spirv::section_of(one.op) < Section::declarations;
      if (!forward && !earlier) fail_id(use.id, "is used before it is defined");
      if (there->function != 0 && one.function != 0 && there->op != Op::Function && there->function != one.function)
        fail_id(use.id, "belongs to another function");
    }
    if (one.op == Op::EntryPoint) {
      const Instruction* const kernel = definition(one.operands[1]);
      const Instruction* const signature = definition(kernel->operands[1]);
      if (signature == nullptr || signature->op != Op::TypeFunction || signature->operands.size() != 1) fail("the entry point takes arguments");
    }
    if ((one.op == Op::ExecutionMode || one.op == Op::ExecutionModeId) &&
        std::none_of(instructions_.begin(), instructions_.end(),
            [&](const Instruction& other) { return other.op == Op::EntryPoint && other.operands[1] == one.operands[0]; }))
      fail("an execution mode of what is no entry point");
  }

  // ---- ways ----
  void check_ways() {
    // Block 0 is everything outside of the others, from which each function's first block is reached.
    std::vector<std::size_t> block_of(instructions_.size());
    std::vector<std::vector<std::size_t>> next(1);
    const auto place = [&](const Instruction* one) -> std::size_t& { return block_of[static_cast<std::size_t>(one - instructions_.data())]; };
    for (std::size_t now = 0, first = 0; const Instruction& one : instructions_) {
      if (one.op == Op::Function) first = next.size();
      if (one.op == Op::Label) now = next.size(), next.emplace_back();
      if (one.op == Op::Label && now == first) next[0].push_back(first);
      if (one.op == Op::FunctionEnd) now = 0;
      place(&one) = now;
    }
    for (const Instruction& one : instructions_)
      if (spirv::ends_block(one.op)) for (const Use& use : one.uses) if (use.kind == 'b') next[place(&one)].push_back(place(definition(use.id)));
    const Dominators ways(next);
    for (const Instruction& one : instructions_) {
      at_ = one.at;
      const bool call = one.op == Op::ExtInst && one.function != 0 && is_glsl(*definition(one.operands[0]));
      for (std::size_t i = 0; i < one.uses.size(); ++i) {
        const Use& use = one.uses[i];
        if (use.kind != 'v' && use.kind != 'p' && !(use.kind == 'i' && call)) continue;
        const Instruction* const there = definition(use.id);
        // What a phi takes is there at the end of the block that it comes from, which is named behind it.
        const bool of_phi = use.kind == 'p';
        const std::size_t from = place(there), to = of_phi ? place(definition(one.uses[i + 1].id)) : place(&one);
        if (ways.reached(to) && (from == to ? !of_phi && there >= &one : !ways.always_before(from, to)))
          fail_id(use.id, "is used where it may not have been computed");
      }
    }
  }

  // ---- capabilities (section 3.31), and what an entry point says that it uses ----
  void check_capabilities() {
    using spirv::Capability;
    std::set<Capability> capabilities;
    std::uint32_t model = 0;
    std::map<std::size_t, std::set<std::uint32_t>> interfaces;  // by function
    for (const Instruction& one : instructions_) {
      at_ = one.at;
      const auto needs = [&](Capability capability, const char* what) {
        if (capabilities.count(capability) == 0) fail(std::string(what) + " without its capability");
      };
      const auto& x = one.operands;
      switch (one.op) {
        case Op::Capability: capabilities.insert(static_cast<Capability>(x[0])); break;
        case Op::MemoryModel: model = x[1]; break;
        case Op::EntryPoint: {
          auto& named = interfaces[definition(x[1])->function];
          for (const Use& use : one.uses) if (use.kind == 'i') named.insert(use.id);
          break;
        }
        case Op::TypeInt: if (x[0] == 64) needs(Capability::Int64, "a 64-bit integer"); break;
        case Op::TypeFloat: if (x[0] == 64) needs(Capability::Float64, "a 64-bit float"); break;
        case Op::TypeCooperativeMatrixKHR:
          needs(Capability::CooperativeMatrixKHR, "a cooperative matrix");
          if (model != static_cast<std::uint32_t>(spirv::MemoryModel::Vulkan)) fail("a cooperative matrix without the Vulkan memory model");
          break;
        case Op::CooperativeMatrixLoadTensorNV: case Op::CooperativeMatrixStoreTensorNV:
          needs(Capability::CooperativeMatrixTensorAddressesNV, "tensor addressing");
          break;
        default: break;
      }
      // Since version 1.4 all of a module's variables that a kernel uses are named, not only what it is told.
      if (const auto interface = interfaces.find(one.function); one.function != 0 && interface != interfaces.end() && words_[1] >= spirv::version(1, 4))
        for (const Use& use : one.uses)
          if (const Instruction* const there = definition(use.id); there->op == Op::Variable && there->function == 0 && interface->second.count(use.id) == 0)
            fail_id(use.id, "is not in the entry point's interface");
    }
  }

  // ---- what types and variables are decorated with ----
  static constexpr std::uint32_t whole = 0xffffffff;  // in place of a member
  // Literals of a decoration (section 3.20), -1 for any; -2 where kernels have no such decoration.
  static int decoration_literals(Decoration decoration) {
    using enum spirv::Decoration;
    switch (decoration) {
      case RelaxedPrecision: case Block: case BufferBlock: case RowMajor: case ColMajor: case Invariant: case Restrict: case Aliased: case Volatile:
      case Coherent: case NonWritable: case NonReadable: case Uniform: case NoContraction: case NoSignedWrap: case NoUnsignedWrap: case RestrictPointer:
      case AliasedPointer: return 0;
      case SpecId: case ArrayStride: case MatrixStride: case BuiltIn: case Binding: case DescriptorSet: case Offset: case FPRoundingMode:
      case Alignment: return 1;
      case CounterBuffer: case UserSemantic: case UserTypeGOOGLE: return -1;
      default: return -2;
    }
  }
  void check_decoration(const Instruction& one) {
    at_ = one.at;
    const auto& x = one.operands;
    const bool of_member = one.op == Op::MemberDecorate || one.op == Op::MemberDecorateString;
    if (one.op == Op::MemberName || of_member) {
      const Instruction* const type = definition(x[0]);
      if (type->op != Op::TypeStruct || x[1] >= type->operands.size()) fail("a member is named that its struct does not have");
    }
    if (one.op == Op::Decorate || one.op == Op::DecorateString || of_member) {
      const std::size_t first = of_member ? 2 : 1;
      const auto decoration = static_cast<Decoration>(x[first]);
      const int literals = decoration_literals(decoration);
      if (literals == -2 || (literals >= 0 && x.size() - first - 1 != static_cast<std::size_t>(literals)))
        fail("the decoration " + std::to_string(x[first]) + " is none of a kernel, or has too many or too few operands");
      decorated_.insert({x[0], of_member ? x[1] : whole, decoration});
      if (decoration == Decoration::BuiltIn) check_built_in(of_member ? nullptr : definition(x[0]), x[first + 1]);
    }
    if (one.op == Op::MemoryModel) {
      const auto addressing = static_cast<spirv::AddressingModel>(x[0]);
      const auto memory = static_cast<spirv::MemoryModel>(x[1]);
      if ((addressing != spirv::AddressingModel::Logical && addressing != spirv::AddressingModel::PhysicalStorageBuffer64) ||
          (memory != spirv::MemoryModel::GLSL450 && memory != spirv::MemoryModel::Vulkan))
        fail("an addressing or memory model that kernels do not have");
    }
    constexpr std::uint32_t nons = 0x536e6f4e;  // "NonSemantic.…" may be there: 'N', 'o', 'n', 'S' as a word
    if (one.op == Op::ExtInstImport && !is_glsl(one) && !(x.size() > 1 && x[0] == nons)) fail("a set of instructions other than GLSL.std.450");
    if (one.op == Op::SelectionMerge && x[1] > 3) fail("a selection control that is none");
    if (one.op == Op::Variable) check_variable(one, static_cast<StorageClass>(x[0]));
  }
  void check_variable(const Instruction& one, StorageClass storage) const {
    if (storage == StorageClass::Input && !has(one.result, Decoration::BuiltIn)) fail_id(one.result, "is an input that is not built in");
    const bool bound = storage == StorageClass::StorageBuffer || storage == StorageClass::Uniform;
    if (!bound && storage != StorageClass::PushConstant) return;
    const std::uint32_t type = definition(one.type)->operands[1];
    if (!has(type, Decoration::Block) && !has(type, Decoration::BufferBlock)) fail_id(one.result, "is a buffer, but its type is not decorated as a block");
    if (bound && !has(one.result, Decoration::DescriptorSet)) fail_id(one.result, "is a buffer without a descriptor set");
    check_layout(type);
  }
  // What a kernel is told (section 3.21): the size of its workgroup as a constant, the rest as variables.
  void check_built_in(const Instruction* there, std::uint32_t number) const {
    using enum spirv::BuiltIn;
    const auto told = static_cast<spirv::BuiltIn>(number);
    const bool constant = told == WorkgroupSize, mask = told >= SubgroupEqMask && told <= SubgroupLtMask;
    const bool vector = told == NumWorkgroups || told == WorkgroupId || told == LocalInvocationId || told == GlobalInvocationId;
    const bool scalar = told == LocalInvocationIndex || told == SubgroupSize || told == NumSubgroups || told == SubgroupId || told == SubgroupLocalInvocationId;
    const Op of = there == nullptr ? Op::Nop : there->op;
    if (!(constant ? of == Op::ConstantComposite || of == Op::SpecConstantComposite : of == Op::Variable) || !(constant || vector || mask || scalar))
      fail("something is decorated as what a kernel is not told");
    const Kind kind = kind_of(constant ? there->type : definition(there->type)->operands[1]);
    if (!(kind == Kind{'i', 32, scalar ? 1u : mask ? 4u : 3u})) fail("what a kernel is told has another type");
  }
  bool has(std::uint32_t id, Decoration decoration, std::uint32_t of_member = whole) const { return decorated_.count({id, of_member, decoration}) > 0; }
  // Everything in a block says where it lies.
  void check_layout(std::uint32_t type) const {
    const Instruction* const t = definition(type);
    if (t->op == Op::TypeStruct)
      for (std::uint32_t i = 0; i < t->operands.size(); ++i) {
        if (!has(type, Decoration::Offset, i)) fail_id(type, "is a struct in a buffer, of which a member has no offset");
        check_layout(t->operands[i]);
      }
    if (t->op == Op::TypeArray || t->op == Op::TypeRuntimeArray) {
      if (!has(type, Decoration::ArrayStride)) fail_id(type, "is an array in a buffer without a stride");
      check_layout(t->operands[0]);
    }
  }

  std::set<std::tuple<std::uint32_t, std::uint32_t, Decoration>> decorated_;  // id, member, which
  std::size_t blocks_ = 0;
  Section section_ = Section::capabilities;
  State state_ = State::outside;
  bool merged_ = false, first_ = false;
};

}  // namespace cotenant::vulkan::detail

#endif
