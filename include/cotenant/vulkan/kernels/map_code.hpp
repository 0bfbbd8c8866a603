// emit_map(): the code of an element-wise kernel around what it computes, for a MapPlan.
#ifndef COTENANT_VULKAN_KERNELS_MAP_CODE_HPP
#define COTENANT_VULKAN_KERNELS_MAP_CODE_HPP
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/kernels/map_plan.hpp"

namespace cotenant::vulkan {

namespace detail {
// n / divisor and n % divisor for n below 2^31, with FastDivisor's numbers.
inline Value fast_quotient(Value n, Value factor, Value shift) {
  spirv::Module& module = n.module();
  const Type pair = module.opaque(spirv::Op::TypeStruct, {module.u32()->id, module.u32()->id}, spirv::Kind::structure);
  const Value product = module.result(spirv::Op::UMulExtended, pair, {n.id, factor.id});
  const Value high = module.result(spirv::Op::CompositeExtract, module.u32(), {product.id, 1});
  return (high + n) >> shift;
}

// The scalars of a MapPlan as the code reads them, and where an item's elements lie.
class MapFrame {
 public:
  MapFrame(KernelBuilder& kernel, const MapCode& code, std::size_t operands) : k_(kernel), code_(code) {
    count_ = scalar();
    if (code.form == MapCode::Form::flat) {
      full_groups_ = scalar();
      turn_ = k_.scalar();
      return;
    }
    for (std::size_t axis = 1; axis < code.rank; ++axis) {
      Axis one;
      one.extent = scalar();
      if (!code.wide) one.factor = k_.scalar(), one.shift = k_.scalar();
      axes_.push_back(one);
    }
    for (std::size_t i = 0; i < operands; ++i) {
      start_.push_back(scalar());
      stride_.emplace_back();
      for (std::size_t axis = 0; axis < code.rank; ++axis) stride_.back().push_back(scalar());
    }
    turn_ = k_.scalar();
  }
  // Elements where the form is flat, else items: vectors or single elements.
  Value count() const { return count_; }
  Value full_groups() const { return full_groups_; }
  Value group() { return index(group_number(k_, turn_)); }
  // A number of 32 bits as an index.
  Value index(Value number) { return code_.wide ? spirv::convert(k_.u64(), number) : number; }

  // Per operand: how far from its address item number `item` lies, in the unit in which the operand is read.
  std::vector<Value> offsets(Value item) const {
    std::vector<Value> result = start_;
    for (std::size_t axis = code_.rank; axis-- > 0;) {
      Value part = item;
      if (axis > 0) {
        const Axis& one = axes_[axis - 1];
        const Value rest = code_.wide ? item / one.extent : fast_quotient(item, one.factor, one.shift);
        part = item - rest * one.extent;
        item = rest;
      }
      for (std::size_t i = 0; i < result.size(); ++i) result[i] = result[i] + part * stride_[i][axis];
    }
    return result;
  }

 private:
  struct Axis {
    Value extent, factor, shift;
  };
  Value scalar() { return code_.wide ? k_.scalar64() : k_.scalar(); }

  KernelBuilder& k_;
  const MapCode& code_;
  Value count_, full_groups_, turn_;
  std::vector<Axis> axes_;
  std::vector<Value> start_;
  std::vector<std::vector<Value>> stride_;
};
}  // namespace detail

// operands[0] is written, the others are read; Access is Elements, or something with its load, store, load_vectors,
// load_repeated and store_vectors. compute(values of the inputs) is the result: single elements or vectors of four. The frame's scalars must
// have been declared after the operands, before those of `compute`.
template <class Access, class Compute>
void emit_map(KernelBuilder& k, const MapCode& code, detail::MapFrame& frame, const std::vector<Access>& operands, const Compute& compute) {
  const std::size_t inputs = operands.size() - 1;
  constexpr std::uint32_t threads = MapCode::threads;
  const auto single = [&](const std::vector<Value>& at) {
    std::vector<Value> values;
    for (std::size_t i = 1; i <= inputs; ++i) values.push_back(operands[i].load(at[i]));
    operands[0].store(at[0], compute(values));
  };
  // values[group][input]: all loads come before the first result, so that they are under way together.
  using Vectors = std::vector<std::vector<Value>>;
  const auto load_vectors = [&](const std::vector<Value>& at) {
    Vectors values(code.groups);
    for (std::size_t i = 1; i <= inputs; ++i) {
      const std::vector<Value> loaded = code.repeated[i] ? operands[i].load_repeated(at[i], code.groups) : operands[i].load_vectors(at[i], code.groups);
      for (std::uint32_t g = 0; g < code.groups; ++g) values[g].push_back(loaded[g]);
    }
    return values;
  };
  const auto store_vectors = [&](Value at, const Vectors& values) {
    std::vector<Value> results;
    for (const auto& group : values) results.push_back(compute(group));
    operands[0].store_vectors(at, results);
  };

  const Value local = frame.index(k.local_index());
  if (code.form == MapCode::Form::flat) {
    const Value group = frame.group(), zero = frame.index(k.constant(0u));
    const auto places = [&](Value at) {
      std::vector<Value> all(operands.size(), at);
      for (std::size_t i = 0; i < all.size(); ++i) if (code.repeated[i]) all[i] = zero;
      return all;
    };
    k.when(group < frame.full_groups(), [&] {
      std::vector<Value> at;
      std::vector<Vectors> values;
      for (std::uint32_t u = 0; u < code.unroll; ++u) at.push_back(group * (threads * code.unroll) + local + u * threads);
      for (std::uint32_t u = 0; u < code.unroll; ++u) values.push_back(load_vectors(places(at[u])));
      for (std::uint32_t u = 0; u < code.unroll; ++u) store_vectors(at[u], values[u]);
    }, [&] {
      // The last elements, fewer than a group's. Groups behind them find nothing to do.
      k.loop(group * static_cast<std::uint32_t>(code.elements_of_a_group()) + local, frame.count(), frame.index(k.constant(threads)),
             [&](Value at) { single(places(at)); });
    });
    return;
  }
  const Value item = frame.group() * threads + local;
  k.when(item < frame.count(), [&] {
    const std::vector<Value> at = frame.offsets(item);
    if (code.groups == 0) single(at);
    else store_vectors(at[0], load_vectors(at));
  });
}

}  // namespace cotenant::vulkan

#endif
