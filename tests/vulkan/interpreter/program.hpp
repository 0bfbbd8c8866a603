// Program: a SPIR-V compute module as the interpreter runs it: types with their layouts, blocks, and a place in registers for each value.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_PROGRAM_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_PROGRAM_HPP
#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "cotenant/vulkan/module_text.hpp"

namespace cotenant::test::interpreter {

using vulkan::spirv::Op;
using vulkan::spirv::StorageClass;

// What a module does that no device has to bear: an access outside of memory, a race, an instruction that is unknown here.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};
[[noreturn]] inline void fault(const std::string& what) { throw Fault(what); }

// Registers have room for so many lanes of a subgroup: component c of a value in lane l is number c * lanes + l from its place on.
inline constexpr std::uint32_t lanes = 32;

enum class Kind : std::uint8_t { nothing, boolean, integer, floating, bfloat16, vector, matrix, array, runtime_array, structure, pointer, function };

struct Type {
  Kind kind = Kind::nothing;
  std::uint32_t bits = 0;
  bool is_signed = false;
  const Type* component = nullptr;
  std::uint32_t count = 0;  // components; of a cooperative matrix those of one lane: element e is component e / subgroup of lane e % subgroup
  std::uint32_t rows = 0, columns = 0;
  StorageClass storage{};
  std::uint32_t stride = 0;  // bytes from one component in memory to the next
  std::uint32_t bytes = 0;   // in memory
  std::uint32_t slots = 1;   // numbers in registers, per lane
  std::vector<const Type*> members;
  std::vector<std::uint32_t> offsets;
  struct Leaf {
    std::uint32_t offset, bytes;
  };
  std::vector<Leaf> leaves;  // where in memory each number lies

