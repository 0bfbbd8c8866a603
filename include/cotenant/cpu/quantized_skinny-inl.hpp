// One to four rows of floats times quantised weights: the weights are read once, where they lie, and never written as floats.
#if defined(COTENANT_CPU_QUANTIZED_SKINNY_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_QUANTIZED_SKINNY_INL_HPP
#undef COTENANT_CPU_QUANTIZED_SKINNY_INL_HPP
#else
#define COTENANT_CPU_QUANTIZED_SKINNY_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/pack-inl.hpp"
#include "cotenant/cpu/quantized_weights.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/x86_dot-inl.hpp"
#include "cotenant/ops/quantized.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

template <std::size_t> struct SumsOfWeights { using type = FloatVector; };

// Both halves of as many bytes as there are lanes, as floats.
HWY_INLINE void load_pairs(FloatTag d, const std::uint8_t* from, FloatVector& low, FloatVector& high) {
  const hn::Rebind<std::uint8_t, FloatTag> bytes;
  const hn::RebindToSigned<FloatTag> integer;
  const auto bits = hn::PromoteTo(integer, hn::LoadU(bytes, from));
#if COTENANT_X86_DOT
  // A vector of 16 floats is the table of all values of 4 bits.
  HWY_ALIGN static constexpr float values[16] = {0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1};
  const auto table = hn::Load(d, values);
  low = lookup_lanes(table, bits);
  high = lookup_lanes(table, hn::ShiftRight<4>(bits));
#else
  low = hn::ConvertTo(d, hn::ShiftRight<28>(hn::ShiftLeft<28>(bits)));
  high = hn::ConvertTo(d, hn::ShiftRight<28>(hn::ShiftLeft<24>(bits)));
#endif
}

// sum + a * low + b * high, the addend times a block's scale where there are blocks.
template <bool Blocked> HWY_INLINE FloatVector add_pairs(FloatTag d, FloatVector sum, FloatVector a, FloatVector low, FloatVector b, FloatVector high,
                                                           const float* scale) {
  if constexpr (Blocked) return hn::MulAdd(hn::MulAdd(a, low, hn::Mul(b, high)), hn::Set(d, *scale), sum);
  static_cast<void>(d);
  static_cast<void>(scale);
  return hn::MulAdd(a, low, hn::MulAdd(b, high, sum));
}

