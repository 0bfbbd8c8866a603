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
#include "cotenant/cpu/quantized_pairs-inl.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/ops/quantized.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// Columns C of weights of a byte each, which may be the same ones, and two rows of the left operand (or one, where both are the same): see
// SkinnyProduct for why the sums are parameters.
template <class B, bool Blocked, std::size_t... C> struct QuantizedSkinnyProduct {
  struct Step {
    const float *one, *two;
    std::size_t steps, per_block;  // steps: whole vectors of elements; per_block: of each scale
    const cpu::QuantizedWeights& weights;
    std::size_t columns;           // a multiple of 4; 0: the first one as all four
  };
  // sums[column], more[column] = the products.
  static void run(const Step& step, std::size_t column, float* sums, float* more) {
    const auto zero = hn::Zero(FloatTag{});
    for (std::size_t i = 0; i < std::max<std::size_t>(step.columns, 1); i += sizeof...(C))
      add(step, column + i, i + 4 < step.columns ? 4 : 0, sums + i, more + i, (static_cast<void>(C), zero)..., (static_cast<void>(C), zero)...);
  }

 private:
  // `ahead`: columns to those that come next, 0 where none do.
  static HWY_INLINE void add(const Step& step, std::size_t column, std::ptrdiff_t ahead, float* sums, float* more,
                             typename SumsOfWeights<C>::type... first, typename SumsOfWeights<C>::type... second) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto& w = step.weights;
    const B* const columns[] = {static_cast<const B*>(w.values) + static_cast<std::ptrdiff_t>(step.columns == 0 ? column : column + C) * w.column_stride...};
    const float* scales[] = {w.scale + static_cast<std::ptrdiff_t>(step.columns == 0 ? column : column + C) * w.scale_column_stride...};
    FloatVector x;
    for (std::size_t s = 0; s < step.steps;) {
      for (const std::size_t end = Blocked ? s + step.per_block : step.steps; s < end; ++s) {
        const std::size_t i = s * lanes;
        // The next columns' bytes, a cache line for each 64 bytes of these; their scales, four bytes for 16 or more.
        if (i % 64 == 0) (hwy::Prefetch(columns[C] + ahead * w.column_stride + static_cast<std::ptrdiff_t>(i)), ...);
        if (Blocked && i % 256 == 0) (hwy::Prefetch(scales[C] + ahead * w.scale_column_stride), ...);
        const auto a = hn::LoadU(d, step.one + i);
        if (step.one == step.two) {
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
    ((sums[C] = hn::GetLane(hn::SumOfLanes(d, first))), ...);
    if (step.one != step.two) ((more[C] = hn::GetLane(hn::SumOfLanes(d, second))), ...);
  }
};

template <std::int64_t Compiled> struct QuantizedSkinny {
  static constexpr std::size_t most_rows = 4;

  // Whether block() takes this problem: weights along k; of bytes each scale for whole vectors or for all of k, of pairs for whole steps or
  // a half or a fourth of one.
  template <class B> static bool takes(const cpu::GemmProblem& problem, const cpu::QuantizedWeights& w) {
    constexpr bool packed = std::is_same_v<B, i4x2>;
    const std::size_t step = hn::Lanes(FloatTag{}) * (packed ? 8 : 1);
    return problem.rows <= most_rows && problem.rows != 0 && problem.depth != 0 && w.depth_stride == 1 && (w.pairs_along_depth || !packed) &&
           (w.block_size == problem.depth || w.block_size % step == 0 ||
            (packed && (2 * w.block_size == step || 4 * w.block_size == step) && hn::Lanes(FloatTag{}) >= 4));
  }

  template <class B> static void block(const cpu::GemmProblem& problem, std::size_t first_column, std::size_t last_column) {
    using Kind = std::conditional_t<std::is_same_v<B, i4x2>, Pairs, Bytes<B>>;
    const auto& w = *static_cast<const cpu::QuantizedWeights*>(problem.weights);
    const std::size_t columns = last_column - first_column, depth = problem.depth, rows = problem.rows, lanes = hn::Lanes(FloatTag{});
    const std::size_t blocks = depth / w.block_size, padded = columns + lanes;
    // Rows of floats, filled up to whole steps; behind them their sums over each block, which zero points multiply.
    const std::size_t filled = (depth + Kind::step() - 1) / Kind::step() * Kind::step(), row_floats = (filled + blocks + lanes - 1) / lanes * lanes;
    float* const left = cpu::scratch(cpu::ScratchUse::packed_left, (rows + 1) * row_floats);
    for (std::size_t row = 0; row < rows; ++row) {
      float* const to = left + row * row_floats;
      problem.left.load(problem.left.at(static_cast<std::ptrdiff_t>(row) * problem.left.row_stride), problem.left.column_stride, depth, to);
      std::fill(to + depth, to + filled, 0.0f);
      if (w.zero != nullptr)
        for (std::size_t block = 0; block < blocks; ++block) {
          double sum = 0;
          for (std::size_t k = block * w.block_size; k < (block + 1) * w.block_size; ++k) sum += static_cast<double>(to[k]);
          to[filled + block] = static_cast<float>(sum);
        }
    }
    Kind kind(w, depth);
    kind.prepare(left, rows, row_floats, left + rows * row_floats);
    float* const sums = problem.direct != nullptr ? problem.direct + first_column : cpu::scratch(cpu::ScratchUse::accumulators, rows * padded);
    const std::ptrdiff_t sums_step = problem.direct != nullptr ? problem.direct_stride : static_cast<std::ptrdiff_t>(padded);
    // All rows while the weights of some columns are in the L1 cache: 16 KiB of them.
    const std::size_t at_once = std::max<std::size_t>(4, 16384 / Kind::bytes_of(depth) / 4 * 4);
    for (std::size_t n = 0; n < columns;) {
      // The last columns one by one, each as four that are the same: one kernel instead of two.
      const std::size_t left_over = columns - n, some = left_over < 4 ? 1 : std::min(at_once, left_over / 4 * 4);
      for (std::size_t row = 0; row < rows; row += 2) {
        const float* const one = left + row * row_floats;
        const float* const two = row + 1 < rows ? one + row_floats : one;
        float* const to = sums + static_cast<std::ptrdiff_t>(row) * sums_step + static_cast<std::ptrdiff_t>(n);
        float* const more = two == one ? to : to + sums_step;
        if (some == 1) {
          float same[4] = {}, others[4] = {};
          kind.products(one, two, first_column + n, 0, same, others);
          *to = *same;
          if (two != one) *more = *others;
        } else {
          std::fill_n(to, some, 0.0f);
          if (two != one) std::fill_n(more, some, 0.0f);
          kind.products(one, two, first_column + n, some, to, more);
        }
        for (std::size_t i = 0; i < some && kind.is_to_finish(); ++i) {
          to[i] = kind.finished(first_column + n + i, one, one + filled, to[i]);
          if (two != one) more[i] = kind.finished(first_column + n + i, two, two + filled, more[i]);
        }
      }
      n += some;
    }
    if (problem.direct != nullptr) return;
    for (std::size_t column = 0; column < columns; column += cpu::staged_columns)
      problem.finish(problem.context, problem.batch, sums + column, sums_step, 0, first_column + column, rows, std::min(cpu::staged_columns, columns - column));
  }

 private:
  // The scale where there is one of a column, and the zero points, which multiply sums of x.
  template <class Zero> static float scaled(const cpu::QuantizedWeights& w, std::size_t column, std::size_t depth, const float* sums_of_x, float sum) {
    if (w.block_size == depth) return (w.zero != nullptr ? sum - *sums_of_x * w.template zero_at<Zero>(0, column) : sum) * w.scale_at(0, column);
    if (w.zero != nullptr)
      for (std::size_t block = 0; block < depth / w.block_size; ++block)
        sum -= sums_of_x[block] * w.template zero_at<Zero>(block, column) * w.scale_at(block, column);
    return sum;
  }

  // Whether scaled() changes anything; asking for each of 3072 columns takes a twentieth of their products with 4 bits.
  static bool scales_sums(const cpu::QuantizedWeights& w, std::size_t depth) { return w.zero != nullptr || w.block_size == depth; }

  // Weights of a byte each: the elements behind the last whole vector are left to finished().
  template <class B> struct Bytes {
    static std::size_t step() { return 1; }
    static std::size_t bytes_of(std::size_t weights) { return weights; }
    const cpu::QuantizedWeights& w;
    std::size_t depth;
    Bytes(const cpu::QuantizedWeights& weights, std::size_t size) : w(weights), depth(size) {}

    void prepare(float*, std::size_t, std::size_t, float*) const {}
    void products(const float* one, const float* two, std::size_t column, std::size_t columns, float* sums, float* more) const {
      const std::size_t lanes = hn::Lanes(FloatTag{});
      if (w.block_size == depth) QuantizedSkinnyProduct<B, false, 0, 1, 2, 3>::run({one, two, depth / lanes, 0, w, columns}, column, sums, more);
      else QuantizedSkinnyProduct<B, true, 0, 1, 2, 3>::run({one, two, depth / lanes, w.block_size / lanes, w, columns}, column, sums, more);
    }
    bool is_to_finish() const { return scales_sums(w, depth) || depth % hn::Lanes(FloatTag{}) != 0; }
    float finished(std::size_t column, const float* x, const float* sums_of_x, float sum) const {
      const auto* values = static_cast<const B*>(w.values) + static_cast<std::ptrdiff_t>(column) * w.column_stride;
      // Blocks are whole vectors: there are such elements only where there is no block.
      for (std::size_t i = depth / hn::Lanes(FloatTag{}) * hn::Lanes(FloatTag{}); i < depth; ++i) sum += x[i] * static_cast<float>(values[i]);
      return scaled<B>(w, column, depth, sums_of_x, sum);
    }
  };

  // Weights of 4 bits: `steps` whole ones; one that ends behind the last weight is made of a copy, filled up with zeros.
  struct Pairs {
    static std::size_t step() { return 8 * hn::Lanes(FloatTag{}); }
    static std::size_t bytes_of(std::size_t weights) { return (weights + 1) / 2; }
    const cpu::QuantizedWeights& w;
    cpu::QuantizedWeights scaling;  // with scales of 1 where there are no blocks: finished() multiplies then
    std::size_t depth, steps, rest;
    ScalesOfStep scales, last_scales;
    bool fixed = false;  // rows are in fixed point
    Pairs(const cpu::QuantizedWeights& weights, std::size_t size)
        : w(weights), scaling(without_whole(weights, size)), depth(size), steps(size / step()), rest(size % step()), scales(scaling, step(), step()),
          last_scales(scaling, step(), rest) {}
    static cpu::QuantizedWeights without_whole(cpu::QuantizedWeights weights, std::size_t depth) {
      static constexpr float one = 1;
      if (weights.block_size == depth) weights.scale = &one, weights.scale_block_stride = weights.scale_column_stride = 0;
      return weights;
    }

    // Rows in the order of steps, see ScalesOfStep; in fixed point if the CPU, the scales' places and all numbers allow it.
    void prepare(float* left, std::size_t rows, std::size_t row_floats, float* plain) {
      const std::size_t lanes = hn::Lanes(FloatTag()), filled = (depth + step() - 1) / step() * step();
      for (std::size_t row = 0; row < rows; ++row) {
        float* const to = left + row * row_floats;
        std::copy_n(to, filled, plain);
        for (std::size_t k = 0; k < filled; k += step())
          Packing<Compiled>::transpose(reinterpret_cast<const char*>(plain + k), 8 * sizeof(float), lanes, 8, to + k, lanes);
      }
#if COTENANT_X86_DOT
      using Fixed = FixedPairsProduct<0, 1, 2, 3>;
      fixed = Dots<Compiled>::has_u8_i8() && (scales.count == 1 || scaling.scale_block_stride == 1);
      const auto each_step = [&](const auto& use) {
        for (std::size_t row = 0; fixed && row < rows; ++row)
          for (std::size_t k = 0; k < filled; k += step()) use(left + row * row_floats + k);
      };
      each_step([&](const float* floats) { fixed = fixed && Fixed::fits(floats); });
      each_step([](float* floats) { Fixed::convert(floats); });
#endif
    }
    // Of 0 columns, the first one as all of four.
    void products(const float* one, const float* two, std::size_t column, std::size_t columns, float* sums, float* more) const {
      const bool same = columns == 0;
      // The weights two groups later are asked for.
      PairsPart part{static_cast<const std::uint8_t*>(w.values) + static_cast<std::ptrdiff_t>(column) * w.column_stride, same ? 0 : w.column_stride,
                     scaling.scale + static_cast<std::ptrdiff_t>(column) * scaling.scale_column_stride, same ? 0 : scaling.scale_column_stride,
                     8 * w.column_stride, steps, same ? 4 : columns};
      run(part, one, two, scales, sums, more);
      if (rest != 0) add_rest(part, one + steps * step(), two + steps * step(), sums, more);
    }
    void add_rest(PairsPart part, const float* one, const float* two, float* sums, float* more) const {
      HWY_ALIGN std::uint8_t copy[4][HWY_MAX_BYTES] = {};
      const std::ptrdiff_t done = scales.steps == 1 ? static_cast<std::ptrdiff_t>(steps) * scales.next : 0;  // longer blocks end with a step
      for (std::size_t group = 0; group < part.columns; group += 4) {
        for (std::size_t i = 0; i < 4; ++i)
          std::copy_n(part.weights + static_cast<std::ptrdiff_t>(group + i) * part.column_stride + steps * step() / 2, (rest + 1) / 2, copy[i]);
        const PairsPart last{copy[0], HWY_MAX_BYTES, part.scales + static_cast<std::ptrdiff_t>(group) * part.scale_stride + done, part.scale_stride, 0, 1, 4};
        run(last, one, two, last_scales, sums + group, more + group);
      }
    }
    void run(const PairsPart& part, const float* one, const float* two, const ScalesOfStep& of_step, float* sums, float* more) const {
#if COTENANT_X86_DOT
      if (fixed) {
        FixedPairsProduct<0, 1, 2, 3>::run(part, one, of_step, sums);
        if (one != two) FixedPairsProduct<0, 1, 2, 3>::run(part, two, of_step, more);
        return;
      }
#endif
      PairsProduct<0, 1, 2, 3>::run(part, one, two, of_step, sums, more);
    }
    bool is_to_finish() const { return scales_sums(w, depth); }
    float finished(std::size_t column, const float*, const float* sums_of_x, float sum) const { return scaled<std::int8_t>(w, column, depth, sums_of_x, sum); }
  };
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
