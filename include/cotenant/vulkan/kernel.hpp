// KernelBuilder: the frame of every kernel: parameters, buffers, shared memory and the invocation's place in the grid.
#ifndef COTENANT_VULKAN_KERNEL_HPP
#define COTENANT_VULKAN_KERNEL_HPP
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <type_traits>
#include <utility>
#include <vector>

#include "cotenant/vulkan/launch.hpp"
#include "cotenant/vulkan/spirv_control.hpp"
#include "cotenant/vulkan/spirv_subgroup.hpp"

namespace cotenant::vulkan {

using spirv::LoopControl;
using spirv::Type;
using spirv::Value;
using spirv::Variable;

class KernelBuilder;

// One buffer of the launch, read as elements of one type. Indices count elements from the argument's address: unsigned, below
// 2^31 in 32 bits, any in 64.
class Buffer {
 public:
  Buffer() = default;
  Type element() const { return element_; }
  Value pointer(Value index) const;
  // Bytes by which the argument's address lies above a multiple of 4, for elements of u32: those begin at that multiple then.
  Value rest() const;
  Value load(Value index) const { return spirv::load(pointer(index), alignment_); }
  void store(Value index, Value value) const { spirv::store(pointer(index), value, alignment_); }
  // The same bytes as elements of another type. The argument's address must be a multiple of `alignment` bytes (default: the
  // element's size).
  Buffer as(Type element, std::uint32_t alignment = 0) const;
  explicit operator bool() const { return kernel_ != nullptr; }

 private:
  friend KernelBuilder;
  Buffer(KernelBuilder* kernel, std::uint32_t binding, Type element, std::uint32_t alignment)
      : kernel_(kernel), binding_(binding), element_(element), alignment_(alignment) {}
  KernelBuilder* kernel_ = nullptr;
  std::uint32_t binding_ = 0;
  Type element_ = nullptr;
  std::uint32_t alignment_ = 0;
};

// An array that the invocations of one workgroup have in common; undefined at first.
class Shared {
 public:
  Shared() = default;
  explicit Shared(Value array) : array_(array) {}
  Value pointer(Value index) const { return spirv::element_pointer(array_, index); }
  Value load(Value index) const { return spirv::load(pointer(index)); }
  void store(Value index, Value value) const { spirv::store(pointer(index), value); }

 private:
  Value array_;
};

struct KernelOptions {
  std::uint32_t workgroup = 256;     // invocations, in one dimension
  bool vulkan_memory_model = false;  // what cooperative matrices need
  bool keeps_subnormals = true;      // of f32, where the device can; else they may become 0, which costs exponentials less
  bool halves = false;               // results are stored as f16 or bf16: gelu is as exact as these are
};

// Declares a kernel's parameters in the launch's order and emits its one function; finish() gives the SPIR-V. Where the device
// has the float controls, f32 keeps subnormals, NaN, infinities and -0.
class KernelBuilder {
 public:
  explicit KernelBuilder(const Target& target, const KernelOptions& options = {})
      : target_(target),
        module_(target.capabilities.api_version >= VK_API_VERSION_1_3 ? spirv::version(1, 6) : spirv::version(1, 5),
                options.vulkan_memory_model ? spirv::MemoryModel::Vulkan : spirv::MemoryModel::GLSL450),
        options_(options) {
    using namespace spirv;
    if (target.addressing == Addressing::pointers) module_.capability(Capability::PhysicalStorageBufferAddresses);
    module_.execution_mode(ExecutionMode::LocalSize, {options.workgroup, 1, 1});
    const Capabilities& device = target.capabilities;
    const auto float_control = [&](bool available, Capability capability, ExecutionMode mode) {
      if (!available) return;
      module_.capability(capability);
      module_.execution_mode(mode, {32});
    };
    float_control(options.keeps_subnormals && device.denormals_preserved_f32, Capability::DenormPreserve, ExecutionMode::DenormPreserve);
    float_control(device.specials_preserved_f32, Capability::SignedZeroInfNanPreserve, ExecutionMode::SignedZeroInfNanPreserve);
    float_control(device.rounds_to_even_f32, Capability::RoundingModeRTE, ExecutionMode::RoundingModeRTE);
    module_.arithmetic = {device.denormals_preserved_f32, !device.fuses_multiply_add, device.fuses_multiply_add, device.specials_preserved_f32,
                          device.shader_float64, options.halves, !device.specials_preserved_f32};
  }
  KernelBuilder(const KernelBuilder&) = delete;
  KernelBuilder& operator=(const KernelBuilder&) = delete;

  spirv::Module& module() { return module_; }
  const Target& target() const { return target_; }
  const Capabilities& capabilities() const { return target_.capabilities; }
  std::uint32_t workgroup() const { return options_.workgroup; }

