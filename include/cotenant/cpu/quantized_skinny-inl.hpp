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

// Of the 32 bits in each lane the value of 4-bit number `I`.
template <int I> HWY_INLINE FloatVector value_of_nibble(FloatTag d, hn::Vec<hn::RebindToSigned<FloatTag>> bits) {
#if COTENANT_X86_DOT
  // A vector of 16 floats is the table of all values of 4 bits.
  HWY_ALIGN static constexpr float values[16] = {0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1};
  return lookup_lanes(hn::Load(d, values), hn::ShiftRight<4 * I>(bits));
#else
  return hn::ConvertTo(d, hn::ShiftRight<28>(hn::ShiftLeft<28 - 4 * I>(bits)));
#endif
}

// Where the scales of 4-bit weights lie: a step's quarters have those at these offsets from the first one's, the next ones come `steps` steps
// and `next` floats later.
struct ScalesOfStep {
  std::ptrdiff_t second, third, fourth, next, column_stride;
  std::size_t steps;
  // Of a step of `count` weights (its last ones are not there) and blocks of `block`.
  ScalesOfStep(const cpu::QuantizedWeights& w, std::size_t step, std::size_t count)
      : column_stride(w.scale_column_stride), steps(std::max<std::size_t>(1, w.block_size / step)) {
    const std::size_t scales = std::max<std::size_t>(1, step / w.block_size), there = std::max<std::size_t>(1, count / w.block_size);
    const auto of_quarter = [&](std::size_t q) { return static_cast<std::ptrdiff_t>(std::min(q * scales / 4, there - 1)) * w.scale_block_stride; };
    second = of_quarter(1), third = of_quarter(2), fourth = of_quarter(3);
    next = static_cast<std::ptrdiff_t>(scales) * w.scale_block_stride;
  }
};

