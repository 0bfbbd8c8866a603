// The product's tile on KHR cooperative matrices: raw blocks of both operands in shared memory, one part of the tile per subgroup.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_COOPERATIVE_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_COOPERATIVE_HPP
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "cotenant/vulkan/kernels/product_frame.hpp"
#include "cotenant/vulkan/spirv_matrix.hpp"

namespace cotenant::vulkan {

// rows x columns of the result per workgroup, part_rows x part_columns of them per subgroup, in steps of `depth`; m x n x k is the
// shape of one matrix, which the device lists for these elements.
struct CooperativeTile {
  std::uint32_t rows = 128, columns = 256, depth = 32, part_rows = 64, part_columns = 64, m = 16, n = 16, k = 16, subgroup = 32;
  bool unrolled = false;     // of the steps in a block: more registers and a longer compilation
  std::uint32_t stages = 1;  // blocks in shared memory: with two, one is written while the other is used

  std::uint32_t subgroups() const { return rows / part_rows * (columns / part_columns); }
  std::uint32_t threads() const { return subgroups() * subgroup; }
  std::string key() const {
    return "coop " + std::to_string(rows) + "x" + std::to_string(columns) + "x" + std::to_string(depth) + " " + std::to_string(part_rows) + "x" +
        std::to_string(part_columns) + " " +
           std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + (unrolled ? "u" : "") + (stages > 1 ? "x2" : "");
  }
};

namespace detail {

// Blocks of one operand in shared memory: lines of 16-byte words along the axis whose elements are neighbours, one word of padding
// behind each, so that eight lines begin in eight different banks.
class CooperativeSide {
 public:
  using Value = spirv::Value;
  CooperativeSide(ProductFrame& frame, const CooperativeTile& tile, bool is_left)
      : k_(frame.k), x_(frame.operands[is_left ? 0 : 1]), fetch_(is_left ? frame.code.fetch_a : frame.code.fetch_b),
          per_word_(16 / static_cast<std::uint32_t>(size_of(x_.type))),
        depth_(tile.depth), extent_(is_left ? tile.rows : tile.columns), last_(frame.depth), to_(frame.to) {
    along_depth_ = fetch_ == Fetch::vector_depth || fetch_ == Fetch::scalar_depth;
    lines_ = along_depth_ ? extent_ : depth_;
    words_ = (along_depth_ ? depth_ : extent_) / per_word_;
    const Value full = is_left ? frame.rows : frame.columns, origin = is_left ? frame.row0 : frame.column0;
    stride_ = is_left ? x_.row : x_.column, step_ = is_left ? x_.column : x_.row;
    const std::uint32_t count = lines_ * words_, threads = tile.threads();
    const std::uint32_t items = (count + threads - 1) / threads;
    const Value thread = k_.local_index();
    for (std::uint32_t item = 0; item < items; ++item) {
      // Threads without a word of the last round read the last one once more.
      const bool whole = (item + 1) * threads <= count;
      const Value index = whole ? thread + item * threads : spirv::min(thread + item * threads, count - 1);
      const Value line = index / words_, word = index % words_;
      line_.push_back(line), word_.push_back(word);
      // Behind the last row or column another one is read: its sums are never stored.
      if (along_depth_) {
        offset_.push_back({x_.base + spirv::min(origin + line, full - 1u) * stride_});
      } else if (fetch_ == Fetch::vector_across) {
        offset_.push_back({x_.base + spirv::min(origin + word * per_word_, (full - 1u) / per_word_ * per_word_)});
      } else {
        std::vector<Value> each;
        for (std::uint32_t e = 0; e < per_word_; ++e) each.push_back(x_.base + spirv::min(origin + word * per_word_ + e, full - 1u) * stride_);
        offset_.push_back(each);
      }
      registers_.push_back(k_.variable(k_.vector(k_.u32(), 4)));
    }
  }
  // Of shared memory, in words of 16 bytes.
  std::uint32_t line_length() const { return words_ + 1; }
  std::uint32_t size() const { return lines_ * line_length(); }
  static std::uint32_t size(const CooperativeTile& tile, std::uint32_t extent, Fetch fetch, DType type) {
    const std::uint32_t per_word = 16 / static_cast<std::uint32_t>(size_of(type));
    const bool along = fetch == Fetch::vector_depth || fetch == Fetch::scalar_depth;
    return (along ? extent : tile.depth) * ((along ? tile.depth : extent) / per_word + 1);
  }

