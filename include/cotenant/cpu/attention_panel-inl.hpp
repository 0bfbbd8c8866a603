// The two products of attention on one CPU target: single lanes of keys or values times panels of queries.
#if defined(COTENANT_CPU_ATTENTION_PANEL_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_ATTENTION_PANEL_INL_HPP
#undef COTENANT_CPU_ATTENTION_PANEL_INL_HPP
#else
#define COTENANT_CPU_ATTENTION_PANEL_INL_HPP
#endif
#include <cstddef>
#include <cstring>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/attention_few-inl.hpp"
#include "cotenant/cpu/leaf-inl.hpp"
#include "cotenant/cpu/row-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// As many rows of sums as the registers hold, see TileProduct: 12 * 2 sums of 32 registers, 6 * 2 of 16. Fewer where weights are made meanwhile.
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR || HWY_ARCH_WASM
inline constexpr std::size_t attention_rows = 6, weighing_rows = 4;
#else
inline constexpr std::size_t attention_rows = 12, weighing_rows = 8;
#endif

template <std::size_t> struct SumsOfQuery { using type = FloatVector; };

// The left operand: rows of lanes as the leaf has them, steps in bytes.
struct AttentionRows {
  const char* data = nullptr;
  std::ptrdiff_t row_step = 0, depth_step = 0;

  HWY_INLINE FloatVector spread(FloatTag d, std::size_t row) const {
    float lane;
    std::memcpy(&lane, data + static_cast<std::ptrdiff_t>(row) * row_step, sizeof lane);
    return hn::Set(d, lane);
  }
};

// What is subtracted from scores. Where every key is hidden yet, the weights exp(-inf - 0) are 0.
HWY_INLINE FloatVector subtrahend(FloatTag d, const float* shift) {
  const auto value = hn::Load(d, shift);
  return hn::IfThenElseZero(hn::Gt(value, hn::Set(d, hidden_score)), value);
}

// The right operand: lanes [depth, width] that lie there.
template <bool Two> struct LanesThere {
  const float* at;
  HWY_INLINE void next(FloatTag d, FloatVector& first, FloatVector& second) {
    const std::size_t lanes = hn::Lanes(d);
    first = hn::Load(d, at);
    if constexpr (Two) second = hn::Load(d, at + lanes);
    at += (Two ? 2 : 1) * lanes;
  }
};
// Lanes that are made of scores, and left behind for the tiles that come next: weights exp(score - shift), and their totals. So their
// arithmetic has the time that a tile's multiplications leave; each is made a step before it is asked for, because it takes some 40 cycles.
template <class Leaf, bool Two> class LanesOfScores {
 public:
  FloatVector total0, total1;

  // `scores` of `keys`, at least one; weights are written where scores were read. Behind the last lane there is room for another, which
  // may hold anything: weights are made of it that nobody asks for.
  HWY_INLINE COTENANT_DOT_CODE LanesOfScores(FloatTag d, float* scores, std::size_t keys, FloatVector shift0, FloatVector shift1, FloatVector first_total,
                                            FloatVector second_total)
      : total0(first_total), total1(second_total), from_(scores), to_(scores), left_(keys), shift0_(shift0), shift1_(shift1) { make(d); }

  HWY_INLINE COTENANT_DOT_CODE void next(FloatTag d, FloatVector& first, FloatVector& second) {
    first = next0_;
    hn::Store(first, d, to_);
    total0 = hn::Add(total0, sum0_);
    if constexpr (Two) {
      second = next1_;
      hn::Store(second, d, to_ + hn::Lanes(d));
      total1 = hn::Add(total1, sum1_);
    }
    to_ += (Two ? 2 : 1) * hn::Lanes(d);
    from_ += Leaf::per_lane * (Two ? 2 : 1) * hn::Lanes(d);
    left_ -= Leaf::per_lane;
    make(d);
  }

 private:
  HWY_INLINE COTENANT_DOT_CODE void make(FloatTag d) {
    next0_ = weights(d, from_, shift0_, sum0_);
    if constexpr (Two) next1_ = weights(d, from_ + hn::Lanes(d), shift1_, sum1_);
  }
  // A lane, and the sum of the weights in it.
  HWY_INLINE COTENANT_DOT_CODE FloatVector weights(FloatTag d, const float* scores, FloatVector shift, FloatVector& sum) const {
    sum = weight_of_score(d, hn::Sub(hn::Load(d, scores), shift));
    if constexpr (Leaf::per_lane == 1) return sum;
    else {
      const auto first = sum;
      const auto second = left_ != 1 ? weight_of_score(d, hn::Sub(hn::Load(d, scores + (Two ? 2 : 1) * hn::Lanes(d)), shift)) : hn::Zero(d);
      sum = hn::Add(first, second);
      return Leaf::pair(first, second);
    }
  }
  float *from_, *to_;
  std::size_t left_;
  FloatVector shift0_, shift1_, next0_, next1_, sum0_, sum1_;
};

// What becomes of a product: sums[row] = sum + sums[row] where it is added, and where there are terms sum * scale + terms[row].
struct PanelFinish {
  bool add = false;
  float scale = 1;
  const float* terms = nullptr;
};