// A few columns C of 4-bit weights that lie along k, and two rows of the left operand (or one, where both are the same): see
// SkinnyProduct for why the sums are parameters. A step is a vector of bytes, in each lane of 32 bits eight weights that follow each
// other; of a left row it takes eight vectors, of which vector i has in lane l what weight 8 l + i is multiplied with. A shift and a lookup
// unpack 16 weights; as many bytes as lanes at a time took 1.2 to 1.3 times as long in cache.
template <bool Blocked, std::size_t... C> struct PairsProduct {
  struct Part {
    const float *one, *two;       // the left rows
    const std::uint8_t* weights;  // of the first column
    std::ptrdiff_t column_stride;
    std::ptrdiff_t ahead;         // bytes to what is read next
    std::size_t steps;
    const float* scale;
    float *sums, *more;           // added to
  };
  static HWY_INLINE void run(const Part& part, const ScalesOfStep& scaling, typename SumsOfWeights<C>::type... first,
                             typename SumsOfWeights<C>::type... second) {
    const FloatTag d;
    const hn::RebindToSigned<FloatTag> integer;
    const std::size_t lanes = hn::Lanes(d);
    const std::uint8_t* columns[] = {part.weights + static_cast<std::ptrdiff_t>(C) * part.column_stride...};
    const float* scales[] = {part.scale + static_cast<std::ptrdiff_t>(C) * scaling.column_stride...};
    const float *one = part.one, *two = part.two;
    const auto lane = hn::Iota(d, 0.0f);
    const auto from = [&](int quarter) { return hn::Ge(lane, hn::Set(d, static_cast<float>(quarter) / 4 * static_cast<float>(lanes))); };
    const auto from_second = from(1), from_third = from(2), from_fourth = from(3);
    const auto add = [&](FloatVector sum, FloatVector product, const float* scale) {
      if constexpr (!Blocked) return hn::Add(product, sum);
      auto scales_of_lanes = hn::IfThenElse(from_second, hn::Set(d, scale[scaling.second]), hn::Set(d, scale[0]));
      scales_of_lanes = hn::IfThenElse(from_third, hn::Set(d, scale[scaling.third]), scales_of_lanes);
      return hn::MulAdd(product, hn::IfThenElse(from_fourth, hn::Set(d, scale[scaling.fourth]), scales_of_lanes), sum);
    };
    for (std::size_t s = 0; s < part.steps;) {
      for (const std::size_t end = Blocked ? s + scaling.steps : part.steps; s < end; ++s, one += 8 * lanes, two += 8 * lanes) {
        FloatVector products[] = {(static_cast<void>(C), hn::Zero(d))...}, more[] = {(static_cast<void>(C), hn::Zero(d))...};
        (hwy::Prefetch(columns[C] + part.ahead), ...);
        if (part.one == part.two) multiply<false>(one, two, products, more, hn::LoadU(integer, reinterpret_cast<const std::int32_t*>(columns[C]))...);
        else multiply<true>(one, two, products, more, hn::LoadU(integer, reinterpret_cast<const std::int32_t*>(columns[C]))...);
        ((first = add(first, products[C], scales[C]), second = part.one == part.two ? second : add(second, more[C], scales[C]), columns[C] += 4 * lanes), ...);
      }
      if constexpr (Blocked) ((scales[C] += scaling.next), ...);
    }
    ((part.sums[C] += hn::GetLane(hn::SumOfLanes(d, first))), ...);
    if (part.one != part.two) ((part.more[C] += hn::GetLane(hn::SumOfLanes(d, second))), ...);
  }

 private:
  // One number after the other, of all columns each: chains of additions that depend on each other have time then.
  template <bool Two, class... Bits>
  static HWY_INLINE void multiply(const float* one, const float* two, FloatVector* products, FloatVector* more, Bits... bits) {
    numbers<Two, 0>(one, two, products, more, bits...);
    numbers<Two, 1>(one, two, products, more, bits...);
    numbers<Two, 2>(one, two, products, more, bits...);
    numbers<Two, 3>(one, two, products, more, bits...);
    numbers<Two, 4>(one, two, products, more, bits...);
    numbers<Two, 5>(one, two, products, more, bits...);
    numbers<Two, 6>(one, two, products, more, bits...);
    numbers<Two, 7>(one, two, products, more, bits...);
  }
  template <bool Two, int I, class... Bits>
  static HWY_INLINE void numbers(const float* one, const float* two, FloatVector* products, FloatVector* more, Bits... bits) {
    const FloatTag d;
    const auto x = hn::LoadU(d, one + I * hn::Lanes(d)), y = Two ? hn::LoadU(d, two + I * hn::Lanes(d)) : x;
    FloatVector value;
    ((value = value_of_nibble<I>(d, bits), products[C] = hn::MulAdd(value, x, products[C]), more[C] = Two ? hn::MulAdd(value, y, more[C]) : more[C]), ...);
  }
};

