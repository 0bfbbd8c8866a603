// map on the device: one recorded function of any number of tensors, with broadcasting and any strides.
#ifndef COTENANT_VULKAN_KERNELS_MAP_HPP
#define COTENANT_VULKAN_KERNELS_MAP_HPP
#include <vector>

#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/map_code.hpp"
#include "cotenant/vulkan/operations.hpp"
#include "cotenant/vulkan/spirv_element.hpp"
#include "cotenant/vulkan/spirv_expression.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

namespace kernels {
COTENANT_VULKAN_INLINE void map(Stream& stream, const AnyMap& a) {
  const AnyOperand& out = a.operands[0];
  if (out.view.size() == 0) return;
  Few<MapOperand, 8> operands;
  // The literals are no part of the key.
  KernelKey key("map");
  for (const AnyOperand& operand : a.operands) {
    operands.push_back(map_operand(operand));
    key.append(' ', to_string(operand.type()));
  }
  key.append(' ', a.expression.text);
  MapPlan plan = plan_map(out.shape(), operands, stream.barriers());
  plan.scalars.append(a.expression.literals);
  plan.code.append_to(key);
  stream.device().launch(stream, {key, plan.buffers, plan.scalars, plan.groups}, [&](const Target& target) {
    KernelBuilder k(target, {.workgroup = MapCode::threads, .halves = out.type() == DType::f16 || out.type() == DType::bf16});
    std::vector<Elements> elements;
    for (const AnyOperand& operand : a.operands) elements.emplace_back(k, operand.type());
    detail::MapFrame frame(k, plan.code, a.operands.size());
    const RecordedCode code(k, a.expression.text, a.expression.compute);
    emit_map(k, plan.code, frame, elements, code);
    return k.finish();
  });
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