  // ---- types and constants
  Type u32() { return module_.u32(); }
  Type i32() { return module_.i32(); }
  Type u64() { return module_.integer(64, false); }
  Type f32() { return module_.f32(); }
  Type boolean() { return module_.boolean(); }
  Type vector(Type component, std::uint32_t count) { return module_.vector(component, count); }
  // A number as a constant: std::uint32_t, std::int32_t, float or bool.
  template <class N> Value constant(N number) { return module_.constant(number); }

  // ---- parameters
  // The next buffer of the launch, as elements of a type.
  Buffer buffer(Type element, std::uint32_t alignment = 0) {
    return {this, buffer_count_++, element, alignment == 0 ? element->bytes : alignment};
  }
  // The next scalar of the launch: 32 bits of an integer or f32.
  Value scalar(Type type) { return scalars_.emplace_back(module_.announced(type)); }
  Value scalar() { return scalar(u32()); }
  // Two scalars, the low half first, as one of 64 bits.
  Value scalar64() {
    const Value low = scalar(), high = scalar();
    return spirv::convert(u64(), low) | spirv::convert(u64(), high) << 32u;
  }

  // ---- the invocation's place
  Value workgroup_id(std::uint32_t dimension = 0) { return spirv::extract(built_in(spirv::BuiltIn::WorkgroupId, vector(u32(), 3)), dimension); }
  Value local_index() { return built_in(spirv::BuiltIn::LocalInvocationIndex, u32()); }  // within the workgroup
  Value subgroup_id() { return subgroup_built_in(spirv::BuiltIn::SubgroupId); }          // within the workgroup
  Value subgroup_size() { return subgroup_built_in(spirv::BuiltIn::SubgroupSize); }
  Value lane() { return subgroup_built_in(spirv::BuiltIn::SubgroupLocalInvocationId); }  // within the subgroup

  // ---- memory
  Shared shared(Type element, std::uint32_t count) { return Shared(module_.global(spirv::StorageClass::Workgroup, module_.array(element, count))); }
  Variable variable(Type type) { return Variable(module_, type); }
  Variable variable(Value initial) { return Variable(initial); }
  // So many of one type, or that begin with one value.
  template <class Each> std::vector<Variable> variables(std::uint32_t count, Each each) {
    std::vector<Variable> all;
    for (std::uint32_t i = 0; i < count; ++i) all.push_back(variable(each));
    return all;
  }

  // ---- control
  void when(Value condition, FunctionRef<void()> then) { spirv::when(condition, then); }
  void when(Value condition, FunctionRef<void()> then, FunctionRef<void()> otherwise) { spirv::when(condition, then, otherwise); }
  void return_when(Value condition) { spirv::return_when(condition); }
  // body(i) for i = begin, begin + step, … below end; numbers are u32 constants.
  template <class Begin, class End, class Step>
  void loop(Begin begin, End end, Step step, FunctionRef<void(Value)> body, LoopControl control = LoopControl::None) {
    spirv::loop(as_value(begin), as_value(end), as_value(step), body, control);
  }
  void barrier() { spirv::workgroup_barrier(module_); }
  void subgroup_barrier() { spirv::subgroup_barrier(module_); }

  // The module's words. Nothing may be emitted after it.
  spirv::Words finish() {
    define_parameters();
    return module_.finish();
  }

 private:
  friend Buffer;

  template <class N> Value as_value(N number) {
    if constexpr (std::is_same_v<N, Value>) return number;
    else return module_.constant(static_cast<std::uint32_t>(number));
  }
  Value built_in(spirv::BuiltIn name, Type type) {
    Value& value = built_ins_[spirv::word(name)];
    if (!value.exists()) {
      const Value variable = module_.global(spirv::StorageClass::Input, type);
      module_.decorate(variable.id, spirv::Decoration::BuiltIn, {spirv::word(name)});
      value = module_.early_result(spirv::Op::Load, type, {variable.id});
    }
    return value;
  }
  Value subgroup_built_in(spirv::BuiltIn name) {
    module_.capability(spirv::Capability::GroupNonUniform);
    return built_in(name, u32());
  }

  // A buffer as one type of element: the block (a pointer to it, or the binding's variable), and with descriptors the index
  // at which the argument begins; what lies between a whole word and the argument's address, where that is asked for.
  struct BufferAccess {
    Value block, first, rest;
    Type element = nullptr;
  };
  BufferAccess& access(std::uint32_t binding, Type element) {
    BufferAccess& a = accesses_[{binding, element->id}];
    if (a.block.exists()) return a;
    a.element = element;
    using namespace spirv;
    if (target_.addressing == Addressing::pointers) {
      a.block = module_.announced(module_.pointer(StorageClass::PhysicalStorageBuffer, module_.buffer_block(element)));
    } else {
      a.block = module_.global(StorageClass::StorageBuffer, module_.buffer_block(element));
      module_.decorate(a.block.id, Decoration::DescriptorSet, {0});
      module_.decorate(a.block.id, Decoration::Binding, {binding});
      module_.decorate(a.block.id, Decoration::Aliased);  // in-place operations bind one range twice
      a.first = module_.announced(u32());
    }
    return a;
  }

