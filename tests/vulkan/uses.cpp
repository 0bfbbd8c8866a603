#include "cotenant/vulkan/uses.hpp"

#include <doctest/doctest.h>

#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;

TEST_CASE("a stream waits for another's writes before it reads, and for its reads too before it writes") {
  const Checked gpu;
  const auto a = gpu->shared_stream(), b = gpu->stream("other").shared_stream();
  const auto tensor = cotenant::empty<float>({10}, *gpu);
  cotenant::Block* const block = tensor.block().get();
  vk::Uses uses;
  std::vector<cotenant::Block*> first;
  const auto argument = [&](vk::Access access) { return std::array{vk::BufferArgument{block, nullptr, 0, access}}; };
  const auto waits = [&](const vk::Stream& stream, vk::Access access) {
    const auto points = uses.foreign(stream, argument(access), [](vk::Stream& one) { return one.weak_from_this().lock(); });
    return points.empty() ? 0 : points[0].value;
  };
  CHECK(uses.idle(block));
  uses.note(*a, 3, argument(vk::Access::write), first);
  uses.note(*a, 3, argument(vk::Access::read), first);
  uses.note(*a, 5, argument(vk::Access::read), first);
  CHECK(first == std::vector<cotenant::Block*>{block, block});
  CHECK_FALSE(uses.idle(block));
  CHECK(waits(*a, vk::Access::write) == 0);
  CHECK(waits(*b, vk::Access::read) == 3);
  CHECK(waits(*b, vk::Access::read_write) == 5);
  uses.done(*a, 3, first);
  CHECK(waits(*b, vk::Access::read) == 3);  // the work that reads is still listed, with what it knows
  uses.done(*a, 5, first);
  CHECK(waits(*b, vk::Access::write) == 0);
  CHECK(uses.idle(block));
}

TEST_CASE("scratch is not listed: its stream alone uses it") {
  const Checked gpu;
  const auto stream = gpu->shared_stream();
  const auto scratch = vk::temporary(*stream, 16);
  vk::Uses uses;
  std::vector<cotenant::Block*> first;
  uses.note(*stream, 1, std::array{vk::whole(scratch, vk::Access::write)}, first);
  CHECK(first.empty());
  CHECK(uses.idle(scratch.get()));
}
