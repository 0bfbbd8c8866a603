// The product's tile on ordinary arithmetic: blocks of both operands in shared memory, an outer product per step in registers.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_SIMT_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_SIMT_HPP
#include <algorithm>
#include <cstdint>
#include <vector>

#include "cotenant/vulkan/kernels/product_frame.hpp"
#include "cotenant/vulkan/kernels/product_strip.hpp"

namespace cotenant::vulkan {

// threads_down x threads_over threads, each with 4 groups_down x 4 groups_over sums; threads_deep times as many, where several
// share out the steps of a block and add their sums up at the end: for results with few tiles.
struct SimtTile {
  std::uint32_t threads_down = 16, threads_over = 16, groups_down = 2, groups_over = 2, depth = 16;
  bool unrolled = true;  // the steps of a block, two blocks in shared memory by turns; else a loop and one block
  std::uint32_t threads_deep = 1;

  std::uint32_t threads() const { return threads_down * threads_over * threads_deep; }
  std::uint32_t rows() const { return 4 * threads_down * groups_down; }
  std::uint32_t columns() const { return 4 * threads_over * groups_over; }
  // Of shared memory, in vectors of four: one block; blocks or every layer's sums of 4 threads_down rows of the result.
  std::uint32_t block() const { return depth * (rows() + columns()) / 4; }
  std::uint32_t shared() const { return std::max((unrolled ? 2 : 1) * block(), threads_deep * threads_down * columns()); }
  TileExtent extent() const { return {rows(), columns(), depth}; }
  KernelKey key() const {
    KernelKey text("simt ", rows(), 'x', columns(), 'x', depth, unrolled ? " unrolled " : " loop ", threads_down * threads_over);
    if (threads_deep > 1) text.append('x', threads_deep);
    return text;
  }
};

namespace detail {

// One side of a product as a tile reads it: `across` is its axis of the result, `depth` the one that is summed over. Blocks lie in
// shared memory as [depth][across / 4] vectors of four, whatever way they lie in memory; the vectors of every fourth step are
// exchanged among eight, so that threads that bring neighbours along depth write to different banks.
class SimtBlocks {
 public:
  using Value = spirv::Value;
  SimtBlocks(ProductFrame& frame, const SimtTile& tile, bool left)
      : frame_(frame), k_(frame.k), x_(frame.operands[left ? 0 : 1]), fetch_(left ? frame.code.fetch_a : frame.code.fetch_b),
        hook_(left ? frame.code.element_a : frame.code.element_b), left_(left), length_(left ? tile.rows() : tile.columns()), depth_(tile.depth),
        lanes_(left ? tile.threads_down : tile.threads_over), groups_(left ? tile.groups_down : tile.groups_over), threads_(tile.threads()),
        step_(left ? x_.column : x_.row) {
    const Value full = left ? frame.rows : frame.columns, origin = left ? frame.row0 : frame.column0, across = left ? x_.row : x_.column;
    // Behind the last row or column another one is read: its sums are never stored.
    const auto inside = [&](Value at) { return spirv::min(at, full - 1u); };
    const std::uint32_t items = (length_ * depth_ / 4 + threads_ - 1) / threads_;
    for (std::uint32_t item = 0; item < items; ++item) {
      const Place at = place(item);
      registers_.push_back(k_.variable(k_.vector(frame.number(), 4)));
      std::vector<Value> offsets;
      if (fetch_ == Fetch::vector_depth) {
        offsets = {x_.base + inside(origin + at.line) * across + at.quad * 4u};
      } else if (fetch_ == Fetch::vector_across) {
        offsets = {x_.base + spirv::min(origin + at.quad * 4u, (full - 1u) / 4u * 4u) + at.line * step_};
      } else {
        for (std::uint32_t e = 0; e < (along_depth() ? 1u : 4u); ++e) {
          const Value one = inside(origin + (along_depth() ? at.line : at.quad * 4u + e));
          offsets.push_back(hook_ ? one : x_.base + one * across);
        }
      }
      offset_.push_back(offsets);
    }
  }

