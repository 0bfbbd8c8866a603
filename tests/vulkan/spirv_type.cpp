#include "cotenant/vulkan/spirv_type.hpp"

#include "cotenant/vulkan/spirv_module.hpp"
#include "emitted.hpp"

using namespace cotenant::vulkan::spirv;

TEST_CASE("TypeInfo: what a type is made of") {
  Module module;
  const Type four = module.vector(module.i32(), 4), pointer = module.pointer(StorageClass::Function, four);
  CHECK(four->scalar().kind == Kind::integer);
  CHECK(four->is_vector());
  CHECK(!four->is_float());
  CHECK(four->scalar().is_signed);
  CHECK(pointer->component == four);
  CHECK(module.boolean()->is_boolean());
  CHECK(four->module == &module);
  CHECK(!Value{}.exists());
  CHECK(module.constant(1u).exists());
}
