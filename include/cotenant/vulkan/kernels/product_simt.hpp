// The product's tile on ordinary arithmetic: blocks of both operands in shared memory, an outer product per step in registers.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_SIMT_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_SIMT_HPP
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "cotenant/vulkan/kernels/product_frame.hpp"

namespace cotenant::vulkan {

// threads_down x threads_over threads, each with 4 groups_down x 4 groups_over sums.
struct SimtTile {
  std::uint32_t threads_down = 16, threads_over = 16, groups_down = 2, groups_over = 2, depth = 16;
  bool unrolled = true;  // the steps of a block, two blocks in shared memory by turns; else a loop and one block

  std::uint32_t threads() const { return threads_down * threads_over; }
  std::uint32_t rows() const { return 4 * threads_down * groups_down; }
  std::uint32_t columns() const { return 4 * threads_over * groups_over; }
  std::uint32_t block() const { return depth * (rows() + columns()) / 4; }  // vectors of four
  std::uint32_t shared() const { return std::max((unrolled ? 2 : 1) * block(), threads_down * columns()); }
  std::string key() const {
    return "simt " + std::to_string(rows()) + "x" + std::to_string(columns()) + "x" + std::to_string(depth) + (unrolled ? " unrolled" : " loop") + " " +
        std::to_string(threads());
  }
};

namespace detail {

// One side of a product as a tile reads it: `across` is its axis of the result, `depth` the one that is summed over.
struct SideCode {
  const OperandCode* operand = nullptr;
  Fetch fetch{};
  bool left = true;           // its half of the threads fetches where both sides are read as vectors
  std::uint32_t length = 0;   // of the tile along `across`
  Value extent, origin;       // along `across`: of the matrix; where the tile begins
  Value across, depth;        // strides
  Value last, to;             // along depth: of the matrix; where this workgroup's part ends
  EmitElement element;
  bool whole = false;         // the extent is a multiple of 4
};

// Brings [across, depth] blocks of one operand to shared memory, as [depth][across / 4] vectors of four along `across`.
class SimtSide {
 public:
  using Value = spirv::Value;
  SimtSide(ProductFrame& frame, std::uint32_t threads, std::uint32_t depth, const SideCode& side, std::vector<Variable>& registers)
      : frame_(frame), k_(frame.k), side_(side), depth_(depth), quads_(side.length / 4), registers_(registers) {
    const std::uint32_t half = threads / 2;
    const std::uint32_t blocks = side.fetch == Fetch::vector_depth ? quads_ * depth_ / 4 : quads_ * depth_;
    const std::uint32_t lanes = is_vector(side.fetch) ? half : threads;
    const Value thread = k_.local_index();
    Value lane = thread;
    if (is_vector(side.fetch)) {
      lane = thread % half;
      const std::uint32_t active = std::min(blocks, half);
      mine_ = side.left ? thread < active : thread >= half && thread < half + active;
    } else if (blocks < lanes) {
      mine_ = thread < blocks;
    }
    items_ = std::max(blocks / lanes, 1u);
    // Behind the last row or column another one is read: its sums are never stored.
    if (side.fetch == Fetch::vector_across && lanes % quads_ == 0) {
      // Every item of a thread lies in the same four columns: one offset for all.
      const Value kk = lane / quads_, quad = lane % quads_;
      offsets_.push_back(side.operand->base + spirv::min(side.origin + quad * 4u, (side.extent - 1u) / 4u * 4u));
      for (std::uint32_t item = 0; item < items_; ++item) {
        const std::uint32_t further = item * (lanes / quads_);
        place_.push_back({kk + further, quad});
        increments_.push_back(side.depth * further);
      }
      return;
    }
    for (std::uint32_t item = 0; item < items_; ++item) {
      const Value index = lane + item * lanes;
      const std::uint32_t along = side.fetch == Fetch::vector_depth ? depth_ / 4 : depth_;
      const bool depth_first = side.fetch == Fetch::vector_depth || side.fetch == Fetch::scalar_depth;
      const Value kk = depth_first ? index % along : index / quads_, quad = depth_first ? index / along : index % quads_;
      place_.push_back({side.fetch == Fetch::vector_depth ? kk * 4u : kk, quad});
      const Value at = side.origin + quad * 4u;
      if (one_offset()) {
        offsets_.push_back(side.operand->base + spirv::min(at, side.extent - 4u) * side.across);
        if (item == 0) for (std::uint32_t e = 0; e < 4; ++e) increments_.push_back(side.across * e);
      } else if (side.fetch == Fetch::vector_across) {
        offsets_.push_back(side.operand->base + spirv::min(at, (side.extent - 1u) / 4u * 4u));
      } else {
        for (std::uint32_t e = 0; e < 4; ++e) {
          const Value row = spirv::min(at + e, side.extent - 1u);
          offsets_.push_back(side.element ? row : side.operand->base + row * side.across);
        }
      }
    }
  }
  // How many registers (vectors of four) one side needs.
  static std::uint32_t registers(std::uint32_t threads, std::uint32_t depth, std::uint32_t length, Fetch fetch) {
    return std::max(length / 4 * depth / (is_vector(fetch) ? threads / 2 : threads), fetch == Fetch::vector_depth ? 4u : 1u);
  }

