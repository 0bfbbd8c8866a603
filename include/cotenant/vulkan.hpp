// The Vulkan backend: SharedTensor<T, Vulkan> and the ops on it. Include after cotenant/cotenant.hpp and link libvulkan.
#include "cotenant/vulkan/backend.hpp"
#include "cotenant/vulkan/custom_kernel.hpp"
#include "cotenant/vulkan/mirror.hpp"
#include "cotenant/vulkan/pinned.hpp"
