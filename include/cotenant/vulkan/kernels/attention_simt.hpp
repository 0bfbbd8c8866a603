// attention's tile on ordinary arithmetic: blocks of keys one after another, a running maximum per query; no matrix of scores in memory.
#ifndef COTENANT_VULKAN_KERNELS_ATTENTION_SIMT_HPP
#define COTENANT_VULKAN_KERNELS_ATTENTION_SIMT_HPP
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "cotenant/vulkan/kernels/attention_code.hpp"
#include "cotenant/vulkan/kernels/product_strip.hpp"
#include "cotenant/vulkan/kernels/simt_side.hpp"

namespace cotenant::vulkan {

// threads_down x threads_over threads, each with 4 x 4 scores of a block and 4 x 4 width_groups elements of the result.
struct AttentionTile {
  std::uint32_t threads_down = 16, threads_over = 16, width_groups = 1, depth = 16;
  bool unrolled = true;

  std::uint32_t threads() const { return threads_down * threads_over; }
  std::uint32_t queries() const { return 4 * threads_down; }
  std::uint32_t keys() const { return 4 * threads_over; }
  std::uint32_t width() const { return 4 * threads_over * width_groups; }
  KernelKey key() const { return KernelKey("attention ", queries(), 'x', keys(), 'x', width(), unrolled ? " unrolled" : " loop"); }
};

namespace detail {

class AttentionEmitter {
 public:
  AttentionEmitter(const Target& target, const AttentionCode& code, const AttentionTile& tile)
      : k(target, {.workgroup = tile.threads()}), code_(code), tile_(tile), frame_(k, code.product) {
    keys_ = k.scalar(), scale_ = k.scalar(k.f32()), shift_ = k.scalar(k.i32());
    four_ = k.vector(k.f32(), 4);
    block_ = tile.depth * tile.queries() / 4;
    blocks_ = k.shared(four_, block_ + tile.depth * std::max(tile.keys(), tile.width()) / 4);
    weights_ = k.shared(four_, tile.keys() * tile.queries() / 4);
    rows_ = k.shared(four_, tile.threads());
    thread_ = k.local_index();
    ty_ = thread_ / tile.threads_over, tx_ = thread_ % tile.threads_over;
  }

  spirv::Words emit() {
    frame_.for_tile(tile_.queries(), tile_.width(), [&] { tile(); });
    return k.finish();
  }

 private:
  static constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

  void tile() {
    std::vector<Variable> results = k.variables(4 * tile_.width_groups, k.module().null(four_));
    const Variable largest = k.variable(constant_of(four_, minus_infinity)), total = k.variable(k.module().null(four_));
    const Value end = end_of_keys(frame_, code_, tile_.queries(), keys_, shift_);
    k.loop(0u, end, tile_.keys(), [&](Value first_key) {
      const std::vector<Value> scores = masked(products(first_key), first_key);
      // The largest score of each of the thread's four rows, among the thread's own columns and then among all threads'.
      std::vector<Value> own;
      for (const Value& row : scores)
        own.push_back(spirv::max(spirv::max(spirv::extract(row, 0), spirv::extract(row, 1)), spirv::max(spirv::extract(row, 2), spirv::extract(row, 3))));
      const Value before = largest.get(), now = spirv::max(before, across(spirv::make_vector(own), [](Value a, Value b) { return spirv::max(a, b); }));
      largest.set(now);
      const Value factor = spirv::select(before == minus_infinity, constant_of(four_, 0.f), exponential(before - now));
      std::vector<Value> weight, sums;
      for (std::uint32_t e = 0; e < 4; ++e) {
        const Value& row = scores[e];
        weight.push_back(spirv::select(row == minus_infinity, constant_of(four_, 0.f), exponential(row - spirv::splat(spirv::extract(now, e), 4))));
        const Value& w = weight.back();
        sums.push_back((spirv::extract(w, 0) + spirv::extract(w, 1)) + (spirv::extract(w, 2) + spirv::extract(w, 3)));
      }
      total.set(total.get() * factor + spirv::make_vector(sums));
      for (std::uint32_t e = 0; e < 4; ++e)
        for (std::uint32_t h = 0; h < tile_.width_groups; ++h) {
          Variable& r = results[e * tile_.width_groups + h];
          r.set(r.get() * spirv::extract(factor, e));
        }
      // [key][query / 4]: the left side of the product with the values.
      for (std::uint32_t c = 0; c < 4; ++c) {
        std::vector<Value> column;
        for (const Value& w : weight) column.push_back(spirv::extract(w, c));
        weights_.store((tx_ * 4u + c) * tile_.threads_down + (ty_ ^ swizzle(tx_)), spirv::make_vector(column));
      }
      k.barrier();
      add_values(results, first_key);
    });
    const Value sum = across(total.get(), [](Value a, Value b) { return a + b; });
    const Value inverse = spirv::select(sum == 0.f, constant_of(four_, 0.f), constant_of(four_, 1.f) / sum);
    const std::uint32_t strip = tile_.threads_over;
    for (std::uint32_t h = 0; h < tile_.width_groups; ++h) {
      k.barrier();
      for (std::uint32_t e = 0; e < 4; ++e)
        weights_.store((ty_ * 4u + e) * strip + tx_, results[e * tile_.width_groups + h].get() * spirv::extract(inverse, e));
      k.barrier();
      StripWriter(frame_, frame_.column0 + h * tile_.keys(), tile_.keys(), thread_, tile_.threads())
          .store(frame_.row0, tile_.queries(), [&](Value r, Value c4) { return weights_.load(r * strip + c4); });
    }
  }

