// The product's tile on NV cooperative_matrix2: one matrix for the whole workgroup, read from memory through tensor layouts.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_WORKGROUP_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_WORKGROUP_HPP
#include <algorithm>
#include <cstdint>

#include "cotenant/vulkan/kernels/matrix_product.hpp"
#include "cotenant/vulkan/kernels/product_frame.hpp"
#include "cotenant/vulkan/spirv_matrix.hpp"

namespace cotenant::vulkan {

// rows x columns of the result per workgroup in steps of `depth`; how they get to the threads' registers is the driver's affair.
// On an H100 the only one of eight shapes that comes near the KHR kernel; with extents that need clamping it takes three times as long,
// so that whole tiles are a condition.
struct WorkgroupTile {
  std::uint32_t rows = 128, columns = 128, depth = 64, threads = 128;

  TileExtent extent() const { return {rows, columns, depth}; }
  KernelKey key() const { return KernelKey("workgroup ", rows, 'x', columns, 'x', depth, ' ', threads); }
};

// Whether the device has such matrices and the product is made of whole, aligned tiles of f16 whose epilogue reads nothing but the sum.
inline bool may_use_workgroup_matrices(const Capabilities& device, const MatrixProduct& product, const WorkgroupTile& tile = {}) {
  if (!device.cooperative_matrix2 || !device.vulkan_memory_model || product.operands.size() != 3) return false;
  const auto lists = [&](const FlexibleShape& s) {
    return s.scope == 2 && s.workgroup_invocations == tile.threads && s.a == ComponentType::float16 && s.b == s.a && s.c == ComponentType::float32 &&
        s.result == s.c && tile.rows % s.m_granularity == 0 && tile.columns % s.n_granularity == 0 && tile.depth % s.k_granularity == 0;
  };
  if (std::none_of(device.flexible_shapes.begin(), device.flexible_shapes.end(), lists)) return false;
  for (const MatrixOperand& x : product.operands) {
    const bool along_rows = x.column == 1;
    if (x.type != DType::f16 || (!along_rows && x.row != 1) || !x.aligned(16, along_rows, product.batch_rank)) return false;
  }
  return product.out().column == 1 && product.rows % tile.rows == 0 && product.columns % tile.columns == 0 && product.depth % tile.depth == 0;
}

inline spirv::Words emit_workgroup_product(const Target& target, const ProductCode& code, const WorkgroupTile& tile) {
  using spirv::Value;
  KernelBuilder k(target, {.workgroup = tile.threads, .vulkan_memory_model = true, .halves = code.gives_halves()});
  ProductFrame frame(k, code);
  spirv::Module& module = k.module();
  using spirv::CooperativeMatrixUse;
  const Type half = module.f16();
  const auto matrix = [&](Type component, std::uint32_t rows, std::uint32_t columns, CooperativeMatrixUse use) {
    return module.cooperative_matrix(component, spirv::Scope::Workgroup, rows, columns, use);
  };
  const Type left = matrix(half, tile.rows, tile.depth, CooperativeMatrixUse::MatrixA);
  const Type right = matrix(half, tile.depth, tile.columns, CooperativeMatrixUse::MatrixB);
  const Type sums = matrix(k.f32(), tile.rows, tile.columns, CooperativeMatrixUse::MatrixAccumulator);
  const Type results = matrix(half, tile.rows, tile.columns, CooperativeMatrixUse::MatrixAccumulator);
  frame.for_tile(tile.rows, tile.columns, [&] {
    // Multiples of 16 bytes of which the compiler can tell that they are: else it reads element by element.
    const auto aligned = [](Value elements) { return elements & ~7u; };
    const auto pointer = [&](const OperandCode& x) { return x.elements.buffer().as(half, 16).pointer(aligned(x.base)); };
    const auto layout = [&](Value rows, Value columns, Value stride) {
      return spirv::with_strides(spirv::with_dimensions(spirv::tensor_layout(module, 0), aligned(rows), aligned(columns)), aligned(stride), k.constant(1u));
    };
    const OperandCode &a = frame.operands[0], &b = frame.operands[1], &out = frame.operands[2];
    const bool a_along = code.fetch_a == Fetch::vector_depth, b_along = code.fetch_b == Fetch::vector_depth;
    const Value in_a = a_along ? layout(frame.rows, frame.depth, a.row) : layout(frame.depth, frame.rows, a.column);
    const Value in_b = b_along ? layout(frame.columns, frame.depth, b.column) : layout(frame.depth, frame.columns, b.row);
    const Value turned = !a_along || b_along ? spirv::transposed_view(module) : Value{};
    const Value rows = k.constant(tile.rows), columns = k.constant(tile.columns), steps = k.constant(tile.depth);
    const Variable sum = k.variable(spirv::zero_matrix(sums));
    k.loop(frame.from, frame.to, tile.depth, [&](Value at) {
      const Value depth = at & ~(tile.depth - 1);
      const Value from_a = a_along ? spirv::slice(in_a, frame.row0, rows, depth, steps) : spirv::slice(in_a, depth, steps, frame.row0, rows);
      const Value from_b = b_along ? spirv::slice(in_b, frame.column0, columns, depth, steps) : spirv::slice(in_b, depth, steps, frame.column0, columns);
      const Value x = spirv::load_tensor(left, pointer(a), from_a, a_along ? Value{} : turned);
      const Value y = spirv::load_tensor(right, pointer(b), from_b, b_along ? turned : Value{});
      sum.set(spirv::multiply_add(x, y, sum.get()));
    });
    // Which thread has which sum does not matter to an epilogue that reads nothing else.
    k.loop(0u, spirv::matrix_length(sums), 1u, [&](Value i) {
      const Value element = spirv::element_pointer(sum.pointer(), i);
      spirv::store(element, frame.finished({}, {}, spirv::load(element)));
    }, LoopControl::Unroll);
    spirv::store_tensor(pointer(out), spirv::convert(results, sum.get()),
                        spirv::slice(layout(frame.rows, frame.columns, out.row), frame.row0, rows, frame.column0, columns));
  });
  return k.finish();
}

}  // namespace cotenant::vulkan

#endif
