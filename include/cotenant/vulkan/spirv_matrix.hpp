// Cooperative matrices (SPV_KHR_cooperative_matrix) and their loads through tensor layouts (SPV_NV_tensor_addressing).
#ifndef COTENANT_VULKAN_SPIRV_MATRIX_HPP
#define COTENANT_VULKAN_SPIRV_MATRIX_HPP
#include <array>

#include "cotenant/vulkan/spirv_control.hpp"

// Types come from Module::cooperative_matrix; sums, products with a scalar and convert() work as on vectors. Modules with
// cooperative matrices use the Vulkan memory model.
namespace cotenant::vulkan::spirv {

// The matrix whose row (RowMajor) or column (ColumnMajor) i begins `stride` elements of the pointer's type after row or column
// i - 1. The pointer may be to vectors: then they count as one element each.
[[gnu::cold]] inline Value load_matrix(Type matrix, Value pointer, CooperativeMatrixLayout layout, Value stride, std::uint32_t alignment = 0) {
  Module& module = pointer.module();
  Words operands{pointer.id, module.constant(word(layout)).id, stride.id};
  inner::add_load_operands(operands, pointer, alignment);
  return module.result(Op::CooperativeMatrixLoadKHR, matrix, operands);
}
// Every column (ColumnMajor) or row (RowMajor) is the one line at the pointer: a number per row, or per column, all over a matrix.
[[gnu::cold]] inline Value repeat_line(Type matrix, Value pointer, CooperativeMatrixLayout layout) {
  return load_matrix(matrix, pointer, layout, pointer.module().constant(0u));
}
[[gnu::cold]] inline void store_matrix(Value pointer, Value matrix, CooperativeMatrixLayout layout, Value stride, std::uint32_t alignment = 0) {
  Module& module = pointer.module();
  Words operands{pointer.id, matrix.id, module.constant(word(layout)).id, stride.id};
  inner::add_store_operands(operands, pointer, alignment);
  module.effect(Op::CooperativeMatrixStoreKHR, operands);
}
// a b + c; `operands` is a mask of cooperative_matrix_operands, which integers need.
[[gnu::cold]] inline Value multiply_add(Value a, Value b, Value c, std::uint32_t operands = 0) {
  if (operands == 0) return c.module().result(Op::CooperativeMatrixMulAddKHR, c.type, {a.id, b.id, c.id});
  return c.module().result(Op::CooperativeMatrixMulAddKHR, c.type, {a.id, b.id, c.id, operands});
}
// A product's result as an operand of the next one, its numbers converted to the other matrix's (SPV_NV_cooperative_matrix2).
[[gnu::cold]] inline Value convert_use(Type matrix, Value result) {
  result.module().capability(Capability::CooperativeMatrixConversionsNV);
  result.module().extension("SPV_NV_cooperative_matrix2");
  return convert(matrix, result);
}
// How many of the matrix's elements one invocation holds; element_pointer(variable.pointer(), i) is one of them.
inline Value matrix_length(Type matrix) { return matrix->module->result(Op::CooperativeMatrixLengthKHR, matrix->module->u32(), {matrix->id}); }
inline Value zero_matrix(Type matrix) { return matrix->module->filled(matrix, constant_of(matrix->component, 0)); }

// ---- tensor addressing
namespace inner {
[[gnu::cold]] inline void need_tensor_addressing(Module& module) {
  module.capability(Capability::TensorAddressingNV);
  module.extension("SPV_NV_tensor_addressing");
}
}  // namespace inner

// A layout of two dimensions in memory. clamp: 0 undefined outside, 1 constant (0 unless set), 2 the edge's value.
[[gnu::cold]] inline Value tensor_layout(Module& module, std::uint32_t clamp) {
  inner::need_tensor_addressing(module);
  const Type type = module.opaque(Op::TypeTensorLayoutNV, {module.constant(2u).id, module.constant(clamp).id}, Kind::tensor_layout);
  return module.result(Op::CreateTensorLayoutNV, type, std::initializer_list<std::uint32_t>{});
}
[[gnu::cold]] inline Value with_dimensions(Value layout, Value rows, Value columns) {
  return layout.module().result(Op::TensorLayoutSetDimensionNV, layout.type, {layout.id, rows.id, columns.id});
}
// In elements.
[[gnu::cold]] inline Value with_strides(Value layout, Value rows, Value columns) {
  return layout.module().result(Op::TensorLayoutSetStrideNV, layout.type, {layout.id, rows.id, columns.id});
}
// The rows [row, row + rows) and columns [column, column + columns).
[[gnu::cold]] inline Value slice(Value layout, Value row, Value rows, Value column, Value columns) {
  return layout.module().result(Op::TensorLayoutSliceNV, layout.type, {layout.id, row.id, rows.id, column.id, columns.id});
}
// Exchanges rows and columns of what a layout names.
[[gnu::cold]] inline Value transposed_view(Module& module) {
  inner::need_tensor_addressing(module);
  const Type type = module.opaque(Op::TypeTensorViewNV, {module.constant(2u).id, module.constant(false).id, module.constant(1u).id, module.constant(0u).id},
                                  Kind::tensor_view);
  return module.result(Op::CreateTensorViewNV, type, std::initializer_list<std::uint32_t>{});
}
// `base` points to the tensor's element 0; `view` may be absent.
[[gnu::cold]] inline Value load_tensor(Type matrix, Value base, Value layout, Value view = {}, std::uint32_t alignment = 16) {
  Module& module = base.module();
  module.capability(Capability::CooperativeMatrixTensorAddressesNV);
  module.extension("SPV_NV_cooperative_matrix2");
  inner::need_tensor_addressing(module);
  Words operands{base.id, module.null(matrix).id, layout.id, memory_access::Aligned, alignment, view.exists() ? 1u : 0u};  // 1: TensorView follows
  if (view.exists()) operands.push_back(view.id);
  return module.result(Op::CooperativeMatrixLoadTensorNV, matrix, operands);
}
[[gnu::cold]] inline void store_tensor(Value base, Value matrix, Value layout, std::uint32_t alignment = 16) {
  Module& module = base.module();
  module.capability(Capability::CooperativeMatrixTensorAddressesNV);
  module.extension("SPV_NV_cooperative_matrix2");
  inner::need_tensor_addressing(module);
  module.effect(Op::CooperativeMatrixStoreTensorNV, {base.id, matrix.id, layout.id, memory_access::Aligned, alignment, 0});
}

}  // namespace cotenant::vulkan::spirv

#endif
