// The product of a few rows with a large matrix: every element of it is read once, at the speed of the memory.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_FEW_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_FEW_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cotenant/vulkan/kernels/product_frame.hpp"

namespace cotenant::vulkan {

// `rows` rows at once. Where the right side's elements lie along depth, `lanes` threads share one column; else `lanes` threads
// take four columns each and the rest of the workgroup other steps of depth. Each thread has `ahead` vectors of four under way.
struct FewTile {
  std::uint32_t rows = 1, lanes = 64, threads = 256;
  bool along_depth = true;
  std::uint32_t ahead = 8;

  std::uint32_t width() const { return along_depth ? 1 : 4; }
  std::uint32_t columns() const { return along_depth ? threads / lanes : lanes * 4; }
  TileExtent extent() const { return {rows, columns(), 128}; }
  KernelKey key() const { return KernelKey("few ", rows, 'x', columns(), " lanes", lanes, '/', threads, along_depth ? " depth" : " across", ahead); }
  // What threads have added up, [row, column of the thread's][thread], in numbers. Those who add up the sums of neighbouring columns read
  // different banks: the threads of a column have one place more than they need, else each column of a thread has eight.
  std::uint32_t line() const { return along_depth ? threads / lanes * (lanes + 1) : threads + 8; }
  std::uint32_t shared() const { return rows * width() * line(); }
};

// Of f16 by 4096 x 16384 an H100 reads 2894 GB/s with 128 bytes under way for each of 1024 threads and 2858 with 64, in lines of 256 bytes;
// 2843 in lines of 128. Shorter lines where there are fewer columns than multiprocessors ask for: 4096 x 4096 takes 9.1 µs by lines of 64 bytes
// and 512 threads (half of every line in the first cache is not used then), 13.7 by 1024, 10.6 by lines of 128. Along depth 64 threads to a
// column read 2908 GB/s, 32 threads 2854; weights of bytes take 28.3 µs by 32 threads, 29.2 by 64. More rows have their sums in the same
// shared memory, so there are fewer threads for each.
inline FewTile choose_few_tile(const Capabilities& device, std::size_t rows, std::size_t columns, DType right, bool along_depth, std::size_t multiprocessors) {
  FewTile tile;
  tile.rows = rows <= 1 ? 1 : rows <= 2 ? 2 : rows <= 4 ? 4 : 8;
  tile.along_depth = along_depth;
  if (device.type == DeviceType::software) {
    tile.lanes = along_depth ? 32 : 8, tile.threads = 64;
    return tile;
  }
  const auto vector = static_cast<std::uint32_t>(4 * size_of(right));
  tile.ahead = std::min(128 / vector, 64 / tile.rows);  // each is code for each row
  if (along_depth) {
    if (vector < 8) tile.lanes = 32;
    return tile;
  }
  tile.lanes = 32;
  while (tile.lanes > 8 && columns * 10 < std::size_t{9} * multiprocessors * tile.columns()) tile.lanes /= 2;
  tile.threads = std::min<std::uint32_t>(2048 / std::max(tile.rows, tile.lanes * vector < 128 ? 4u : 2u), device.max_workgroup_invocations);
  while (tile.shared() * sizeof(float) > device.shared_memory_bytes) tile.threads /= 2;
  return tile;
}

inline spirv::Words emit_few_product(const Target& target, const ProductCode& code, const FewTile& tile) {
  KernelBuilder k(target, {.workgroup = tile.threads, .halves = code.gives_halves()});
  ProductFrame frame(k, code);
  const bool vectors = is_vector(code.fetch_b) || (tile.along_depth && code.four_b), vector_a = code.fetch_a == Fetch::vector_depth;
  const Type number = frame.number();
  const Shared shared = k.shared(number, tile.shared());
  const Value thread = k.local_index();
  frame.for_tile(tile.rows, tile.columns(), [&] {
    const std::vector<Variable> sums = k.variables(tile.rows * tile.width(), k.module().null(number));
    // `inside`: whether it counts, where that is not known beforehand.
    const auto add = [&](std::uint32_t sum, Value left, Value right, Value inside = {}) {
      const Value before = sums[sum].get(), after = frame.accumulate(before, left, right);
      sums[sum].set(inside.exists() ? spirv::select(inside, after, before) : after);
    };
    const auto row = [&](std::uint32_t r) { return spirv::min(frame.row0 + r, frame.rows - 1u); };
    const OperandCode &a = frame.operands[0], &b = frame.operands[1];
    const Value length = frame.to - frame.from;
    // Whole rounds of what a thread has under way at once, then as long as there is depth rounds of four, of which all but the first may
    // lie behind the end: round(depth, count, guarded).
    if (tile.along_depth) {
      const Value lane = thread % tile.lanes, column = spirv::min(frame.column0 + thread / tile.lanes, frame.columns - 1u);
      if (vectors) {
        const std::uint32_t step = tile.lanes * 4;
        const auto round = [&](Value depth, std::uint32_t count, bool guarded) {
          std::vector<Value> at, right;
          for (std::uint32_t i = 0; i < count; ++i) {
            at.push_back(guarded && i > 0 ? spirv::min(depth + i * step, (frame.depth - 1u) / 4u * 4u) : depth + i * step);
            right.push_back(code.four_b ? code.four_b(frame, false, column, at[i]) : frame.load_numbers(b, b.base + column * b.column + at[i]));
          }
          for (std::uint32_t i = 0; i < count; ++i) {
            const Value inside = guarded && i > 0 ? depth + i * step < frame.to : Value{};
            for (std::uint32_t r = 0; r < tile.rows; ++r) {
              Value left;
              if (vector_a) left = frame.load_numbers(a, a.base + row(r) * a.row + at[i]);
              for (std::uint32_t e = 0; e < 4; ++e)
                add(r, vector_a ? spirv::extract(left, e) : frame.element(true, row(r), at[i] + e), spirv::extract(right[i], e), inside);
            }
          }
        };
        // The left side's elements one by one, with scales and zero points, are dozens of instructions each: no more than 128 of them. Eight rows of
        // 32 vectors made modules of 182 000 words, on which a driver crashed.
        const std::uint32_t ahead = vector_a ? tile.ahead : std::clamp(32 / tile.rows, 4u, tile.ahead);
        // The last whole round ends where the last lane's last read still lies inside.
        const std::uint32_t all = step * ahead;
        const Value whole = frame.from + length / all * all;
        k.loop(frame.from + lane * 4u, whole, all, [&](Value depth) { round(depth, ahead, false); }, LoopControl::DontUnroll);
        k.loop(whole + lane * 4u, frame.to, step * 4, [&](Value depth) { round(depth, 4, true); }, LoopControl::DontUnroll);
      } else {
        k.loop(frame.from + lane, frame.to, tile.lanes, [&](Value depth) {
          const Value right = frame.element(false, column, depth);
          for (std::uint32_t r = 0; r < tile.rows; ++r) add(r, frame.element(true, row(r), depth), right);
        });
      }
    } else {
      const Value quad = thread % tile.lanes, group = thread / tile.lanes;
      const std::uint32_t groups = tile.threads / tile.lanes;
      const Value first = frame.column0 + quad * 4u;
      const Value column = vectors ? spirv::min(first, (frame.columns - 1u) / 4u * 4u) : first;
      const auto read = [&](Value depth) {
        if (vectors) return frame.load_numbers(b, b.base + column + depth * b.row);
        std::vector<Value> four;
        for (std::uint32_t e = 0; e < 4; ++e) four.push_back(frame.element(false, spirv::min(column + e, frame.columns - 1u), depth));
        return spirv::make_vector(four);
      };
      // A thread has neighbouring steps, and reads the left side in vectors, too: one element at a time takes as many loads as the right
      // side, and an H100 1.5 % more for 4096 x 16384.
      const auto round = [&](Value depth, std::uint32_t count, bool guarded) {
        const bool fours = vector_a && count % 4 == 0;
        std::vector<Value> at, right;
        for (std::uint32_t i = 0; i < count; ++i) {
          at.push_back(guarded && i > 0 ? spirv::min(depth + i, frame.to - 1u) : depth + i);
          right.push_back(read(at[i]));
        }
        for (std::uint32_t r = 0; r < tile.rows; ++r) {
          Value four;
          for (std::uint32_t i = 0; i < count; ++i) {
            if (fours && i % 4 == 0) four = frame.load_numbers(a, a.base + row(r) * a.row + (depth + i));
            const Value left = fours ? spirv::extract(four, i % 4) : frame.element(true, row(r), at[i]);
            const Value inside = guarded && i > 0 ? depth + i < frame.to : Value{};
            for (std::uint32_t e = 0; e < 4; ++e) add(r * 4 + e, left, spirv::extract(right[i], e), inside);
          }
        }
      };
      const std::uint32_t all = groups * tile.ahead, rest = vectors ? 4 : 1;
      const Value whole = vectors ? frame.from + length / all * all : frame.from;
      if (vectors) k.loop(frame.from + group * tile.ahead, whole, all, [&](Value depth) { round(depth, tile.ahead, false); }, LoopControl::DontUnroll);
      k.loop(whole + group * rest, frame.to, groups * rest, [&](Value depth) { round(depth, rest, true); }, LoopControl::DontUnroll);
    }
    const Value place = tile.along_depth ? thread + thread / tile.lanes : thread;
    for (std::uint32_t i = 0; i < sums.size(); ++i) shared.store(i * tile.line() + place, sums[i].get());
    k.barrier();
    // One thread adds up each result: as many as a column has threads, eight reads under way at a time.
    const std::uint32_t parts = tile.along_depth ? tile.lanes : tile.threads / tile.lanes, apart = tile.along_depth ? 1 : tile.lanes;
    const std::uint32_t at_once = parts % 8 == 0 ? 8 : 1;
    k.loop(thread, tile.rows * tile.columns(), tile.threads, [&](Value i) {
      const Value r = i / tile.columns(), c = i % tile.columns();
      const Value begin = tile.along_depth ? r * tile.line() + c * (tile.lanes + 1) : (r * 4u + c % 4u) * tile.line() + c / 4u;
      const Variable sum = k.variable(k.module().null(number));
      k.loop(0u, parts * apart, at_once * apart, [&](Value p) {
        std::vector<Value> some;
        for (std::uint32_t j = 0; j < at_once; ++j) some.push_back(shared.load(begin + p + j * apart));
        for (; some.size() > 1; some.resize(some.size() / 2))
          for (std::size_t j = 0; j < some.size() / 2; ++j) some[j] = some[j] + some[j + some.size() / 2];
        sum.set(sum.get() + some[0]);
      });
      const Value m = frame.row0 + r, n = frame.column0 + c;
      k.when(m < frame.rows && n < frame.columns, [&] { frame.store_one(m, n, sum.get()); });
    });
  }, ProductFrame::all_rows);
  return k.finish();
}

}  // namespace cotenant::vulkan

#endif