  // Reads the block from `depth` on; what lies behind the last element is 0.
  void fetch(Value depth) {
    when_mine([&] {
      if (is_vector(side_.fetch)) k_.when(depth + depth_ <= side_.to, [&] { read(depth, false); }, [&] { read(depth, true); });
      else read(depth, true);
    });
  }
  // Writes it to shared memory from vector `base` on.
  void put(const Shared& shared, Value base) {
    when_mine([&] {
      for (std::uint32_t item = 0; item < items_; ++item) {
        const auto& [kk, quad] = place_[item];
        if (side_.fetch != Fetch::vector_depth) {
          shared.store(base + kk * quads_ + (quad ^ swizzle(kk)), registers_[item].get());
          continue;
        }
        std::vector<Value> rows;
        for (std::uint32_t e = 0; e < 4; ++e) rows.push_back(registers_[item * 4 + e].get());
        for (std::uint32_t c = 0; c < 4; ++c) {
          std::vector<Value> column;
          for (const Value& row : rows) column.push_back(spirv::extract(row, c));
          shared.store(base + (kk + c) * quads_ + (quad ^ swizzle(kk + c)), spirv::make_vector(column));
        }
      }
    });
  }
  // The four elements from 4 quad on, of step kk of the block at `base`.
  Value get(const Shared& shared, Value base, Value kk, Value quad) const { return shared.load(base + kk * quads_ + (quad ^ swizzle(kk))); }

