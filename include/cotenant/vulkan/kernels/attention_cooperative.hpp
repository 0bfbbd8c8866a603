// attention's tile on cooperative matrices: scores, weights and results stay in fragments; what rows have in common goes through shared memory.
#ifndef COTENANT_VULKAN_KERNELS_ATTENTION_COOPERATIVE_HPP
#define COTENANT_VULKAN_KERNELS_ATTENTION_COOPERATIVE_HPP
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "cotenant/vulkan/kernels/attention_code.hpp"
#include "cotenant/vulkan/kernels/attention_lines.hpp"
#include "cotenant/vulkan/spirv_matrix.hpp"

namespace cotenant::vulkan {

// `queries` of a workgroup, part_queries (16 or 32) of a subgroup; `keys` at a time; elements of a query (depth) and of a value (width), in
// multiples of 16.
struct CooperativeAttentionTile {
  std::uint32_t queries = 64, part_queries = 16, keys = 64, depth = 64, width = 64, subgroup = 32;
  int converts = 2;  // 0: through shared memory; 1: two steps; 2: one
  bool lazy = true, ftz = true;

  std::uint32_t subgroups() const { return queries / part_queries; }
  std::uint32_t threads() const { return subgroups() * subgroup; }
  KernelKey key() const {
    return KernelKey("attention coop ", queries, ' ', part_queries, ' ', keys, ' ', depth, ' ', width, " c", converts, lazy ? " lazy" : "", ftz ? " ftz" : "");
  }
};

namespace detail {

// Which thread has which element of a matrix is the device's secret, but the same in all matrices of one type: a number per row is a matrix
// too, read from memory with columns that begin at one place (stride 0), and so is a number per column. Then the running maximum, the
// weights, their sums and the rescaling of the results are arithmetic from element to element.
class CooperativeAttentionEmitter {
 public:
  CooperativeAttentionEmitter(const Target& target, const AttentionCode& code, const CooperativeAttentionTile& tile)
      : k(target, {.workgroup = tile.threads(), .vulkan_memory_model = true, .keeps_subnormals = !tile.ftz}), code_(code), tile_(tile), frame_(k, code.product) {
    using spirv::CooperativeMatrixUse;
    keys_ = k.scalar(), scale_ = k.scalar(k.f32()) * log2_e, shift_ = k.scalar(k.i32());
    down_ = tile.part_queries / side, over_ = tile.keys / side;
    key_lines_ = AttentionLines::size(tile.keys, tile.depth);
    const std::uint32_t value_lines = AttentionLines::size(tile.keys, tile.width);
    scratch_line_ = side / 4 + 1, weight_line_ = tile.keys / 8 + 1, strip_line_ = tile.width / 4 + 1;
    scratch_size_ = tile.part_queries * (tile.converts != 0 ? scratch_line_ : std::max(scratch_line_, weight_line_));
    scratch_ = std::max({key_lines_ + value_lines, AttentionLines::size(tile.queries, tile.depth), tile.subgroups() * side * strip_line_});
    shared_ = k.shared(k.vector(k.u32(), 4), scratch_ + tile.subgroups() * scratch_size_);
    row_numbers_ = k.shared(k.f32(), 2 * tile.queries), key_numbers_ = k.shared(k.f32(), tile.keys), places_ = k.shared(k.f32(), side);
    component_ = code.product.a == DType::f16 ? k.module().f16() : k.module().bf16();
    left_ = matrix(component_, CooperativeMatrixUse::MatrixA), right_ = matrix(component_, CooperativeMatrixUse::MatrixB);
    sums_ = matrix(k.f32(), CooperativeMatrixUse::MatrixAccumulator);
    part_ = k.subgroup_id();
    part_row_ = part_ * tile.part_queries;
    my_scratch_ = part_ * scratch_size_ + scratch_;
    // A row of the subgroup's has two threads or one.
    lanes_per_row_ = tile.subgroup / tile.part_queries;
    my_row_ = k.lane() / lanes_per_row_;
  }

  spirv::Words emit() {
    frame_.for_tile(tile_.queries, tile_.width, [&] { tile(); });
    return k.finish();
  }

 private:
  static constexpr float lowest = std::numeric_limits<float>::lowest(), minus_infinity = -std::numeric_limits<float>::infinity(), log2_e = 1.44269504088896341f;
  static constexpr std::uint32_t side = 16;  // of every matrix
  enum class Repeated { rows, columns };     // what is the same all over a row, or all over a column

