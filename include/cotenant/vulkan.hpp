// The Vulkan backend: SharedTensor<T, Vulkan> and the ops on it. Include after cotenant/cotenant.hpp and link libvulkan.
// COTENANT_VULKAN_SEPARATE and COTENANT_VULKAN_IMPLEMENTATION: core/config.hpp.
#include "cotenant/vulkan/backend_class.hpp"
#include "cotenant/vulkan/custom_kernel_class.hpp"
#include "cotenant/vulkan/mirror.hpp"
#include "cotenant/vulkan/pinned.hpp"

#if !defined(COTENANT_VULKAN_SEPARATE) || defined(COTENANT_VULKAN_IMPLEMENTATION)
#include "cotenant/vulkan/backend.hpp"
#include "cotenant/vulkan/custom_kernel.hpp"
#endif
