// ElementWise: kernels whose results each come from elements at one index: a thread for each, or for a few vectors of four.
#ifndef COTENANT_VULKAN_KERNELS_ELEMENT_WISE_HPP
#define COTENANT_VULKAN_KERNELS_ELEMENT_WISE_HPP
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "cotenant/vulkan/kernel_key.hpp"
#include "cotenant/vulkan/kernels/plan.hpp"

namespace cotenant::vulkan {

// How an operand is read along the innermost axis.
enum class Reading : std::uint8_t {
  absent,
  single,    // one element at any stride
  vectors,   // four neighbours
  repeated,  // one element for four results
  constant,  // one element for all results: a thread reads it once
};

// What the code depends on.
template <std::size_t N> struct ElementWise {
  std::size_t rank = 0;
  std::array<Reading, N> reading{};
  bool four = false;  // results at a time

  KernelKey key() const {
    KernelKey text(' ');
    for (const Reading r : reading) text.append(static_cast<int>(r));
    return text;
  }
};

// Work of a thread: two vectors, whose loads are under way together, or one element. An H100 quantises f32 by a scale per row at 3025 GB/s so,
// by one vector at 2883, by four at 2860, and gathers rows at 2885, 2832 and 2872.
inline constexpr std::uint32_t element_threads = 256;
constexpr std::uint32_t element_chunks(bool four) { return four ? 2 : 1; }

// Merges the axes of the operands, given with their layouts, and adds them to the plan, which has the buffers already.
// `aligned`: whether all operands may be read by fours, or repeat one element along the innermost axis.
template <std::size_t N> ElementWise<N> plan_elements(LaunchPlan& plan, Axes<N> axes, const std::array<bool, N>& present, bool four, std::size_t barriers = 0) {
  ElementWise<N> code{axes.rank, {}, four};
  for (std::size_t i = 0; i < N; ++i) {
    const bool constant =
        std::all_of(axes.stride[i].begin(), axes.stride[i].begin() + static_cast<std::ptrdiff_t>(axes.rank), [](std::ptrdiff_t stride) { return stride == 0; });
    code.reading[i] = !present[i]                 ? Reading::absent
                      : !four                     ? Reading::single
                      : constant                  ? Reading::constant
                      : axes.inner_stride(i) == 0 ? Reading::repeated
                                                  : Reading::vectors;
  }
  if (four) {
    axes.extent[axes.rank - 1] /= 4;
    for (std::size_t i = 0; i < N; ++i) axes.stride[i][axes.rank - 1] *= 4;
  }
  const std::size_t count = axes.count();
  plan.scalar(count);
  plan.axes(axes);
  plan.key.append(code.key());
  plan.spread(folded_groups((count + element_threads * element_chunks(four) - 1) / (element_threads * element_chunks(four))), barriers);
  return code;
}
// Whether operand `i` may be part of vectors of four: it has them, or repeats one element.
template <std::size_t N> bool allows_vectors(const AnyOperand& operand, std::size_t i, const Axes<N>& axes) {
  if (operand.block == nullptr) return true;
  if (axes.rank == 0 || axes.extent[axes.rank - 1] % 4 != 0) return false;
  if (axes.inner_stride(i) == 0) return true;
  if (axes.inner_stride(i) != 1) return false;
  for (std::size_t axis = 0; axis + 1 < axes.rank; ++axis) if (axes.stride[i][axis] % 4 != 0) return false;
  return reinterpret_cast<std::uintptr_t>(operand.view.data()) % Elements::access_bytes(operand.type(), 1) == 0;
}

// The code around: results(offsets) reads and computes, then store(offsets, those results) writes them; offsets[i] is where operand i is,
// `first` included. `first` are the operands' scalars from LaunchPlan::buffer(). A thread reads all its chunks before it writes any: a store
// that might touch what is read next would keep the loads apart. Beyond the end it reads the last place again.
template <std::size_t N, class Results, class Store>
void emit_elements(KernelBuilder& k, const ElementWise<N>& code, const std::array<Value, N>& first, Results results, Store store) {
  const Value count = k.scalar();
  const AxesFrame<N> axes(k, code.rank);
  const std::uint32_t chunks = element_chunks(code.four);
  const Value begin = group_number(k, k.scalar()) * (element_threads * chunks) + k.local_index();
  std::vector<std::array<Value, N>> places;
  std::vector<std::vector<Value>> values;
  for (std::uint32_t c = 0; c < chunks; ++c) {
    places.push_back(axes.offsets(min(begin + c * element_threads, count - 1u)));
    for (std::size_t i = 0; i < N; ++i) if (first[i].exists()) places[c][i] = places[c][i] + first[i];
    values.push_back(results(places[c]));
  }
  for (std::uint32_t c = 0; c < chunks; ++c) k.when(begin + c * element_threads < count, [&] { store(places[c], values[c]); });
}
// What a thread reads once: the constants of a kernel, before its chunks.
template <std::size_t N>
std::array<Value, N> load_constants(const ElementWise<N>& code, const std::array<Elements, N>& operands, const std::array<Value, N>& first) {
  std::array<Value, N> constants;
  for (std::size_t i = 0; i < N; ++i) if (code.reading[i] == Reading::constant) constants[i] = operands[i].load(first[i]);
  return constants;
}
// One or four elements at an offset.
inline Value load_element(const Elements& elements, Reading reading, Value offset) {
  return reading == Reading::vectors ? elements.load_vectors(offset >> 2u, 1)[0] : elements.load(offset);
}
inline void store_element(const Elements& elements, Reading reading, Value offset, Value value) {
  if (reading == Reading::vectors) elements.store_vectors(offset >> 2u, {value});
  else elements.store(offset, value);
}

}  // namespace cotenant::vulkan

#endif