  Type matrix(Type component, spirv::CooperativeMatrixUse use) { return k.module().cooperative_matrix(component, spirv::Scope::Subgroup, side, side, use); }

  void tile() {
    const OperandCode &q = frame_.operands[0], &keys = frame_.operands[1], &v = frame_.operands[3];
    const Value zero = k.constant(0u);
    AttentionLines query_lines(k, q, is_vector(code_.product.fetch_a), tile_.queries, tile_.depth, q.row, q.column, frame_.rows, frame_.depth, zero);
    AttentionLines key_lines(k, keys, is_vector(code_.product.fetch_b), tile_.keys, tile_.depth, keys.column, keys.row, keys_, frame_.depth, zero);
    AttentionLines value_lines(k, v, is_vector(code_.fetch_v), tile_.keys, tile_.width, v.row, v.column, keys_, frame_.columns, frame_.column0);
    // A causal query sees the keys before its number + shift; the last one of this tile sees most.
    Value end = keys_;
    if (code_.causal) {
      const Value last = spirv::bitcast(k.i32(), spirv::min(frame_.row0 + tile_.queries, frame_.rows)) + shift_;
      end = spirv::min(keys_, spirv::bitcast(k.u32(), spirv::max(last, 0)));
    }
    k.when(k.local_index() < side, [&] { places_.store(k.local_index(), spirv::convert(k.f32(), k.local_index())); });
    query_lines.fetch(frame_.row0);
    query_lines.put(shared_, 0);
    k.barrier();
    std::vector<Value> queries;  // [part of depth][part of rows]
    for (std::uint32_t d = 0; d < tile_.depth; d += side)
      for (std::uint32_t i = 0; i < down_; ++i)
        queries.push_back(load(left_, line(part_row_ + i * side, d, tile_.depth, 0), true, tile_.depth));
    k.barrier();
    std::vector<Variable> results = zeros(down_ * (tile_.width / side)), totals = zeros(down_);
    const Variable largest = k.variable(k.constant(lowest)), number = k.variable(k.f32());
    key_lines.fetch(zero), fetch_key_number(number, zero);
    key_lines.put(shared_, 0), put_key_number(number);
    k.barrier();
    k.loop(0u, end, tile_.keys, [&](Value first_key) {
      value_lines.fetch(first_key);
      const std::vector<Variable> scores = products(queries);
      weigh(scores, first_key, largest, totals, results);
      value_lines.put(shared_, key_lines_);
      k.barrier();
      const Value next = first_key + tile_.keys;
      k.when(next < end, [&] { key_lines.fetch(next), fetch_key_number(number, next); });
      add_values(results, scores);
      k.when(next < end, [&] { key_lines.put(shared_, 0), put_key_number(number); });
      k.barrier();
    });
    finish(results, totals);
  }

  // A number per key: 0, the mask's where it has one per key, and -inf behind the last key.
  void fetch_key_number(const Variable& number, Value first_key) {
    const Value place = first_key + k.local_index() % tile_.keys;
    Value bias = k.constant(0.f);
    if (code_.mask != MaskKind::none && code_.mask_per_key) {
      const OperandCode& mask = frame_.operands[4];
      bias = mask_number(mask.elements.load(mask.base + spirv::min(place, keys_ - 1u) * mask.column));
    }
    number.set(spirv::select(place < keys_, bias, minus_infinity));
  }
  void put_key_number(const Variable& number) {
    k.when(k.local_index() < tile_.keys, [&] { key_numbers_.store(k.local_index(), number.get()); });
  }
  // What a mask's element adds to a score in units of log 2. The least float stays finite: a row of nothing else is uniform.
  Value mask_number(Value loaded) {
    if (code_.mask == MaskKind::keep) return spirv::select(loaded != 0, k.constant(0.f), minus_infinity);
    return spirv::select(loaded == minus_infinity, loaded, spirv::max(loaded * log2_e, lowest));
  }