  void fetch(Value depth) {
    k_.when(depth + depth_ <= to_, [&] { read(depth, false); }, [&] { read(depth, true); });
  }
  void put(const Shared& shared, Value base) {
    for (std::size_t item = 0; item < registers_.size(); ++item) shared.store(line_[item] * line_length() + word_[item] + base, registers_[item].get());
  }
  // Where in shared memory the matrix begins that starts at `across` and at step kk (a multiple of its depth) of the block.
  Value place(Value across, Value kk, Value base) const {
    return along_depth_ ? across * line_length() + kk / per_word_ + base : kk * line_length() + across / per_word_ + base;
  }
  bool along_depth() const { return along_depth_; }

 private:
  void read(Value depth, bool guarded) {
    const spirv::Type four = k_.vector(k_.u32(), 4);
    for (std::size_t item = 0; item < registers_.size(); ++item) {
      const Value position = depth + (along_depth_ ? word_[item] * per_word_ : line_[item]);
      Value word;
      if (is_vector(fetch_)) {
        // What lies behind the end of a padded line is 0.
        const Value at = !guarded ? position : along_depth_ ? spirv::min(position, (last_ - 1u) / per_word_ * per_word_) : spirv::min(position, last_ - 1u);
        const Value offset = offset_[item][0] + (along_depth_ ? at : at * step_);
        word = x_.elements.buffer().as(four).load(offset / per_word_);
        if (guarded) word = spirv::select(position < to_, word, spirv::constant_like(word, 0u));
      } else {
        std::vector<Value> parts;
        const std::uint32_t bits = 128 / per_word_;
        for (std::uint32_t e = 0; e < per_word_; ++e) {
          const Value where = along_depth_ ? position + e : position;
          const Value at = guarded ? spirv::min(where, last_ - 1u) : where;
          Value element = spirv::convert(k_.u32(), x_.elements.buffer().load((along_depth_ ? offset_[item][0] : offset_[item][e]) + at * step_));
          if (guarded) element = spirv::select(where < to_, element, 0u);
          const std::uint32_t to = e * bits / 32, shift = e * bits % 32;
          if (shift == 0) parts.push_back(element);
          else parts[to] = parts[to] | element << shift;
        }
        word = spirv::make_vector(parts);
      }
      // Unsigned bytes as signed ones, 128 less: the epilogue makes up for it.
      if (x_.type == DType::u8) word = word ^ 0x80808080u;
      registers_[item].set(word);
    }
  }

