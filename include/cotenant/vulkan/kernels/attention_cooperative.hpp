// attention's tile on cooperative matrices: scores, weights and results stay in fragments; what rows have in common goes through shared memory.
#ifndef COTENANT_VULKAN_KERNELS_ATTENTION_COOPERATIVE_HPP
#define COTENANT_VULKAN_KERNELS_ATTENTION_COOPERATIVE_HPP
#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "cotenant/vulkan/kernels/attention_code.hpp"
#include "cotenant/vulkan/kernels/attention_lines.hpp"
#include "cotenant/vulkan/kernels/attention_rows.hpp"
#include "cotenant/vulkan/kernels/attention_scores.hpp"
#include "cotenant/vulkan/kernels/product_strip.hpp"
#include "cotenant/vulkan/spirv_matrix.hpp"

namespace cotenant::vulkan {

// `queries` of a workgroup, part_queries (16 or 32) of a subgroup; `keys` at a time; elements of a query (depth) and of a value (width), in
// multiples of 16. No more keys than threads.
struct CooperativeAttentionTile {
  std::uint32_t queries = 64, part_queries = 16, keys = 64, depth = 64, width = 64, subgroup = 32;
  bool converts = false;  // the device makes a left operand of a product's result; else that goes through shared memory

  std::uint32_t subgroups() const { return queries / part_queries; }
  std::uint32_t threads() const { return subgroups() * subgroup; }
  KernelKey key() const { return KernelKey("attention coop ", queries, ' ', part_queries, ' ', keys, ' ', depth, ' ', width, converts ? " converts" : ""); }
};

namespace detail {

// Which thread has which element of a matrix is the device's secret, but the same in all matrices of one type: a number per row is a matrix
// too, read from memory with columns that begin at one place (stride 0), and so is a number per column. Then the running maximum, the
// weights, their sums and the rescaling of the results are arithmetic from element to element.
class CooperativeAttentionEmitter {
 public:
  CooperativeAttentionEmitter(const Target& target, const AttentionCode& code, const CooperativeAttentionTile& tile)
      : k(target, {.workgroup = tile.threads(), .vulkan_memory_model = true, .keeps_subnormals = false}), code_(code), tile_(tile), frame_(k, code.product) {
    using spirv::CooperativeMatrixUse;
    keys_ = k.scalar();
    const Value scale = k.scalar(k.f32()) * AttentionScores::log2_e;
    shift_ = k.scalar(k.i32());
    down_ = tile.part_queries / side, over_ = tile.keys / side;
    key_lines_ = AttentionLines::size(tile.keys, tile.depth);
    value_lines_ = AttentionLines::size(tile.keys, tile.width);
    weight_line_ = tile.keys / 8 + 1, strip_line_ = tile.width / 4 + 1;
    const std::uint32_t scratch = std::max(FragmentRows::size(tile.part_queries), tile.converts ? 0 : tile.part_queries * weight_line_);
    const std::uint32_t lines =
        std::max({2 * (key_lines_ + value_lines_), AttentionLines::size(tile.queries, tile.depth), tile.subgroups() * side * strip_line_});
    shared_ = k.shared(k.vector(k.u32(), 4), lines + tile.subgroups() * scratch);
    const Shared key_numbers = k.shared(k.f32(), 2 * tile.keys), places = k.shared(k.f32(), side);
    component_ = code.product.a == DType::f16 ? k.module().f16() : k.module().bf16();
    left_ = matrix(component_, CooperativeMatrixUse::MatrixA), right_ = matrix(component_, CooperativeMatrixUse::MatrixB);
    sums_ = matrix(k.f32(), CooperativeMatrixUse::MatrixAccumulator);
    part_ = k.subgroup_id();
    part_row_ = part_ * tile.part_queries;
    scratch_ = part_ * scratch + lines;
    rows_.emplace(k, sums_, tile.part_queries, tile.subgroup, shared_, scratch_);
    scores_.emplace(k, frame_, code, AttentionScores::Of{sums_, tile.keys, keys_, scale, shift_, part_row_}, key_numbers, places);
  }

  spirv::Words emit() {
    frame_.for_tile(tile_.queries, tile_.width, [&] { tile(); });
    return k.finish();
  }

 private:
  using Layout = spirv::CooperativeMatrixLayout;
  static constexpr float lowest = std::numeric_limits<float>::lowest();
  static constexpr std::uint32_t side = FragmentRows::side;

  Type matrix(Type component, spirv::CooperativeMatrixUse use) { return k.module().cooperative_matrix(component, spirv::Scope::Subgroup, side, side, use); }

