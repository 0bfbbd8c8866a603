// PackedRight: the right operand of a product in the order in which the kernel reads it, kept with frozen weights.
#ifndef COTENANT_CPU_PACKED_HPP
#define COTENANT_CPU_PACKED_HPP
#include <cstddef>

#include "cotenant/core/shape.hpp"
#include "cotenant/cpu/gemm.hpp"
#include "cotenant/share/block.hpp"
#include "cotenant/storage/heap.hpp"

namespace cotenant::cpu {

// Floats, whatever the bits of a lane mean: see DepthBlocks for their order. Counted with the block that it was made of.
class PackedRight final : public Derived {
 public:
  // Errors: OutOfMemory.
  explicit PackedRight(std::size_t floats) : allocation_(Heap{}.allocate(checked_multiply(floats, sizeof(float), "a packed operand"))) {}
  PackedRight(const PackedRight&) = delete;
  PackedRight& operator=(const PackedRight&) = delete;
  ~PackedRight() { Heap{}.deallocate(allocation_); }

  float* data() const noexcept { return static_cast<float*>(allocation_.data); }
  std::size_t bytes() const noexcept override { return allocation_.bytes; }

 private:
  Allocation allocation_;
};

// Below this many elements packing is too cheap to be worth a look-up and memory of its own.
inline constexpr std::size_t least_packed_elements = 4096;

// The packed form of problem.right, which lies in `block`: made by the first call for these elements, found by the others;
// null where the block may still change or keeps none, the matrix is small, or its manager's budget has no room. `maker` is the address
// of an object that only this kernel on this CPU target has; `pack` fills `floats` floats. Where the storage can read the originals
// again, their pages go.
template <class Pack>
Ref<const PackedRight> packed_right(const GemmProblem& problem, const Block* block, const void* maker, std::size_t floats, const Pack& pack) {
  if (block == nullptr || !block->published() || !block->keeps_packed()) return nullptr;
  if (problem.columns < 2 || problem.depth < 2 || problem.columns * problem.depth < least_packed_elements) return nullptr;
  const DerivedKey key{maker, problem.right.data, problem.depth, problem.columns, problem.right.row_stride, problem.right.column_stride};
  return block->derived().find_or_make(key, [&](DerivedRoom& room) -> Ref<const PackedRight> {
    if (!room.take(floats * sizeof(float))) return nullptr;
    auto packed = make_ref<PackedRight>(floats);
    pack(packed->data());
    const bool dense = (problem.right.column_stride == 1 && problem.right.row_stride == static_cast<std::ptrdiff_t>(problem.columns)) ||
                       (problem.right.row_stride == 1 && problem.right.column_stride == static_cast<std::ptrdiff_t>(problem.depth));
    if (dense) packed->replaces(block->drop_pages(problem.right.data, problem.columns * problem.depth * problem.right.element_size));
    return packed;
  }).template as<const PackedRight>();
}

}  // namespace cotenant::cpu

#endif
