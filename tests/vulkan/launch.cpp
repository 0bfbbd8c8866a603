#include "cotenant/vulkan/launch.hpp"

#include <doctest/doctest.h>

using namespace cotenant::vulkan;

TEST_CASE("parameters are an address per buffer and four bytes per scalar") {
  const std::array<BufferArgument, 3> buffers{};
  const std::array<std::uint32_t, 5> scalars{};
  const Launch launch{"key", buffers, scalars, {1, 1, 1}};
  CHECK(launch.parameter_bytes() == 3 * 8 + 5 * 4);
  CHECK(launch.subgroup_size == 0);
}
