// Memory, variables, branches, loops and barriers of a SPIR-V function; callables emit what is inside.
#ifndef COTENANT_VULKAN_SPIRV_CONTROL_HPP
#define COTENANT_VULKAN_SPIRV_CONTROL_HPP
#include "cotenant/core/function_ref.hpp"
#include "cotenant/vulkan/spirv_value.hpp"

namespace cotenant::vulkan::spirv {

namespace inner {
// Shared memory in the Vulkan memory model: other invocations of the workgroup see each access.
[[gnu::cold]] inline bool is_shared_with_workgroup(Value pointer) {
  return pointer.type->storage_class == StorageClass::Workgroup && pointer.module().memory_model() == MemoryModel::Vulkan;
}
[[gnu::cold]] inline void add_load_operands(Words& operands, Value pointer, std::uint32_t alignment) {
  if (is_shared_with_workgroup(pointer)) {
    operands.push_back(memory_access::MakePointerVisible | memory_access::NonPrivatePointer);
    operands.push_back(pointer.module().constant(word(Scope::Workgroup)).id);
  } else if (alignment != 0) {
    operands.push_back(memory_access::Aligned);
    operands.push_back(alignment);
  }
}
[[gnu::cold]] inline void add_store_operands(Words& operands, Value pointer, std::uint32_t alignment) {
  if (is_shared_with_workgroup(pointer)) {
    operands.push_back(memory_access::MakePointerAvailable | memory_access::NonPrivatePointer);
    operands.push_back(pointer.module().constant(word(Scope::Workgroup)).id);
  } else if (alignment != 0) {
    operands.push_back(memory_access::Aligned);
    operands.push_back(alignment);
  }
}
}  // namespace inner

// What a pointer points to. Physical pointers need the alignment, in bytes, that the address has.
[[gnu::cold]] inline Value load(Value pointer, std::uint32_t alignment = 0) {
  Words operands{pointer.id};
  inner::add_load_operands(operands, pointer, alignment);
  return pointer.module().result(Op::Load, pointer.type->component, operands);
}
[[gnu::cold]] inline void store(Value pointer, Value value, std::uint32_t alignment = 0) {
  Words operands{pointer.id, value.id};
  inner::add_store_operands(operands, pointer, alignment);
  pointer.module().effect(Op::Store, operands);
}
// A pointer to component `index` of the array, vector or cooperative matrix that `pointer` points to.
[[gnu::cold]] inline Value element_pointer(Value pointer, Value index) {
  const Type component = pointer.type->component->component;
  return pointer.module().result(Op::AccessChain, pointer.module().pointer(pointer.type->storage_class, component), {pointer.id, index.id});
}

// A variable of one invocation: what changes across branches and loops. Of any type, cooperative matrices too.
class Variable {
 public:
  Variable() = default;
  Variable(Module& module, Type type) : pointer_(module.local(type)) {}
  // The value is that of every time the code comes by, not only of the first.
  explicit Variable(Value initial) : Variable(initial.module(), initial.type) { set(initial); }

  Value get() const { return load(pointer_); }
  void set(Value value) const { store(pointer_, value); }
  Value pointer() const { return pointer_; }

 private:
  Value pointer_;
};

// ---- control flow. Values made inside do not exist outside: carry them in a Variable.
// Runs `then` where condition, else `otherwise`.
[[gnu::cold]] inline void when(Value condition, FunctionRef<void()> then, FunctionRef<void()> otherwise) {
  Module& module = condition.module();
  const Id yes = module.new_id(), no = module.new_id(), merge = module.new_id();
  module.effect(Op::SelectionMerge, {merge, 0});
  module.effect(Op::BranchConditional, {condition.id, yes, no});
  module.effect(Op::Label, {yes});
  then();
  module.effect(Op::Branch, {merge});
  module.effect(Op::Label, {no});
  otherwise();
  module.effect(Op::Branch, {merge});
  module.effect(Op::Label, {merge});
}
[[gnu::cold]] inline void when(Value condition, FunctionRef<void()> then) {
  Module& module = condition.module();
  const Id yes = module.new_id(), merge = module.new_id();
  module.effect(Op::SelectionMerge, {merge, 0});
  module.effect(Op::BranchConditional, {condition.id, yes, merge});
  module.effect(Op::Label, {yes});
  then();
  module.effect(Op::Branch, {merge});
  module.effect(Op::Label, {merge});
}
// Ends the invocation where condition. Not before a barrier that others reach.
[[gnu::cold]] inline void return_when(Value condition) {
  Module& module = condition.module();
  const Id yes = module.new_id(), merge = module.new_id();
  module.effect(Op::SelectionMerge, {merge, 0});
  module.effect(Op::BranchConditional, {condition.id, yes, merge});
  module.effect(Op::Label, {yes});
  module.effect(Op::Return, {});
  module.effect(Op::Label, {merge});
}

// body(i) for i = begin, begin + step, … below end (compared as their type is).
[[gnu::cold]] inline void loop(Value begin, Value end, Value step, FunctionRef<void(Value)> body, LoopControl control = LoopControl::None) {
  const Variable counter(begin);
  Module& module = begin.module();
  const Id head = module.new_id(), test = module.new_id(), inside = module.new_id(), next = module.new_id(), merge = module.new_id();
  module.effect(Op::Branch, {head});
  module.effect(Op::Label, {head});
  module.effect(Op::LoopMerge, {merge, next, word(control)});
  module.effect(Op::Branch, {test});
  module.effect(Op::Label, {test});
  const Value again = counter.get() < end;
  module.effect(Op::BranchConditional, {again.id, inside, merge});
  module.effect(Op::Label, {inside});
  body(counter.get());
  module.effect(Op::Branch, {next});
  module.effect(Op::Label, {next});
  counter.set(counter.get() + step);
  module.effect(Op::Branch, {head});
  module.effect(Op::Label, {merge});
}

// All invocations of the workgroup arrive before one goes on; what they wrote to shared memory is visible then.
[[gnu::cold]] inline void workgroup_barrier(Module& module) {
  const Value scope = module.constant(word(Scope::Workgroup)),
              semantics = module.constant(memory_semantics::AcquireRelease | memory_semantics::WorkgroupMemory);
  module.effect(Op::ControlBarrier, {scope.id, scope.id, semantics.id});
}
// The same within the subgroup.
[[gnu::cold]] inline void subgroup_barrier(Module& module) {
  const Value scope = module.constant(word(Scope::Subgroup)), semantics = module.constant(memory_semantics::AcquireRelease | memory_semantics::WorkgroupMemory);
  module.effect(Op::ControlBarrier, {scope.id, scope.id, semantics.id});
}

}  // namespace cotenant::vulkan::spirv

#endif