// sums[R][width] of sum over k < depth of left(R, k) * right[k][width].
template <class Leaf, bool Two, std::size_t... R> struct PanelProduct {
  // As many steps of the loop over k as K are written out.
  template <class Right, std::size_t... K>
  static HWY_INLINE COTENANT_DOT_CODE void run(std::index_sequence<K...>, AttentionRows left, Right& right, std::size_t depth, float* sums,
                                               const PanelFinish& finish, typename SumsOfQuery<R>::type... first, typename SumsOfQuery<R>::type... second) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), width = Two ? 2 * lanes : lanes;
    FloatVector right_first = hn::Zero(d), right_second = right_first, value;
    std::size_t k = 0;
    if constexpr (sizeof...(K) > 1)
      for (; k + sizeof...(K) <= depth; k += sizeof...(K))
        ((static_cast<void>(K), right.next(d, right_first, right_second),
          ((value = left.spread(d, R), first = Leaf::accumulate(first, value, right_first),
            second = Two ? Leaf::accumulate(second, value, right_second) : second),
           ...),
          left.data += left.depth_step),
         ...);
    for (; k < depth; ++k) {
      right.next(d, right_first, right_second);
      ((value = left.spread(d, R), first = Leaf::accumulate(first, value, right_first),
        second = Two ? Leaf::accumulate(second, value, right_second) : second),
       ...);
      left.data += left.depth_step;
    }
    if (finish.terms != nullptr) {
      const auto scale = hn::Set(d, finish.scale);
      ((value = hn::Set(d, finish.terms[R]), first = hn::MulAdd(first, scale, value), second = Two ? hn::MulAdd(second, scale, value) : second), ...);
    }
    (hn::Store(first, d, sums + R * width), ...);
    if constexpr (Two) (hn::Store(second, d, sums + R * width + lanes), ...);
  }
  template <class Steps, class Right>
  static HWY_INLINE COTENANT_DOT_CODE void add(Steps steps, const AttentionRows& left, Right& right, std::size_t depth, float* sums,
                                               const PanelFinish& finish) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), width = Two ? 2 * lanes : lanes;
    FloatVector before[] = {(static_cast<void>(R), hn::Zero(d))...}, other[] = {(static_cast<void>(R), hn::Zero(d))...};
    if (finish.add) ((before[R] = hn::Load(d, sums + R * width), other[R] = hn::Load(d, sums + R * width + width - lanes)), ...);
    run(steps, left, right, depth, sums, finish, before[R]..., other[R]...);
  }
};

template <std::int64_t Compiled, class Leaf> struct PanelProducts {
  // sums[rows][lanes] of left · right, a tile of rows at a time; of two vectors or one.
  template <bool Two> static void product(std::size_t rows, AttentionRows left, const float* right, std::size_t depth, float* sums, PanelFinish finish) {
    const std::size_t lanes = (Two ? 2 : 1) * hn::Lanes(FloatTag{});
    for (std::size_t row = 0; row < rows;) {
      const std::size_t height = tile_of(rows - row);
      switch (height) {
        case 1: tile<Two>(std::make_index_sequence<1>{}, left, right, depth, sums, finish); break;
        case 4: tile<Two>(std::make_index_sequence<4>{}, left, right, depth, sums, finish); break;
        case 8: if constexpr (attention_rows > 8) tile<Two>(std::make_index_sequence<8>{}, left, right, depth, sums, finish); break;
        default: tile<Two>(std::make_index_sequence<attention_rows>{}, left, right, depth, sums, finish); break;
      }
      row += height;
      left.data += static_cast<std::ptrdiff_t>(height) * left.row_step;
      sums += height * lanes;
      if (finish.terms != nullptr) finish.terms += height;
    }
  }
  // The same of weighing_rows rows, while scores become weights; their totals are added to `total`.
  template <bool Two>
  static void weigh(const AttentionRows& left, float* scores, std::size_t keys, const float* shift, float* total, float* sums, bool add) {
    weigh_rows<Two>(std::make_index_sequence<weighing_rows>{}, left, scores, keys, shift, total, sums, add);
  }

 private:
  static std::size_t tile_of(std::size_t rows) {
    if (rows >= attention_rows) return attention_rows;
    return attention_rows > 8 && rows >= 8 ? 8 : rows >= 4 ? 4 : 1;
  }
  template <bool Two, std::size_t... R>
  static COTENANT_DOT_CODE void tile(std::index_sequence<R...>, const AttentionRows& left, const float* right, std::size_t depth, float* sums,
                                     const PanelFinish& finish) {
    LanesThere<Two> lanes{right};
    // The tile that most of the work is done by: written out eight times it takes 0.92 of the time, four times 0.95.
    PanelProduct<Leaf, Two, R...>::add(std::make_index_sequence<Two && sizeof...(R) == attention_rows ? 8 : 1>{}, left, lanes, depth, sums, finish);
  }
  template <bool Two, std::size_t... R>
  static COTENANT_DOT_CODE void weigh_rows(std::index_sequence<R...>, const AttentionRows& left, float* scores, std::size_t keys, const float* shift,
                                           float* total, float* sums, bool add) {
    const FloatTag d;
    const std::size_t second = Two ? hn::Lanes(d) : 0;
    LanesOfScores<Leaf, Two> lanes(d, scores, keys, subtrahend(d, shift), subtrahend(d, shift + second), hn::Load(d, total), hn::Load(d, total + second));
    PanelProduct<Leaf, Two, R...>::add(std::make_index_sequence<1>{}, left, lanes, (keys + Leaf::per_lane - 1) / Leaf::per_lane, sums, {add});
    hn::Store(lanes.total0, d, total);
    if constexpr (Two) hn::Store(lanes.total1, d, total + second);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
