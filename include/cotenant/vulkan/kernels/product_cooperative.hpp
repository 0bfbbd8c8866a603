// The product's tile on KHR cooperative matrices: raw blocks of both operands in shared memory, one part of the tile per subgroup.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_COOPERATIVE_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_COOPERATIVE_HPP
#include <algorithm>
#include <cstdint>
#include <vector>

#include "cotenant/vulkan/kernels/product_frame.hpp"
#include "cotenant/vulkan/kernels/product_strip.hpp"
#include "cotenant/vulkan/spirv_matrix.hpp"

namespace cotenant::vulkan {

// rows x columns of the result per workgroup, part_rows x part_columns of them per subgroup, in steps of `depth`; m x n x k is the
// shape of one matrix, which the device lists for these elements.
struct CooperativeTile {
  std::uint32_t rows = 128, columns = 256, depth = 32, part_rows = 64, part_columns = 64, m = 16, n = 16, k = 16, subgroup = 32;
  bool unrolled = false;     // of the steps in a block: more registers and a longer compilation
  std::uint32_t blocks = 1;  // of each operand in shared memory: one comes in while another is multiplied
  std::uint32_t stripe = 8;  // rows of tiles that workgroups walk through side by side

  std::uint32_t subgroups() const { return rows / part_rows * (columns / part_columns); }
  std::uint32_t threads() const { return subgroups() * subgroup; }
  // Words of 16 bytes in a strip of m rows of one subgroup's results, and in a line of it: odd, as lines of blocks are.
  std::uint32_t strip_line() const { return part_columns / 4 | 1u; }
  std::uint32_t strip() const { return m * strip_line(); }
  TileExtent extent() const { return {rows, columns, depth}; }
  KernelKey key() const {
    KernelKey text("coop ", rows, 'x', columns, 'x', depth, ' ', part_rows, 'x', part_columns, ' ', m, 'x', n, 'x', k, unrolled ? "u" : "");
    if (blocks != 1) text.append(" blocks", blocks);
    if (stripe != 8) text.append(" stripe", stripe);
    return text;
  }
};

namespace detail {

// Blocks of one operand in shared memory, as words of 16 bytes along the axis whose elements are neighbours. The lines that make up
// one row of matrices lie an odd number of words apart, so that the hardware, which reads eight at a time, finds them in eight
// different banks; what is between them belongs to other matrices, so that a block of any size costs 16 words of padding at most.
class CooperativeSide {
 public:
  using Value = spirv::Value;
  struct Layout {
    bool along_depth;
    std::uint32_t per_word, lines, words;  // elements per word; words per line
    std::uint32_t group, pitch;            // lines of one row of matrices; words from one of them to the next
    Layout(const CooperativeTile& tile, bool is_left, Fetch fetch, DType type) {
      along_depth = fetch == Fetch::vector_depth || fetch == Fetch::scalar_depth;
      per_word = 16 / static_cast<std::uint32_t>(size_of(type));
      const std::uint32_t extent = is_left ? tile.rows : tile.columns;
      lines = along_depth ? extent : tile.depth, words = (along_depth ? tile.depth : extent) / per_word;
      group = along_depth ? (is_left ? tile.m : tile.n) : tile.k;
      pitch = block() | 1u;
    }
    std::uint32_t block() const { return lines / group * words; }  // words of one block from each of the group's lines
    std::uint32_t size() const { return group * pitch; }
  };

