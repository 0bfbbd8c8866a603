#include "cotenant/vulkan/stream_point.hpp"

#include <doctest/doctest.h>

#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;

TEST_CASE("of the points of one stream the latest is kept") {
  const Checked gpu;
  const auto a = gpu->shared_stream(), b = gpu->stream("other").shared_stream();
  std::vector<vk::StreamPoint> points;
  for (const vk::StreamPoint& point : {vk::StreamPoint{a, 3}, {b, 1}, {a, 2}, {b, 9}}) vk::add_point(points, point);
  REQUIRE(points.size() == 2);
  CHECK(points[0].value == 3);
  CHECK(points[1].value == 9);
}

TEST_CASE("a block may wait for a point: work up to it is done then, and a stream that is gone has none") {
  const Checked gpu;
  auto stream = gpu->stream("worker").shared_stream();
  const auto x = to_device(*gpu, {1, 2}), y = cotenant::empty<float>({2}, *gpu);
  twice_plus_one(*gpu, x, y);
  vk::detail::TimelinePoint done(gpu->shared_stream(), gpu->shared_stream()->queued());
  done.wait();
  CHECK(gpu->shared_stream()->timeline().reached(gpu->shared_stream()->queued()));
  vk::detail::TimelinePoint gone(stream, 1000);  // which it would never reach
  stream.reset();
  gone.wait();
}