 private:
  // Threads that write one after another along depth would meet in one bank; each step's vectors are exchanged among eight.
  Value swizzle(Value kk) const {
    if (side_.fetch == Fetch::vector_depth) return (kk / 4u % (depth_ / 4)) * (8 / (depth_ / 4));
    if (side_.fetch == Fetch::scalar_depth) return kk % 8u;
    return k_.constant(0u);
  }
  // Of the rows of a quad, which lie a stride apart.
  bool one_offset() const { return side_.fetch == Fetch::vector_depth && side_.whole; }
  template <class F> void when_mine(F f) {
    if (mine_.exists()) k_.when(mine_, f);
    else f();
  }
  Value one(std::uint32_t offset, Value at) {
    if (side_.element) return side_.element(frame_, side_.left, offsets_[offset], at);
    return frame_.load_number(*side_.operand, offsets_[offset] + at * side_.depth);
  }
  void read(Value depth, bool guarded) {
    for (std::uint32_t item = 0; item < items_; ++item) {
      const Value position = depth + place_[item].kk;
      const Value inside = position < side_.to;
      const auto keep = [&](std::uint32_t to, Value v) { registers_[to].set(guarded ? spirv::select(inside, v, spirv::constant_like(v, 0)) : v); };
      // What lies behind the end of a padded line is 0.
      const Value at = !guarded ? position : side_.fetch == Fetch::vector_depth ? spirv::min(position, (side_.last - 1u) / 4u * 4u) :
          spirv::min(position, side_.last - 1u);
      if (side_.fetch == Fetch::vector_depth) {
        for (std::uint32_t e = 0; e < 4; ++e)
          keep(item * 4 + e, frame_.load_numbers(*side_.operand, one_offset() ? offsets_[item] + at + increments_[e] : offsets_[item * 4 + e] + at));
      } else if (side_.fetch == Fetch::vector_across) {
        const bool one = !increments_.empty();
        if (one && !guarded) keep(item, frame_.load_numbers(*side_.operand, offsets_[0] + (depth + place_[0].kk) * side_.depth + increments_[item]));
        else keep(item, frame_.load_numbers(*side_.operand, offsets_[one ? 0 : item] + at * side_.depth));
      } else {
        std::vector<Value> four;
        for (std::uint32_t e = 0; e < 4; ++e) four.push_back(one(item * 4 + e, at));
        keep(item, spirv::make_vector(four));
      }
    }
  }

