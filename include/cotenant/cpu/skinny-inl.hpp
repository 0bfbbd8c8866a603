// Products with one to four rows on the left, such as a query against a matrix: the right operand is read once, where it lies.
#if defined(COTENANT_CPU_SKINNY_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_SKINNY_INL_HPP
#undef COTENANT_CPU_SKINNY_INL_HPP
#else
#define COTENANT_CPU_SKINNY_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/pack-inl.hpp"
#include "cotenant/cpu/row-inl.hpp"
#include "cotenant/cpu/scratch.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::size_t> struct SumsOfColumn { using type = FloatVector; };

// Two rows of the left operand at once (or one, where both are the same), as packs: see TileProduct.
template <class T, std::size_t... C> struct SkinnyProduct {
  // The right operand's rows are contiguous: the columns are the lanes of vectors C.
  static HWY_INLINE void across(const float* one, const float* two, std::size_t depth, const T* right, std::ptrdiff_t right_step, float* sums, float* more,
                                typename SumsOfColumn<C>::type... first, typename SumsOfColumn<C>::type... second) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    FloatVector x;
    if (one == two) {
      for (std::size_t k = 0; k < depth; ++k, right += right_step) {
        const auto value = hn::Set(d, one[k]);
        ((first = hn::MulAdd(value, load_vector(d, right + C * lanes), first)), ...);
      }
      (hn::StoreU(first, d, sums + C * lanes), ...);
      return;
    }
    for (std::size_t k = 0; k < depth; ++k, right += right_step) {
      const auto value = hn::Set(d, one[k]), other = hn::Set(d, two[k]);
      ((x = load_vector(d, right + C * lanes), first = hn::MulAdd(value, x, first), second = hn::MulAdd(other, x, second)), ...);
    }
    (hn::StoreU(first, d, sums + C * lanes), ...);
    (hn::StoreU(second, d, more + C * lanes), ...);
  }
  // The right operand's columns are contiguous: the lanes are partial sums over k of column C.
  static HWY_INLINE void along(const float* one, const float* two, std::size_t depth, const T* right, std::ptrdiff_t right_step, float* sums, float* more,
                               typename SumsOfColumn<C>::type... first, typename SumsOfColumn<C>::type... second) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    FloatVector x;
    std::size_t k = 0;
    if (one == two) {
      for (; k + lanes <= depth; k += lanes) {
        const auto value = hn::LoadU(d, one + k);
        ((first = hn::MulAdd(value, load_vector(d, right + static_cast<std::ptrdiff_t>(C) * right_step + k), first)), ...);
      }
    } else {
      for (; k + lanes <= depth; k += lanes) {
        const auto value = hn::LoadU(d, one + k), other = hn::LoadU(d, two + k);
        ((x = load_vector(d, right + static_cast<std::ptrdiff_t>(C) * right_step + k), first = hn::MulAdd(value, x, first),
          second = hn::MulAdd(other, x, second)),
         ...);
      }
      ((more[C] = hn::GetLane(hn::SumOfLanes(d, second))), ...);
    }
    ((sums[C] = hn::GetLane(hn::SumOfLanes(d, first))), ...);
    for (; k < depth; ++k) {
      ((sums[C] += one[k] * convert<float>(right[static_cast<std::ptrdiff_t>(C) * right_step + static_cast<std::ptrdiff_t>(k)])), ...);
      if (one != two) ((more[C] += two[k] * convert<float>(right[static_cast<std::ptrdiff_t>(C) * right_step + static_cast<std::ptrdiff_t>(k)])), ...);
    }
  }
};

