// AttentionScores: scores in a subgroup's cooperative matrices as softmax takes them: scaled and masked, in units of log 2.
#ifndef COTENANT_VULKAN_KERNELS_ATTENTION_SCORES_HPP
#define COTENANT_VULKAN_KERNELS_ATTENTION_SCORES_HPP
#include <cstdint>
#include <limits>
#include <vector>

#include "cotenant/vulkan/kernels/attention_code.hpp"
#include "cotenant/vulkan/kernels/attention_rows.hpp"
#include "cotenant/vulkan/spirv_matrix.hpp"

namespace cotenant::vulkan::detail {

// Element e of those that a thread has of a matrix, and f(e) for each of them.
inline spirv::Value element(const Variable& matrix, spirv::Value e) { return spirv::load(spirv::element_pointer(matrix.pointer(), e)); }
inline void set_element(const Variable& matrix, spirv::Value e, spirv::Value value) { spirv::store(spirv::element_pointer(matrix.pointer(), e), value); }
template <class F> void each_element(KernelBuilder& k, spirv::Type matrix, F f) {
  k.loop(k.constant(0u), spirv::matrix_length(matrix), k.constant(1u), f, LoopControl::Unroll);
}

class AttentionScores {
 public:
  using Value = spirv::Value;
  static constexpr float log2_e = 1.44269504088896341f;

  // Whose scores they are: the matrices' type, keys of a block, and of the launch: the number of keys, what a score is multiplied with,
  // how many keys more than its own number a causal query sees; the subgroup's first row in the tile.
  struct Of {
    Type sums;
    std::uint32_t block;
    Value keys, scale, shift, part_row;
  };
  // `key_numbers`: two blocks of a number per key, which take turns; `places`: a number per row of a matrix.
  AttentionScores(KernelBuilder& kernel, ProductFrame& frame, const AttentionCode& code, const Of& of, const Shared& key_numbers, const Shared& places)
      : k(kernel), frame_(frame), code_(code), of_(of), key_numbers_(key_numbers), places_(places) {}

  // Before anything else, by all threads: the numbers of a matrix's rows, or columns.
  void number_places() {
    k.when(k.local_index() < side, [&] { places_.store(k.local_index(), spirv::convert(k.f32(), k.local_index())); });
  }

  // A number per key: 0, the mask's where it has one per key, and -inf behind the last key.
  void fetch_key_number(const Variable& number, Value first_key) {
    const Value place = first_key + k.local_index() % of_.block;
    Value bias = k.constant(0.f);
    if (code_.mask != MaskKind::none && code_.mask_per_key) {
      const OperandCode& mask = frame_.operands[4];
      bias = mask_number(mask.elements.load(mask.base + spirv::min(place, of_.keys - 1u) * mask.column));
    }
    number.set(spirv::select(place < of_.keys, bias, minus_infinity));
  }
  void put_key_number(const Variable& number, Value turn) {
    k.when(k.local_index() < of_.block, [&] { key_numbers_.store(turn * of_.block + k.local_index(), number.get()); });
  }

  // Makes of q · kᵀ, [part of keys][part of rows], what softmax takes; -inf for what is out of the question. `most`: of all the scores in
  // one place of the matrices.
  void prepare(const std::vector<Variable>& scores, const std::vector<Variable>& most, Value first_key, Value turn) {
    if (code_.mask != MaskKind::none) return masked(scores, most, first_key, turn);
    Value all_seen = first_key + of_.block <= of_.keys;
    // Those that the subgroup's first query sees, which sees least.
    if (code_.causal)
      all_seen = all_seen && spirv::bitcast(k.i32(), first_key + (of_.block - 1)) <= spirv::bitcast(k.i32(), frame_.row0 + of_.part_row) + of_.shift;
    k.when(all_seen, [&] { scaled(scores, most); }, [&] { masked(scores, most, first_key, turn); });
  }

 private:
  using Layout = spirv::CooperativeMatrixLayout;
  static constexpr float lowest = std::numeric_limits<float>::lowest(), minus_infinity = -std::numeric_limits<float>::infinity();
  static constexpr std::uint32_t side = FragmentRows::side;

  // What a mask's element adds to a score in units of log 2. The least float stays finite: a row of nothing else is uniform.
  Value mask_number(Value loaded) {
    if (code_.mask == MaskKind::keep) return spirv::select(loaded != 0, k.constant(0.f), minus_infinity);
    return spirv::select(loaded == minus_infinity, loaded, spirv::max(loaded * log2_e, lowest));
  }
  void scaled(const std::vector<Variable>& scores, const std::vector<Variable>& most) {
    each_score(scores, most, [&](Value score, Value, std::uint32_t, std::uint32_t) { return score * of_.scale; });
  }
  void masked(const std::vector<Variable>& scores, const std::vector<Variable>& most, Value first_key, Value turn) {
    const bool each = code_.mask != MaskKind::none && !code_.mask_per_key;
    std::vector<Variable> biases;
    for (std::uint32_t t = 0; t < of_.block / side; ++t)
      biases.push_back(k.variable(spirv::repeat_line(of_.sums, key_numbers_.pointer(turn * of_.block + t * side), Layout::RowMajor)));
    Variable row_places, column_places;
    if (each || code_.causal) {
      const Value places = places_.pointer(k.constant(0u));
      row_places = k.variable(spirv::repeat_line(of_.sums, places, Layout::ColumnMajor));
      column_places = k.variable(spirv::repeat_line(of_.sums, places, Layout::RowMajor));
    }
    each_score(scores, most, [&](Value score, Value e, std::uint32_t t, std::uint32_t i) {
      const Value bias = element(biases[t], e);
      Value s = spirv::fma(score, of_.scale, bias);
      // What a score of a key that is out of the question is does not matter, be it NaN.
      if (code_.mask != MaskKind::none && code_.mask_per_key) s = spirv::select(bias == minus_infinity, minus_infinity, s);
      if (!each && !code_.causal) return s;
      const Value row = spirv::min(frame_.row0 + of_.part_row + (spirv::convert(k.u32(), element(row_places, e)) + i * side), frame_.rows - 1u);
      const Value place = first_key + (spirv::convert(k.u32(), element(column_places, e)) + t * side);
      if (code_.causal) s = spirv::select(spirv::bitcast(k.i32(), place) <= spirv::bitcast(k.i32(), row) + of_.shift, s, minus_infinity);
      if (!each) return s;
      const OperandCode& mask = frame_.operands[4];
      const Value number = mask_number(mask.elements.load(mask.base + row * mask.row + spirv::min(place, of_.keys - 1u) * mask.column));
      return spirv::select(number == minus_infinity, minus_infinity, s + number);
    });
  }
  // Each score becomes f(score, its place among a thread's, part of keys, part of rows).
  template <class F> void each_score(const std::vector<Variable>& scores, const std::vector<Variable>& most, F f) {
    const auto down = static_cast<std::uint32_t>(most.size());
    each_element(k, of_.sums, [&](Value e) {
      for (std::uint32_t i = 0; i < down; ++i) {
        Value largest;
        for (std::uint32_t t = 0; t < of_.block / side; ++t) {
          const Variable& score = scores[t * down + i];
          const Value s = f(element(score, e), e, t, i);
          set_element(score, e, s);
          largest = t == 0 ? s : spirv::max(largest, s);
        }
        set_element(most[i], e, largest);
      }
    });
  }

  KernelBuilder& k;
  ProductFrame& frame_;
  const AttentionCode& code_;
  Of of_;
  Shared key_numbers_, places_;
};

}  // namespace cotenant::vulkan::detail

#endif
