#include "cotenant/vulkan/staging_ring.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;
using vk::detail::StagingRing;

TEST_CASE("a copy has eight parts or parts of 8 MiB, and pieces that cover it without a gap") {
  const Checked gpu;
  CHECK(vk::part_bytes_of(1) == std::size_t{1} << 20);
  CHECK(vk::part_bytes_of(std::size_t{20} << 20) == std::size_t{4} << 20);
  CHECK(vk::part_bytes_of(std::size_t{1} << 40) == vk::staging_bytes);
  for (const std::size_t bytes : {std::size_t{1}, vk::host_piece, 5 * vk::host_piece + 3, 3 * vk::staging_bytes + 5}) {
    StagingRing ring(*gpu->shared_stream(), bytes, 2 * vk::staging_bytes);
    CHECK(ring.chunks() <= ring.parts());
    std::size_t covered = 0, parts = 0;
    for (std::size_t i = 0; i < ring.pieces(); ++i) {
      const auto piece = ring.piece(i);
      CHECK(piece.first == covered);
      CHECK(piece.part == piece.first / vk::part_bytes_of(bytes));
      CHECK(piece.staging == static_cast<std::byte*>(ring.chunk(piece.part)->mapped()) + piece.first % vk::part_bytes_of(bytes));
      covered += piece.bytes;
      if (ring.finished(piece.part)) ++parts;  // the last piece of each
    }
    CHECK(covered == bytes);
    CHECK(parts == ring.parts());
  }
}

TEST_CASE("parts go to a tensor and come back, one chunk after another and again from the first") {
  const Checked gpu;
  vk::Stream& stream = *gpu->shared_stream();
  const std::size_t bytes = std::size_t{3} << 20;
  const auto tensor = cotenant::empty<float>({bytes / 4}, *gpu);
  void* const address = tensor.block()->data();
  const vk::detail::DevicePart there{tensor.block().get(), address, gpu->device().memory().find(address)};
  StagingRing up(stream, bytes, std::size_t{1} << 20);  // one chunk for three parts
  REQUIRE(up.parts() == 3);
  REQUIRE(up.chunks() == 1);
  for (std::size_t part = 0; part < 3; ++part) {
    if (part > 0) CHECK(up.wait(part - 1));
    std::memset(up.chunk(part)->mapped(), static_cast<int>(part + 1), std::size_t{1} << 20);
    CHECK(up.queued(part) == 0);
    up.queue(part, there, vk::Direction::to_device, true);
    CHECK(up.queued(part) != 0);
  }
  StagingRing down(stream, bytes, bytes);
  for (std::size_t part = 0; part < 3; ++part) down.queue(part, there, vk::Direction::to_host, true);
  for (std::size_t part = 0; part < 3; ++part) {
    CHECK(down.wait(part));
    const auto* const found = static_cast<const unsigned char*>(down.chunk(part)->mapped());
    CHECK(std::accumulate(found, found + (1 << 20), std::size_t{0}) == (part + 1) << 20);
  }
}

TEST_CASE("whoever waits for a part that another thread failed to bring hears of it") {
  const Checked gpu;
  StagingRing ring(*gpu->shared_stream(), 100, 1000000);
  CHECK_THROWS_AS(ring.guard([] { throw std::runtime_error("the other thread's"); }), std::runtime_error);
  CHECK_FALSE(ring.wait(0));
}
