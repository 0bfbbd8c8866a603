#include "cotenant/vulkan/custom_kernel_class.hpp"

#include "cotenant/vulkan/custom_kernel.hpp"
#include "test_device.hpp"

using namespace cotenant;

TEST_CASE("scalars keep their bits, inputs their bytes") {
  CHECK(KernelScalar("a", 1.f).bits == 0x3F800000);
  CHECK(KernelScalar("b", std::int32_t{-1}).bits == 0xFFFFFFFF);
  CHECK(KernelScalar("c", std::uint32_t{7}).bits == 7);
  const test::Checked gpu;
  const KernelInput input("x", test::to_device(*gpu, {1.f, 2.f, 3.f}));
  CHECK(input.dtype == DType::f32);
  CHECK(input.bytes.size() == 12);
  CHECK_THROWS_AS(KernelInput("y", SharedTensor<float, Vulkan>{}), InvalidArgument);
}
TEST_CASE("a run's results are found by name") {
  const KernelResults none;
  CHECK_THROWS_AS(none.get<float>("y"), NotFound);
}
