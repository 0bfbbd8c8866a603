#include "cotenant/vulkan/scratch.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "test_device.hpp"

using namespace cotenant;
using namespace cotenant::test;

TEST_CASE("what one op drops is the next op's but one, in the stream's order and without waiting") {
  for (bool descriptors : {false, true}) {
    const Checked gpu(checked_options(descriptors));
    const auto x = to_device(*gpu, std::vector<float>(1000, 1.f)), y = empty<float>({1000}, *gpu);
    std::vector<const void*> rooms;
    for (std::size_t i = 0; i < 50; ++i) {
      const BlockRef room = vulkan::temporary(*gpu->shared_stream(), 4000);
      rooms.push_back(room->data());
      if (i > 0) CHECK(rooms[i] != rooms[i - 1]);
      if (i > 1) CHECK(rooms[i] == rooms[i - 2]);
      const SharedTensor<std::uint8_t, vulkan::StreamScratch> bytes(room, contiguous_layout({4000}));
      const auto copy = [&](const void* from, Block* from_block, const void* to, Block* to_block) {
        vulkan::MemoryPool& memory = gpu->device().memory();
        gpu->shared_stream()->copy({from_block, from, 4000, vulkan::Access::read}, memory.find(from), {to_block, to, 4000, vulkan::Access::write}, memory.find(to), nullptr);
      };
      copy(x.block()->data(), x.block().get(), room->data(), room.get());
      copy(room->data(), room.get(), y.block()->data(), y.block().get());
      twice_plus_one(*gpu, y, x);
    }
    CHECK(gpu->gpu_memory_usage().tensors == 4);
    CHECK(to_host(x)[999] > 1e15f);
    gpu->synchronize();
    CHECK(gpu->gpu_memory_usage().tensors == 2);
  }
}

TEST_CASE("much smaller requests do not take a large one, and each stream has its own") {
  const Checked gpu;
  vulkan::Stream& stream = *gpu->shared_stream();
  constexpr std::size_t large = std::size_t{8} << 20;
  vulkan::temporary(stream, large);
  CHECK(gpu->gpu_memory_usage().tensors == 1);
  const BlockRef small = vulkan::temporary(stream, 1000);
  CHECK(gpu->gpu_memory_usage().tensors == 2);
  const BlockRef most = vulkan::temporary(stream, large - 10000);  // so large that one is enough
  CHECK(gpu->gpu_memory_usage().tensors == 2);
  const BlockRef other = vulkan::temporary(*gpu->stream("other").shared_stream(), 1000);
  CHECK(gpu->gpu_memory_usage().tensors == 3);
}
