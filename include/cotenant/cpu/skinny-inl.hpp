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

template <std::size_t> struct SumsOfStep { using type = FloatVector; };

// Rows, 1 or 4, rows of the left operand by some rows or columns of the right one, of which each is read once. Of four rows
// the last ones may be one and the same: reading the right operand is what takes the time, not the additions.
template <class T, std::size_t Rows, std::size_t... I> struct SkinnyProduct {
  // sums[r][n] += sum over I of left[r][I] * right[I * right_step + n]: the right operand's rows are contiguous, a few of them
  // at once, so that the sums are loaded and stored once for all of these.
  static HWY_INLINE void across(const float* const* left, const T* right, std::ptrdiff_t right_step, std::ptrdiff_t ahead, std::size_t columns,
                                float* const* sums, typename SumsOfStep<I>::type... one, typename SumsOfStep<I>::type... two,
                                typename SumsOfStep<I>::type... three, typename SumsOfStep<I>::type... four) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const T* const row[] = {right + static_cast<std::ptrdiff_t>(I) * right_step...};
    FloatVector x;
    std::size_t n = 0;
    for (; n + lanes <= columns; n += lanes) {
      if constexpr (Rows > 1) (hwy::Prefetch(row[I] + n + ahead), ...);
      auto first = hn::LoadU(d, sums[0] + n);
      if constexpr (Rows == 1) ((first = hn::MulAdd(one, load_vector(d, row[I] + n), first)), ...);
      else {
        auto second = hn::LoadU(d, sums[1] + n), third = hn::LoadU(d, sums[2] + n), fourth = hn::LoadU(d, sums[3] + n);
        ((x = load_vector(d, row[I] + n), first = hn::MulAdd(one, x, first), second = hn::MulAdd(two, x, second), third = hn::MulAdd(three, x, third),
          fourth = hn::MulAdd(four, x, fourth)),
         ...);
        hn::StoreU(second, d, sums[1] + n);
        hn::StoreU(third, d, sums[2] + n);
        hn::StoreU(fourth, d, sums[3] + n);
      }
      hn::StoreU(first, d, sums[0] + n);
    }
    for (; n < columns; ++n)
      for (std::size_t r = 0; r < Rows && (r == 0 || sums[r] != sums[r - 1]); ++r) ((sums[r][n] += left[r][I] * convert<float>(row[I][n])), ...);
  }

  // sums[r][I] = sum over k < depth of left[r][k] * right[I * right_step + k]: the right operand's columns are contiguous, the
  // lanes are partial sums over k of column I.
  static HWY_INLINE void along(const float* const* left, std::size_t depth, const T* right, std::ptrdiff_t right_step, float* const* sums,
                               typename SumsOfStep<I>::type... first, typename SumsOfStep<I>::type... second, typename SumsOfStep<I>::type... third,
                               typename SumsOfStep<I>::type... fourth) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const T* const column[] = {right + static_cast<std::ptrdiff_t>(I) * right_step...};
    FloatVector x;
    // With four rows the hardware falls behind (a quarter slower from memory): the columns that come next are asked for, of floats only
    // 2 KiB ahead, because L1 holds the left rows as well. With one row it is faster left alone: 2 to 18 % from memory and L3.
    const std::ptrdiff_t ahead = sizeof(T) < 4 ? static_cast<std::ptrdiff_t>(sizeof...(I)) * right_step : 512;
    std::size_t k = 0;
    for (; k + lanes <= depth; k += lanes) {
      if constexpr (Rows > 1) (hwy::Prefetch(column[I] + k + ahead), ...);
      const auto one = hn::LoadU(d, left[0] + k);
      if constexpr (Rows == 1) ((first = hn::MulAdd(one, load_vector(d, column[I] + k), first)), ...);
      else {
        const auto two = hn::LoadU(d, left[1] + k), three = hn::LoadU(d, left[2] + k), four = hn::LoadU(d, left[3] + k);
        ((x = load_vector(d, column[I] + k), first = hn::MulAdd(one, x, first), second = hn::MulAdd(two, x, second), third = hn::MulAdd(three, x, third),
          fourth = hn::MulAdd(four, x, fourth)),
         ...);
      }
    }
    ((sums[0][I] = sum_of_lanes(d, first) + rest(left[0], column[I], k, depth)), ...);
    if constexpr (Rows > 1) {
      ((sums[1][I] = sum_of_lanes(d, second) + rest(left[1], column[I], k, depth)), ...);
      ((sums[2][I] = sum_of_lanes(d, third) + rest(left[2], column[I], k, depth)), ...);
      ((sums[3][I] = sum_of_lanes(d, fourth) + rest(left[3], column[I], k, depth)), ...);
    }
  }

 private:
  static HWY_INLINE float rest(const float* left, const T* column, std::size_t k, std::size_t depth) {
    float sum = 0;
    for (; k < depth; ++k) sum += left[k] * convert<float>(column[k]);
    return sum;
  }
};