  const Type& scalar() const { return kind == Kind::vector || kind == Kind::matrix ? *component : *this; }
};

struct Variable {
  std::uint32_t id = 0, built_in = ~0u, binding = 0, set = 0;
  const Type* type = nullptr;  // of what it holds
  StorageClass storage{};
};

class Program : vulkan::detail::ModuleText {
 public:
  using Instruction = ModuleText::Instruction;
  using Kind = interpreter::Kind;
  struct Block {
    std::size_t begin, end;  // in code
  };
  // `subgroup`: lanes of a subgroup, at most 32. `given`: ids and values of specialization constants.
  // Errors: InvalidArgument, where the words are no module; Fault, where the interpreter does not know what they ask for.
  explicit Program(std::span<const std::uint32_t> words, std::uint32_t subgroup = lanes, std::span<const std::array<std::uint32_t, 2>> given = {})
      : ModuleText(words), subgroup_(subgroup), given_(given), types_(words[3]), places(words[3], ~0u), blocks_of(words[3], ~0u) {
    for (const Instruction& one : instructions_) read_decoration(one);
    for (const Instruction& one : instructions_) declare(one);
    for (const Instruction& one : instructions_) if (one.function != 0) read_code(one);
    give_places();
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  std::uint32_t subgroup() const { return subgroup_; }
  std::uint32_t invocations() const { return workgroup[0] * workgroup[1] * workgroup[2]; }
  const Type& type(std::uint32_t id) const { return types_[id]; }
  const Type& type_of_value(std::uint32_t id) const { return types_[definition(id)->type]; }
  const Instruction& defined(std::uint32_t id) const { return *definition(id); }
  // The number behind a scalar constant.
  std::uint64_t constant(std::uint32_t id) const {
    const auto found = constants.find(id);
    if (found == constants.end()) fault("%" + std::to_string(id) + " is no constant");
    return found->second[0];
  }

 private:
  using Decoration = vulkan::spirv::Decoration;
  const std::uint32_t subgroup_;
  const std::span<const std::array<std::uint32_t, 2>> given_;
  std::vector<Type> types_;

 public:
  std::array<std::uint32_t, 3> workgroup{1, 1, 1};
  bool vulkan_memory_model = false;
  std::vector<Variable> variables;
  std::map<std::uint32_t, std::vector<std::uint64_t>> constants;  // by id: their numbers
  std::vector<const Instruction*> code;
  std::vector<Block> blocks;
  std::vector<std::uint32_t> places;     // by id: where in the registers it lies, in numbers of one lane
  std::vector<std::uint32_t> blocks_of;  // by a label's id
  std::uint32_t registers = 0;           // numbers of one lane

 private:
  struct Decorations {
    std::uint32_t built_in = ~0u, binding = 0, set = 0, stride = 0, constant = ~0u;
    std::map<std::uint32_t, std::uint32_t> offsets;
  };

  void read_decoration(const Instruction& one) {
    const auto& x = one.operands;
    if (one.op == Op::ExecutionMode && static_cast<vulkan::spirv::ExecutionMode>(x[1]) == vulkan::spirv::ExecutionMode::LocalSize)
      workgroup = {x[2], x[3], x[4]};
    if (one.op == Op::MemoryModel) vulkan_memory_model = static_cast<vulkan::spirv::MemoryModel>(x[1]) == vulkan::spirv::MemoryModel::Vulkan;
    if (one.op == Op::MemberDecorate && static_cast<Decoration>(x[2]) == Decoration::Offset) decorations_[x[0]].offsets[x[1]] = x[3];
    if (one.op != Op::Decorate) return;
    Decorations& to = decorations_[x[0]];
    switch (static_cast<Decoration>(x[1])) {
      case Decoration::BuiltIn: to.built_in = x[2]; break;
      case Decoration::Binding: to.binding = x[2]; break;
      case Decoration::DescriptorSet: to.set = x[2]; break;
      case Decoration::ArrayStride: to.stride = x[2]; break;
      case Decoration::SpecId: to.constant = x[2]; break;
      default: break;
    }
  }

  void declare(const Instruction& one) {
    if (one.op == Op::Variable) declare_variable(one);
    else if (one.result != 0 && one.function == 0) {
      if (one.type == 0) declare_type(one);
      else declare_constant(one);
    }
  }
  void declare_type(const Instruction& one) {
    Type& t = types_[one.result];
    const auto& x = one.operands;
    const auto scalar = [&](Kind kind, std::uint32_t bits) { t.kind = kind, t.bits = bits, t.bytes = bits / 8, t.leaves = {{0, t.bytes}}; };
    const auto repeated = [&](Kind kind, std::uint32_t count) {
      t.kind = kind, t.component = &types_[x[0]], t.count = count;
      t.stride = decorations_[one.result].stride != 0 ? decorations_[one.result].stride : t.component->bytes;
      t.bytes = count * t.stride, t.slots = count * t.component->slots;
      for (std::uint32_t i = 0; i < count; ++i)
        for (const Type::Leaf& leaf : t.component->leaves) t.leaves.push_back({i * t.stride + leaf.offset, leaf.bytes});
    };
    switch (one.op) {
      case Op::TypeVoid: t.kind = Kind::nothing, t.slots = 0; break;
      case Op::TypeBool: scalar(Kind::boolean, 32); break;  // 32 bits where it lies in workgroup memory
      case Op::TypeInt: scalar(Kind::integer, x[0]), t.is_signed = x[1] != 0; break;
      case Op::TypeFloat: scalar(x.size() > 1 ? Kind::bfloat16 : Kind::floating, x[0]); break;
      case Op::TypeVector: repeated(Kind::vector, x[1]); break;
      case Op::TypeArray: repeated(Kind::array, static_cast<std::uint32_t>(constant(x[1]))); break;
      case Op::TypeRuntimeArray: repeated(Kind::runtime_array, 0); break;
      case Op::TypeCooperativeMatrixKHR: {
        if (constant(x[1]) != 3) fault("a cooperative matrix of another scope than a subgroup");
        const auto rows = static_cast<std::uint32_t>(constant(x[2])), columns = static_cast<std::uint32_t>(constant(x[3]));
        repeated(Kind::matrix, (rows * columns + subgroup_ - 1) / subgroup_);
        t.rows = rows, t.columns = columns;
        break;
      }
      case Op::TypeStruct:
        t.kind = Kind::structure, t.slots = 0;
        for (std::uint32_t i = 0; i < x.size(); ++i) {
          const Type& member = types_[x[i]];
          t.members.push_back(&member);
          t.offsets.push_back(decorations_[one.result].offsets[i]);
          for (const Type::Leaf& leaf : member.leaves) t.leaves.push_back({t.offsets[i] + leaf.offset, leaf.bytes});
          t.bytes = std::max(t.bytes, t.offsets[i] + member.bytes), t.slots += member.slots;
        }
        break;
      case Op::TypePointer: scalar(Kind::pointer, 64), t.storage = static_cast<StorageClass>(x[0]), t.component = &types_[x[1]]; break;
      case Op::TypeFunction: t.kind = Kind::function; break;
      default:
        if (one.op != Op::ExtInstImport && one.op != Op::String) fault("the interpreter does not know the type of instruction " + number(one.op));
    }
  }
  void declare_constant(const Instruction& one) {
    const Type& t = types_[one.type];
    const auto& x = one.operands;
    std::vector<std::uint64_t>& to = constants[one.result];
    switch (one.op) {
      case Op::ConstantTrue: case Op::ConstantFalse: to = {one.op == Op::ConstantTrue ? 1u : 0u}; break;
      case Op::Constant: case Op::SpecConstant: {
        std::uint64_t bits = x[0] | (x.size() > 1 ? std::uint64_t{x[1]} << 32 : 0);
        if (one.op == Op::SpecConstant)
          for (const auto& [id, value] : given_) if (id == decorations_[one.result].constant) bits = value;
        if (t.bits < 64) bits &= (std::uint64_t{1} << t.bits) - 1;  // narrow ones fill a word
        to = {bits};
        break;
      }
      case Op::ConstantComposite: case Op::SpecConstantComposite:
        if (t.kind == Kind::matrix) to.assign(t.count, constant(x[0]));
        else for (const std::uint32_t part : x) to.insert(to.end(), constants.at(part).begin(), constants.at(part).end());
        if (static_cast<vulkan::spirv::BuiltIn>(decorations_[one.result].built_in) == vulkan::spirv::BuiltIn::WorkgroupSize)
          for (std::size_t i = 0; i < 3; ++i) workgroup[i] = static_cast<std::uint32_t>(to[i]);
        break;
      case Op::ConstantNull: case Op::Undef: to.assign(t.slots, 0); break;
      default: fault("the interpreter does not know the constant of instruction " + number(one.op));
    }
  }
  void declare_variable(const Instruction& one) {
    const Decorations& has = decorations_[one.result];
    if (one.operands.size() > 1) fault("the interpreter does not know variables that begin with a value");
    variables.push_back({one.result, has.built_in, has.binding, has.set, types_[one.type].component, static_cast<StorageClass>(one.operands[0])});
  }
  void read_code(const Instruction& one) {
    if (one.op == Op::FunctionCall || one.op == Op::FunctionParameter) fault("the interpreter does not know functions but main");
    if (one.op == Op::Label) blocks_of[one.result] = static_cast<std::uint32_t>(blocks.size()), blocks.push_back({code.size(), code.size()});
    else if (one.op != Op::Function && one.op != Op::FunctionEnd && one.op != Op::Variable && one.op != Op::Line && one.op != Op::NoLine && one.op != Op::Undef)
      code.push_back(&one), blocks.back().end = code.size();
    if (one.op == Op::Undef) declare_constant(one);
  }

  // Constants, variables and what several blocks use have a place of their own; what one block uses gives its place back behind its last use.
  void give_places() {
    const auto own = [&](std::uint32_t id, std::uint32_t slots) { places[id] = registers, registers += slots; };
    for (const auto& [id, numbers] : constants) own(id, static_cast<std::uint32_t>(numbers.size()));
    for (const Variable& variable : variables) {
      own(variable.id, 1);  // the pointer, and for what lies in registers the numbers behind it
      if (variable.storage == StorageClass::Function || variable.storage == StorageClass::Input) registers += variable.type->slots;
    }
    std::vector<std::uint32_t> home(places.size(), ~0u), last(places.size(), 0);  // ~0: several blocks
    const auto each_use = [](const Instruction& one, auto f) {
      for (const Use& use : one.uses) if (use.kind == 'v' || use.kind == 'i' || use.kind == 'k') f(use.id);
    };
    for (std::uint32_t b = 0; b < blocks.size(); ++b)
      for (std::size_t at = blocks[b].begin; at < blocks[b].end; ++at) if (code[at]->result != 0) home[code[at]->result] = b;
    std::vector<bool> elsewhere(places.size(), false);
    for (std::uint32_t b = 0; b < blocks.size(); ++b)
      for (std::size_t at = blocks[b].begin; at < blocks[b].end; ++at)
        each_use(*code[at], [&](std::uint32_t id) {
          if (home[id] != b) elsewhere[id] = true;
          last[id] = static_cast<std::uint32_t>(at);
        });
    for (const Instruction* one : code)
      if (one->result != 0 && elsewhere[one->result]) own(one->result, types_[one->type].slots);
    const std::uint32_t begin = registers;
    for (const Block& block : blocks) {
      std::uint32_t top = begin;
      std::map<std::uint32_t, std::vector<std::uint32_t>> free;  // by slots
      for (std::size_t at = block.begin; at < block.end; ++at) {
        const Instruction& one = *code[at];
        if (one.result != 0 && !elsewhere[one.result]) {
          const std::uint32_t slots = types_[one.type].slots;
          auto& same = free[slots];
          if (same.empty()) places[one.result] = top, top += slots;
          else places[one.result] = same.back(), same.pop_back();
          if (last[one.result] == 0) same.push_back(places[one.result]);  // nobody uses it
        }
        each_use(one, [&](std::uint32_t id) {
          if (home[id] == ~0u || elsewhere[id] || last[id] != at) return;
          last[id] = 0;  // an operand that stands twice is given back once
          free[types_[definition(id)->type].slots].push_back(places[id]);
        });
      }
      registers = std::max(registers, top);
    }
  }

  std::map<std::uint32_t, Decorations> decorations_;
};

}  // namespace cotenant::test::interpreter

#endif