  // q · kᵀ of the subgroup's queries and the block's keys: [part of keys][part of rows].
  std::vector<Variable> products(const std::vector<Value>& queries) {
    std::vector<Variable> scores;
    for (std::uint32_t t = 0; t < over_; ++t) {
      std::vector<Value> sums(down_, spirv::zero_matrix(sums_));
      for (std::uint32_t d = 0; d < tile_.depth; d += side) {
        const Value keys = load(right_, line(k.constant(t * side), d, tile_.depth, 0), false, tile_.depth);
        for (std::uint32_t i = 0; i < down_; ++i) sums[i] = spirv::multiply_add(queries[d / side * down_ + i], keys, sums[i]);
      }
      for (const Value& sum : sums) scores.push_back(k.variable(sum));
    }
    return scores;
  }

  // Scores become weights relative to the rows' largest scores so far; sums and results follow where those grow.
  void weigh(const std::vector<Variable>& scores, Value first_key, const Variable& largest, const std::vector<Variable>& totals, std::vector<Variable>& results) {
    std::vector<Variable> most;
    for (std::uint32_t i = 0; i < down_; ++i) most.push_back(k.variable(sums_));
    std::vector<Variable> biases;
    for (std::uint32_t t = 0; t < over_; ++t) biases.push_back(k.variable(repeated(key_numbers_.pointer(k.constant(t * side)), Repeated::columns)));
    const auto mask_all = [&](bool diagonal) { masked(scores, biases, most, first_key, diagonal); };
    if (code_.causal) {
      // The keys that the subgroup's first query sees.
      const Value seen = spirv::bitcast(k.i32(), frame_.row0 + part_row_) + shift_;
      k.when(spirv::bitcast(k.i32(), first_key + (tile_.keys - 1)) <= seen, [&] { mask_all(false); }, [&] { mask_all(true); });
    } else {
      mask_all(false);
    }
    const Value before = largest.get(), now = spirv::max(before, along_row(most, [](Value a, Value b) { return spirv::max(a, b); }));
    largest.set(now);
    const Value factor = exponential(before - now);
    spread({now, factor});
    std::vector<Variable> references;
    for (std::uint32_t i = 0; i < down_; ++i) references.push_back(k.variable(repeated(row_number(0, i), Repeated::rows)));
    const auto rescale = [&] {
      for (std::uint32_t i = 0; i < down_; ++i) {
        const Value factors = repeated(row_number(1, i), Repeated::rows);
        totals[i].set(totals[i].get() * factors);
        for (std::uint32_t w = 0; w < tile_.width / side; ++w) results[w * down_ + i].set(results[w * down_ + i].get() * factors);
      }
    };
    if (tile_.lazy) k.when(spirv::subgroup_any(factor < 1.f), rescale);
    else rescale();
    each_element([&](Value e) {
      for (std::uint32_t i = 0; i < down_; ++i) {
        const Value reference = element(references[i], e);
        Value sum = element(totals[i], e);
        for (std::uint32_t t = 0; t < over_; ++t) {
          const Variable& score = scores[t * down_ + i];
          const Value weight = exponential(element(score, e) - reference);
          set_element(score, e, weight);
          sum = sum + weight;
        }
        set_element(totals[i], e, sum);
      }
    });
  }

  // Scores as softmax takes them, in units of log 2: scaled, with the mask; -inf for what is out of the question. `most`: of all the
  // scores in one place of the matrices.
  void masked(const std::vector<Variable>& scores, const std::vector<Variable>& biases, const std::vector<Variable>& most, Value first_key, bool diagonal) {
    const bool each = code_.mask != MaskKind::none && !code_.mask_per_key;
    Variable rows, columns;
    if (each || diagonal) rows = k.variable(repeated(places_.pointer(k.constant(0u)), Repeated::rows)),
      columns = k.variable(repeated(places_.pointer(k.constant(0u)), Repeated::columns));
    each_element([&](Value e) {
      for (std::uint32_t i = 0; i < down_; ++i) {
        Value largest;
        for (std::uint32_t t = 0; t < over_; ++t) {
          const Variable& score = scores[t * down_ + i];
          const Value bias = element(biases[t], e);
          Value s = spirv::fma(element(score, e), scale_, bias);
          if (code_.mask != MaskKind::none && code_.mask_per_key) s = spirv::select(bias == minus_infinity, minus_infinity, s);
          if (each || diagonal) {
            const Value row = spirv::min(frame_.row0 + part_row_ + (spirv::convert(k.u32(), element(rows, e)) + i * side), frame_.rows - 1u);
            const Value place = first_key + (spirv::convert(k.u32(), element(columns, e)) + t * side);
            if (diagonal) s = spirv::select(spirv::bitcast(k.i32(), place) <= spirv::bitcast(k.i32(), row) + shift_, s, minus_infinity);
            if (each) {
              const OperandCode& mask = frame_.operands[4];
              const Value number = mask_number(mask.elements.load(mask.base + row * mask.row + spirv::min(place, keys_ - 1u) * mask.column));
              s = spirv::select(number == minus_infinity, minus_infinity, s + number);
            }
          }
          set_element(score, e, s);
          largest = t == 0 ? s : spirv::max(largest, s);
        }
        set_element(most[i], e, largest);
      }
    });
  }