  // q · kᵀ of the tile's queries and a block of keys: four rows of four.
  std::vector<Value> products(Value first_key) {
    std::vector<Variable> sums = k.variables(4, k.module().null(four_));
    const bool halves = is_vector(code_.product.fetch_a) && is_vector(code_.product.fetch_b);
    std::vector<Variable> left = registers(tile_.queries(), code_.product.fetch_a), right;
    if (!halves || code_.product.fetch_a != code_.product.fetch_b) right = registers(tile_.keys(), code_.product.fetch_b);
    std::vector<Variable>& shared_right = right.empty() ? left : right;
    const OperandCode &q = frame_.operands[0], &keys = frame_.operands[1];
    SimtSide a(frame_, tile_.threads(), tile_.depth,
               {&q, code_.product.fetch_a, true, tile_.queries(), frame_.rows, frame_.row0, q.row, q.column, frame_.depth, frame_.depth, {}}, left);
    SimtSide b(frame_, tile_.threads(), tile_.depth,
               {&keys, code_.product.fetch_b, false, tile_.keys(), keys_, first_key, keys.column, keys.row, frame_.depth, frame_.depth, {}}, shared_right);
    k.loop(0u, frame_.depth, tile_.depth, [&](Value depth) {
      a.fetch(depth), b.fetch(depth);
      k.barrier();
      a.put(blocks_, k.constant(0u)), b.put(blocks_, k.constant(block_));
      k.barrier();
      steps([&](Value kk) { return a.get(blocks_, k.constant(0u), kk, ty_); },
            [&](Value kk, std::uint32_t) { return b.get(blocks_, k.constant(block_), kk, tx_); }, sums, 1);
    });
    std::vector<Value> values;
    for (const Variable& s : sums) values.push_back(s.get());
    return values;
  }

  // Scores as softmax takes them: scaled, with the mask; -inf for what is out of the question.
  std::vector<Value> masked(std::vector<Value> scores, Value first_key) {
    for (std::uint32_t e = 0; e < 4; ++e) {
      const Value row = spirv::min(frame_.row0 + ty_ * 4u + e, frame_.rows - 1u);
      std::vector<Value> each;
      for (std::uint32_t c = 0; c < 4; ++c) {
        const Value place = first_key + tx_ * 4u + c, key = spirv::min(place, keys_ - 1u);
        Value score = spirv::extract(scores[e], c) * scale_, seen = place < keys_;
        if (code_.causal) seen = seen && spirv::bitcast(k.i32(), place) <= spirv::bitcast(k.i32(), row) + shift_;
        if (code_.mask != MaskKind::none) {
          const OperandCode& mask = frame_.operands[4];
          const Value loaded = mask.elements.load(mask.base + row * mask.row + key * mask.column);
          if (code_.mask == MaskKind::add) score = score + loaded;
          else seen = seen && loaded != 0;
        }
        each.push_back(spirv::select(seen, score, minus_infinity));
      }
      scores[e] = spirv::make_vector(each);
    }
    return scores;
  }