  void tile() {
    const OperandCode &q = frame_.operands[0], &keys = frame_.operands[1], &v = frame_.operands[3];
    const Value zero = k.constant(0u);
    AttentionLines query_lines(k, q, is_vector(code_.product.fetch_a), tile_.queries, tile_.depth, q.row, q.column, frame_.rows, frame_.depth, zero);
    AttentionLines key_lines(k, keys, is_vector(code_.product.fetch_b), tile_.keys, tile_.depth, keys.column, keys.row, keys_, frame_.depth, zero);
    AttentionLines value_lines(k, v, is_vector(code_.fetch_v), tile_.keys, tile_.width, v.row, v.column, keys_, frame_.columns, frame_.column0);
    const Value end = end_of_keys(frame_, code_, tile_.queries, keys_, shift_);
    scores_->number_places();
    const Variable number = k.variable(k.f32());
    query_lines.fetch(frame_.row0), key_lines.fetch(zero), value_lines.fetch(zero), scores_->fetch_key_number(number, zero);
    query_lines.put(shared_, zero);
    k.barrier();
    std::vector<Value> queries;  // [part of depth][part of rows]
    for (std::uint32_t d = 0; d < tile_.depth; d += side)
      for (std::uint32_t i = 0; i < down_; ++i)
        queries.push_back(load(left_, line(part_row_ * AttentionLines::line_length(tile_.depth), i * side, d, tile_.depth), true, tile_.depth));
    k.barrier();
    const Value none = spirv::zero_matrix(sums_);
    results_ = k.variables(down_ * (tile_.width / side), none), totals_ = k.variables(down_, none);
    largest_ = k.variable(k.constant(lowest));
    references_ = k.variables(down_, k.module().filled(sums_, k.constant(lowest)));
    key_lines.put(shared_, zero), scores_->put_key_number(number, zero), value_lines.put(shared_, k.constant(2 * key_lines_));
    k.barrier();
    const Variable turn = k.variable(zero);
    k.loop(0u, end, tile_.keys, [&](Value first_key) {
      // Two blocks take turns: the next one comes while this one is used, first its keys and then its values in the same registers.
      const Value now = turn.get(), then = 1u - now, next = first_key + tile_.keys, more = next < end;
      k.when(more, [&] { key_lines.fetch(next), scores_->fetch_key_number(number, next); });
      const std::vector<Variable> scores = products(queries, now * key_lines_);
      k.when(more, [&] {
        key_lines.put(shared_, then * key_lines_), scores_->put_key_number(number, then);
        value_lines.fetch(next);
      });
      weigh(scores, first_key, now);
      add_values(scores, now * value_lines_ + 2 * key_lines_);
      k.when(more, [&] { value_lines.put(shared_, then * value_lines_ + 2 * key_lines_); });
      turn.set(then);
      k.barrier();
    }, LoopControl::DontUnroll);  // the driver's copies of it cost 0.8 s of compiling and win nothing
    finish();
  }

  // q · kᵀ of the subgroup's queries and the block's keys: [part of keys][part of rows].
  std::vector<Variable> products(const std::vector<Value>& queries, Value base) {
    std::vector<Variable> scores;
    for (std::uint32_t t = 0; t < over_; ++t) {
      std::vector<Value> sums(down_, spirv::zero_matrix(sums_));
      for (std::uint32_t d = 0; d < tile_.depth; d += side) {
        const Value keys = load(right_, line(base, t * side, d, tile_.depth), false, tile_.depth);
        for (std::uint32_t i = 0; i < down_; ++i) sums[i] = spirv::multiply_add(queries[d / side * down_ + i], keys, sums[i]);
      }
      for (const Value& sum : sums) scores.push_back(k.variable(sum));
    }
    return scores;
  }

  // Scores become weights relative to the rows' references, which follow the rows' largest scores at some distance: as long as weights are
  // at most 2^8 (f16 has room for 2^15), neither results nor sums are rescaled. In the end they are divided by each other.
  void weigh(const std::vector<Variable>& scores, Value first_key, Value turn) {
    constexpr float distance = 8;
    const std::vector<Variable> most = k.variables(down_, sums_);
    scores_->prepare(scores, most, first_key, turn);
    const Variable grows = k.variable(k.constant(false));
    each_element(k, sums_, [&](Value e) {
      for (std::uint32_t i = 0; i < down_; ++i) grows.set(grows.get() || element(most[i], e) > element(references_[i], e) + distance);
    });
    k.when(spirv::subgroup_any(grows.get()), [&] {
      const Value before = largest_.get(), now = spirv::max(before, rows_->along(most, [](Value a, Value b) { return spirv::max(a, b); }));
      largest_.set(now);
      rows_->spread({now, exponential(before - now)});
      for (std::uint32_t i = 0; i < down_; ++i) {
        references_[i].set(rows_->matrix(0, i));
        const Value factors = rows_->matrix(1, i);
        totals_[i].set(totals_[i].get() * factors);
        for (std::uint32_t w = 0; w < tile_.width / side; ++w) results_[w * down_ + i].set(results_[w * down_ + i].get() * factors);
      }
    });
    each_element(k, sums_, [&](Value e) {
      for (std::uint32_t i = 0; i < down_; ++i) {
        const Value reference = element(references_[i], e);
        Value sum = element(totals_[i], e);
        for (std::uint32_t t = 0; t < over_; ++t) {
          const Variable& score = scores[t * down_ + i];
          const Value weight = exponential(element(score, e) - reference);
          set_element(score, e, weight);
          sum = sum + weight;
        }
        set_element(totals_[i], e, sum);
      }
    });
  }

