#include "cotenant/vulkan/spirv_subgroup.hpp"

#include "cotenant/vulkan/kernel.hpp"
#include "emitted.hpp"

using namespace cotenant::vulkan;

TEST_CASE("subgroup operations bring their capabilities") {
  const Capabilities device = cotenant::test::usual_device();
  KernelBuilder k({device});
  const Buffer x = k.buffer(k.f32()), y = k.buffer(k.f32());
  const Value i = k.local_index(), v = x.load(i);
  const Value numbers = subgroup_max(spirv::bitcast(k.i32(), v)) + subgroup_add(spirv::bitcast(k.i32(), v));
  const Value floats = subgroup_add(v) + subgroup_min(v) + subgroup_max(v) + subgroup_shuffle(v, k.lane() ^ 1u) + subgroup_shuffle_xor(v, 2);
  const Value votes = spirv::extract(subgroup_ballot(v > 0.f), 0);
  k.when(subgroup_any(v > 0.f), [&] {
    y.store(i + k.subgroup_id() + k.subgroup_size(), floats + spirv::convert(k.f32(), numbers) + spirv::convert(k.f32(), votes));
  });
  cotenant::test::check_valid(k.finish());
}