// A few columns C of weights that lie along k, and two rows of the left operand (or one, where both are the same): see
// SkinnyProduct for why the sums are parameters. A row of the left operand is `depth` floats; for pairs those with even k, and
// `odd` floats later those with odd k.
template <class B, bool Blocked, std::size_t... C> struct QuantizedSkinnyProduct {
  struct Step {
    const float *one, *two;
    std::size_t odd, steps, per_block;  // steps: whole vectors of elements; per_block: of each scale
    const cpu::QuantizedWeights& weights;
    std::size_t column;
    std::ptrdiff_t ahead;  // columns to those that come next, 0 where none do
    float *sums, *more;
  };
  static HWY_INLINE void run(const Step& step, typename SumsOfWeights<C>::type... first, typename SumsOfWeights<C>::type... second) {
    constexpr bool packed = std::is_same_v<B, i4x2>;
    using Byte = std::conditional_t<packed, std::uint8_t, B>;
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto& w = step.weights;
    const Byte* const columns[] = {static_cast<const Byte*>(w.values) + static_cast<std::ptrdiff_t>(step.column + C) * w.column_stride...};
    const float* scales[] = {w.scale + static_cast<std::ptrdiff_t>(step.column + C) * w.scale_column_stride...};
    FloatVector x, low, high;
    for (std::size_t s = 0; s < step.steps;) {
      for (const std::size_t end = Blocked ? s + step.per_block : step.steps; s < end; ++s) {
        const std::size_t i = s * lanes;
        // The next columns' bytes, a cache line for each 64 bytes of these; their scales, four bytes for 16 or more.
        if (i % 64 == 0) (hwy::Prefetch(columns[C] + step.ahead * w.column_stride + static_cast<std::ptrdiff_t>(i)), ...);
        if (Blocked && i % 256 == 0) (hwy::Prefetch(scales[C] + step.ahead * w.scale_column_stride), ...);
        const auto a = hn::LoadU(d, step.one + i);
        if constexpr (packed) {
          const auto b = hn::LoadU(d, step.one + step.odd + i);
          if (step.one == step.two) {
            ((load_pairs(d, columns[C] + i, low, high), first = add_pairs<Blocked>(d, first, a, low, b, high, scales[C])), ...);
          } else {
            const auto e = hn::LoadU(d, step.two + i), f = hn::LoadU(d, step.two + step.odd + i);
            ((load_pairs(d, columns[C] + i, low, high), first = add_pairs<Blocked>(d, first, a, low, b, high, scales[C]),
              second = add_pairs<Blocked>(d, second, e, low, f, high, scales[C])),
             ...);
          }
        } else if (step.one == step.two) {
          ((x = load_vector(d, columns[C] + i), first = hn::MulAdd(a, Blocked ? hn::Mul(x, hn::Set(d, *scales[C])) : x, first)), ...);
        } else {
          const auto e = hn::LoadU(d, step.two + i);
          ((x = load_vector(d, columns[C] + i), x = Blocked ? hn::Mul(x, hn::Set(d, *scales[C])) : x, first = hn::MulAdd(a, x, first),
            second = hn::MulAdd(e, x, second)),
           ...);
        }
      }
      if constexpr (Blocked) ((scales[C] += w.scale_block_stride), ...);
    }
    ((step.sums[C] = hn::GetLane(hn::SumOfLanes(d, first))), ...);
    if (step.one != step.two) ((step.more[C] = hn::GetLane(hn::SumOfLanes(d, second))), ...);
  }
};

