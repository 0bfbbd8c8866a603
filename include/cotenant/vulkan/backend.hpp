// The Vulkan backend with all that it does: what a program compiles once, or in each of its files that use a GPU.
#ifndef COTENANT_VULKAN_BACKEND_HPP
#define COTENANT_VULKAN_BACKEND_HPP
#include <memory>
#include <mutex>

#include "cotenant/vulkan/backend_class.hpp"
#include "cotenant/vulkan/copies.hpp"
#include "cotenant/vulkan/kernels/attention.hpp"
#include "cotenant/vulkan/kernels/dynamic_quantize.hpp"
#include "cotenant/vulkan/kernels/gather.hpp"
#include "cotenant/vulkan/kernels/map.hpp"
#include "cotenant/vulkan/kernels/matmul.hpp"
#include "cotenant/vulkan/kernels/norm.hpp"
#include "cotenant/vulkan/kernels/quantize.hpp"
#include "cotenant/vulkan/kernels/quantized_matmul.hpp"
#include "cotenant/vulkan/kernels/reduce.hpp"
#include "cotenant/vulkan/kernels/rotary.hpp"
#include "cotenant/vulkan/kernels/softmax.hpp"
#include "cotenant/vulkan/kernels/top_k.hpp"
#include "cotenant/vulkan/storage.hpp"

namespace cotenant {

COTENANT_VULKAN_INLINE Vulkan VulkanBackend::storage() const { return Vulkan(stream_->shared_from_this()); }
COTENANT_VULKAN_INLINE void VulkanBackend::synchronize() const { stream_->device().finish(); }

COTENANT_VULKAN_INLINE VulkanBackend& Vulkan::backend_instance() const {
  // Kept with the stream, which it does not keep alive.
  std::call_once(stream_->attachment_once(),
                 [this] { stream_->attachment() = std::make_shared<VulkanBackend>(std::shared_ptr<vulkan::Stream>(std::shared_ptr<void>(), stream_.get())); });
  return *static_cast<VulkanBackend*>(stream_->attachment().get());
}

}  // namespace cotenant

#endif
