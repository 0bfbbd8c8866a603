// The last step of a product whose depth was shared out: adds the parts' sums up and applies the epilogue.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_SPLIT_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_SPLIT_HPP
#include <cstdint>

#include "cotenant/vulkan/kernels/product_frame.hpp"

namespace cotenant::vulkan {

inline constexpr std::uint32_t split_tile_rows = 4, split_tile_columns = 128;

// Operand a is the sums, [parts][batch][rows][columns] in f32 or i32; depth is the number of parts and split_stride the distance
// between two of them. Operand b is not used.
inline spirv::Words emit_split_sum(const Target& target, const ProductCode& code) {
  KernelBuilder k(target, {.workgroup = split_tile_rows * split_tile_columns / 4, .halves = code.gives_halves()});
  ProductFrame frame(k, code);
  const Type four = k.vector(frame.number(), 4);
  const Value part_stride = k.scalar();
  frame.for_tile(split_tile_rows, split_tile_columns, [&] {
    const OperandCode& parts = frame.operands[0];
    const Value thread = k.local_index();
    const auto sum = [&](const Variable& total, auto read) {
      k.loop(0u, frame.depth, 1u, [&](Value part) { total.set(total.get() + read(part * part_stride)); });
      return total.get();
    };
    const Value r = thread / (split_tile_columns / 4), c = thread % (split_tile_columns / 4) * 4u, m = frame.row0 + r, n = frame.column0 + c;
    if (code.vector_out) {
      k.when(m < frame.rows && n < frame.columns, [&] {
        const Value at = parts.base + m * parts.row + n;
        frame.store_four(m, n, sum(k.variable(k.module().null(four)), [&](Value offset) { return frame.load_numbers(parts, at + offset); }));
      });
    } else {
      k.loop(0u, 4u, 1u, [&](Value e) {
        k.when(m < frame.rows && n + e < frame.columns, [&] {
          const Value at = parts.base + m * parts.row + n + e;
          frame.store_one(m, n + e, sum(k.variable(k.module().null(frame.number())), [&](Value offset) { return frame.load_number(parts, at + offset); }));
        });
      });
    }
  });
  return k.finish();
}

}  // namespace cotenant::vulkan

#endif
