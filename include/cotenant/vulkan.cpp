// The code of the Vulkan backend for a program whose files see declarations alone: compiled once, in a build with COTENANT_VULKAN_SEPARATE.
#define COTENANT_VULKAN_IMPLEMENTATION
#include "cotenant/vulkan.hpp"