  // Begins to read the block from `depth` on; guarded: what lies behind the last element is 0, else there is all of it.
  void fetch(Value depth, bool guarded) {
    for (std::uint32_t item = 0; item < registers_.size(); ++item) registers_[item].set(read(item, depth, guarded));
  }
  void put(const Shared& shared, Value base) {
    for (std::uint32_t item = 0; item < registers_.size(); ++item) {
      const Place at = place(item);
      const Value four = registers_[item].get();
      if (along_depth()) {
        const Value first = base + at.quad * length_ + ((at.line / 4u) ^ (at.quad * exchange()));
        for (std::uint32_t e = 0; e < 4; ++e)
          spirv::store(spirv::element_pointer(shared.pointer(first + e * length_ / 4), at.line % 4u), spirv::extract(four, e));
      } else {
        shared.store(base + at.line * (length_ / 4) + (at.quad ^ (at.line / 4u * exchange())), four);
      }
    }
  }
  // What a thread needs of one step of the block: quads `lane`, lane + lanes, …
  std::vector<Value> step(const Shared& shared, Value base, Value quad_of_steps, std::uint32_t step, Value lane) const {
    std::vector<Value> numbers;
    for (std::uint32_t g = 0; g < groups_; ++g) {
      const Value four = shared.load(base + quad_of_steps * length_ + step * length_ / 4 + ((lane + g * lanes_) ^ (quad_of_steps * exchange())));
      for (std::uint32_t e = 0; e < 4; ++e) numbers.push_back(spirv::extract(four, e));
    }
    return numbers;
  }

 private:
  struct Place {
    Value line, quad;  // [across][depth / 4] where elements lie along depth, else [depth][across / 4]
  };
  bool along_depth() const { return fetch_ == Fetch::vector_depth || fetch_ == Fetch::scalar_depth; }
  // How far the vectors of a quad of steps are exchanged: 32 threads bring depth / 4 neighbours each of 128 / depth lines.
  std::uint32_t exchange() const { return is_vector(fetch_) && !along_depth() ? 0 : std::max(32 / depth_, 1u); }
  Place place(std::uint32_t item) {
    const std::uint32_t quads = (along_depth() ? depth_ : length_) / 4, all = length_ * depth_ / 4;
    const Value thread = k_.local_index();
    if (threads_ % quads == 0 && all % threads_ == 0) return {thread / quads + item * (threads_ / quads), thread % quads};
    // Threads without a vector in the last round bring the last one once more.
    const Value index = spirv::min(thread + item * threads_, all - 1);
    return {index / quads, index % quads};
  }
  Value read(std::uint32_t item, Value depth, bool guarded) {
    const Place at = place(item);
    const auto offset = [&](std::uint32_t i) { return offset_[item][i]; };
    const auto kept = [&](Value position, Value v) { return guarded ? spirv::select(position < frame_.to, v, spirv::constant_like(v, 0)) : v; };
    if (fetch_ == Fetch::vector_depth) {
      if (!guarded) return frame_.load_numbers(x_, offset(0) + depth);
      // What lies behind the end of a padded line is 0.
      const Value position = depth + at.quad * 4u;
      return kept(position, frame_.load_numbers(x_, offset(0) - at.quad * 4u + spirv::min(position, (frame_.depth - 1u) / 4u * 4u)));
    }
    if (fetch_ == Fetch::vector_across) {
      if (!guarded) return frame_.load_numbers(x_, offset(0) + depth * step_);
      const Value position = depth + at.line;
      return kept(position, frame_.load_numbers(x_, offset(0) + (spirv::min(position, frame_.depth - 1u) - at.line) * step_));
    }
    std::vector<Value> four;
    for (std::uint32_t e = 0; e < 4; ++e) {
      const Value position = depth + (along_depth() ? at.quad * 4u + e : at.line), across = offset(along_depth() ? 0 : e);
      const Value step = guarded ? spirv::min(position, frame_.depth - 1u) : position;
      four.push_back(kept(position, hook_ ? hook_(frame_, left_, across, step) : frame_.load_number(x_, across + step * step_)));
    }
    return spirv::make_vector(four);
  }