  // results += weights · v for the block of keys.
  void add_values(std::vector<Variable>& results, Value first_key) {
    const OperandCode& v = frame_.operands[3];
    std::vector<Variable> held = registers(tile_.width(), code_.fetch_v);
    SimtSide side(frame_, tile_.threads(), tile_.depth,
                  {&v, code_.fetch_v, false, tile_.width(), frame_.columns, frame_.column0, v.column, v.row, keys_, keys_, {}}, held);
    k.loop(0u, tile_.keys(), tile_.depth, [&](Value part) {
      side.fetch(first_key + part);
      k.barrier();
      side.put(blocks_, k.constant(block_));
      k.barrier();
      steps([&](Value kk) { return weights_.load((part + kk) * tile_.threads_down + (ty_ ^ swizzle((part + kk) / 4u))); },
            [&](Value kk, std::uint32_t h) { return side.get(blocks_, k.constant(block_), kk, tx_ + h * tile_.threads_over); }, results, tile_.width_groups);
    });
    k.barrier();
  }

  // sums[e][h] += left(kk)[e] * right(kk, h) for the steps of one block.
  template <class Left, class Right> void steps(Left left, Right right, std::vector<Variable>& sums, std::uint32_t groups) {
    std::vector<Value> values;
    const auto step = [&](Value kk) {
      const Value a = left(kk);
      for (std::uint32_t h = 0; h < groups; ++h) {
        const Value b = right(kk, h);
        for (std::uint32_t e = 0; e < 4; ++e) values[e * groups + h] = frame_.accumulate(values[e * groups + h], spirv::extract(a, e), b);
      }
    };
    const auto take = [&] { values.clear(); for (const Variable& s : sums) values.push_back(s.get()); };
    const auto keep = [&] { for (std::size_t i = 0; i < sums.size(); ++i) sums[i].set(values[i]); };
    if (tile_.unrolled) {
      take();
      for (std::uint32_t kk = 0; kk < tile_.depth; ++kk) step(k.constant(kk));
      keep();
    } else {
      k.loop(0u, tile_.depth, 1u, [&](Value kk) { take(), step(kk), keep(); });
    }
  }

  // Combines the values that the threads of the same four rows have.
  template <class F> Value across(Value own, F f) {
    rows_.store(tx_ * tile_.threads_down + ty_, own);
    k.barrier();
    Value all = rows_.load(ty_);
    for (std::uint32_t i = 1; i < tile_.threads_over; ++i) all = f(all, rows_.load(ty_ + i * tile_.threads_down));
    k.barrier();
    return all;
  }
  // exp(x) = 2^(x log2 e): arguments are at most 0, and what is far below leaves nothing of a relative error's weight.
  Value exponential(Value x) { return k.module().extended(spirv::Glsl::Exp2, x.type, {x * 1.44269504088896341f}); }
  Value swizzle(Value column) const { return column % std::min(tile_.threads_down, 8u); }
  std::vector<Variable> registers(std::uint32_t length, Fetch fetch) {
    return k.variables(SimtSide::registers(tile_.threads(), tile_.depth, length, fetch), four_);
  }

  KernelBuilder k;
  const AttentionCode& code_;
  AttentionTile tile_;
  ProductFrame frame_;
  Value keys_, scale_, shift_, thread_, ty_, tx_;
  Type four_ = nullptr;
  std::uint32_t block_ = 0;
  Shared blocks_, weights_, rows_;
};

}  // namespace detail
}  // namespace cotenant::vulkan

#endif
