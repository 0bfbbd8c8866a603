#include "cotenant/vulkan/spirv_module.hpp"

#include "emitted.hpp"

using namespace cotenant::vulkan::spirv;

TEST_CASE("Module: equal types and constants are made once") {
  Module module(version(1, 5));
  CHECK(module.u32() == module.u32());
  CHECK(module.u32() != module.i32());
  CHECK(module.vector(module.f32(), 4) == module.vector(module.f32(), 4));
  CHECK(module.vector(module.f32(), 1) == module.f32());
  CHECK(module.constant(1.f).id == module.constant(1.f).id);
  CHECK(module.constant(1u).id != module.constant(1).id);
  CHECK(module.constant_bits(module.vector(module.f32(), 4), 0).id == module.constant_bits(module.vector(module.f32(), 4), 0).id);
  const Type four = module.vector(module.u32(), 4);
  CHECK(four->bytes == 16);
  CHECK(&four->scalar() == module.u32());
  CHECK(module.array(four, 3)->bytes == 48);
  const Type block = module.buffer_block(four);
  CHECK(block == module.buffer_block(four));
  module.execution_mode(ExecutionMode::LocalSize, {1, 1, 1});
  const Words words = module.finish();
  CHECK(words[0] == magic_number);
  CHECK(cotenant::test::count_of(words, Op::TypeFloat) == 1);
  cotenant::test::check_valid(words);
}

TEST_CASE("Module: a type brings the capabilities that it needs") {
  Module module(version(1, 5));
  module.integer(64, true), module.f16(), module.integer(8, false, Module::Purpose::storage);
  module.execution_mode(ExecutionMode::LocalSize, {1, 1, 1});
  const Words words = module.finish();
  CHECK(cotenant::test::count_of(words, Op::Capability) == 4);  // Shader, Int64, Float16, StorageBuffer8BitAccess
  cotenant::test::check_valid(words);
}
