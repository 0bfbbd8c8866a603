// Module: the sections of one SPIR-V compute module, its types and constants, each made once.
#ifndef COTENANT_VULKAN_SPIRV_MODULE_HPP
#define COTENANT_VULKAN_SPIRV_MODULE_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <utility>

#include "cotenant/core/config.hpp"
#include "cotenant/vulkan/spirv_type.hpp"
#include "cotenant/vulkan/spirv_words.hpp"

namespace cotenant::vulkan::spirv {

class Module {
 public:
  // `spirv_version` as the header has it, e.g. version(1, 6). In the Vulkan memory model, accesses to shared memory are made
  // visible to the workgroup one by one: what cooperative matrices need.
  explicit Module(std::uint32_t spirv_version = version(1, 5), MemoryModel model = MemoryModel::GLSL450) : version_(spirv_version), memory_model_(model) {
    capability(Capability::Shader);
    if (model == MemoryModel::Vulkan) capability(Capability::VulkanMemoryModel);
  }
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // What the device does with f32 beyond SPIR-V's loosest rules; spirv_math.hpp makes up for the rest.
  struct Arithmetic {
    bool keeps_subnormals = false;  // else it may take them for 0
    bool rounds_division = false;   // to nearest; else some units in the last place off
    bool fuses = false;             // Glsl::Fma rounds once: every GPU; where it runs on a CPU it may be two operations
    bool keeps_nan = false;         // else x != x may be taken for false
    bool has_f64 = false;
    bool halves = false;  // results are rounded to f16 or bf16: what computes them need not be more exact
    bool regroups = false;  // sums and products may be taken in another order (Mesa's drivers without SignedZeroInfNanPreserve): each says not to
  };
  Arithmetic arithmetic;

  Id new_id() { return bound_++; }
  MemoryModel memory_model() const { return memory_model_; }
  void capability(Capability capability) {
    if (std::exchange(made(Op::Capability, {word(capability)}), 1) == 0) write(capability_section_, Op::Capability, {word(capability)});
  }
  void extension(const char* name) {
    Words one;
    write(one, Op::Extension, text(name));
    const auto end = extension_section_.end();
    if (std::search(extension_section_.begin(), end, one.begin(), one.end()) == end) append(extension_section_, one);
  }