template <std::int64_t Compiled> struct QuantizedSkinny {
  static constexpr std::size_t most_rows = 4;

  // Whether block() takes this problem: weights along k, each scale for whole vectors or for all of k.
  template <class B> static bool takes(const cpu::GemmProblem& problem, const cpu::QuantizedWeights& w) {
    constexpr bool packed = std::is_same_v<B, i4x2>;
    const std::size_t step = hn::Lanes(FloatTag{}) * (packed ? 2 : 1);
    return problem.rows <= most_rows && problem.rows != 0 && problem.depth != 0 && w.depth_stride == 1 && (w.pairs_along_depth || !packed) &&
           (w.block_size == problem.depth || w.block_size % step == 0);
  }

  template <class B> static void block(const cpu::GemmProblem& problem, std::size_t first_column, std::size_t last_column) {
    const auto& w = *static_cast<const cpu::QuantizedWeights*>(problem.scaling);
    if (w.block_size == problem.depth) columns_of<B, false>(problem, w, first_column, last_column);
    else columns_of<B, true>(problem, w, first_column, last_column);
  }

 private:
  template <class B, bool Blocked> static void columns_of(const cpu::GemmProblem& problem, const cpu::QuantizedWeights& w, std::size_t first_column,
      std::size_t last_column) {
    constexpr std::size_t per_byte = std::is_same_v<B, i4x2> ? 2 : 1;
    const std::size_t columns = last_column - first_column, depth = problem.depth, rows = problem.rows, lanes = hn::Lanes(FloatTag{});
    const std::size_t blocks = depth / w.block_size, padded = columns + lanes;
    // Rows of floats; behind them their sums over each block, which zero points multiply.
    const std::size_t row_floats = depth + blocks;
    float* const left = cpu::scratch(cpu::ScratchUse::packed_left, rows * row_floats + depth);
    for (std::size_t row = 0; row < rows; ++row) {
      float *const to = left + row * row_floats, *const plain = per_byte == 2 ? left + rows * row_floats : to;
      problem.left.load(problem.left.at(static_cast<std::ptrdiff_t>(row) * problem.left.row_stride), problem.left.column_stride, depth, plain);
      if (w.zero != nullptr)
        for (std::size_t block = 0; block < blocks; ++block) {
          double sum = 0;
          for (std::size_t k = block * w.block_size; k < (block + 1) * w.block_size; ++k) sum += static_cast<double>(plain[k]);
          to[depth + block] = static_cast<float>(sum);
        }
      if (per_byte == 2)
        for (std::size_t i = 0; i < depth / 2; ++i) {
          to[i] = plain[2 * i];
          to[depth / 2 + i] = plain[2 * i + 1];
        }
    }
    float* const sums = problem.direct != nullptr ? problem.direct + first_column : cpu::scratch(cpu::ScratchUse::accumulators, rows * padded);
    const std::ptrdiff_t sums_step = problem.direct != nullptr ? problem.direct_stride : static_cast<std::ptrdiff_t>(padded);
    const std::size_t steps = depth / per_byte / lanes;
    const auto zero = hn::Zero(FloatTag{});
    for (std::size_t n = 0; n < columns; n += n + 4 <= columns ? 4 : 1) {
      const std::size_t some = n + 4 <= columns ? 4 : 1;
      const std::ptrdiff_t ahead = n + 2 * some <= columns ? static_cast<std::ptrdiff_t>(some) : 0;
      // All rows while the weights of these columns are in the L1 cache.
      for (std::size_t row = 0; row < rows; row += 2) {
        const float* const one = left + row * row_floats;
        const float* const two = row + 1 < rows ? one + row_floats : one;
        float* const to = sums + static_cast<std::ptrdiff_t>(row) * sums_step + static_cast<std::ptrdiff_t>(n);
        float* const more = two == one ? to : to + sums_step;
        if (some == 4) {
          using Product = QuantizedSkinnyProduct<B, Blocked, 0, 1, 2, 3>;
          Product::run({one, two, depth / 2, steps, w.block_size / per_byte / lanes, w, first_column + n, ahead, to, more}, zero, zero, zero, zero,
                       zero, zero, zero, zero);
        } else {
          using Product = QuantizedSkinnyProduct<B, Blocked, 0>;
          Product::run({one, two, depth / 2, steps, w.block_size / per_byte / lanes, w, first_column + n, ahead, to, more}, zero, zero);
        }
        for (std::size_t i = 0; i < some; ++i) {
          to[i] = finished<B, Blocked>(w, first_column + n + i, one, depth, steps * lanes, to[i]);
          if (two != one) more[i] = finished<B, Blocked>(w, first_column + n + i, two, depth, steps * lanes, more[i]);
        }
      }
    }
    if (problem.direct != nullptr) return;
    for (std::size_t column = 0; column < columns; column += cpu::staged_columns)
      problem.finish(problem.context, problem.batch, sums + column, sums_step, 0, first_column + column, rows, std::min(cpu::staged_columns, columns - column));
  }
  // The elements behind the last whole vector, the scale where there is one, and the zero points.
  template <class B, bool Blocked>
  static HWY_INLINE float finished(const cpu::QuantizedWeights& w, std::size_t column, const float* x, std::size_t depth, std::size_t done, float sum) {
    const auto* values = static_cast<const B*>(w.values) + static_cast<std::ptrdiff_t>(column) * w.column_stride;
    if constexpr (!Blocked) {
      if constexpr (std::is_same_v<B, i4x2>) {
        for (std::size_t i = done; i < depth / 2; ++i)
          sum += x[i] * static_cast<float>(values[i].low()) + x[depth / 2 + i] * static_cast<float>(values[i].high());
      } else {
        for (std::size_t i = done; i < depth; ++i) sum += x[i] * static_cast<float>(values[i]);
      }
      if (w.zero != nullptr) sum -= x[depth] * w.template zero_at<quantized_value<B>>(0, column);
      return sum * w.scale_at(0, column);
    }
    if (w.zero != nullptr)
      for (std::size_t block = 0; block < depth / w.block_size; ++block)
        sum -= x[depth + block] * w.template zero_at<quantized_value<B>>(block, column) * w.scale_at(block, column);
    return sum;
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