  // results += weights · v for the block of keys.
  void add_values(const std::vector<Variable>& weights, Value base) {
    const std::vector<Value> lefts = as_left(weights);
    for (std::uint32_t w = 0; w < tile_.width / side; ++w) {
      std::vector<Value> sums;
      for (std::uint32_t i = 0; i < down_; ++i) sums.push_back(results_[w * down_ + i].get());
      for (std::uint32_t t = 0; t < over_; ++t) {
        const Value values = load(right_, line(base, t * side, w * side, tile_.width), true, tile_.width);
        for (std::uint32_t i = 0; i < down_; ++i) sums[i] = spirv::multiply_add(lefts[t * down_ + i], values, sums[i]);
      }
      for (std::uint32_t i = 0; i < down_; ++i) results_[w * down_ + i].set(sums[i]);
    }
  }
  // The weights as left operands of a product, rounded to the values' elements.
  std::vector<Value> as_left(const std::vector<Variable>& weights) {
    std::vector<Value> lefts;
    if (tile_.converts) {
      for (const Variable& w : weights) lefts.push_back(spirv::convert_use(left_, w.get()));
      return lefts;
    }
    const Type rounded = matrix(component_, spirv::CooperativeMatrixUse::MatrixAccumulator);
    const auto place = [&](std::uint32_t t, std::uint32_t i) { return shared_.pointer(scratch_ + (i * side * weight_line_ + t * side / 8)); };
    for (std::uint32_t t = 0; t < over_; ++t)
      for (std::uint32_t i = 0; i < down_; ++i)
        spirv::store_matrix(place(t, i), spirv::convert(rounded, weights[t * down_ + i].get()), Layout::RowMajor, k.constant(weight_line_));
    k.subgroup_barrier();
    for (std::uint32_t t = 0; t < over_; ++t)
      for (std::uint32_t i = 0; i < down_; ++i) lefts.push_back(spirv::load_matrix(left_, place(t, i), Layout::RowMajor, k.constant(weight_line_)));
    k.subgroup_barrier();
    return lefts;
  }

  // The results divided by their weights' sums leave through shared memory.
  void finish() {
    const Value sum = rows_->along(totals_, [](Value a, Value b) { return a + b; });
    rows_->spread({spirv::select(sum == 0.f, k.constant(0.f), 1.f / sum)});
    const spirv::Type four = k.vector(k.f32(), 4);
    const Value strip = part_ * (side * strip_line_);
    for (std::uint32_t i = 0; i < down_; ++i) {
      const Value inverse = rows_->matrix(0, i);
      for (std::uint32_t w = 0; w < tile_.width / side; ++w)
        spirv::store_matrix(shared_.pointer(strip + w * side / 4), results_[w * down_ + i].get() * inverse, Layout::RowMajor, k.constant(strip_line_));
      k.subgroup_barrier();
      StripWriter(frame_, frame_.column0, tile_.width, k.lane(), tile_.subgroup)
          .store(frame_.row0 + part_row_ + i * side, side, [&](Value r, Value c4) { return spirv::bitcast(four, shared_.load(strip + r * strip_line_ + c4)); });
      k.subgroup_barrier();
    }
  }

  // The word of shared memory where element `at` of a line lies.
  Value line(Value base, std::uint32_t index, std::uint32_t at, std::uint32_t width) { return base + (index * AttentionLines::line_length(width) + at / 8); }
  Value load(Type type, Value word, bool row_major, std::uint32_t width) {
    return spirv::load_matrix(type, shared_.pointer(word), row_major ? Layout::RowMajor : Layout::ColumnMajor, k.constant(AttentionLines::line_length(width)));
  }

  Value exponential(Value x) { return k.module().extended(spirv::Glsl::Exp2, x.type, {x}); }

  KernelBuilder k;
  const AttentionCode& code_;
  CooperativeAttentionTile tile_;
  ProductFrame frame_;
  Value keys_, shift_, part_, part_row_, scratch_;
  Type component_ = nullptr, left_ = nullptr, right_ = nullptr, sums_ = nullptr;
  std::uint32_t down_ = 0, over_ = 0, key_lines_ = 0, value_lines_ = 0, weight_line_ = 0, strip_line_ = 0;
  Shared shared_;
  std::optional<FragmentRows> rows_;
  std::optional<AttentionScores> scores_;
  std::vector<Variable> results_, totals_, references_;  // [part of width][part of rows]; the others by parts of rows
  Variable largest_;                                     // of the thread's row
};

}  // namespace detail
}  // namespace cotenant::vulkan

#endif
