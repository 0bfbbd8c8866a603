// MapPlan: how an element-wise operation walks its operands on the device: which axes, in vectors or one by one.
#ifndef COTENANT_VULKAN_KERNELS_MAP_PLAN_HPP
#define COTENANT_VULKAN_KERNELS_MAP_PLAN_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <span>

#include "cotenant/core/element.hpp"
#include "cotenant/core/layout.hpp"
#include "cotenant/vulkan/any_operand.hpp"
#include "cotenant/vulkan/few.hpp"
#include "cotenant/vulkan/kernel_key.hpp"
#include "cotenant/vulkan/kernels/axes.hpp"
#include "cotenant/vulkan/kernels/turns.hpp"
#include "cotenant/vulkan/launch.hpp"

namespace cotenant::vulkan {

// The result's operand comes first. All have the result's shape; repeated axes have stride 0.
struct MapOperand {
  Block* block = nullptr;
  const void* data = nullptr;  // where the element with all indices 0 lies
  const Strides* strides = nullptr;
  std::uint32_t element_bytes = 0;
};
inline MapOperand map_operand(const AnyOperand& operand) {
  return {operand.block, operand.view.data(), &operand.view.strides(), static_cast<std::uint32_t>(size_of(operand.type()))};
}

// What the code of a map depends on beside its elements' types and its expression.
struct MapCode {
  enum class Form : std::uint8_t {
    flat,     // operands lie densely in one order, or repeat one element: vectors, and single elements at the end
    rows,     // the same along the innermost axis only
    singles,  // any strides
  };
  Form form = Form::singles;
  std::size_t rank = 0;            // of the index, where it is taken apart
  std::uint32_t groups = 0;        // vectors of four elements at a time; 0: single elements
  std::uint32_t unroll = 1;        // times per invocation
  bool wide = false;               // indices and offsets of 64 bits
  Few<std::uint8_t, 8> repeated;   // per operand: one element along the innermost axis

  static constexpr std::uint32_t threads = 256;
  std::uint32_t elements_at_once() const { return groups == 0 ? 1 : 4 * groups; }
  std::uint64_t elements_of_a_group() const { return std::uint64_t{threads} * unroll * elements_at_once(); }
  void append_to(KernelKey& key) const {
    key.append(form == Form::flat ? " flat" : form == Form::rows ? " rows" : " singles", rank, wide ? "w " : " ", groups, 'x', unroll, ' ');
    for (const std::uint8_t once : repeated) key.append(once ? 'r' : '.');
  }
};

// Divisors of numbers below 2^31 (Granlund and Montgomery): n / d = (high word of n * factor + n) >> shift.
struct FastDivisor {
  std::uint32_t factor = 1, shift = 0;
  static constexpr FastDivisor of(std::uint64_t divisor) {
    FastDivisor result;
    while ((std::uint64_t{1} << result.shift) < divisor) ++result.shift;
    result.factor = static_cast<std::uint32_t>(((std::uint64_t{1} << 32) * ((std::uint64_t{1} << result.shift) - divisor)) / divisor + 1);
    return result;
  }
};

struct MapPlan {
  MapCode code;
  Few<BufferArgument, 8> buffers;
  Few<std::uint32_t, 32> scalars;  // as MapFrame of map_code.hpp reads them
  std::array<std::uint32_t, 3> groups{1, 1, 1};
};

namespace detail {
// The axes of all operands: ordered by the result's strides, the smallest innermost; neighbours that all walk as one are one.
// Where the result runs backwards all do, the other way round.
class MapAxes {
 public:
  MapAxes(const Shape& shape, std::span<const MapOperand> operands) {
    walks.assign(operands.size(), {});
    Shape order;  // of the axes
    const Strides& result = *operands[0].strides;
    for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
      if (shape[axis] == 1) continue;
      std::size_t place = order.rank();
      while (place > 0 && std::abs(result[order[place - 1]]) < std::abs(result[axis])) --place;
      order.insert(place, axis);
    }
    for (const std::size_t axis : order) append(shape[axis], axis, operands);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      Walk& walk = walks[i];
      std::ptrdiff_t lowest = 0;
      for (std::size_t a = 0; a < extent.rank(); ++a) {
        const std::ptrdiff_t span = static_cast<std::ptrdiff_t>(extent[a] - 1) * walk.stride[a];
        walk.reach += static_cast<std::size_t>(std::abs(span));
        lowest += std::min<std::ptrdiff_t>(span, 0);
      }
      const std::ptrdiff_t low = walk.start + lowest;  // relative to the operand's own index 0
      walk.address = static_cast<const char*>(operands[i].data) + low * static_cast<std::ptrdiff_t>(operands[i].element_bytes);
      walk.start = -lowest;
    }
  }
  std::size_t rank() const { return extent.rank(); }

  // Of one operand.
  struct Walk {
    Strides stride;                 // along these axes
    const char* address = nullptr;  // of the lowest element
    std::ptrdiff_t start = 0;       // elements from there to index 0 of these axes
    std::size_t reach = 1;          // elements from the lowest to the highest
  };
  Shape extent;  // outermost first
  Few<Walk, 4> walks;