  // ---- types
  Type void_type() { return type(Op::TypeVoid, {}, {.kind = Kind::nothing}); }
  Type boolean() { return type(Op::TypeBool, {}, {.kind = Kind::boolean}); }
  // 8 and 16 bits: a type that is only loaded, stored and converted needs less of a device than one to compute with.
  enum class Purpose : std::uint8_t { arithmetic, storage };
  Type integer(std::uint32_t bits, bool is_signed, Purpose purpose = Purpose::arithmetic) {
    if (bits == 8) capability(purpose == Purpose::arithmetic ? Capability::Int8 : Capability::StorageBuffer8BitAccess);
    if (bits == 16) capability(purpose == Purpose::arithmetic ? Capability::Int16 : Capability::StorageBuffer16BitAccess);
    if (bits == 64) capability(Capability::Int64);
    return type(Op::TypeInt, {bits, is_signed ? 1u : 0u}, {.kind = Kind::integer, .bits = bits, .is_signed = is_signed, .bytes = bits / 8});
  }
  Type u32() { return integer(32, false); }
  Type i32() { return integer(32, true); }
  Type floating(std::uint32_t bits, Purpose purpose = Purpose::arithmetic) {
    if (bits == 16) capability(purpose == Purpose::arithmetic ? Capability::Float16 : Capability::StorageBuffer16BitAccess);
    if (bits == 64) capability(Capability::Float64);
    return type(Op::TypeFloat, {bits}, {.kind = Kind::floating, .bits = bits, .bytes = bits / 8});
  }
  Type f32() { return floating(32); }
  Type f16() { return floating(16); }
  // For cooperative matrices; elsewhere bf16 is the upper half of an f32's bits.
  Type bf16() {
    capability(Capability::BFloat16TypeKHR);
    extension("SPV_KHR_bfloat16");
    return type(Op::TypeFloat, {16, word(FPEncoding::BFloat16KHR)}, {.kind = Kind::bfloat16, .bits = 16, .bytes = 2});
  }
  Type vector(Type component, std::uint32_t count) {
    if (count == 1) return component;
    return type(Op::TypeVector, {component->id, count}, {.kind = Kind::vector, .component = component, .count = count, .bytes = count * component->bytes});
  }
  Type array(Type component, std::uint32_t count) {
    return type(Op::TypeArray, {component->id, constant(count).id},
                {.kind = Kind::array, .component = component, .count = count, .bytes = count * component->bytes});
  }
  Type pointer(StorageClass storage_class, Type pointee) {
    return type(Op::TypePointer, {word(storage_class), pointee->id}, {.kind = Kind::pointer, .component = pointee, .storage_class = storage_class, .bytes = 8});
  }
  Type function(Type result) { return type(Op::TypeFunction, {result->id}, {.kind = Kind::function, .component = result}); }
  // struct { component elements[]; }, as a buffer holds it.
  Type buffer_block(Type component) {
    const Type elements = type(Op::TypeRuntimeArray, {component->id}, {.kind = Kind::runtime_array, .component = component});
    std::uint32_t& block = made(Op::TypeStruct, {elements->id});
    if (block != 0) return &types_[block - 1];
    if (component->scalar().bytes == 2) capability(Capability::StorageBuffer16BitAccess);
    if (component->scalar().bytes == 1) capability(Capability::StorageBuffer8BitAccess);
    decorate(elements->id, Decoration::ArrayStride, {component->bytes});
    const Type result = structure({{elements, 0}});
    block = static_cast<std::uint32_t>(types_.size());
    return result;
  }
  // A block of members at byte offsets. Never shared with an equal one.
  Type structure(const std::vector<std::pair<Type, std::uint32_t>>& members) {
    Words operands;
    for (const auto& member : members) operands.push_back(member.first->id);
    const Type result = new_type(Op::TypeStruct, operands, {.kind = Kind::structure});
    decorate(result->id, Decoration::Block);
    for (std::uint32_t i = 0; i < members.size(); ++i)
      write(decoration_section_, Op::MemberDecorate, {result->id, i, word(Decoration::Offset), members[i].second});
    return result;
  }
  Type cooperative_matrix(Type component, Scope scope, std::uint32_t rows, std::uint32_t columns, CooperativeMatrixUse use) {
    capability(Capability::CooperativeMatrixKHR);
    extension("SPV_KHR_cooperative_matrix");
    if (component->kind == Kind::bfloat16) capability(Capability::BFloat16CooperativeMatrixKHR);
    return type(Op::TypeCooperativeMatrixKHR, {component->id, constant(word(scope)).id, constant(rows).id, constant(columns).id, constant(word(use)).id},
                {.kind = Kind::cooperative_matrix, .component = component});
  }
  // A type that only the module's memo and its kind tell apart.
  Type opaque(Op op, const Words& operands, Kind kind) { return type(op, operands, {.kind = kind}); }

