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
  float* largest = nullptr;          // [lanes]: of the scores until now
  float* total = nullptr;            // [lanes]: sum of the weights
  float* factor = nullptr;           // [lanes]: what the last block made of earlier sums
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

  // Scores become weights 2^(score - largest), lanes of the leaf, and are added to the totals. True where earlier sums must be rescaled.
  static COTENANT_DOT_CODE bool add(const AttentionPanel& panel, std::size_t keys, float* scores) {
    const FloatTag d;
    const std::size_t vector = hn::Lanes(d), lanes = (Two ? 2 : 1) * vector, odd = keys % 2 * lanes;
    // The panel's second vector; of one vector only, the same again, which is not written.
    const std::size_t second = lanes - vector;
    const float* const end = scores + keys * lanes;
    const auto before0 = hn::Load(d, panel.largest), before1 = hn::Load(d, panel.largest + second);
    auto largest0 = before0, largest1 = before1, other0 = before0, other1 = before1;
    if (odd != 0) {
      other0 = hn::Max(before0, hn::Load(d, scores));
      other1 = hn::Max(before1, hn::Load(d, scores + second));
    }
    for (const float* at = scores + odd; at != end; at += 2 * lanes) {
      largest0 = hn::Max(largest0, hn::Load(d, at));
      other0 = hn::Max(other0, hn::Load(d, at + lanes));
      if constexpr (Two) {
        largest1 = hn::Max(largest1, hn::Load(d, at + vector));
        other1 = hn::Max(other1, hn::Load(d, at + lanes + vector));
      }
    }
    largest0 = hn::Max(largest0, other0);
    largest1 = Two ? hn::Max(largest1, other1) : largest0;
    // Where every key is hidden yet, the weights 2^(-inf - 0) are 0.
    const auto nothing = hn::Set(d, hidden_score);
    const auto shift0 = hn::IfThenElseZero(hn::Gt(largest0, nothing), largest0), shift1 = hn::IfThenElseZero(hn::Gt(largest1, nothing), largest1);
    const auto factor0 = exp2_of_negative(d, hn::Sub(before0, shift0)), factor1 = Two ? exp2_of_negative(d, hn::Sub(before1, shift1)) : factor0;
    auto total0 = hn::Mul(hn::Load(d, panel.total), factor0), total1 = hn::Mul(hn::Load(d, panel.total + second), factor1);
    float* to = scores;
    for (const float* at = scores; at != end; to += lanes) {
      const auto left = static_cast<std::size_t>(end - at);
      total0 = add_lane(d, total0, at, lanes, left, shift0, to);
      if constexpr (Two) total1 = add_lane(d, total1, at + vector, lanes, left, shift1, to + vector);
      at += left < Leaf::per_lane * lanes ? left : Leaf::per_lane * lanes;
    }
    const auto keep = [&](std::size_t lane, FloatVector largest, FloatVector factor, FloatVector total) {
      hn::Store(largest, d, panel.largest + lane);
      hn::Store(factor, d, panel.factor + lane);
      hn::Store(total, d, panel.total + lane);
    };
    keep(0, largest0, factor0, total0);
    if constexpr (Two) keep(second, largest1, factor1, total1);
    return !hn::AllTrue(d, hn::Eq(before0, largest0)) || !hn::AllTrue(d, hn::Eq(before1, largest1));
  }

  static void rescale(const AttentionPanel& panel, std::size_t rows) {
    const FloatTag d;
    const std::size_t vector = hn::Lanes(d), lanes = (Two ? 2 : 1) * vector;
    const auto first = hn::Load(d, panel.factor), second = hn::Load(d, panel.factor + lanes - vector);
    for (float* at = panel.sums; at != panel.sums + rows * lanes; at += lanes) {
      hn::Store(hn::Mul(hn::Load(d, at), first), d, at);
      if constexpr (Two) hn::Store(hn::Mul(hn::Load(d, at + vector), second), d, at + vector);
    }
  }

 private:
  // The weights of as many keys as a lane holds, `step` apart, which may write where they are read; the total with them.
  static HWY_INLINE COTENANT_DOT_CODE FloatVector add_lane(FloatTag d, FloatVector total, const float* at, std::size_t step, std::size_t left, FloatVector shift, float* to) {
    const auto first = exp2_of_negative(d, hn::Sub(hn::Load(d, at), shift));
    if constexpr (Leaf::per_lane == 1) {
      hn::Store(first, d, to);
      return hn::Add(total, first);
    } else {
      const auto second = left > step ? exp2_of_negative(d, hn::Sub(hn::Load(d, at + step), shift)) : hn::Zero(d);
      hn::Store(Leaf::pair(first, second), d, to);
      return hn::Add(total, hn::Add(first, second));
    }
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