 private:
  void append(std::size_t count, std::size_t axis, std::span<const MapOperand> operands) {
    const bool backwards = (*operands[0].strides)[axis] < 0;
    const auto step = [&](std::size_t i) { return backwards ? -(*operands[i].strides)[axis] : (*operands[i].strides)[axis]; };
    if (backwards)
      for (std::size_t i = 0; i < operands.size(); ++i) walks[i].start += static_cast<std::ptrdiff_t>(count - 1) * (*operands[i].strides)[axis];
    bool merges = !extent.empty();
    for (std::size_t i = 0; merges && i < operands.size(); ++i) merges = walks[i].stride.back() == step(i) * static_cast<std::ptrdiff_t>(count);
    if (merges) extent[rank() - 1] *= count;
    else extent.append(count);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (merges) walks[i].stride[rank() - 1] = step(i);
      else walks[i].stride.append(step(i));
    }
  }
};
}  // namespace detail

// For at least one element, on a stream that has recorded so many barriers.
inline MapPlan plan_map(const Shape& shape, std::span<const MapOperand> operands, std::size_t barriers = 0) {
  const detail::MapAxes axes(shape, operands);
  MapPlan plan;
  MapCode& code = plan.code;
  std::size_t count = 1, widest = 1;
  for (const std::size_t extent : axes.extent) count *= extent;
  for (const MapOperand& operand : operands) widest = std::max<std::size_t>(widest, operand.element_bytes);
  const std::size_t rank = axes.rank(), inner = rank == 0 ? 1 : axes.extent[rank - 1];
  code.wide = count >= std::size_t{1} << 31;
  for (const detail::MapAxes::Walk& walk : axes.walks) code.wide = code.wide || walk.reach >= std::size_t{1} << 31;

  // 16 bytes of the widest element at a time; never more than the narrowest may be read in.
  const std::uint32_t groups = widest >= 4 ? 1 : widest == 2 ? 2 : 4;
  const std::size_t at_once = 4 * std::size_t{groups};
  bool vectors = rank > 0 && inner >= at_once && (rank == 1 || inner % at_once == 0);
  code.repeated.assign(operands.size(), false);
  for (std::size_t i = 0; i < operands.size() && rank > 0; ++i) {
    const std::ptrdiff_t step = axes.walks[i].stride[rank - 1];
    code.repeated[i] = step == 0 && i != 0;
    if (code.repeated[i]) continue;
    const std::size_t access = std::min<std::size_t>(16, at_once * operands[i].element_bytes);
    vectors = vectors && step == 1 && reinterpret_cast<std::uintptr_t>(axes.walks[i].address) % access == 0 &&
              axes.walks[i].start % static_cast<std::ptrdiff_t>(at_once) == 0;
    for (std::size_t axis = 0; axis + 1 < rank; ++axis) vectors = vectors && axes.walks[i].stride[axis] % static_cast<std::ptrdiff_t>(at_once) == 0;
  }
  for (std::size_t i = 0; i < operands.size(); ++i)
    plan.buffers.push_back({operands[i].block, axes.walks[i].address, axes.walks[i].reach * operands[i].element_bytes, i == 0 ? Access::write : Access::read});

  const auto scalar = [&](std::uint64_t value) {
    plan.scalars.push_back(static_cast<std::uint32_t>(value));
    if (code.wide) plan.scalars.push_back(static_cast<std::uint32_t>(value >> 32));
  };
  std::size_t items = count;
  if (vectors && rank == 1) {
    code.form = MapCode::Form::flat;
    code.groups = groups;
    // Two vectors of each operand under way where there is work for every processor anyway: by one alone an H100 takes 5 % more for pow and
    // 3 % for tanh, the same for what only moves bytes.
    code.unroll = count >= std::size_t{1} << 20 ? 2 : 1;
    scalar(count);
    scalar(count / code.elements_of_a_group());
    items = (count + at_once - 1) / at_once;
  } else {
    const std::size_t unit = vectors ? at_once : 1;
    code.form = vectors ? MapCode::Form::rows : MapCode::Form::singles;
    code.groups = vectors ? groups : 0;
    if (!vectors) code.repeated.assign(operands.size(), false);
    // Few different ranks: each is a kernel of its own. Axes of one element in front fill up.
    const std::size_t least = rank <= 1 ? 1 : rank <= 2 ? 2 : rank <= 4 ? 4 : max_rank, added = least - rank;
    code.rank = least;
    items = count / unit;
    scalar(items);
    for (std::size_t axis = 1; axis < least; ++axis) {
      const std::size_t extent = axis < added ? 1 : axes.extent[axis - added] / (axis + 1 == least ? unit : 1);
      const FastDivisor divisor = FastDivisor::of(extent);
      scalar(extent);
      if (!code.wide) scalar(divisor.factor), scalar(divisor.shift);
    }
    for (std::size_t i = 0; i < operands.size(); ++i) {
      // A repeated operand is read by single elements.
      const std::ptrdiff_t step = code.repeated[i] ? 1 : static_cast<std::ptrdiff_t>(unit);
      scalar(static_cast<std::uint64_t>(axes.walks[i].start / step));
      for (std::size_t axis = 0; axis < least; ++axis) {
        const bool last = axis + 1 == least;
        const std::ptrdiff_t stride = axis < added ? 0 : axes.walks[i].stride[axis - added];
        scalar(static_cast<std::uint64_t>(last ? stride : stride / step));
      }
    }
  }
  const std::size_t per_group = std::size_t{MapCode::threads} * code.unroll;
  plan.groups = folded_groups((items + per_group - 1) / per_group);
  plan.scalars.push_back(turn_of(plan.groups, barriers));
  return plan;
}

}  // namespace cotenant::vulkan

#endif
