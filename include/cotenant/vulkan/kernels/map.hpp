// map on the device: one recorded function of any number of tensors, with broadcasting and any strides.
#ifndef COTENANT_VULKAN_KERNELS_MAP_HPP
#define COTENANT_VULKAN_KERNELS_MAP_HPP
#include <array>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cotenant/ops/map.hpp"
#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/map_code.hpp"
#include "cotenant/vulkan/spirv_element.hpp"
#include "cotenant/vulkan/spirv_expression.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

namespace detail {
template <class T> MapOperand map_operand(const Operand<T>& operand) { return {operand.block, operand.view.data(), &operand.view.strides(), sizeof(T)}; }
}  // namespace detail

namespace kernels {
// Errors: Unsupported where the device cannot access such elements; those of Device::launch.
template <class Out, class E, class... In> void map(Device& device, Stream& stream, const MapArguments<Out, E, In...>& a) {
  using C = compute_type<Out, In...>;
  if (a.out.view.size() == 0) return;
  const auto operands = std::apply([&](const auto&... in) { return std::array{detail::map_operand(a.out), detail::map_operand(in)...}; }, a.in);
  MapPlan plan = plan_map(a.out.shape(), operands);
  append_literals<C>(a.expression, plan.scalars);
  constexpr std::array dtypes{dtype_of<Out>, dtype_of<In>...};
  // The literals are no part of it.
  static const KernelKey kind = [&] {
    KernelKey text("map");
    for (const DType dtype : dtypes) text.append(' ', to_string(dtype));
    text.append(' ');
    append_expression_key(text, a.expression);
    return text;
  }();
  KernelKey key = kind;
  plan.code.append_to(key);
  device.launch(stream, {key, plan.buffers, plan.scalars, plan.groups}, [&](const Target& target) {
    KernelBuilder k(target, {.workgroup = MapCode::threads, .halves = dtype_of<Out> == DType::f16 || dtype_of<Out> == DType::bf16});
    std::vector<Elements> elements;
    for (const DType dtype : dtypes) elements.emplace_back(k, dtype);
    detail::MapFrame frame(k, plan.code, dtypes.size());
    const RecordedCode<E> code(k, a.expression, dtype_of<C>);
    emit_map(k, plan.code, frame, elements, code);
    return k.finish();
  });
}
}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
