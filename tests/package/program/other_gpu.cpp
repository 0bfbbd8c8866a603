// The second unit of gpu.cpp's program where the device's code is compiled once.
#include <cotenant/vulkan.hpp>

namespace ct = cotenant;

bool other_unit_is_right(const ct::Vulkan& gpu) {
  const auto x = ct::from<float>({1, 2, 3, 4}, {2, 2}).copy_to(gpu);
  const auto y = ct::matmul(x, x, [](auto acc) { return acc * 2.f; }).copy_to<ct::Heap>();  // 2 [[7, 10], [15, 22]]
  const auto view = y.view();
  return view(0, 0) == 14.f && view(0, 1) == 20.f && view(1, 0) == 30.f && view(1, 1) == 44.f;
}
