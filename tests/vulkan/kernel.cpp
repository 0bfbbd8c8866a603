#include "cotenant/vulkan/kernel.hpp"

#include "emitted.hpp"

using namespace cotenant::vulkan;

namespace {
// Two buffers, one of them under three types, and as many scalars.
spirv::Words sample(const Target& target, std::size_t scalars) {
  KernelBuilder k(target);
  const Buffer x = k.buffer(k.f32()), y = k.buffer(k.f32());
  std::vector<Value> values;
  for (std::size_t i = 0; i < scalars; ++i) values.push_back(k.scalar());
  const Value big = k.scalar64(), scale = k.scalar(k.f32());
  const Value i = k.workgroup_id() * k.workgroup() + k.local_index() + k.workgroup_id(1);
  const Value four = x.as(k.vector(k.f32(), 4)).load(i), bits = x.as(k.u32()).load(i);
  Value sum = spirv::convert(k.u32(), big);
  for (const Value& value : values) sum = sum + value;
  k.when(i < sum, [&] { y.store(i, spirv::extract(four, 2) * scale + x.load(bits)); });
  return k.finish();
}
}  // namespace

TEST_CASE("KernelBuilder: parameters as push constants and as a block, by pointer and by descriptor") {
  const Capabilities device = cotenant::test::usual_device();
  for (const Addressing addressing : {Addressing::pointers, Addressing::descriptors})
    for (const std::size_t scalars : {std::size_t{1}, std::size_t{25}, std::size_t{26}, std::size_t{60}}) {
      CAPTURE(scalars);
      const Target target{device, addressing};
      const auto words = sample(target, scalars);
      cotenant::test::check_valid(words);
      CHECK(sample(target, scalars) == words);  // the same in every run: pipelines are kept by their words
    }
}

TEST_CASE("KernelBuilder: a device of Vulkan 1.2 gets an older module") {
  Capabilities device = cotenant::test::usual_device();
  CHECK(sample({device}, 1)[1] == spirv::version(1, 6));
  device.api_version = 1u << 22 | 2u << 12;
  CHECK(sample({device}, 1)[1] == spirv::version(1, 5));
}

TEST_CASE("KernelBuilder: a kernel without parameters") {
  const Capabilities device = cotenant::test::usual_device();
  KernelBuilder k({device}, {.workgroup = 8});
  const Shared shared = k.shared(k.u32(), 8);
  shared.store(k.local_index(), k.workgroup_id(2));
  cotenant::test::check_valid(k.finish());
}