  // ---- constants: numbers by their bits, repeated where the type is a vector
  Value constant_bits(Type t, std::uint64_t bits) {
    Id& id = made(Op::Constant, {t->id, static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(bits >> 32)});
    if (id != 0) return {id, t};
    if (t->kind == Kind::vector) {
      const Id scalar = constant_bits(t->component, bits).id;
      composite_constant(id, t, Words(t->count, scalar));  // the reference stays valid while others are added
      return {id, t};
    }
    id = new_id();
    if (t->kind == Kind::boolean) write(type_section_, bits != 0 ? Op::ConstantTrue : Op::ConstantFalse, {t->id, id});
    else if (t->bits == 64) write(type_section_, Op::Constant, {t->id, id, static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(bits >> 32)});
    else write(type_section_, Op::Constant, {t->id, id, static_cast<std::uint32_t>(bits)});
    return {id, t};
  }
  Value constant(std::uint32_t value) { return constant_bits(u32(), value); }
  Value constant(std::int32_t value) { return constant_bits(i32(), static_cast<std::uint32_t>(value)); }
  Value constant(float value) { return constant_bits(f32(), __builtin_bit_cast(std::uint32_t, value)); }
  Value constant(bool value) { return constant_bits(boolean(), value ? 1 : 0); }
  // A vector or cooperative matrix all of whose components are the constant `component`.
  Value filled(Type t, Value component) {
    Id& id = made(Op::ConstantComposite, {t->id, component.id});
    if (id == 0) composite_constant(id, t, Words(t->kind == Kind::vector ? t->count : 1, component.id));
    return {id, t};
  }
  // Zero bits of any type.
  Value null(Type t) {
    Id& id = made(Op::ConstantNull, {t->id});
    if (id == 0) write(type_section_, Op::ConstantNull, {t->id, id = new_id()});
    return {id, t};
  }

  // ---- variables; at module level they are part of the entry point's interface
  Value global(StorageClass storage_class, Type t) {
    const Type p = pointer(storage_class, t);
    const Id id = new_id();
    write(type_section_, Op::Variable, {p->id, id, word(storage_class)});
    interface_.push_back(id);
    return {id, p};
  }
  Value local(Type t) {
    const Type p = pointer(StorageClass::Function, t);
    const Id id = new_id();
    write(variable_section_, Op::Variable, {p->id, id, word(StorageClass::Function)});
    return {id, p};
  }
  void decorate(Id target, Decoration decoration, std::initializer_list<std::uint32_t> operands = {}) {
    Words all{target, word(decoration)};
    all.insert(all.end(), operands);
    write(decoration_section_, Op::Decorate, all);
  }
  void execution_mode(ExecutionMode mode, std::initializer_list<std::uint32_t> operands) {
    Words all{main_, word(mode)};
    all.insert(all.end(), operands);
    write(mode_section_, Op::ExecutionMode, all);
  }

  // ---- instructions of the one function
  Value result(Op op, Type t, std::initializer_list<std::uint32_t> operands) {
    return as_written(op == Op::FAdd || op == Op::FSub || op == Op::FMul || op == Op::VectorTimesScalar,
                      {result(code_, op, t->id, operands.begin(), operands.size()), t});
  }
  Value result(Op op, Type t, const Words& operands) { return {result(code_, op, t->id, operands.data(), operands.size()), t}; }
  void effect(Op op, std::initializer_list<std::uint32_t> operands) { write(code_, op, operands); }
  void effect(Op op, const Words& operands) { write(code_, op, operands); }
  // The same at the function's beginning, where everything else may use it.
  Value early_result(Op op, Type t, std::initializer_list<std::uint32_t> operands) {
    return {result(prologue_, op, t->id, operands.begin(), operands.size()), t};
  }
  // A value whose instruction comes later: the caller writes it with early_define.
  Value announced(Type t) { return {new_id(), t}; }
  void early_define(Value value, Op op, std::initializer_list<std::uint32_t> operands) {
    Words all{value.type->id, value.id};
    all.insert(all.end(), operands);
    write(prologue_, op, all);
  }
  Value extended(Glsl instruction, Type t, std::initializer_list<Value> operands) {
    if (glsl_ == 0) glsl_ = new_id();
    Words all{glsl_, word(instruction)};
    for (const Value& operand : operands) all.push_back(operand.id);
    return as_written(instruction == Glsl::Fma, result(Op::ExtInst, t, all));
  }