  struct Place {
    Value kk, quad;
  };
  ProductFrame& frame_;
  KernelBuilder& k_;
  SideCode side_;
  std::uint32_t depth_, quads_, items_ = 1;
  std::vector<Variable>& registers_;
  Value mine_;
  std::vector<Place> place_;
  std::vector<Value> offsets_, increments_;
};

}  // namespace detail

inline spirv::Words emit_simt_product(const Target& target, const ProductCode& code, const SimtTile& tile) {
  using spirv::Value;
  KernelBuilder k(target, {.workgroup = tile.threads()});
  ProductFrame frame(k, code);
  const Type four = k.vector(frame.number(), 4);
  const Shared shared = k.shared(four, tile.shared());
  const Value thread = k.local_index();
  // 32 threads take 4 x 8 of the tile's threads, so that they read few different vectors of either side.
  const bool patches = tile.threads_down % 4 == 0 && tile.threads_over % 8 == 0;
  const std::uint32_t over = tile.threads_over / 8;
  const Value patch = thread >> 5u, inside = thread & 31u;
  const Value ty = patches ? patch / over * 4u + (inside >> 3u) : thread / tile.threads_over;
  const Value tx = patches ? patch % over * 8u + (inside & 7u) : thread % tile.threads_over;
  frame.for_tile(tile.rows(), tile.columns(), [&] {
    const bool halves = is_vector(code.fetch_a) && is_vector(code.fetch_b);
    const std::uint32_t need_a = detail::SimtSide::registers(tile.threads(), tile.depth, tile.rows(), code.fetch_a);
    const std::uint32_t need_b = detail::SimtSide::registers(tile.threads(), tile.depth, tile.columns(), code.fetch_b);
    std::vector<Variable> registers_a, registers_b;
    for (std::uint32_t i = 0; i < (halves ? std::max(need_a, need_b) : need_a); ++i) registers_a.push_back(k.variable(four));
    // Threads that fetch one side only have the same registers for both.
    if (!halves) for (std::uint32_t i = 0; i < need_b; ++i) registers_b.push_back(k.variable(four));
    const OperandCode &left_operand = frame.operands[0], &right_operand = frame.operands[1];
    detail::SimtSide a(frame, tile.threads(), tile.depth,
                       {&left_operand, code.fetch_a, true, tile.rows(), frame.rows, frame.row0, left_operand.row, left_operand.column, frame.depth,
                           frame.to, code.element_a, code.whole_a},
                       registers_a);
    detail::SimtSide b(frame, tile.threads(), tile.depth,
                       {&right_operand, code.fetch_b, false, tile.columns(), frame.columns, frame.column0, right_operand.column, right_operand.row,
                           frame.depth, frame.to, code.element_b, code.whole_b},
                       halves ? registers_a : registers_b);
    const std::uint32_t left = tile.depth * tile.rows() / 4, block = tile.block();
    std::vector<Variable> sums;
    for (std::uint32_t i = 0; i < tile.groups_down * 4 * tile.groups_over; ++i) sums.push_back(k.variable(k.module().null(four)));

    const auto step = [&](std::vector<Value>& sum, Value base, Value kk) {
      std::vector<Value> as, bs;
      for (std::uint32_t g = 0; g < tile.groups_down; ++g) as.push_back(a.get(shared, base, kk, ty + g * tile.threads_down));
      for (std::uint32_t h = 0; h < tile.groups_over; ++h) bs.push_back(b.get(shared, base + left, kk, tx + h * tile.threads_over));
      for (std::uint32_t g = 0; g < tile.groups_down; ++g)
        for (std::uint32_t e = 0; e < 4; ++e)
          for (std::uint32_t h = 0; h < tile.groups_over; ++h) {
            Value& s = sum[(g * 4 + e) * tile.groups_over + h];
            s = frame.accumulate(s, spirv::extract(as[g], e), bs[h]);
          }
    };
    const auto loaded = [&] {
      std::vector<Value> values;
      for (const Variable& s : sums) values.push_back(s.get());
      return values;
    };
    const auto keep = [&](const std::vector<Value>& values) { for (std::size_t i = 0; i < sums.size(); ++i) sums[i].set(values[i]); };

    if (tile.unrolled) {
      k.when(frame.from < frame.to, [&] {
        a.fetch(frame.from), b.fetch(frame.from);
        a.put(shared, k.constant(0u)), b.put(shared, k.constant(left));
        k.barrier();
        Variable current = k.variable(k.constant(0u));
        k.loop(frame.from, frame.to, tile.depth, [&](Value depth) {
          const Value next = depth + tile.depth, more = next < frame.to;
          k.when(more, [&] { a.fetch(next), b.fetch(next); });
          const Value base = current.get();
          std::vector<Value> values = loaded();
          for (std::uint32_t kk = 0; kk < tile.depth; ++kk) step(values, base, k.constant(kk));
          keep(values);
          const Value other = block - base;
          k.when(more, [&] { a.put(shared, other), b.put(shared, other + left); });
          current.set(other);
          k.barrier();
        });
      });
    } else {
      k.loop(frame.from, frame.to, tile.depth, [&](Value depth) {
        a.fetch(depth), b.fetch(depth);
        k.barrier();
        a.put(shared, k.constant(0u)), b.put(shared, k.constant(left));
        k.barrier();
        k.loop(k.constant(0u), k.constant(tile.depth), 1, [&](Value kk) {
          std::vector<Value> values = loaded();
          step(values, k.constant(0u), kk);
          keep(values);
        });
      });
    }
    // The sums leave through shared memory, four rows of each thread at a time: there any layout of the result is near.
    const std::uint32_t quads = tile.columns() / 4, strip = 4 * tile.threads_down;
    for (std::uint32_t g = 0; g < tile.groups_down; ++g) {
      k.barrier();
      for (std::uint32_t e = 0; e < 4; ++e)
        for (std::uint32_t h = 0; h < tile.groups_over; ++h)
          shared.store((ty * 4u + e) * quads + tx + h * tile.threads_over, sums[(g * 4 + e) * tile.groups_over + h].get());
      k.barrier();
      frame.store_strip(frame.row0 + g * strip, frame.column0, strip, tile.columns(), thread, tile.threads(),
          [&](Value r, Value c4) { return shared.load(r * quads + c4); });
    }
  });
  return k.finish();
}

}  // namespace cotenant::vulkan

#endif
