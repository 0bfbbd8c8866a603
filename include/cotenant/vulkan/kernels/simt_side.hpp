// SimtSide: brings blocks of one operand of a product to shared memory, [depth][across], whatever way they lie in memory.
#ifndef COTENANT_VULKAN_KERNELS_SIMT_SIDE_HPP
#define COTENANT_VULKAN_KERNELS_SIMT_SIDE_HPP
#include <algorithm>
#include <cstdint>
#include <vector>

#include "cotenant/vulkan/kernels/product_frame.hpp"

namespace cotenant::vulkan {
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
  void when_mine(FunctionRef<void()> f) {
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
}  // namespace cotenant::vulkan

#endif
