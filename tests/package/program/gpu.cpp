// A user's program: a product on the GPU, or on the CPU as Vulkan shows it (mesa-vulkan-drivers).
#include <cotenant/vulkan.hpp>

#include <cstdio>

namespace ct = cotenant;

// Where the device's code is compiled once, another unit (other_gpu.cpp) uses it, too.
#ifdef COTENANT_VULKAN_SEPARATE
bool other_unit_is_right(const ct::Vulkan& gpu);
#else
static bool other_unit_is_right(const ct::Vulkan&) { return true; }
#endif

static bool product_is_right() {
  const auto gpu = ct::Vulkan::open({.cache_folder = "-"});
  const auto x = ct::from<float>({1, 2, 3, 4}, {2, 2}).copy_to(gpu), bias = ct::from<float>({-10, 0}, {2}).copy_to(gpu);
  const auto y = ct::matmul(x, x, [](auto acc, auto b) { return relu(acc + b); }, bias).copy_to<ct::Heap>();  // [[7, 10], [15, 22]] + bias
  const auto view = y.view();
  const bool right = view(0, 0) == 0.f && view(0, 1) == 10.f && view(1, 0) == 5.f && view(1, 1) == 22.f;
  std::printf("%s: matmul %s\n", gpu.capabilities().name.c_str(), right ? "right" : "wrong");
  return right && other_unit_is_right(gpu);
}

int main() {
  if (!product_is_right()) return 1;
  // The driver was unloaded and comes again; the program ends with work that nobody waited for, on tensors that nobody destroys.
  static const auto again = ct::Vulkan::open({.cache_folder = "-"});
  static const auto left = ct::map([](auto x) { return tanh(exp(x)); }, ct::full<float>({64}, 1.f).copy_to(again));
}
