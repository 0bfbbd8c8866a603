// FragmentRows: numbers per row of a subgroup's cooperative matrices: found along the rows, kept by threads, given back as matrices.
#ifndef COTENANT_VULKAN_KERNELS_ATTENTION_ROWS_HPP
#define COTENANT_VULKAN_KERNELS_ATTENTION_ROWS_HPP
#include <cstdint>
#include <vector>

#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/spirv_matrix.hpp"

namespace cotenant::vulkan::detail {

// A part of 16 or 32 rows in matrices of 16 x 16 sums, one above the other. A row has two threads or one.
class FragmentRows {
 public:
  using Value = spirv::Value;
  static constexpr std::uint32_t side = 16;  // of every matrix

  // `scratch`: words of four numbers, size(rows) of them from `begin` on for this subgroup's use.
  FragmentRows(KernelBuilder& kernel, Type sums, std::uint32_t rows, std::uint32_t subgroup, const Shared& scratch, Value begin)
      : k_(kernel), sums_(sums), rows_(rows), lanes_(subgroup / rows), scratch_(scratch), begin_(begin),
        numbers_(kernel.shared(kernel.f32(), kernel.workgroup() / subgroup * stored * rows)), first_(kernel.subgroup_id() * (stored * rows)),
        row_(kernel.lane() / lanes_) {}
  // Lines of an odd number of words: eight begin in eight different banks.
  static std::uint32_t size(std::uint32_t rows) { return rows * line; }

  // The elements of each row brought together by f: a thread gets its row's.
  template <class F> Value along(const std::vector<Variable>& matrices, F f) {
    for (std::uint32_t i = 0; i < matrices.size(); ++i)
      spirv::store_matrix(scratch_.pointer(begin_ + i * side * line), matrices[i].get(), spirv::CooperativeMatrixLayout::RowMajor, k_.constant(line));
    k_.subgroup_barrier();
    const std::uint32_t words = side / 4 / lanes_;
    const Value from = begin_ + row_ * line + k_.lane() % lanes_ * words;
    Value four;
    for (std::uint32_t c = 0; c < words; ++c) {
      const Value word = spirv::bitcast(k_.vector(k_.f32(), 4), scratch_.load(from + c));
      four = c == 0 ? word : f(four, word);
    }
    Value all = f(f(spirv::extract(four, 0), spirv::extract(four, 1)), f(spirv::extract(four, 2), spirv::extract(four, 3)));
    for (std::uint32_t lane = 1; lane < lanes_; lane *= 2) all = f(all, spirv::subgroup_shuffle_xor(all, lane));
    return all;
  }
  // Hands over up to two numbers of each thread's row: matrix() gives them to all.
  void spread(const std::vector<Value>& numbers) {
    k_.when(k_.lane() % lanes_ == 0u, [&] {
      for (std::uint32_t n = 0; n < numbers.size(); ++n) numbers_.store(first_ + row_ + n * rows_, numbers[n]);
    });
    k_.subgroup_barrier();
  }
  // Number `which` of the rows of matrix `part`, all over each row.
  Value matrix(std::uint32_t which, std::uint32_t part) {
    return spirv::repeat_line(sums_, numbers_.pointer(first_ + (which * rows_ + part * side)), spirv::CooperativeMatrixLayout::ColumnMajor);
  }

 private:
  static constexpr std::uint32_t line = side / 4 + 1, stored = 2;

  KernelBuilder& k_;
  Type sums_;
  std::uint32_t rows_, lanes_;
  Shared scratch_;
  Value begin_;
  Shared numbers_;
  Value first_, row_;
};

}  // namespace cotenant::vulkan::detail

#endif
