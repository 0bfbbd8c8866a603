#include "cotenant/vulkan/kernels/turns.hpp"

#include "../test_device.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("every other launch begins at the end") {
  CHECK(turn_of({5, 1, 1}, 0) == 0);
  CHECK(turn_of({5, 1, 1}, 1) == 4);
  CHECK(turn_of({5, 3, 7}, 3) == 14);  // what is beside each other along z goes along
  CHECK(turn_of({1, 1, 1}, 1) == 0);
}

TEST_CASE("either way a launch has every group once") {
  const test::Checked gpu;
  constexpr std::size_t count = groups_per_row + 5;
  const auto groups = folded_groups(count);
  const std::size_t launched = std::size_t{groups[0]} * groups[1];
  for (const std::size_t barriers : {0u, 1u}) {
    const auto out = empty<float>({launched}, *gpu);
    const BufferArgument buffers[] = {{out.block().get(), out.unchecked_view().data(), launched * sizeof(float), Access::write}};
    const std::uint32_t scalars[] = {turn_of(groups, barriers)};
    const KernelKey key("test: turns");
    gpu->device().launch(*gpu->shared_stream(), {key, buffers, scalars, groups}, [&](const Target& target) {
      KernelBuilder k(target, {.workgroup = 1});
      const Buffer y = k.buffer(k.f32());
      const Value number = group_number(k, k.scalar());
      y.store(number, convert(k.f32(), number));
      return k.finish();
    });
    const auto got = test::to_host(out);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < launched; ++i) wrong += got[i] != static_cast<float>(i);
    CHECK(wrong == 0);
  }
}

}  // namespace
