// A user's program: a product on the GPU, or on the CPU as Vulkan shows it (mesa-vulkan-drivers).
#include <cotenant/vulkan.hpp>

#include <cstdio>

namespace ct = cotenant;

int main() {
  const auto gpu = ct::Vulkan::open({.cache_folder = "-"});
  const auto x = ct::from<float>({1, 2, 3, 4}, {2, 2}).copy_to(gpu), bias = ct::from<float>({-10, 0}, {2}).copy_to(gpu);
  const auto y = ct::matmul(x, x, [](auto acc, auto b) { return relu(acc + b); }, bias).copy_to<ct::Heap>();  // [[7, 10], [15, 22]] + bias
  const auto view = y.view();
  const bool right = view(0, 0) == 0.f && view(0, 1) == 10.f && view(1, 0) == 5.f && view(1, 1) == 22.f;
  std::printf("%s: matmul %s\n", gpu.capabilities().name.c_str(), right ? "right" : "wrong");
  return right ? 0 : 1;
}