// The same for weights of a byte each.
template <class B, bool Blocked, std::size_t... C> struct QuantizedSkinnyProduct {
  struct Step {
    const float *one, *two;
    std::size_t steps, per_block;  // steps: whole vectors of elements; per_block: of each scale
    const cpu::QuantizedWeights& weights;
    std::size_t column;
    std::ptrdiff_t ahead;  // columns to those that come next, 0 where none do
    float *sums, *more;
  };
  static HWY_INLINE void run(const Step& step, typename SumsOfWeights<C>::type... first, typename SumsOfWeights<C>::type... second) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto& w = step.weights;
    const B* const columns[] = {static_cast<const B*>(w.values) + static_cast<std::ptrdiff_t>(step.column + C) * w.column_stride...};
    const float* scales[] = {w.scale + static_cast<std::ptrdiff_t>(step.column + C) * w.scale_column_stride...};
    FloatVector x;
    for (std::size_t s = 0; s < step.steps;) {
      for (const std::size_t end = Blocked ? s + step.per_block : step.steps; s < end; ++s) {
        const std::size_t i = s * lanes;
        // The next columns' bytes, a cache line for each 64 bytes of these; their scales, four bytes for 16 or more.
        if (i % 64 == 0) (hwy::Prefetch(columns[C] + step.ahead * w.column_stride + static_cast<std::ptrdiff_t>(i)), ...);
        if (Blocked && i % 256 == 0) (hwy::Prefetch(scales[C] + step.ahead * w.scale_column_stride), ...);
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
    ((step.sums[C] = hn::GetLane(hn::SumOfLanes(d, first))), ...);
    if (step.one != step.two) ((step.more[C] = hn::GetLane(hn::SumOfLanes(d, second))), ...);
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
    const auto& w = *static_cast<const cpu::QuantizedWeights*>(problem.scaling);
    if (w.block_size == problem.depth) columns_of<B, false>(problem, w, first_column, last_column);
    else columns_of<B, true>(problem, w, first_column, last_column);
  }

 private:
  template <class B, bool Blocked> static void columns_of(const cpu::GemmProblem& problem, const cpu::QuantizedWeights& w, std::size_t first_column,
      std::size_t last_column) {
    constexpr bool packed = std::is_same_v<B, i4x2>;
    const std::size_t columns = last_column - first_column, depth = problem.depth, rows = problem.rows, lanes = hn::Lanes(FloatTag{});
    const std::size_t blocks = depth / w.block_size, padded = columns + lanes, step = packed ? 8 * lanes : lanes;
    // Rows of floats, of pairs filled up to whole steps and in their order; behind them their sums over each block, which zero points multiply.
    const std::size_t filled = packed ? (depth + step - 1) / step * step : depth, row_floats = filled + blocks;
    float* const left = cpu::scratch(cpu::ScratchUse::packed_left, rows * row_floats + filled);
    for (std::size_t row = 0; row < rows; ++row) {
      float *const to = left + row * row_floats, *const plain = packed ? left + rows * row_floats : to;
      problem.left.load(problem.left.at(static_cast<std::ptrdiff_t>(row) * problem.left.row_stride), problem.left.column_stride, depth, plain);
      if constexpr (packed) std::fill(plain + depth, plain + filled, 0.0f);
      if (w.zero != nullptr)
        for (std::size_t block = 0; block < blocks; ++block) {
          double sum = 0;
          for (std::size_t k = block * w.block_size; k < (block + 1) * w.block_size; ++k) sum += static_cast<double>(plain[k]);
          to[filled + block] = static_cast<float>(sum);
        }
      if constexpr (packed)
        for (std::size_t k = 0; k < filled; k += step)
          for (std::size_t lane = 0; lane < lanes; ++lane)
            for (std::size_t i = 0; i < 8; ++i) to[k + i * lanes + lane] = plain[k + 8 * lane + i];
    }
    float* const sums = problem.direct != nullptr ? problem.direct + first_column : cpu::scratch(cpu::ScratchUse::accumulators, rows * padded);
    const std::ptrdiff_t sums_step = problem.direct != nullptr ? problem.direct_stride : static_cast<std::ptrdiff_t>(padded);
    const std::conditional_t<packed, Pairs, Bytes> kind(w, depth, step);
    for (std::size_t n = 0; n < columns; n += n + 4 <= columns ? 4 : 1) {
      const std::size_t some = n + 4 <= columns ? 4 : 1;
      const std::ptrdiff_t ahead = n + 2 * some <= columns ? static_cast<std::ptrdiff_t>(some) : 0;
      // All rows while the weights of these columns are in the L1 cache.
      for (std::size_t row = 0; row < rows; row += 2) {
        const float* const one = left + row * row_floats;
        const float* const two = row + 1 < rows ? one + row_floats : one;
        float* const to = sums + static_cast<std::ptrdiff_t>(row) * sums_step + static_cast<std::ptrdiff_t>(n);
        float* const more = two == one ? to : to + sums_step;
        if (some == 4) kind.template product<B, Blocked>(std::index_sequence<0, 1, 2, 3>{}, w, one, two, first_column + n, ahead, to, more);
        else kind.template product<B, Blocked>(std::index_sequence<0>{}, w, one, two, first_column + n, ahead, to, more);
        for (std::size_t i = 0; i < some; ++i) {
          to[i] = finished<B, Blocked>(w, first_column + n + i, one, one + filled, depth, to[i]);
          if (two != one) more[i] = finished<B, Blocked>(w, first_column + n + i, two, two + filled, depth, more[i]);
        }
      }
    }
    if (problem.direct != nullptr) return;
    for (std::size_t column = 0; column < columns; column += cpu::staged_columns)
      problem.finish(problem.context, problem.batch, sums + column, sums_step, 0, first_column + column, rows, std::min(cpu::staged_columns, columns - column));
  }
  // Weights of a byte: `steps` vectors of elements, `per_block` of each scale; the elements behind the last one are left to finished().
  struct Bytes {
    std::size_t steps, per_block;
    Bytes(const cpu::QuantizedWeights& w, std::size_t depth, std::size_t step) : steps(depth / step), per_block(w.block_size / step) {}
    template <class B, bool Blocked, std::size_t... C>
    HWY_INLINE void product(std::index_sequence<C...>, const cpu::QuantizedWeights& w, const float* one, const float* two, std::size_t column,
                            std::ptrdiff_t ahead, float* to, float* more) const {
      const auto zero = hn::Zero(FloatTag{});
      QuantizedSkinnyProduct<B, Blocked, C...>::run({one, two, steps, per_block, w, column, ahead, to, more}, (static_cast<void>(C), zero)...,
                                                    (static_cast<void>(C), zero)...);
    }
  };
  // Of 4 bits: `steps` whole ones; one that ends behind the last weight is made of a copy, filled up with zeros.
  struct Pairs {
    std::size_t step, steps, rest;
    ScalesOfStep scales, last_scales;
    Pairs(const cpu::QuantizedWeights& w, std::size_t depth, std::size_t size)
        : step(size), steps(depth / size), rest(depth % size), scales(w, size, size), last_scales(w, size, rest) {}
    template <class B, bool Blocked, std::size_t... C>
    HWY_INLINE void product(std::index_sequence<C...>, const cpu::QuantizedWeights& w, const float* one, const float* two, std::size_t column,
                            std::ptrdiff_t ahead, float* to, float* more) const {
      const auto zero = hn::Zero(FloatTag{});
      using Product = PairsProduct<Blocked, C...>;
      const auto* const weights = static_cast<const std::uint8_t*>(w.values) + static_cast<std::ptrdiff_t>(column) * w.column_stride;
      const float* const scale = w.scale + static_cast<std::ptrdiff_t>(column) * w.scale_column_stride;
      ((to[C] = more[C] = 0), ...);
      Product::run({one, two, weights, w.column_stride, ahead * w.column_stride, steps, scale, to, more}, scales, (static_cast<void>(C), zero)...,
                   (static_cast<void>(C), zero)...);
      if (rest == 0) return;
      HWY_ALIGN std::uint8_t copy[sizeof...(C)][HWY_MAX_BYTES] = {};
      (std::copy_n(weights + static_cast<std::ptrdiff_t>(C) * w.column_stride + steps * step / 2, (rest + 1) / 2, copy[C]), ...);
      const std::ptrdiff_t done = scales.steps == 1 ? static_cast<std::ptrdiff_t>(steps) * scales.next : 0;  // longer blocks end with a step
      Product::run({one + steps * step, two + steps * step, copy[0], HWY_MAX_BYTES, 0, 1, scale + done, to, more}, last_scales, (static_cast<void>(C), zero)...,
                   (static_cast<void>(C), zero)...);
    }
  };

  // The elements behind the last whole vector, the scale where there is one, and the zero points, which multiply sums of x.
  template <class B, bool Blocked>
  static HWY_INLINE float finished(const cpu::QuantizedWeights& w, std::size_t column, const float* x, const float* sums_of_x, std::size_t depth, float sum) {
    if constexpr (!Blocked) {
      if constexpr (!std::is_same_v<B, i4x2>) {
        const auto* values = static_cast<const B*>(w.values) + static_cast<std::ptrdiff_t>(column) * w.column_stride;
        for (std::size_t i = depth / hn::Lanes(FloatTag{}) * hn::Lanes(FloatTag{}); i < depth; ++i) sum += x[i] * static_cast<float>(values[i]);
      }
      if (w.zero != nullptr) sum -= *sums_of_x * w.template zero_at<quantized_value<B>>(0, column);
      return sum * w.scale_at(0, column);
    }
    if (w.zero != nullptr)
      for (std::size_t block = 0; block < depth / w.block_size; ++block)
        sum -= sums_of_x[block] * w.template zero_at<quantized_value<B>>(block, column) * w.scale_at(block, column);
    return sum;
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
