// gather on the device: indices are read there, so one outside the table is clamped to its nearest row.
#ifndef COTENANT_VULKAN_KERNELS_GATHER_HPP
#define COTENANT_VULKAN_KERNELS_GATHER_HPP
#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/element_wise.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// Operands in the order table, indices, out; the table's offset is that within its row.
inline spirv::Words emit_gather(const Target& target, const ElementWise<3>& code, const std::array<DType, 3>& types) {
  KernelBuilder k(target, {.workgroup = element_threads});
  std::array<Elements, 3> operand;
  std::array<Value, 3> first;
  for (std::size_t i = 0; i < 3; ++i) operand[i] = Elements(k, types[i]);
  for (std::size_t i = 0; i < 3; ++i) first[i] = k.scalar();
  const Value rows = k.scalar(), row_stride = k.scalar();
  emit_elements(k, code, first, [&](const std::array<Value, 3>& at) {
    const Value given = operand[1].load(at[1]), count = convert(given.type, rows);
    const Value index = min(max(select(given < 0, given + count, given), 0), count - 1);
    const Value row = at[0] + convert(k.u32(), index) * row_stride;
    return std::vector{load_element(operand[0], code.reading[0], row)};
  }, [&](const std::array<Value, 3>& at, const std::vector<Value>& value) { store_element(operand[2], code.reading[2], at[2], value[0]); });
  return k.finish();
}

namespace kernels {
COTENANT_VULKAN_INLINE void gather(Stream& stream, const AnyGather& a) {
  if (a.out.view.size() == 0) return;
  const Layout out = a.out.view.layout();
  // Both inputs under the result's shape: indices are the same along a row, a row's places are the same for each index.
  Layout indices{out.shape, Strides::filled(out.shape.rank(), 0), 0}, table = indices;
  const std::size_t leading = a.indices.view.rank();
  for (std::size_t axis = 0; axis < out.shape.rank(); ++axis) {
    if (axis < leading) indices.strides[axis] = a.indices.view.stride(axis);
    else table.strides[axis] = a.table.view.stride(axis - leading + 1);
  }
  const auto axes = merged_axes<3>({&table, &indices, &out}, 0, out.shape.rank());
  const std::ptrdiff_t row_stride = a.table.view.stride(0);
  const bool four = allows_vectors(a.table, 0, axes) && allows_vectors(a.out, 2, axes) && axes.inner_stride(0) == 1 && axes.inner_stride(1) == 0 &&
                    axes.inner_stride(2) == 1 && row_stride % 4 == 0;
  LaunchPlan plan("gather");
  plan.buffer(a.table, Access::read), plan.buffer(a.indices, Access::read), plan.buffer(a.out, Access::write);
  plan.scalar(a.table.shape()[0]);
  plan.scalars.push_back(wrapped(row_stride));
  const auto code = plan_elements<3>(plan, axes, {true, true, true}, four, stream.barriers());
  stream.device().launch(stream, plan.launch(), [&](const Target& target) {
    return emit_gather(target, code, {a.table.type(), a.indices.type(), a.out.type()});
  });
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