  ProductFrame& frame_;
  KernelBuilder& k_;
  const OperandCode& x_;
  Fetch fetch_;
  const EmitElement& hook_;
  bool left_;
  std::uint32_t length_, depth_, lanes_, groups_, threads_;
  Value step_;
  std::vector<std::vector<Value>> offset_;
  std::vector<Variable> registers_;
};

}  // namespace detail

inline spirv::Words emit_simt_product(const Target& target, const ProductCode& code, const SimtTile& tile) {
  using spirv::Value;
  KernelBuilder k(target, {.workgroup = tile.threads(), .halves = code.gives_halves()});
  ProductFrame frame(k, code);
  const Type four = k.vector(frame.number(), 4);
  const Shared shared = k.shared(four, tile.shared());
  const std::uint32_t layer = tile.threads_down * tile.threads_over;
  const Value local = k.local_index(), thread = tile.threads_deep > 1 ? local % layer : local, deep = local / layer;
  // 32 threads take 4 x 8 of the tile's threads, so that they read few different vectors of either side; every second one reads the
  // same of b as its neighbour, every second pair the same of a: what shared memory then gives out at once.
  const bool patches = tile.threads_down % 4 == 0 && tile.threads_over % 8 == 0;
  const std::uint32_t over = tile.threads_over / 8;
  const Value patch = thread >> 5u, inside = thread & 31u;
  const Value ty = patches ? patch / over * 4u + ((inside & 1u) | (inside >> 4u) << 1u) : thread / tile.threads_over;
  const Value tx = patches ? patch % over * 8u + (inside >> 1u & 7u) : thread % tile.threads_over;
  frame.for_tile(tile.rows(), tile.columns(), [&] {
    detail::SimtBlocks a(frame, tile, true), b(frame, tile, false);
    const std::uint32_t block = tile.block(), left = tile.depth * tile.rows() / 4;
    std::vector<Variable> sums;
    for (std::uint32_t i = 0; i < 16 * tile.groups_down * tile.groups_over; ++i) sums.push_back(k.variable(k.module().null(frame.number())));

    const auto put = [&](Value base) { a.put(shared, base), b.put(shared, base + left); };
    const auto fetch = [&](Value depth, bool guarded) { a.fetch(depth, guarded), b.fetch(depth, guarded); };
    // The steps of the block at `base`, four at a time; those of this thread's layer.
    const std::uint32_t quads_of_steps = tile.depth / 4 / tile.threads_deep;
    const auto four_steps = [&](Value base, Value quad) {
      std::vector<Value> values;
      for (const Variable& s : sums) values.push_back(s.get());
      for (std::uint32_t d = 0; d < 4; ++d) {
        const std::vector<Value> as = a.step(shared, base, quad, d, ty), bs = b.step(shared, base + left, quad, d, tx);
        for (std::size_t i = 0; i < as.size(); ++i)
          for (std::size_t j = 0; j < bs.size(); ++j) values[i * bs.size() + j] = frame.accumulate(values[i * bs.size() + j], as[i], bs[j]);
      }
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i].set(values[i]);
    };
    const auto use = [&](Value base, bool unrolled) {
      const Value first = deep * quads_of_steps;
      if (!unrolled) return k.loop(first, first + quads_of_steps, 1u, [&](Value quad) { four_steps(base, quad); });
      for (std::uint32_t i = 0; i < quads_of_steps; ++i) four_steps(base, tile.threads_deep > 1 ? first + i : k.constant(i));
    };

    const Value zero = k.constant(0u);
    if (tile.unrolled) {
      const Variable current = k.variable(zero);
      // The blocks that begin in [begin, end), the first of which is in shared memory; `inner`: behind each of them is another whole
      // one. Only what is read without a condition stays in the registers that it was read into.
      const auto blocks = [&](Value begin, Value end, bool inner) {
        k.loop(begin, end, tile.depth, [&](Value at) {
          const Value next = at + tile.depth, more = next < frame.to, base = current.get(), other = block - base;
          if (inner) fetch(next, false);
          else k.when(more, [&] { fetch(next, true); });
          use(base, inner);
          if (inner) put(other);
          else k.when(more, [&] { put(other); });
          current.set(other);
          k.barrier();
        });
      };
      k.when(frame.from < frame.to, [&] {
        fetch(frame.from, true);
        put(zero);
        k.barrier();
        Value last = frame.from;
        if (is_vector(code.fetch_a) && is_vector(code.fetch_b)) {
          last = frame.from + (spirv::max((frame.to - frame.from) / tile.depth, 1u) - 1u) * tile.depth;
          blocks(frame.from, last, true);
        }
        blocks(last, frame.to, false);
      });
    } else {
      k.loop(frame.from, frame.to, tile.depth, [&](Value depth) {
        fetch(depth, true);
        k.barrier();
        put(zero);
        k.barrier();
        use(zero, false);
      });
    }
    // The sums leave through shared memory, four rows of each thread at a time: there any layout of the result is near.
    const std::uint32_t quads = tile.columns() / 4, strip = 4 * tile.threads_down, layer_sums = strip * quads;
    const StripWriter writer(frame, frame.column0, tile.columns(), local, tile.threads());
    for (std::uint32_t g = 0; g < tile.groups_down; ++g) {
      k.barrier();
      for (std::uint32_t e = 0; e < 4; ++e)
        for (std::uint32_t h = 0; h < tile.groups_over; ++h) {
          std::vector<Value> four_sums;
          for (std::uint32_t c = 0; c < 4; ++c) four_sums.push_back(sums[((g * 4 + e) * tile.groups_over + h) * 4 + c].get());
          const Value place = (ty * 4u + e) * quads + tx + h * tile.threads_over;
          shared.store(tile.threads_deep > 1 ? place + deep * layer_sums : place, spirv::make_vector(four_sums));
        }
      k.barrier();
      writer.store(frame.row0 + g * strip, strip, [&](Value r, Value c4) {
        Value sum = shared.load(r * quads + c4);
        for (std::uint32_t i = 1; i < tile.threads_deep; ++i) sum = sum + shared.load(r * quads + c4 + i * layer_sums);
        return sum;
      });
    }
  });
  return k.finish();
}

}  // namespace cotenant::vulkan

#endif