  // results += weights · v for the block of keys.
  void add_values(std::vector<Variable>& results, const std::vector<Variable>& weights) {
    const std::vector<Value> lefts = as_left(weights);
    for (std::uint32_t w = 0; w < tile_.width / side; ++w) {
      std::vector<Value> sums;
      for (std::uint32_t i = 0; i < down_; ++i) sums.push_back(results[w * down_ + i].get());
      for (std::uint32_t t = 0; t < over_; ++t) {
        const Value values = load(right_, line(k.constant(t * side), w * side, tile_.width, key_lines_), true, tile_.width);
        for (std::uint32_t i = 0; i < down_; ++i) sums[i] = spirv::multiply_add(lefts[t * down_ + i], values, sums[i]);
      }
      for (std::uint32_t i = 0; i < down_; ++i) results[w * down_ + i].set(sums[i]);
    }
  }
  // The weights as left operands of a product, rounded to the values' elements.
  std::vector<Value> as_left(const std::vector<Variable>& weights) {
    const Type rounded = matrix(component_, spirv::CooperativeMatrixUse::MatrixAccumulator);
    std::vector<Value> lefts;
    if (tile_.converts == 2) {
      k.module().capability(spirv::Capability::CooperativeMatrixConversionsNV);
      k.module().extension("SPV_NV_cooperative_matrix2");
      for (const Variable& w : weights) lefts.push_back(spirv::convert(left_, w.get()));
    } else if (tile_.converts == 1) {
      k.module().capability(spirv::Capability::CooperativeMatrixConversionsNV);
      k.module().extension("SPV_NV_cooperative_matrix2");
      for (const Variable& w : weights)
        lefts.push_back(k.module().result(spirv::Op::CooperativeMatrixConvertNV, left_, {spirv::convert(rounded, w.get()).id}));
    } else {
      for (std::uint32_t t = 0; t < over_; ++t)
        for (std::uint32_t i = 0; i < down_; ++i)
          spirv::store_matrix(shared_.pointer(my_scratch_ + (i * side * weight_line_ + t * side / 8)), spirv::convert(rounded, weights[t * down_ + i].get()),
                              spirv::CooperativeMatrixLayout::RowMajor, k.constant(weight_line_));
      k.subgroup_barrier();
      for (std::uint32_t t = 0; t < over_; ++t)
        for (std::uint32_t i = 0; i < down_; ++i)
          lefts.push_back(spirv::load_matrix(left_, shared_.pointer(my_scratch_ + (i * side * weight_line_ + t * side / 8)),
                                             spirv::CooperativeMatrixLayout::RowMajor, k.constant(weight_line_)));
      k.subgroup_barrier();
    }
    return lefts;
  }

  // The results divided by their weights' sums leave through shared memory.
  void finish(std::vector<Variable>& results, const std::vector<Variable>& totals) {
    const Value sum = along_row(totals, [](Value a, Value b) { return a + b; });
    spread({spirv::select(sum == 0.f, k.constant(0.f), 1.f / sum)});
    const spirv::Type four = k.vector(k.f32(), 4);
    const Value strip = part_ * (side * strip_line_);
    for (std::uint32_t i = 0; i < down_; ++i) {
      const Value inverse = repeated(row_number(0, i), Repeated::rows);
      for (std::uint32_t w = 0; w < tile_.width / side; ++w)
        spirv::store_matrix(shared_.pointer(strip + w * side / 4), results[w * down_ + i].get() * inverse, spirv::CooperativeMatrixLayout::RowMajor,
                            k.constant(strip_line_));
      k.subgroup_barrier();
      frame_.store_strip(frame_.row0 + part_row_ + i * side, frame_.column0, side, tile_.width, k.lane(), tile_.subgroup,
                         [&](Value r, Value c4) { return spirv::bitcast(four, shared_.load(strip + r * strip_line_ + c4)); });
      k.subgroup_barrier();
    }
  }