template <std::int64_t Compiled> struct Skinny {
  static constexpr std::size_t most_rows = cpu::most_few_rows;

  // Whether block() takes this problem.
  static bool takes(const cpu::GemmProblem& problem) { return cpu::has_few_rows(problem); }

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
    const float* lefts[most_rows];
    float* to[most_rows];
    for (std::size_t row = 0; row < most_rows; ++row) {
      const auto r = static_cast<std::ptrdiff_t>(std::min(row, rows - 1));
      lefts[row] = left + r * left_step;
      to[row] = sums + r * sums_step;
    }
    const bool is_along = problem.right.row_stride == 1 && problem.right.column_stride != 1;
    const std::ptrdiff_t step = is_along ? problem.right.column_stride : problem.right.row_stride;
    if (is_along) rows == 1 ? along<Right, 1>(lefts, depth, right, step, columns, to) : along<Right, 4>(lefts, depth, right, step, columns, to);
    else rows == 1 ? across<Right, 1>(lefts, depth, right, step, columns, to) : across<Right, 4>(lefts, depth, right, step, columns, to);
    if (problem.direct != nullptr) return;
    for (std::size_t column = 0; column < columns; column += cpu::staged_columns)
      problem.finish(problem.context, problem.batch, sums + column, sums_step, 0, first_column + column, rows, std::min(cpu::staged_columns, columns - column));
  }

 private:
  // Some rows of the right operand, with the left one's lanes in registers: stores to the sums might change them in memory. Of the rows
  // that there are not, those of the last: they are not used.
  template <class Right, std::size_t Rows, std::size_t... I>
  static HWY_INLINE void steps(std::index_sequence<I...>, const float* const* left, const Right* right, std::ptrdiff_t right_step, std::ptrdiff_t ahead,
                               std::size_t columns, float* const* sums) {
    const FloatTag d;
    constexpr std::size_t last = Rows - 1, second = Rows > 1 ? 1 : 0, third = Rows > 2 ? 2 : last;
    SkinnyProduct<Right, Rows, I...>::across(left, right, right_step, ahead, columns, sums, hn::Set(d, left[0][I])..., hn::Set(d, left[second][I])...,
                                             hn::Set(d, left[third][I])..., hn::Set(d, left[last][I])...);
  }
  template <class Right, std::size_t Rows>
  static void across(const float* const* left, std::size_t depth, const Right* right, std::ptrdiff_t step, std::size_t columns, float* const* sums) {
    // Columns whose sums stay in L1, with four rows of the right operand at once (eight were 5 to 10 % slower): 16 KiB of one row of sums,
    // 8 KiB of four rows of them: the part of the next rows that is asked for has to fit beside (1024 columns were 8 % slower from memory).
    // From memory four rows reach three quarters of what a sum of the same bytes does: with the multiply-adds alone, their sums in registers and
    // rows read whole, it is four fifths. Those that wait for a line fill the scheduler, and lines that are asked for beyond what L1 can
    // wait for are not fetched.
    constexpr std::size_t chunk = Rows == 1 ? 4096 : 512, group = 4;
    // Sums of 256 products are taken on their own and then added: the rounding errors of one long sum would grow with its length.
    constexpr std::size_t part = 256;
    HWY_ALIGN float partial[Rows * chunk];
    for (std::size_t n = 0; n < columns; n += chunk) {
      const std::size_t some = std::min(chunk, columns - n);
      float* to[Rows];
      for (std::size_t r = 0; r < Rows; ++r) to[r] = r > 0 && sums[r] == sums[r - 1] ? to[r - 1] : partial + r * chunk;
      const float* from[Rows];
      std::size_t k = 0;
      const auto place = [&] {
        for (std::size_t r = 0; r < Rows; ++r) from[r] = left[r] + k;
        return right + static_cast<std::ptrdiff_t>(k) * step + static_cast<std::ptrdiff_t>(n);
      };
      for (bool begins = true; begins || k < depth; begins = false) {
        const std::size_t end = std::min(depth, k + part);
        for (std::size_t r = 0; r < Rows; ++r) std::fill(to[r], to[r] + some, 0.0f);
        for (; k + group <= end; k += group) {
          const Right* const at = place();
          // The rows that come next, where there are any.
          const std::ptrdiff_t ahead = k + 2 * group <= depth ? static_cast<std::ptrdiff_t>(group) * step : 0;
          steps<Right, Rows>(std::make_index_sequence<group>{}, from, at, step, ahead, some, to);
        }
        for (; k < end; ++k) {
          const Right* const at = place();
          steps<Right, Rows>(std::index_sequence<0>{}, from, at, step, 0, some, to);
        }
        for (std::size_t r = 0; r < Rows && (r == 0 || to[r] != to[r - 1]); ++r) add(to[r], some, sums[r] + n, begins);
      }
    }
  }
  // to (+)= from.
  static void add(const float* from, std::size_t count, float* to, bool begins) {
    if (begins) {
      std::copy_n(from, count, to);
      return;
    }
    const FloatTag d;
    std::size_t i = 0;
    for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) hn::StoreU(hn::Add(hn::LoadU(d, to + i), hn::LoadU(d, from + i)), d, to + i);
    for (; i < count; ++i) to[i] += from[i];
  }
  template <class Right, std::size_t Rows>
  static void along(const float* const* left, std::size_t depth, const Right* right, std::ptrdiff_t step, std::size_t columns, float* const* sums) {
    const auto zero = hn::Zero(FloatTag{});
    std::size_t n = 0;
    float* to[Rows];
    const auto place = [&] {
      for (std::size_t r = 0; r < Rows; ++r) to[r] = sums[r] + n;
      return right + static_cast<std::ptrdiff_t>(n) * step;
    };
    for (; n + 4 <= columns; n += 4)
      SkinnyProduct<Right, Rows, 0, 1, 2, 3>::along(left, depth, place(), step, to, zero, zero, zero, zero, zero, zero, zero, zero,
                                                    zero, zero, zero, zero, zero, zero, zero, zero);
    for (; n < columns; ++n) SkinnyProduct<Right, Rows, 0>::along(left, depth, place(), step, to, zero, zero, zero, zero);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
