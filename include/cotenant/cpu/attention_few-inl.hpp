// attention of one to four queries on one CPU target, such as a decoder's next token: keys and values are read once, where they lie.
#if defined(COTENANT_CPU_ATTENTION_FEW_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef COTENANT_CPU_ATTENTION_FEW_INL_HPP
#undef COTENANT_CPU_ATTENTION_FEW_INL_HPP
#else
#define COTENANT_CPU_ATTENTION_FEW_INL_HPP
#endif
#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include <hwy/highway.h>

#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/iteration.hpp"
#include "cotenant/cpu/row-inl.hpp"
#include "cotenant/cpu/scratch.hpp"
#include "cotenant/cpu/skinny-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cotenant::HWY_NAMESPACE {

// One attention with its element types erased. As Sources the rows are queries or keys, the columns what is summed or written.
struct AttentionPlan {
  cpu::Source q, k, v, mask;  // mask.data is null where there is none
  cpu::Sink out;
  cpu::Iteration<5> batch;  // of out, q, k, v, mask
  bool mask_hides = false;  // 0 hides a key; else the mask is added
  bool causal = false;
  float scale = 1;
  std::size_t queries = 0, keys = 0, depth = 0, width = 0;  // M, N, D, Dv
  std::size_t task_panels = 0, tasks = 0;                    // panels of a task, tasks of a batch entry
  // Products with few rows on the left that read k's and v's own element types.
  void (*few_scores)(const cpu::GemmProblem&, std::size_t, std::size_t) = nullptr;
  void (*few_results)(const cpu::GemmProblem&, std::size_t, std::size_t) = nullptr;

  // The number of keys that a query may see.
  std::size_t keys_seen(std::size_t query) const {
    if (!causal) return keys;
    return keys + query + 1 > queries ? std::min(keys, keys + query + 1 - queries) : 0;
  }
};

// Scores are multiplied by this, so that a weight is a power of two, or of the table's 2^(1/32): one multiplication less for each.
#if COTENANT_X86_DOT
inline constexpr float score_unit = 32 * log2_e;
#else
inline constexpr float score_unit = log2_e;
#endif
// exp(x / score_unit) for x less than some 90 units, or NaN, which stays; 0 below -87 of them, where the weight does not count beside the largest.
HWY_INLINE FloatVector weight_of_score(FloatTag d, FloatVector x) {
#if COTENANT_X86_DOT
  x = at_least(hn::Set(d, -127.0f * 32), x);
  const auto shifted = hn::Add(x, hn::Set(d, rounding_shift));
  return power_of_rest(d, hn::Sub(x, hn::Sub(shifted, hn::Set(d, rounding_shift))), shifted);
#else
  return exp2_of_negative(d, x);
#endif
}
inline constexpr float hidden_score = -std::numeric_limits<float>::infinity();

// A score with its mask.
HWY_INLINE FloatVector masked_score(FloatTag d, FloatVector score, FloatVector mask, bool hides) {
  const auto least = hn::Set(d, std::numeric_limits<float>::lowest());
  // Among finite masks the least float stays finite: where all are, the weights are equal, not 0.
  const auto multiple = hn::Mul(mask, hn::Set(d, score_unit));
  const auto added = hn::IfThenElse(hn::And(hn::Lt(multiple, least), hn::Ge(mask, least)), least, multiple);
  return hides ? hn::IfThenElse(hn::Eq(mask, hn::Zero(d)), hn::Set(d, hidden_score), score) : hn::Add(score, added);
}