  // The module's words. `main` without parameters is the one entry point.
  Words finish() {
    effect(Op::Return, {});
    effect(Op::FunctionEnd, {});
    const Type nothing = void_type();
    const Type main_type = function(nothing);
    Words head{magic_number, version_, 0, 0, 0}, entry{word(ExecutionModel::GLCompute), main_}, function_head;
    append(head, capability_section_), append(head, extension_section_);
    if (glsl_ != 0) {
      Words import{glsl_};
      append(import, text("GLSL.std.450"));
      write(head, Op::ExtInstImport, import);
    }
    const bool physical = made(Op::Capability, {word(Capability::PhysicalStorageBufferAddresses)}) != 0;
    write(head, Op::MemoryModel, {word(physical ? AddressingModel::PhysicalStorageBuffer64 : AddressingModel::Logical), word(memory_model_)});
    append(entry, text("main")), append(entry, interface_);
    write(head, Op::EntryPoint, entry);
    write(function_head, Op::Function, {nothing->id, main_, word(FunctionControl::None), main_type->id});
    write(function_head, Op::Label, {new_id()});
    for (const Words* section : {&mode_section_, &decoration_section_, &type_section_, &function_head, &variable_section_, &prologue_, &code_})
      append(head, *section);
    head[3] = bound_;
    return head;
  }

 private:
  Value as_written(bool arithmetic_on_floats, Value value) {
    if (arithmetic_on_floats && arithmetic.regroups) decorate(value.id, Decoration::NoContraction);
    return value;
  }
  [[gnu::cold]] Id result(Words& section, Op op, Id t, const std::uint32_t* operands, std::size_t count) {
    const Id id = new_id();
    section.push_back(first_word(op, count + 2));
    section.push_back(t), section.push_back(id);
    section.insert(section.end(), operands, operands + count);
    return id;
  }
  // An instruction without its result: its first word and up to five operands.
  using Key = std::array<std::uint32_t, 6>;
  // What that instruction has made: an id; of a type its place in types_, from 1; of a capability 1. 0: nothing yet.
  std::uint32_t& made(Op op, const std::uint32_t* operands, std::size_t count) {
    Key key{};
    COTENANT_ASSERT(count < key.size());
    key[0] = first_word(op, count);
    std::copy_n(operands, count, key.begin() + 1);
    return made_[key];
  }
  std::uint32_t& made(Op op, std::initializer_list<std::uint32_t> operands) { return made(op, operands.begin(), operands.size()); }
  // What `type` fills in of a TypeInfo, in its order.
  struct Description {
    Kind kind;
    std::uint32_t bits = 0;
    bool is_signed = false;
    Type component = nullptr;
    std::uint32_t count = 1;
    StorageClass storage_class{};
    std::uint32_t bytes = 0;
  };
  Type new_type(Op op, const Words& operands, const Description& d) {
    const Id id = new_id();
    Words all{id};
    append(all, operands);
    write(type_section_, op, all);
    return &types_.emplace_back(TypeInfo{this, id, d.kind, d.bits, d.is_signed, d.component, d.count, d.storage_class, d.bytes});
  }
  Type type(Op op, const Words& operands, const Description& description) {
    std::uint32_t& known = made(op, operands.data(), operands.size());
    if (known != 0) return &types_[known - 1];
    const Type fresh = new_type(op, operands, description);
    known = static_cast<std::uint32_t>(types_.size());
    return fresh;
  }
  void composite_constant(Id& id, Type t, const Words& components) {
    Words all{t->id, id = new_id()};
    append(all, components);
    write(type_section_, Op::ConstantComposite, all);
  }

  Id bound_ = 2;
  static constexpr Id main_ = 1;
  Id glsl_ = 0;
  std::uint32_t version_;
  MemoryModel memory_model_;
  Words capability_section_, extension_section_, interface_, mode_section_, decoration_section_, type_section_, variable_section_, prologue_, code_;
  std::deque<TypeInfo> types_;  // their addresses stay
  std::map<Key, std::uint32_t> made_;
};

}  // namespace cotenant::vulkan::spirv

#endif
