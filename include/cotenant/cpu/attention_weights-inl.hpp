// The softmax of attention on one CPU target: masks, weights and their totals for a panel of queries, block by block of keys.
#if defined(COTENANT_CPU_ATTENTION_WEIGHTS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_ATTENTION_WEIGHTS_INL_HPP
#undef COTENANT_CPU_ATTENTION_WEIGHTS_INL_HPP
#else
#define COTENANT_CPU_ATTENTION_WEIGHTS_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/attention_few-inl.hpp"
#include "cotenant/cpu/leaf-inl.hpp"
#include "cotenant/cpu/pack-inl.hpp"
#include "cotenant/cpu/row-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// A panel of queries: everything is [rows, lanes], `lanes` of two vectors or one.
struct AttentionPanel {
  std::size_t first = 0, count = 0;  // queries
  std::size_t lanes = 0;
  float* queries = nullptr;          // [depth, lanes], lanes of the leaf
  float* sums = nullptr;             // [width, lanes]: sum of weight * value
  float* shift = nullptr;            // [lanes]: what is subtracted from scores, near the largest one until now
  float* total = nullptr;            // [lanes]: sum of the weights
  bool started = false;              // sums hold something
};

// Two is whether a panel is two vectors wide.
template <std::int64_t Compiled, class Leaf, bool Two> struct AttentionWeights {
  // scores[key][lane] with the mask of that key and query, rows of keys in `mask`; `staged` has room for as many.
  static void mask(const AttentionPlan& plan, const AttentionPanel& panel, std::size_t keys, cpu::Source mask, float* scores, float* staged) {
    const FloatTag d;
    const std::size_t vector = hn::Lanes(d), lanes = (Two ? 2 : 1) * vector;
    const bool same_for_all = mask.row_stride == 0 || panel.count == 1;
    if (same_for_all) mask.load(mask.data, mask.column_stride, keys, staged);
    else {
      std::swap(mask.row_stride, mask.column_stride);
      Packing<Compiled>::copy(mask, keys, panel.count, staged, lanes);
      for (std::size_t key = 0; key < keys; ++key) std::fill(staged + key * lanes + panel.count, staged + (key + 1) * lanes, 0.0f);
    }
    for (std::size_t key = 0; key < keys; ++key)
      for (std::size_t lane = 0; lane < lanes; lane += vector) {
        float* const at = scores + key * lanes + lane;
        const auto score = hn::Load(d, at), value = same_for_all ? hn::Set(d, staged[key]) : hn::Load(d, staged + key * lanes + lane);
        hn::Store(masked_score(d, score, value, plan.mask_hides), d, at);
      }
  }

  static void hide_later_keys(const AttentionPlan& plan, const AttentionPanel& panel, std::size_t key, std::size_t keys, float* scores) {
    const std::size_t lanes = (Two ? 2 : 1) * hn::Lanes(FloatTag{});
    for (std::size_t lane = 0; lane < panel.count; ++lane) {
      const std::size_t seen = plan.keys_seen(panel.first + lane);
      for (std::size_t j = seen > key ? seen - key : 0; j < keys; ++j) scores[j * lanes + lane] = hidden_score;
    }
  }

  // Makes the shift large enough for a block of scores: where it grows, earlier sums are multiplied by what that makes of them.
  // Scores up to `slack` larger leave it alone: their weights are at most 2^8, and what only tells a query's weights apart divides out in the end.
  static void raise_shift(const AttentionPanel& panel, std::size_t keys, const float* scores, std::size_t rows) {
    const FloatTag d;
    const std::size_t vector = hn::Lanes(d), lanes = (Two ? 2 : 1) * vector;
    // The panel's second vector; of one vector only, the same again, which is not written.
    const std::size_t second = lanes - vector;
    const auto before0 = hn::Load(d, panel.shift), before1 = hn::Load(d, panel.shift + second), nothing = hn::Set(d, hidden_score);
    auto largest0 = nothing, largest1 = nothing, other0 = nothing, other1 = nothing;
    const auto take = [&](std::size_t key, FloatVector& zeroth, FloatVector& first) HWY_ATTR {
      zeroth = hn::Max(zeroth, hn::Load(d, scores + key * lanes));
      if constexpr (Two) first = hn::Max(first, hn::Load(d, scores + key * lanes + vector));
    };
    std::size_t key = 0;
    for (; key + 2 <= keys; key += 2) take(key, largest0, largest1), take(key + 1, other0, other1);
    if (key < keys) take(key, largest0, largest1);
    largest0 = hn::Max(largest0, other0);
    largest1 = Two ? hn::Max(largest1, other1) : largest0;
    const auto slack = hn::Set(d, 8 * score_unit / log2_e);
    if (hn::AllTrue(d, hn::Le(hn::Sub(largest0, slack), before0)) && hn::AllTrue(d, hn::Le(hn::Sub(largest1, slack), before1))) return;
    raise(d, panel, 0, hn::Max(before0, largest0), before0, rows);
    if constexpr (Two) raise(d, panel, second, hn::Max(before1, largest1), before1, rows);
  }

 private:
  static HWY_INLINE void raise(FloatTag d, const AttentionPanel& panel, std::size_t lane, FloatVector shift, FloatVector before, std::size_t rows) {
    const std::size_t lanes = (Two ? 2 : 1) * hn::Lanes(d);
    hn::Store(shift, d, panel.shift + lane);
    if (!panel.started) return;
    const auto factor = weight_of_score(d, hn::Sub(before, subtrahend(d, panel.shift + lane)));
    hn::Store(hn::Mul(hn::Load(d, panel.total + lane), factor), d, panel.total + lane);
    for (std::size_t row = 0; row < rows; ++row) hn::Store(hn::Mul(hn::Load(d, panel.sums + row * lanes + lane), factor), d, panel.sums + row * lanes + lane);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
