#include "cotenant/vulkan/spirv_matrix.hpp"

#include "cotenant/vulkan/kernel.hpp"
#include "emitted.hpp"

using namespace cotenant::vulkan;
using namespace cotenant::vulkan::spirv;

TEST_CASE("cooperative matrices: through shared memory and from a buffer") {
  const Capabilities device = cotenant::test::usual_device();
  KernelBuilder k({device}, {.workgroup = 128, .vulkan_memory_model = true});
  Module& m = k.module();
  const Buffer a = k.buffer(m.f16()), b = k.buffer(m.f16()), c = k.buffer(m.f32());
  const Value stride = k.scalar(), zero = k.constant(0u);
  const Shared tile = k.shared(k.vector(k.u32(), 4), 512);
  tile.store(k.local_index(), a.as(k.vector(k.u32(), 4)).load(k.local_index()));
  k.barrier();
  const Type left = m.cooperative_matrix(m.f16(), Scope::Subgroup, 16, 16, CooperativeMatrixUse::MatrixA);
  const Type right = m.cooperative_matrix(m.f16(), Scope::Subgroup, 16, 16, CooperativeMatrixUse::MatrixB);
  const Type sum = m.cooperative_matrix(m.f32(), Scope::Subgroup, 16, 16, CooperativeMatrixUse::MatrixAccumulator);
  const Variable accumulator = k.variable(zero_matrix(sum));
  const Value x = load_matrix(left, tile.pointer(zero), CooperativeMatrixLayout::RowMajor, k.constant(2u));
  const Value y = load_matrix(right, b.pointer(zero), CooperativeMatrixLayout::ColumnMajor, stride, 16);
  accumulator.set(multiply_add(x, y, accumulator.get()) * k.constant(2.f));
  k.loop(0u, matrix_length(sum), 1u, [&](Value i) {
    const Value element = element_pointer(accumulator.pointer(), i);
    store(element, load(element) + 1.f);
  });
  store_matrix(c.pointer(zero), accumulator.get(), CooperativeMatrixLayout::RowMajor, stride, 16);
  const auto words = k.finish();
  CHECK(cotenant::test::count_of(words, Op::CooperativeMatrixMulAddKHR) == 1);
  cotenant::test::check_valid(words, false);
}

TEST_CASE("tensor addressing: slices of layouts") {
  const Capabilities device = cotenant::test::usual_device();
  KernelBuilder k({device}, {.workgroup = 256, .vulkan_memory_model = true});
  Module& m = k.module();
  const Buffer a = k.buffer(m.f16()), c = k.buffer(m.f32());
  const Value rows = k.scalar(), columns = k.scalar(), zero = k.constant(0u), side = k.constant(64u);
  const Type half = m.cooperative_matrix(m.f16(), Scope::Workgroup, 64, 64, CooperativeMatrixUse::MatrixAccumulator);
  const Type full = m.cooperative_matrix(m.f32(), Scope::Workgroup, 64, 64, CooperativeMatrixUse::MatrixAccumulator);
  const Value layout = with_strides(with_dimensions(tensor_layout(m, 1), rows, columns), columns, k.constant(1u));
  const Value part = slice(layout, zero, side, zero, side);
  const Value loaded = load_tensor(half, a.pointer(zero), part), turned = load_tensor(half, a.pointer(zero), part, transposed_view(m));
  store_tensor(c.pointer(zero), convert(full, loaded + turned), part);
  cotenant::test::check_valid(k.finish(), false);
}