  CooperativeSide(ProductFrame& frame, const CooperativeTile& tile, bool is_left, std::uint32_t begin)
      : k_(frame.k), x_(frame.operands[is_left ? 0 : 1]), fetch_(is_left ? frame.code.fetch_a : frame.code.fetch_b),
        layout_(tile, is_left, fetch_, x_.type), begin_(begin), threads_(tile.threads()),
        is_left_(is_left), last_(frame.depth), to_(frame.to) {
    const Value full = is_left ? frame.rows : frame.columns, origin = is_left ? frame.row0 : frame.column0;
    const Value across = is_left ? x_.row : x_.column;
    step_ = is_left ? x_.column : x_.row;
    if (is_vector(fetch_)) step_ = in_words(step_);
    const std::uint32_t items = (layout_.lines * layout_.words + threads_ - 1) / threads_;
    for (std::uint32_t item = 0; item < items; ++item) {
      const Place at = place(item);
      registers_.push_back(k_.variable(k_.vector(k_.u32(), 4)));
      // Behind the last row or column another one is read: its sums are never stored.
      if (fetch_ == Fetch::vector_depth) {
        offset_.push_back({x_.base / layout_.per_word + spirv::min(origin + at.line, full - 1u) * in_words(across) + at.word});
      } else if (fetch_ == Fetch::vector_across) {
        offset_.push_back({x_.base / layout_.per_word + spirv::min(origin / layout_.per_word + at.word, (full - 1u) / layout_.per_word) + at.line * step_});
      } else if (layout_.along_depth) {
        offset_.push_back({x_.base + spirv::min(origin + at.line, full - 1u) * across});
      } else {
        std::vector<Value> each;
        for (std::uint32_t e = 0; e < layout_.per_word; ++e)
          each.push_back(x_.base + spirv::min(origin + at.word * layout_.per_word + e, full - 1u) * across);
        offset_.push_back(each);
      }
    }
  }

  // Begins to read the block from `depth` on; guarded: what is behind the end is 0, else there is all of it.
  void fetch(Value depth, bool guarded) {
    for (std::uint32_t item = 0; item < registers_.size(); ++item) read(item, depth, guarded);
  }
  // To the block that begins at word `block`.
  void put(const Shared& shared, Value block) {
    for (std::uint32_t item = 0; item < registers_.size(); ++item) shared.store(place(item).in_shared + begin_ + block, registers_[item].get());
  }
  // The matrix that starts at `across` and at step kk (a multiple of its depth) of that block.
  Value matrix(Type type, const Shared& shared, Value across, Value kk, Value block) const {
    const Value line = layout_.along_depth ? across : kk, element = layout_.along_depth ? kk : across;
    const Value at = line / layout_.group * layout_.words + element / layout_.per_word + begin_ + block;
    using Order = spirv::CooperativeMatrixLayout;
    return spirv::load_matrix(type, shared.pointer(at), is_left_ == layout_.along_depth ? Order::RowMajor : Order::ColumnMajor, k_.constant(layout_.pitch));
  }

 private:
  struct Place {
    Value line, word, in_shared;
  };
  // Of the word that this thread brings in as its item-th. Threads without a word in the last round bring the last one once more.
  Place place(std::uint32_t item) {
    const std::uint32_t count = layout_.lines * layout_.words;
    Value index = k_.local_index() + item * threads_;
    if ((item + 1) * threads_ > count) index = spirv::min(index, count - 1);
    Value line = index / layout_.words, word = index % layout_.words;
    if (threads_ % layout_.words == 0 && count % threads_ == 0) {
      const Value thread = k_.local_index();
      Value first = thread / layout_.words;
      // Eight threads at a time store into eight different banks: those of shorter lines take lines as far apart as a line is long.
      if (layout_.along_depth && 8 % layout_.words == 0 && threads_ % (8 * layout_.words) == 0) {
        const std::uint32_t together = 8 / layout_.words;
        first = first / 8u * 8u + first % together * layout_.words + first / together % layout_.words;
      }
      const std::uint32_t further = item * (threads_ / layout_.words);
      word = thread % layout_.words, line = first + further;
      if (further % layout_.group == 0)
        return {line, word, first % layout_.group * layout_.pitch + first / layout_.group * layout_.words + word + further / layout_.group * layout_.words};
    }
    return {line, word, line % layout_.group * layout_.pitch + line / layout_.group * layout_.words + word};
  }
  // A stride that is a multiple of a word, in words.
  Value in_words(Value stride) {
    std::int32_t shift = 0;
    while (1u << shift < layout_.per_word) ++shift;
    return spirv::bitcast(k_.u32(), spirv::bitcast(k_.i32(), stride) >> shift);
  }
  void read(std::uint32_t item, Value depth, bool guarded) {
    const std::uint32_t per_word = layout_.per_word;
    // Unsigned bytes as signed ones, 128 less: the epilogue makes up for it. Behind the end of depth there is 0 after that.
    const bool shifts = x_.type == DType::u8;
    const Place at = place(item);
    Value word;
    if (is_vector(fetch_)) {
      Value offset = offset_[item][0] + (layout_.along_depth ? depth / per_word : depth * step_), inside;
      if (guarded) {
        // What is behind the end of depth but inside a padded line's last word counts as 0 already.
        const Value position = layout_.along_depth ? depth / per_word + at.word : depth + at.line;
        inside = position < (layout_.along_depth ? (to_ + (per_word - 1)) / per_word : to_);
        offset = spirv::select(inside, offset, offset_[item][0] - (layout_.along_depth ? at.word : at.line * step_));
      }
      word = x_.elements.buffer().as(k_.vector(k_.u32(), 4)).load(offset);
      if (shifts) word = word ^ 0x80808080u;
      if (guarded) word = spirv::select(inside, word, spirv::constant_like(word, 0u));
    } else {
      const Value position = depth + (layout_.along_depth ? at.word * per_word : at.line);
      std::vector<Value> parts;
      const std::uint32_t bits = 128 / per_word;
      for (std::uint32_t e = 0; e < per_word; ++e) {
        const Value where = layout_.along_depth ? position + e : position;
        const Value step = guarded ? spirv::min(where, last_ - 1u) : where;
        Value element = x_.elements.load_bits((layout_.along_depth ? offset_[item][0] : offset_[item][e]) + step * step_);
        if (shifts) element = element ^ 0x80u;
        if (guarded) element = spirv::select(where < to_, element, 0u);
        const std::uint32_t to = e * bits / 32, shift = e * bits % 32;
        if (shift == 0) parts.push_back(element);
        else parts[to] = parts[to] | element << shift;
      }
      word = spirv::make_vector(parts);
    }
    registers_[item].set(word);
  }

