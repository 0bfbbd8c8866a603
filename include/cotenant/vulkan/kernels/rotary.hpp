// rotary on the device.
#ifndef COTENANT_VULKAN_KERNELS_ROTARY_HPP
#define COTENANT_VULKAN_KERNELS_ROTARY_HPP
#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/element_wise.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// Operands in the order first, second, cosine, sine, out_first, out_second.
inline spirv::Words emit_rotary(const Target& target, const ElementWise<6>& code, const std::array<DType, 6>& types) {
  KernelBuilder k(target, {.workgroup = element_threads});
  std::array<Elements, 6> operand;
  std::array<Value, 6> first;
  for (std::size_t i = 0; i < 6; ++i) operand[i] = Elements(k, types[i]);
  for (std::size_t i = 0; i < 6; ++i) first[i] = k.scalar();
  emit_elements(k, code, first, [&](const std::array<Value, 6>& at) {
    std::array<Value, 4> v;
    for (std::size_t i = 0; i < 4; ++i) v[i] = load_element(operand[i], code.reading[i], at[i]);
    const auto [x, y, cosine, sine] = v;
    return std::vector{x * cosine - y * sine, y * cosine + x * sine};
  }, [&](const std::array<Value, 6>& at, const std::vector<Value>& turned) {
    // All are known before any is written: the outputs may be the inputs.
    store_element(operand[4], code.reading[4], at[4], turned[0]);
    store_element(operand[5], code.reading[5], at[5], turned[1]);
  });
  return k.finish();
}

namespace kernels {
COTENANT_VULKAN_INLINE void rotary(Stream& stream, const AnyRotary& a) {
  if (a.out_first.view.size() == 0) return;
  const Layout first = a.first.view.layout(), second = a.second.view.layout(), cosine = a.cosine.view.layout(), sine = a.sine.view.layout(),
               out_first = a.out_first.view.layout(), out_second = a.out_second.view.layout();
  const auto axes = merged_axes<6>({&first, &second, &cosine, &sine, &out_first, &out_second}, 0, first.shape.rank());
  const bool four = axes.inner_stride(2) == axes.inner_stride(3) && allows_vectors(a.first, 0, axes) && allows_vectors(a.second, 1, axes) &&
                    allows_vectors(a.cosine, 2, axes) && allows_vectors(a.sine, 3, axes) && allows_vectors(a.out_first, 4, axes) &&
                    allows_vectors(a.out_second, 5, axes) && axes.inner_stride(0) == 1;
  LaunchPlan plan("rotary");
  plan.buffer(a.first, Access::read), plan.buffer(a.second, Access::read);
  plan.buffer(a.cosine, Access::read), plan.buffer(a.sine, Access::read);
  plan.buffer(a.out_first, Access::write), plan.buffer(a.out_second, Access::write);
  const auto code = plan_elements<6>(plan, axes, {true, true, true, true, true, true}, four, stream.barriers());
  const DType in = a.first.type(), table = a.cosine.type(), out = a.out_first.type();
  stream.device().launch(stream, plan.launch(), [&](const Target& target) { return emit_rotary(target, code, {in, in, table, table, out, out}); });
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
