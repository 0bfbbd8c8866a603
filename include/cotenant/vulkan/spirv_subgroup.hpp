// Operations of a subgroup: sums, extrema and values of other lanes, without shared memory.
#ifndef COTENANT_VULKAN_SPIRV_SUBGROUP_HPP
#define COTENANT_VULKAN_SPIRV_SUBGROUP_HPP
#include "cotenant/vulkan/spirv_value.hpp"

// Each operand is one number per lane (or a vector, component by component); inactive lanes take no part.
namespace cotenant::vulkan::spirv {

namespace inner {
[[gnu::cold]] inline Value subgroup_scope(Module& module, Capability capability) {
  module.capability(Capability::GroupNonUniform);
  module.capability(capability);
  return module.constant(word(Scope::Subgroup));
}
[[gnu::cold]] inline Value subgroup_reduction(Op on_floats, Op on_signed, Op on_unsigned, Value v) {
  const Value scope = subgroup_scope(v.module(), Capability::GroupNonUniformArithmetic);
  const Op op = v.type->is_float() ? on_floats : v.type->scalar().is_signed ? on_signed : on_unsigned;
  return v.module().result(op, v.type, {scope.id, word(GroupOperation::Reduce), v.id});
}
}  // namespace inner

inline Value subgroup_add(Value v) { return inner::subgroup_reduction(Op::GroupNonUniformFAdd, Op::GroupNonUniformIAdd, Op::GroupNonUniformIAdd, v); }
// Of floats: either operand where one is NaN.
inline Value subgroup_min(Value v) { return inner::subgroup_reduction(Op::GroupNonUniformFMin, Op::GroupNonUniformSMin, Op::GroupNonUniformUMin, v); }
inline Value subgroup_max(Value v) { return inner::subgroup_reduction(Op::GroupNonUniformFMax, Op::GroupNonUniformSMax, Op::GroupNonUniformUMax, v); }
// The value of lane `lane`.
[[gnu::cold]] inline Value subgroup_shuffle(Value v, Value lane) {
  const Value scope = inner::subgroup_scope(v.module(), Capability::GroupNonUniformShuffle);
  return v.module().result(Op::GroupNonUniformShuffle, v.type, {scope.id, v.id, lane.id});
}
// The value of the lane whose number differs from one's own in the bits of `mask`.
[[gnu::cold]] inline Value subgroup_shuffle_xor(Value v, std::uint32_t mask) {
  const Value scope = inner::subgroup_scope(v.module(), Capability::GroupNonUniformShuffle);
  return v.module().result(Op::GroupNonUniformShuffleXor, v.type, {scope.id, v.id, v.module().constant(mask).id});
}
// Bit i of the 128 bits in four words: whether `condition` holds in lane i.
[[gnu::cold]] inline Value subgroup_ballot(Value condition) {
  Module& module = condition.module();
  const Value scope = inner::subgroup_scope(module, Capability::GroupNonUniformBallot);
  return module.result(Op::GroupNonUniformBallot, module.vector(module.u32(), 4), {scope.id, condition.id});
}
[[gnu::cold]] inline Value subgroup_any(Value condition) {
  const Value scope = inner::subgroup_scope(condition.module(), Capability::GroupNonUniformVote);
  return condition.module().result(Op::GroupNonUniformAny, condition.type, {scope.id, condition.id});
}

}  // namespace cotenant::vulkan::spirv

#endif