  // Reads all parameters at the function's beginning, now that it is known how many there are.
  void define_parameters() {
    using namespace spirv;
    const bool pointers = target_.addressing == Addressing::pointers;
    const Type address = vector(u32(), 2);
    std::vector<std::pair<Type, std::uint32_t>> members;
    std::uint32_t offset = 0;
    for (std::uint32_t i = 0; i < buffer_count_; ++i, offset += 8) members.emplace_back(address, offset);
    for (const Value& scalar : scalars_) members.emplace_back(scalar.type, offset), offset += 4;
    if (members.empty()) return;
    const Type block = module_.structure(members);
    const bool in_memory = offset > max_push_constants;
    const Value base = parameter_block(block, in_memory, pointers);
    const bool physical = in_memory && pointers;
    const auto read = [&](std::uint32_t member, Value value) {
      const Value pointer = module_.early_result(Op::AccessChain, module_.pointer(base.type->storage_class, value.type), {base.id, constant(member).id});
      if (physical) module_.early_define(value, Op::Load, {pointer.id, memory_access::Aligned, member < buffer_count_ ? 8u : 4u});
      else module_.early_define(value, Op::Load, {pointer.id});
    };
    for (std::uint32_t i = 0; i < scalars_.size(); ++i) read(buffer_count_ + i, scalars_[i]);
    std::uint32_t loaded_binding = ~0u;
    Value loaded;
    for (const auto& [key, a] : accesses_) {
      if (key.first != loaded_binding) {
        loaded_binding = key.first;
        read(key.first, loaded = module_.announced(address));
      }
      if (pointers && !a.rest.exists()) {
        module_.early_define(a.block, Op::Bitcast, {loaded.id});
        continue;
      }
      const Value bytes = module_.early_result(Op::CompositeExtract, u32(), {loaded.id, 0});
      if (a.rest.exists()) module_.early_define(a.rest, Op::BitwiseAnd, {bytes.id, constant(3u).id});
      if (pointers) {
        const Value low = module_.early_result(Op::BitwiseAnd, u32(), {bytes.id, constant(~3u).id});
        const Value high = module_.early_result(Op::CompositeExtract, u32(), {loaded.id, 1});
        const Value whole = module_.early_result(Op::CompositeConstruct, address, {low.id, high.id});
        module_.early_define(a.block, Op::Bitcast, {whole.id});
      } else {
        module_.early_define(a.first, Op::UDiv, {bytes.id, constant(a.element->bytes).id});
      }
    }
  }
  Value parameter_block(Type block, bool in_memory, bool pointers) {
    using namespace spirv;
    if (!in_memory) return module_.global(StorageClass::PushConstant, block);
    if (pointers) {
      const Type pointer = module_.pointer(StorageClass::PhysicalStorageBuffer, block);
      const Value constants = module_.global(StorageClass::PushConstant, module_.structure({{pointer, 0}}));
      const Value place = module_.early_result(Op::AccessChain, module_.pointer(StorageClass::PushConstant, pointer), {constants.id, constant(0u).id});
      return module_.early_result(Op::Load, pointer, {place.id});
    }
    const Value variable = module_.global(StorageClass::StorageBuffer, block);
    module_.decorate(variable.id, Decoration::DescriptorSet, {0});
    module_.decorate(variable.id, Decoration::Binding, {buffer_count_});
    module_.decorate(variable.id, Decoration::NonWritable);
    return variable;
  }

  const Target target_;
  spirv::Module module_;
  KernelOptions options_;
  std::uint32_t buffer_count_ = 0;
  std::vector<Value> scalars_;
  std::array<Value, spirv::word(spirv::BuiltIn::SubgroupLocalInvocationId) + 1> built_ins_{};  // by spirv::BuiltIn, of which that is the last
  std::map<std::pair<std::uint32_t, spirv::Id>, BufferAccess> accesses_;  // by the type's id: the same code in every run
};

inline Value Buffer::pointer(Value index) const {
  using namespace spirv;
  const auto& access = kernel_->access(binding_, element_);
  Module& module = kernel_->module_;
  const Value place = access.first.exists() ? index + convert(index.type, access.first) : index;
  return module.result(Op::AccessChain, module.pointer(access.block.type->storage_class, element_), {access.block.id, module.constant(0u).id, place.id});
}
inline Value Buffer::rest() const {
  KernelBuilder::BufferAccess& access = kernel_->access(binding_, element_);
  if (!access.rest.exists()) access.rest = kernel_->module_.announced(kernel_->u32());
  return access.rest;
}
inline Buffer Buffer::as(Type element, std::uint32_t alignment) const { return {kernel_, binding_, element, alignment == 0 ? element->bytes : alignment}; }

}  // namespace cotenant::vulkan

#endif
