#include "cotenant/vulkan/batch.hpp"

#include <doctest/doctest.h>

#include "test_device.hpp"

namespace vk = cotenant::vulkan;

TEST_CASE("a batch waits once for each stream, for the latest point of it") {
  const cotenant::test::Checked gpu;
  const auto a = gpu->shared_stream(), b = gpu->stream("other").shared_stream();
  vk::Batch batch;
  batch.wait_for({a, 3});
  batch.wait_for({b, 1});
  batch.wait_for({a, 2});
  batch.wait_for({b, 9});
  REQUIRE(batch.waits.size() == 2);
  CHECK(batch.waits[0].value == 3);
  CHECK(batch.waits[1].value == 9);
}
