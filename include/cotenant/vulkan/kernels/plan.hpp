// LaunchPlan: what the host side of a kernel gathers for a launch; AxesFrame: the same axes as the kernel's code reads them.
#ifndef COTENANT_VULKAN_KERNELS_PLAN_HPP
#define COTENANT_VULKAN_KERNELS_PLAN_HPP
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "cotenant/vulkan/any_operand.hpp"
#include "cotenant/vulkan/few.hpp"
#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/kernel_key.hpp"
#include "cotenant/vulkan/kernels/axes.hpp"
#include "cotenant/vulkan/kernels/turns.hpp"
#include "cotenant/vulkan/spirv_element.hpp"

namespace cotenant::vulkan {

class LaunchPlan {
 public:
  explicit LaunchPlan(std::string_view name) : key(name) {}

  KernelKey key;
  Few<BufferArgument, 8> buffers;
  Few<std::uint32_t, 32> scalars;
  std::array<std::uint32_t, 3> groups{1, 1, 1};
  std::uint32_t subgroup_size = 0;

  void buffer(const AnyOperand& operand, Access access) {
    const Reach reach = reach_of(operand.view);
    if (reach.elements >= max_reach)
      raise<InvalidArgument>("one Vulkan kernel reaches at most 2^31 elements of a tensor, but a view of shape " + to_string(operand.shape()) + " spans " +
                             std::to_string(reach.elements) + ": compute it in parts, as slices of its first axis");
    buffers.push_back({operand.block, reach.address, reach.bytes, access});
    scalars.push_back(reach.first);
    key.append(' ', to_string(operand.type()));
  }
  // Another operand's bytes in the place of a buffer without elements, which the kernel never reads.
  void unused_buffer(BufferArgument other, DType dtype) {
    other.access = Access::read_write;
    buffers.push_back(other);
    scalars.push_back(0);
    key.append(' ', to_string(dtype));
  }
  // A number of elements, rows or parts: of a view that repeats elements it may be larger than any memory.
  void scalar(std::size_t count) {
    if (count >= max_reach)
      raise<InvalidArgument>("one Vulkan kernel counts fewer than 2^31 elements or rows of a tensor, but was given " + std::to_string(count) +
                             ": compute it in parts, as slices");
    scalars.push_back(static_cast<std::uint32_t>(count));
  }
  void scalar(float value) { scalars.push_back(__builtin_bit_cast(std::uint32_t, value)); }
  // The distance of neighbours of operand `i` along the innermost of the axes.
  template <std::size_t N> void stride(const Axes<N>& axes, std::size_t i) { scalars.push_back(wrapped(axes.inner_stride(i))); }
  // For an AxesFrame of the same operands.
  template <std::size_t N> void axes(const Axes<N>& axes) {
    for (std::size_t axis = 1; axis < axes.rank; ++axis) scalar(axes.extent[axis]);
    for (std::size_t axis = 0; axis < axes.rank; ++axis)
      for (std::size_t i = 0; i < N; ++i) scalars.push_back(wrapped(axes.stride[i][axis]));
    key.append(" axes", axes.rank);
  }
  // So many groups and their turn, for a stream that has recorded so many barriers.
  void spread(const std::array<std::uint32_t, 3>& workgroups, std::size_t barriers) {
    groups = workgroups;
    scalars.push_back(turn_of(groups, barriers));
  }
  Launch launch() const { return {key, buffers, scalars, groups, subgroup_size}; }
};

// The buffer argument and its scalar `first` are read by KernelBuilder::buffer() and scalar() in the plan's order.
template <std::size_t N> class AxesFrame {
 public:
  AxesFrame(KernelBuilder& kernel, std::size_t rank) : k_(&kernel), extent_(rank), stride_(rank) {
    for (std::size_t axis = 1; axis < rank; ++axis) extent_[axis] = kernel.scalar();
    for (auto& strides : stride_) for (Value& stride : strides) stride = kernel.scalar();
  }
  // How far from index 0 each operand has its element number `index` of the axes, outermost first.
  std::array<Value, N> offsets(Value index) const {
    std::array<Value, N> result;
    result.fill(k_->constant(0u));
    for (std::size_t axis = extent_.size(); axis-- > 0;) {
      const Value part = axis == 0 ? index : index % extent_[axis];
      if (axis != 0) index = index / extent_[axis];
      for (std::size_t i = 0; i < N; ++i) result[i] = axis + 1 == extent_.size() ? part * stride_[axis][i] : result[i] + part * stride_[axis][i];
    }
    return result;
  }

 private:
  KernelBuilder* k_;
  std::vector<Value> extent_;
  std::vector<std::array<Value, N>> stride_;
};

// Whether any four elements of operand `i`, from a multiple of four along the one inner axis on, lie side by side at an address
// that vectors are read from. An operand that is not there does not mind.
template <std::size_t N> bool has_vectors(const AnyOperand& operand, std::size_t i, const Axes<N>& outer, const Axes<N>& inner) {
  if (operand.block == nullptr) return true;
  if (inner.rank != 1 || inner.stride[i][0] != 1 || inner.extent[0] % 4 != 0) return false;
  for (std::size_t axis = 0; axis < outer.rank; ++axis) if (outer.stride[i][axis] % 4 != 0) return false;
  return reinterpret_cast<std::uintptr_t>(operand.view.data()) % Elements::access_bytes(operand.type(), 1) == 0;
}
// Whether neighbours along the innermost outer axis are nearer than along the row, and are many enough to share the work.
template <std::size_t N> bool lies_across(std::size_t i, const Axes<N>& outer, const Axes<N>& inner) {
  const auto distance = [](std::ptrdiff_t stride) { return stride < 0 ? -stride : stride; };
  return inner.rank > 0 && distance(inner.inner_stride(i)) > 1 && outer.rank > 0 && outer.inner_extent() >= 16 &&
         distance(outer.inner_stride(i)) < distance(inner.inner_stride(i));
}

// One operand's elements along the row of one thread, alone or by fours.
struct RowElements {
  Elements elements;
  Value base, stride;  // of the row's first element; between neighbours
  std::uint32_t vector = 1;

  Value place(Value begin) const { return vector == 1 ? base + begin * stride : (base + begin) >> 2u; }
  Value load(Value begin) const { return vector == 1 ? elements.load(place(begin)) : elements.load_vectors(place(begin), 1)[0]; }
  void store(Value begin, Value value) const {
    if (vector == 1) elements.store(place(begin), value);
    else elements.store_vectors(place(begin), {value});
  }
};

// The components of a chunk brought together.
template <class Combine> Value within(Value chunk, Combine combine) {
  if (!chunk.type->is_vector()) return chunk;
  return combine(combine(extract(chunk, 0), extract(chunk, 1)), combine(extract(chunk, 2), extract(chunk, 3)));
}

}  // namespace cotenant::vulkan

#endif
