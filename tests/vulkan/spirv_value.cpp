#include "cotenant/vulkan/spirv_value.hpp"

#include "cotenant/vulkan/kernel.hpp"
#include "emitted.hpp"

using namespace cotenant::vulkan;

TEST_CASE("Value: operators on numbers, vectors and C++ numbers") {
  const Capabilities device = cotenant::test::usual_device();
  KernelBuilder k({device});
  const Buffer x = k.buffer(k.vector(k.f32(), 4)), y = k.buffer(k.vector(k.f32(), 4));
  const Value i = k.local_index(), v = x.load(i), s = extract(v, 1);
  CHECK((v * 2.f).type == v.type);
  CHECK((s * v).type == v.type);
  CHECK((v < 1.f).type == k.vector(k.boolean(), 4));
  CHECK((1u + i).type == k.u32());
  CHECK(spirv::convert(k.vector(k.i32(), 4), v).type == k.vector(k.i32(), 4));
  CHECK(spirv::make_vector({s, s}).type == k.vector(k.f32(), 2));
  const Value bits = bitcast(k.vector(k.u32(), 4), v);
  const Value mixed = (((bits >> 3u) ^ 5u) & ~bits) | (bits << 2u) | (bits % 7u) / 3u;
  const Value chosen = select(v != v || v >= 0.f, v, fma(v, s, 3.f) - 1);
  const Value wide = spirv::convert(k.vector(k.u64(), 4), mixed), narrow = spirv::convert(k.vector(k.u32(), 4), wide);
  y.store(i, min(max(chosen, -1.f), spirv::convert(v.type, narrow)) + no_contraction(v * s) + select(i < 3u, v, -v));
  cotenant::test::check_valid(k.finish());
}

TEST_CASE("Value: constants are converted to the other operand's type") {
  const Capabilities device = cotenant::test::usual_device();
  KernelBuilder k({device});
  spirv::Module& m = k.module();
  CHECK(spirv::constant_of(k.f32(), 1).id == m.constant(1.f).id);
  CHECK(spirv::constant_of(k.i32(), -1).id == m.constant_bits(k.i32(), 0xFFFFFFFFu).id);
  CHECK(spirv::constant_of(m.integer(64, true), -1).id == m.constant_bits(m.integer(64, true), ~std::uint64_t{0}).id);
  CHECK(spirv::constant_of(m.f16(), 1.f).id == m.constant_bits(m.f16(), 0x3C00).id);
  CHECK(spirv::constant_of(m.integer(8, true), -2).id == m.constant_bits(m.integer(8, true), 0xFFFFFFFEu).id);
  CHECK(spirv::constant_of(k.boolean(), 5).id == m.constant(true).id);
}
