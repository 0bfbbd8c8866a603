#include "cotenant/vulkan/spirv.hpp"

#include <doctest/doctest.h>

namespace spirv = cotenant::vulkan::spirv;

TEST_CASE("SPIR-V's numbers are the specification's") {
  CHECK(spirv::version(1, 6) == 0x00010600);
  CHECK(spirv::magic_number == 0x07230203);
  CHECK(static_cast<int>(spirv::Op::Return) == 253);
  CHECK(static_cast<int>(spirv::Op::CooperativeMatrixMulAddKHR) == 4459);
  CHECK(static_cast<int>(spirv::StorageClass::PhysicalStorageBuffer) == 5349);
}
