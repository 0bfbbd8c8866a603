#include "cotenant/vulkan/spirv_control.hpp"

#include "cotenant/vulkan/kernel.hpp"
#include "emitted.hpp"

using namespace cotenant::vulkan;

TEST_CASE("control flow nests: loops in branches in loops") {
  const Capabilities device = cotenant::test::usual_device();
  for (const bool vulkan_model : {false, true}) {
    KernelBuilder k({device}, {.workgroup = 64, .vulkan_memory_model = vulkan_model});
    const Buffer y = k.buffer(k.u32());
    const Value n = k.scalar(), i = k.local_index();
    const Shared shared = k.shared(k.u32(), 64);
    shared.store(i, i * 3u);
    k.barrier();
    const Variable sum = k.variable(k.constant(0u));
    k.loop(0u, n, 1u, [&](Value a) {
      k.when(a % 2u == 0u, [&] {
        k.loop(a, n, 2u, [&](Value b) { sum.set(sum.get() + shared.load(b)); }, LoopControl::Unroll);
      }, [&] { sum.set(sum.get() + 1u); });
    }, LoopControl::DontUnroll);
    k.subgroup_barrier();
    k.return_when(i > 40u);
    y.store(i, sum.get());
    const auto words = k.finish();
    CHECK(cotenant::test::count_of(words, spirv::Op::LoopMerge) == 2);
    CHECK(cotenant::test::count_of(words, spirv::Op::SelectionMerge) == 2);
    cotenant::test::check_valid(words);
  }
}