template <std::int64_t Compiled> struct Skinny {
  static constexpr std::size_t most_rows = 4;

  // Whether block() takes this problem.
  static bool takes(const cpu::GemmProblem& problem) {
    return problem.rows <= most_rows && problem.rows != 0 && problem.depth != 0 && (problem.right.row_stride == 1 || problem.right.column_stride == 1);
  }

  // All rows of the columns [first_column, last_column), finished. Right is the element type of problem.right.
  template <class Right> static void block(const cpu::GemmProblem& problem, std::size_t first_column, std::size_t last_column) {
    const std::size_t columns = last_column - first_column, depth = problem.depth, rows = problem.rows;
    const auto n = static_cast<std::ptrdiff_t>(first_column);
    const float* left = reinterpret_cast<const float*>(problem.left.data);
    std::ptrdiff_t left_step = problem.left.row_stride;
    if (!problem.left.is_float || problem.left.column_stride != 1) {
      float* const packed = cpu::scratch(cpu::ScratchUse::packed_left, rows * depth);
      Packing<Compiled>::copy(problem.left, rows, depth, packed, depth);
      left = packed;
      left_step = static_cast<std::ptrdiff_t>(depth);
    }
    const std::size_t padded = columns + hn::Lanes(FloatTag{});
    float* const sums = problem.direct != nullptr ? problem.direct + n : cpu::scratch(cpu::ScratchUse::accumulators, rows * padded);
    const std::ptrdiff_t sums_step = problem.direct != nullptr ? problem.direct_stride : static_cast<std::ptrdiff_t>(padded);
    const auto* right = reinterpret_cast<const Right*>(problem.right.data) + n * problem.right.column_stride;
    for (std::size_t row = 0; row < rows; row += 2) {
      const auto r = static_cast<std::ptrdiff_t>(row);
      const float* one = left + r * left_step;
      const float* two = row + 1 < rows ? one + left_step : one;
      float* const to = sums + r * sums_step;
      float* const more = two == one ? to : to + sums_step;
      if (problem.right.row_stride == 1 && problem.right.column_stride != 1)
        along<Right>(one, two, depth, right, problem.right.column_stride, columns, to, more);
      else across<Right>(one, two, depth, right, problem.right.row_stride, columns, to, more);
    }
    if (problem.direct != nullptr) return;
    for (std::size_t column = 0; column < columns; column += cpu::staged_columns)
      problem.finish(problem.context, problem.batch, sums + column, sums_step, 0, first_column + column, rows, std::min(cpu::staged_columns, columns - column));
  }

 private:
  template <class Right> static void across(const float* one, const float* two, std::size_t depth, const Right* right, std::ptrdiff_t step, std::size_t columns,
                                            float* sums, float* more) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto zero = hn::Zero(d);
    std::size_t n = 0;
    for (; n + 4 * lanes <= columns; n += 4 * lanes)
      SkinnyProduct<Right, 0, 1, 2, 3>::across(one, two, depth, right + n, step, sums + n, more + n, zero, zero, zero, zero, zero, zero, zero, zero);
    for (; n + lanes <= columns; n += lanes) SkinnyProduct<Right, 0>::across(one, two, depth, right + n, step, sums + n, more + n, zero, zero);
    for (; n < columns; ++n) {
      float sum = 0, other = 0;
      for (std::size_t k = 0; k < depth; ++k) {
        const float x = convert<float>(right[static_cast<std::ptrdiff_t>(k) * step + static_cast<std::ptrdiff_t>(n)]);
        sum += one[k] * x;
        other += two[k] * x;
      }
      sums[n] = sum;
      if (one != two) more[n] = other;
    }
  }
  template <class Right> static void along(const float* one, const float* two, std::size_t depth, const Right* right, std::ptrdiff_t step, std::size_t columns,
                                           float* sums, float* more) {
    const auto zero = hn::Zero(FloatTag{});
    std::size_t n = 0;
    for (; n + 4 <= columns; n += 4)
      SkinnyProduct<Right, 0, 1, 2, 3>::along(one, two, depth, right + static_cast<std::ptrdiff_t>(n) * step, step, sums + n, more + n, zero, zero, zero, zero,
                                              zero, zero, zero, zero);
    for (; n < columns; ++n)
      SkinnyProduct<Right, 0>::along(one, two, depth, right + static_cast<std::ptrdiff_t>(n) * step, step, sums + n, more + n, zero, zero);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