  // Each row's elements of a matrix brought together: a thread gets its row's.
  template <class F> Value along_row(const std::vector<Variable>& matrices, F f) {
    for (std::uint32_t i = 0; i < down_; ++i)
      spirv::store_matrix(shared_.pointer(my_scratch_ + i * side * scratch_line_), matrices[i].get(), spirv::CooperativeMatrixLayout::RowMajor,
                          k.constant(scratch_line_));
    k.subgroup_barrier();
    const Value begin = my_scratch_ + my_row_ * scratch_line_ + k.lane() % lanes_per_row_ * (side / 4 / lanes_per_row_);
    Value four;
    for (std::uint32_t c = 0; c < side / 4 / lanes_per_row_; ++c) {
      const Value word = spirv::bitcast(k.vector(k.f32(), 4), shared_.load(begin + c));
      four = c == 0 ? word : f(four, word);
    }
    Value all = f(f(spirv::extract(four, 0), spirv::extract(four, 1)), f(spirv::extract(four, 2), spirv::extract(four, 3)));
    for (std::uint32_t lane = 1; lane < lanes_per_row_; lane *= 2) all = f(all, spirv::subgroup_shuffle_xor(all, lane));
    return all;
  }
  // Puts each row's numbers where row_number() is read from.
  void spread(const std::vector<Value>& numbers) {
    k.when(k.lane() % lanes_per_row_ == 0u, [&] {
      for (std::uint32_t n = 0; n < numbers.size(); ++n) row_numbers_.store(part_row_ + my_row_ + n * tile_.queries, numbers[n]);
    });
    k.subgroup_barrier();
  }
  Value row_number(std::uint32_t which, std::uint32_t part) { return row_numbers_.pointer(part_row_ + (which * tile_.queries + part * side)); }

  Value repeated(Value pointer, Repeated what) {
    return spirv::load_matrix(sums_, pointer, what == Repeated::rows ? spirv::CooperativeMatrixLayout::ColumnMajor : spirv::CooperativeMatrixLayout::RowMajor,
                              k.constant(0u));
  }
  // The word of shared memory where element `at` of a line lies.
  Value line(Value index, std::uint32_t at, std::uint32_t width, std::uint32_t base) { return index * AttentionLines::line_length(width) + (at / 8 + base); }
  Value load(Type type, Value word, bool row_major, std::uint32_t width) {
    return spirv::load_matrix(type, shared_.pointer(word), row_major ? spirv::CooperativeMatrixLayout::RowMajor : spirv::CooperativeMatrixLayout::ColumnMajor,
                              k.constant(AttentionLines::line_length(width)));
  }

  template <class F> void each_element(F f) { k.loop(k.constant(0u), spirv::matrix_length(sums_), k.constant(1u), f, LoopControl::Unroll); }
  Value element(const Variable& matrix, Value e) { return spirv::load(spirv::element_pointer(matrix.pointer(), e)); }
  void set_element(const Variable& matrix, Value e, Value value) { spirv::store(spirv::element_pointer(matrix.pointer(), e), value); }
  Value exponential(Value x) { return k.module().extended(spirv::Glsl::Exp2, x.type, {x}); }
  std::vector<Variable> zeros(std::uint32_t count) {
    std::vector<Variable> variables;
    for (std::uint32_t i = 0; i < count; ++i) variables.push_back(k.variable(spirv::zero_matrix(sums_)));
    return variables;
  }

  KernelBuilder k;
  const AttentionCode& code_;
  CooperativeAttentionTile tile_;
  ProductFrame frame_;
  Value keys_, scale_, shift_, part_, part_row_, my_scratch_, my_row_;
  Type component_ = nullptr, left_ = nullptr, right_ = nullptr, sums_ = nullptr;
  std::uint32_t down_ = 0, over_ = 0, key_lines_ = 0, scratch_line_ = 0, weight_line_ = 0, strip_line_ = 0, scratch_size_ = 0, scratch_ = 0, lanes_per_row_ = 1;
  Shared shared_, row_numbers_, key_numbers_, places_;
};

}  // namespace detail
}  // namespace cotenant::vulkan

#endif
