// The product of a few rows with a large matrix: every element of it is read once, at the speed of the memory.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_FEW_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_FEW_HPP
#include <cstdint>
#include <vector>

#include "cotenant/vulkan/kernels/product_frame.hpp"

namespace cotenant::vulkan {

// `rows` rows at once. Where the right side's elements lie along depth, `lanes` threads share one column; else `lanes` threads
// take four columns each and the rest of the workgroup other steps of depth.
struct FewTile {
  std::uint32_t rows = 1, lanes = 32, threads = 256;
  bool along_depth = true;

  std::uint32_t width() const { return along_depth ? 1 : 4; }
  std::uint32_t columns() const { return along_depth ? threads / lanes : lanes * 4; }
  TileExtent extent() const { return {rows, columns(), 128}; }
  KernelKey key() const { return KernelKey("few ", rows, 'x', columns(), " lanes", lanes, '/', threads, along_depth ? " depth" : " across"); }
};

// How many vectors of four each thread has under way: 64 bytes.
constexpr std::uint32_t ahead_of(DType type) { return static_cast<std::uint32_t>(16 / size_of(type) < 8 ? 16 / size_of(type) : 8); }

inline spirv::Words emit_few_product(const Target& target, const ProductCode& code, const FewTile& tile) {
  KernelBuilder k(target, {.workgroup = tile.threads, .halves = code.gives_halves()});
  ProductFrame frame(k, code);
  const bool vectors = is_vector(code.fetch_b) || (tile.along_depth && code.four_b), vector_a = code.fetch_a == Fetch::vector_depth;
  const Type number = frame.number();
  // [row, column of the thread's][thread]: what threads have added up.
  const Shared shared = k.shared(number, tile.rows * tile.width() * tile.threads);
  const Value thread = k.local_index();
  frame.for_tile(tile.rows, tile.columns(), [&] {
    const std::vector<Variable> sums = k.variables(tile.rows * tile.width(), k.module().null(number));
    const auto add = [&](std::uint32_t sum, Value left, Value right) { sums[sum].set(frame.accumulate(sums[sum].get(), left, right)); };
    const auto row = [&](std::uint32_t r) { return spirv::min(frame.row0 + r, frame.rows - 1u); };
    if (tile.along_depth) {
      const Value lane = thread % tile.lanes, column = spirv::min(frame.column0 + thread / tile.lanes, frame.columns - 1u);
      const OperandCode &a = frame.operands[0], &b = frame.operands[1];
      if (vectors) {
        // Several reads are under way before the first is used.
        const std::uint32_t step = tile.lanes * 4, ahead = ahead_of(code.b);
        const auto read = [&](Value depth) {
          return code.four_b ? code.four_b(frame, false, column, depth) : frame.load_numbers(b, b.base + column * b.column + depth);
        };
        const auto use = [&](Value right, Value depth) {
          for (std::uint32_t r = 0; r < tile.rows; ++r) {
            Value left;
            if (vector_a) left = frame.load_numbers(a, a.base + row(r) * a.row + depth);
            for (std::uint32_t e = 0; e < 4; ++e) add(r, vector_a ? spirv::extract(left, e) : frame.element(true, row(r), depth + e), spirv::extract(right, e));
          }
        };
        const Value start = frame.from + lane * 4u;
        // The last whole round ends where the last lane's last read still lies inside.
        const Value length = frame.to - frame.from, whole = frame.from + length / (step * ahead) * (step * ahead);
        k.loop(start, whole, step * ahead, [&](Value depth) {
          std::vector<Value> right;
          for (std::uint32_t i = 0; i < ahead; ++i) right.push_back(read(depth + i * step));
          for (std::uint32_t i = 0; i < ahead; ++i) use(right[i], depth + i * step);
        }, LoopControl::DontUnroll);
        k.loop(whole + lane * 4u, frame.to, step, [&](Value depth) { use(read(depth), depth); },
            LoopControl::DontUnroll);
      } else {
        k.loop(frame.from + lane, frame.to, tile.lanes, [&](Value depth) {
          const Value right = frame.element(false, column, depth);
          for (std::uint32_t r = 0; r < tile.rows; ++r) add(r, frame.element(true, row(r), depth), right);
        });
      }
    } else {
      const Value quad = thread % tile.lanes, group = thread / tile.lanes;
      const std::uint32_t groups = tile.threads / tile.lanes, ahead = ahead_of(code.b);
      const OperandCode &a = frame.operands[0], &b = frame.operands[1];
      const Value first = frame.column0 + quad * 4u;
      const Value column = vectors ? spirv::min(first, (frame.columns - 1u) / 4u * 4u) : first;
      const auto read = [&](Value depth) {
        if (vectors) return frame.load_numbers(b, b.base + column + depth * b.row);
        std::vector<Value> four;
        for (std::uint32_t e = 0; e < 4; ++e) four.push_back(frame.element(false, spirv::min(column + e, frame.columns - 1u), depth));
        return spirv::make_vector(four);
      };
      // Neighbouring steps from `depth` on. A thread that has a whole round of them reads the left side in vectors, too: one element at a
      // time takes as many loads as the right side, and an H100 1.5 % more for 4096 x 16384.
      const auto use = [&](const std::vector<Value>& right, Value depth) {
        const bool fours = vector_a && right.size() % 4 == 0;
        for (std::uint32_t r = 0; r < tile.rows; ++r) {
          Value four;
          for (std::uint32_t i = 0; i < right.size(); ++i) {
            if (fours && i % 4 == 0) four = frame.load_numbers(a, a.base + row(r) * a.row + (depth + i));
            const Value left = fours ? spirv::extract(four, i % 4) : frame.element(true, row(r), depth + i);
            for (std::uint32_t e = 0; e < 4; ++e) add(r * 4 + e, left, spirv::extract(right[i], e));
          }
        }
      };
      const Value length = frame.to - frame.from, whole = frame.from + length / (groups * ahead) * (groups * ahead);
      if (vectors)
        k.loop(frame.from + group * ahead, whole, groups * ahead, [&](Value depth) {
          std::vector<Value> right;
          for (std::uint32_t i = 0; i < ahead; ++i) right.push_back(read(depth + i));
          use(right, depth);
        }, LoopControl::DontUnroll);
      k.loop((vectors ? whole : frame.from) + group, frame.to, groups, [&](Value depth) { use({read(depth)}, depth); }, LoopControl::DontUnroll);
    }
    for (std::uint32_t i = 0; i < sums.size(); ++i) shared.store(i * tile.threads + thread, sums[i].get());
    k.barrier();
    // One thread adds up each result: as many as a column has threads.
    const std::uint32_t parts = tile.along_depth ? tile.lanes : tile.threads / tile.lanes;
    k.loop(thread, tile.rows * tile.columns(), tile.threads, [&](Value i) {
      const Value r = i / tile.columns(), c = i % tile.columns();
      const Value begin = tile.along_depth ? r * tile.threads + c * tile.lanes : (r * 4u + c % 4u) * tile.threads + c / 4u;
      const Variable sum = k.variable(k.module().null(number));
      k.loop(0u, parts, 1u, [&](Value p) { sum.set(sum.get() + shared.load(begin + p * (tile.along_depth ? 1 : tile.lanes))); });
      const Value m = frame.row0 + r, n = frame.column0 + c;
      k.when(m < frame.rows && n < frame.columns, [&] { frame.store_one(m, n, sum.get()); });
    });
  });
  return k.finish();
}

}  // namespace cotenant::vulkan

#endif