  KernelBuilder& k_;
  const OperandCode& x_;
  Fetch fetch_;
  Layout layout_;
  std::uint32_t begin_, threads_;
  bool is_left_;
  Value last_, to_, step_;
  std::vector<std::vector<Value>> offset_;
  std::vector<Variable> registers_;
};

}  // namespace detail

inline spirv::Words emit_cooperative_product(const Target& target, const ProductCode& code, const CooperativeTile& tile) {
  using spirv::Value;
  using Layout = detail::CooperativeSide::Layout;
  KernelBuilder k(target, {.workgroup = tile.threads(), .vulkan_memory_model = true, .halves = code.gives_halves()});
  ProductFrame frame(k, code);
  const bool integers = size_of(code.a) == 1;
  const std::uint32_t size_a = Layout(tile, true, code.fetch_a, code.a).size(), size_b = Layout(tile, false, code.fetch_b, code.b).size();
  const std::uint32_t strip_line = tile.strip_line(), strip = tile.strip(), block = size_a + size_b;
  const Shared shared = k.shared(k.vector(k.u32(), 4), std::max(tile.blocks * block, tile.subgroups() * strip));
  const spirv::Type component = code.a == DType::f16 ? k.module().f16() : code.a == DType::bf16 ? k.module().bf16() : k.module().integer(8, true);
  const spirv::Type sum_component = integers ? k.i32() : k.f32();
  using spirv::CooperativeMatrixUse;
  const spirv::Type left = k.module().cooperative_matrix(component, spirv::Scope::Subgroup, tile.m, tile.k, CooperativeMatrixUse::MatrixA);
  const spirv::Type right = k.module().cooperative_matrix(component, spirv::Scope::Subgroup, tile.k, tile.n, CooperativeMatrixUse::MatrixB);
  const spirv::Type result = k.module().cooperative_matrix(sum_component, spirv::Scope::Subgroup, tile.m, tile.n, CooperativeMatrixUse::MatrixAccumulator);
  const std::uint32_t signs = integers ? 0xF : 0;  // all components signed
  const std::uint32_t down = tile.part_rows / tile.m, over = tile.part_columns / tile.n, depth = tile.depth;
  frame.for_tile(tile.rows, tile.columns, [&] {
    detail::CooperativeSide a(frame, tile, true, 0), b(frame, tile, false, size_a);
    const Value part = k.subgroup_id();
    const Value part_row = part / (tile.columns / tile.part_columns) * tile.part_rows,
        part_column = part % (tile.columns / tile.part_columns) * tile.part_columns;
    const std::vector<Variable> sums = k.variables(down * over, spirv::zero_matrix(result));
    // Multiplies the matrices at step kk of the block that begins at word `from`.
    const auto step = [&](Value kk, Value from) {
      std::vector<Value> values, as;
      for (const Variable& sum : sums) values.push_back(sum.get());
      for (std::uint32_t i = 0; i < down; ++i) as.push_back(a.matrix(left, shared, part_row + i * tile.m, kk, from));
      for (std::uint32_t j = 0; j < over; ++j) {
        const Value column = b.matrix(right, shared, part_column + j * tile.n, kk, from);
        for (std::uint32_t i = 0; i < down; ++i) values[i * over + j] = spirv::multiply_add(as[i], column, values[i * over + j], signs);
      }
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i].set(values[i]);
    };
    const Value zero = k.constant(0u);
    const auto steps = [&](bool unrolled) {
      if (unrolled) for (std::uint32_t kk = 0; kk < depth; kk += tile.k) step(k.constant(kk), zero);
      else k.loop(0u, depth, tile.k, [&](Value kk) { step(kk, zero); }, LoopControl::DontUnroll);
    };
    const auto fetch = [&](Value from, bool guarded) { a.fetch(from, guarded), b.fetch(from, guarded); };
    const auto put = [&](Value to) { a.put(shared, to), b.put(shared, to); };
    const auto renew = [&] { k.barrier(), put(zero), k.barrier(); };
    // Whole blocks first: nothing in the loops asks where depth ends. Under a condition on purpose: read without one, the next block took
    // registers beside the last one's and the sums left them.
    const Value end = frame.from + (frame.to - frame.from) / depth * depth;
    const auto fetch_if_any = [&](Value from) { k.when(from < end, [&] { fetch(from, false); }); };
    // What shared memory moves limits both on an H100, 128 bytes a clock: for 32 steps of depth 128 x 128 sums of halves read 32 KiB of
    // matrices, bring 16 and store 16, 512 clocks, and multiply for some 400. Twice as wide tiles, parts of 64 x 80 and more, subgroups
    // that only bring blocks and blocks put away after the last step or before the first one were slower.
    const auto one_by_one = [&] {
      fetch(frame.from, false);
      k.loop(frame.from, end, depth, [&](Value at) {
        renew();
        fetch_if_any(at + depth);
        steps(tile.unrolled);
      });
    };
    // What was asked for a block ago goes to the other block between two steps, and the next one is asked for.
    const auto by_turns = [&] {
      fetch(frame.from, false);
      put(zero);
      fetch_if_any(frame.from + depth);
      k.barrier();
      const Variable turn = k.variable(zero);
      k.loop(frame.from, end, depth, [&](Value at) {
        const Value next = at + depth, now = turn.get(), then = block - now;
        step(zero, now);
        k.when(next < end, [&] { put(then), fetch_if_any(next + depth); });
        for (std::uint32_t kk = tile.k; kk < depth; kk += tile.k) step(k.constant(kk), now);
        turn.set(then);
        k.barrier();
      });
    };
    k.when(frame.from < end, [&] { tile.blocks == 2 ? by_turns() : one_by_one(); });
    k.when(end < frame.to, [&] {
      fetch(end, true);
      renew();
      steps(false);
    });
    // Which thread has which sum is the device's secret: they leave through shared memory, m rows of each subgroup at a time.
    k.barrier();
    const Value base = part * strip;
    const spirv::Type sum_four = k.vector(sum_component, 4);
    const StripWriter writer(frame, frame.column0 + part_column, tile.part_columns, k.lane(), tile.subgroup);
    for (std::uint32_t i = 0; i < down; ++i) {
      const Value row = frame.row0 + part_row + i * tile.m;
      const StripWriter::Asked asked = writer.ask(row, tile.m);
      for (std::uint32_t j = 0; j < over; ++j)
        spirv::store_matrix(shared.pointer(base + j * tile.n / 4), sums[i * over + j].get(), spirv::CooperativeMatrixLayout::RowMajor, k.constant(strip_line));
      k.subgroup_barrier();
      writer.store(row, tile.m, [&](Value r, Value c4) { return spirv::bitcast(sum_four, shared.load(base + r * strip_line + c4)); }, asked);
      k.subgroup_barrier();
    }
  }, tile.stripe);
  return k.finish();
}

}  // namespace cotenant::vulkan

#endif