template <std::int64_t Compiled> struct FewQueries {
  // Whether run() takes this plan; few_scores and few_results must be set then.
  static bool takes(const AttentionPlan& plan) {
    return plan.queries <= Skinny<Compiled>::most_rows && Skinny<Compiled>::takes(scores_of(plan)) && Skinny<Compiled>::takes(results_of(plan));
  }

  // The batch entries [begin, end).
  static void run(const void* context, std::size_t begin, std::size_t end) {
    const AttentionPlan& plan = *static_cast<const AttentionPlan*>(context);
    const std::size_t lanes = hn::Lanes(FloatTag{});
    const auto round_up = [&](std::size_t floats) { return (floats + lanes - 1) / lanes * lanes; };
    const std::size_t keys = round_up(plan.keys), width = round_up(plan.width);
    float* const scores = cpu::scratch(cpu::ScratchUse::row, plan.queries * (keys + width) + keys);
    float* const results = scores + plan.queries * keys;
    float* const mask = results + plan.queries * width;
    cpu::GemmProblem first = scores_of(plan), second = results_of(plan);
    first.direct = scores;
    first.direct_stride = static_cast<std::ptrdiff_t>(keys);
    second.direct = results;
    second.direct_stride = static_cast<std::ptrdiff_t>(width);
    second.left = Rows<Compiled>::source(static_cast<const float*>(scores), static_cast<std::ptrdiff_t>(keys), 1);
    for (std::size_t i = begin; i < end; ++i) {
      const cpu::Odometer<5> at(plan.batch, 0, i);
      first.left = plan.q.moved(at.offset(1));
      first.right.data = plan.k.at(at.offset(2));
      second.right.data = plan.v.at(at.offset(3));
      plan.few_scores(first, 0, plan.keys);
      float total[Skinny<Compiled>::most_rows];
      for (std::size_t query = 0; query < plan.queries; ++query) {
        const float* bias = nullptr;
        if (plan.mask.data != nullptr) {
          plan.mask.load(plan.mask.at(at.offset(4) + static_cast<std::ptrdiff_t>(query) * plan.mask.row_stride), plan.mask.column_stride, plan.keys, mask);
          std::fill(mask + plan.keys, mask + keys, 0.0f);
          bias = mask;
        }
        total[query] = weigh(plan, query, scores + query * keys, keys, bias);
      }
      plan.few_results(second, 0, plan.width);
      for (std::size_t query = 0; query < plan.queries; ++query) {
        float* const row = results + query * width;
        const float factor = total[query] == 0 ? 0.0f : 1.0f / total[query];
        for (std::size_t j = 0; j < plan.width; ++j) row[j] *= factor;
        plan.out.store(row, plan.out.at(at.offset(0) + static_cast<std::ptrdiff_t>(query) * plan.out.row_stride), plan.out.column_stride, plan.width);
      }
    }
  }

 private:
  static cpu::GemmProblem scores_of(const AttentionPlan& plan) {
    cpu::GemmProblem problem;
    problem.rows = plan.queries;
    problem.columns = plan.keys;
    problem.depth = plan.depth;
    problem.left = plan.q;
    problem.right = plan.k;
    std::swap(problem.right.row_stride, problem.right.column_stride);
    return problem;
  }
  static cpu::GemmProblem results_of(const AttentionPlan& plan) {
    cpu::GemmProblem problem;
    problem.rows = plan.queries;
    problem.columns = plan.width;
    problem.depth = plan.keys;
    problem.right = plan.v;
    return problem;
  }

  // Sums q · k become weights exp(score - largest); returns their sum. `padded` keys, whole vectors: those that are not seen get 0.
  static float weigh(const AttentionPlan& plan, std::size_t query, float* scores, std::size_t padded, const float* mask) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d), seen = plan.keys_seen(query);
    const auto scale = hn::Set(d, plan.scale * score_unit), hidden = hn::Set(d, hidden_score);
    std::fill(scores + plan.keys, scores + padded, 0.0f);
    auto largest = hidden;
    for (std::size_t i = 0; i < padded; i += lanes) {
      auto score = hn::Mul(hn::LoadU(d, scores + i), scale);
      if (mask != nullptr) score = masked_score(d, score, hn::LoadU(d, mask + i), plan.mask_hides);
      if (i + lanes > seen) score = hn::IfThenElse(hn::FirstN(d, i < seen ? seen - i : 0), score, hidden);
      hn::StoreU(score, d, scores + i);
      largest = hn::Max(largest, score);
    }
    const float most = hn::GetLane(hn::MaxOfLanes(d, largest));
    const auto shift = hn::Set(d, most > hidden_score ? most : 0.0f);
    auto total = hn::Zero(d);
    for (std::size_t i = 0; i < padded; i += lanes) {
      const auto weight = weight_of_score(d, hn::Sub(hn::LoadU(d, scores + i), shift));
      hn::StoreU(weight, d, scores + i);
      total = hn::Add(total, weight);
    }
    return sum_of_lanes(d, total);
  }
};

}  // namespace cotenant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per target
