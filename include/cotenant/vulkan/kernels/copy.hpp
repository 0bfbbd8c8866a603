// copy on the device: the same bits under another layout; permuted axes go through shared memory in square tiles.
#ifndef COTENANT_VULKAN_KERNELS_COPY_HPP
#define COTENANT_VULKAN_KERNELS_COPY_HPP
#include <cstddef>
#include <cstdint>
#include <array>
#include <vector>

#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/element_bits.hpp"
#include "cotenant/vulkan/kernels/map_code.hpp"
#include "cotenant/vulkan/kernels/transpose.hpp"
#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

namespace kernels {
// out[i] = in[i], both on the device, any strides. Errors: Unsupported where the device cannot access such elements; those of Device::launch.
inline void copy_bits(Device& device, Stream& stream, const Shape& shape, const MapOperand& out, const MapOperand& in) {
  if (element_count(shape) == 0) return;
  if (const auto tiles = plan_transpose(shape, out, in)) {
    const KernelKey tiled("copy tiles ", out.element_bytes, ' ', tiles->batch_rank);
    device.launch(stream, {tiled, tiles->buffers, tiles->scalars, tiles->groups},
                  [&](const Target& target) { return emit_transpose(target, tiles->batch_rank, out.element_bytes); });
    return;
  }
  const MapPlan plan = plan_map(shape, std::array{out, in}, stream.barriers());
  KernelKey key("copy ", out.element_bytes);
  plan.code.append_to(key);
  device.launch(stream, {key, plan.buffers, plan.scalars, plan.groups}, [&](const Target& target) {
    KernelBuilder k(target, {.workgroup = MapCode::threads});
    std::vector<ElementBits> elements;
    for (int i = 0; i < 2; ++i) elements.emplace_back(k, out.element_bytes);
    detail::MapFrame frame(k, plan.code, 2);
    emit_map(k, plan.code, frame, elements, [](const std::vector<Value>& values) { return values[0]; });
    return k.finish();
  });
}

}  // namespace kernels

}  // namespace cotenant::vulkan

#endif