  KernelBuilder& k_;
  const OperandCode& x_;
  Fetch fetch_;
  std::uint32_t per_word_, depth_, extent_, lines_ = 0, words_ = 0;
  bool along_depth_ = false;
  Value last_, to_, stride_, step_;
  std::vector<Value> line_, word_;
  std::vector<std::vector<Value>> offset_;
  std::vector<Variable> registers_;
};

}  // namespace detail

inline spirv::Words emit_cooperative_product(const Target& target, const ProductCode& code, const CooperativeTile& tile) {
  using spirv::Value;
  KernelBuilder k(target, {.workgroup = tile.threads(), .vulkan_memory_model = true});
  ProductFrame frame(k, code);
  const bool integers = size_of(code.a) == 1;
  const std::uint32_t size_a = detail::CooperativeSide::size(tile, tile.rows, code.fetch_a, code.a),
      size_b = detail::CooperativeSide::size(tile, tile.columns, code.fetch_b, code.b);
  const std::uint32_t strip_line = tile.part_columns / 4 + 1, strip = tile.m * strip_line;
  const Shared shared = k.shared(k.vector(k.u32(), 4), std::max(tile.stages * (size_a + size_b), tile.subgroups() * strip));
  const spirv::Type component = code.a == DType::f16 ? k.module().f16() : code.a == DType::bf16 ? k.module().bf16() : k.module().integer(8, true);
  const spirv::Type sum_component = integers ? k.i32() : k.f32();
  using spirv::CooperativeMatrixUse;
  const spirv::Type left = k.module().cooperative_matrix(component, spirv::Scope::Subgroup, tile.m, tile.k, CooperativeMatrixUse::MatrixA);
  const spirv::Type right = k.module().cooperative_matrix(component, spirv::Scope::Subgroup, tile.k, tile.n, CooperativeMatrixUse::MatrixB);
  const spirv::Type result = k.module().cooperative_matrix(sum_component, spirv::Scope::Subgroup, tile.m, tile.n, CooperativeMatrixUse::MatrixAccumulator);
  const std::uint32_t signs = integers ? 0xF : 0;  // all components signed
  const std::uint32_t down = tile.part_rows / tile.m, over = tile.part_columns / tile.n;
  frame.for_tile(tile.rows, tile.columns, [&] {
    detail::CooperativeSide a(frame, tile, true), b(frame, tile, false);
    const Value part = k.subgroup_id();
    const Value part_row = part / (tile.columns / tile.part_columns) * tile.part_rows,
        part_column = part % (tile.columns / tile.part_columns) * tile.part_columns;
    std::vector<Variable> sums;
    for (std::uint32_t i = 0; i < down * over; ++i) sums.push_back(k.variable(spirv::zero_matrix(result)));
    const auto step = [&](Value kk, Value base) {
      const Value base_b = base + size_a;
      std::vector<Value> values, as;
      for (const Variable& sum : sums) values.push_back(sum.get());
      const auto layout = [](bool row_major) { return row_major ? spirv::CooperativeMatrixLayout::RowMajor : spirv::CooperativeMatrixLayout::ColumnMajor; };
      for (std::uint32_t i = 0; i < down; ++i)
        as.push_back(spirv::load_matrix(left, shared.pointer(a.place(part_row + i * tile.m, kk, base)), layout(a.along_depth()), k.constant(a.line_length())));
      for (std::uint32_t j = 0; j < over; ++j) {
        const Value column = spirv::load_matrix(right, shared.pointer(b.place(part_column + j * tile.n, kk, base_b)), layout(!b.along_depth()),
            k.constant(b.line_length()));
        for (std::uint32_t i = 0; i < down; ++i) values[i * over + j] = spirv::multiply_add(as[i], column, values[i * over + j], signs);
      }
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i].set(values[i]);
    };
    const auto steps = [&](Value base) {
      if (tile.unrolled) for (std::uint32_t kk = 0; kk < tile.depth; kk += tile.k) step(k.constant(kk), base);
      else k.loop(0u, tile.depth, tile.k, [&](Value kk) { step(kk, base); }, LoopControl::DontUnroll);
    };
    const auto put = [&](Value base) { a.put(shared, base), b.put(shared, base + size_a); };
    k.when(frame.from < frame.to, [&] {
      const Value zero = k.constant(0u);
      a.fetch(frame.from), b.fetch(frame.from);
      if (tile.stages == 1) {
        k.loop(frame.from, frame.to, tile.depth, [&](Value depth) {
          k.barrier();
          put(zero);
          k.barrier();
          const Value next = depth + tile.depth;
          k.when(next < frame.to, [&] { a.fetch(next), b.fetch(next); });
          steps(zero);
        });
        return;
      }
      const Variable current = k.variable(zero);
      put(zero);
      k.barrier();
      k.loop(frame.from, frame.to, tile.depth, [&](Value depth) {
        const Value next = depth + tile.depth, more = next < frame.to, base = current.get(), other = size_a + size_b - base;
        k.when(more, [&] { a.fetch(next), b.fetch(next); });
        steps(base);
        k.when(more, [&] { put(other); });
        current.set(other);
        k.barrier();
      });
    });
    // Which thread has which sum is the device's secret: they leave through shared memory, m rows of each subgroup at a time.
    k.barrier();
    const Value base = part * strip;
    const spirv::Type sum_four = k.vector(sum_component, 4);
    for (std::uint32_t i = 0; i < down; ++i) {
      for (std::uint32_t j = 0; j < over; ++j)
        spirv::store_matrix(shared.pointer(base + j * tile.n / 4), sums[i * over + j].get(), spirv::CooperativeMatrixLayout::RowMajor, k.constant(strip_line));
      k.subgroup_barrier();
      frame.store_strip(frame.row0 + part_row + i * tile.m, frame.column0 + part_column, tile.m, tile.part_columns, k.lane(), tile.subgroup,
                        [&](Value r, Value c4) { return spirv::bitcast(sum_four, shared.load(base + r * strip_line + c4)); });
      k.subgroup_barrier();
    }
  });
  return k.finish();
}

}  // namespace cotenant::vulkan

#endif
