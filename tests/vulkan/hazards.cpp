#include "cotenant/vulkan/hazards.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace cotenant::vulkan;

namespace {
BufferArgument bytes(std::uintptr_t begin, std::size_t count, Access access) { return {nullptr, reinterpret_cast<const void*>(begin), count, access}; }
bool conflicts(const Hazards& hazards, BufferArgument argument) { return hazards.conflict(std::array{argument}); }
}  // namespace

TEST_CASE("kernels wait for each other only where they share bytes and one of them writes") {
  Hazards hazards;
  hazards.add(std::array{bytes(1000, 100, Access::read), bytes(2000, 100, Access::write)});
  CHECK_FALSE(conflicts(hazards, bytes(1000, 100, Access::read)));
  CHECK(conflicts(hazards, bytes(1050, 10, Access::write)));
  CHECK(conflicts(hazards, bytes(2000, 1, Access::read)));
  CHECK(conflicts(hazards, bytes(1900, 101, Access::read)));
  CHECK_FALSE(conflicts(hazards, bytes(1900, 100, Access::read)));
  CHECK_FALSE(conflicts(hazards, bytes(2100, 100, Access::read_write)));
  CHECK(conflicts(hazards, bytes(2099, 1, Access::read_write)));
  CHECK_FALSE(conflicts(hazards, bytes(2050, 0, Access::write)));
  hazards.clear();
  CHECK_FALSE(conflicts(hazards, bytes(2000, 100, Access::write)));
}

TEST_CASE("what is read again is listed once, and a long list asks for a barrier") {
  Hazards hazards;
  for (int i = 0; i < 1000; ++i) hazards.add(std::array{bytes(1000, 100, Access::read), bytes(1010, 20, Access::read)});
  CHECK(hazards.size() == 1);
  CHECK_FALSE(hazards.full());
  for (std::uintptr_t i = 0; i < 300; ++i) hazards.add(std::array{bytes(10000 + 10 * i, 5, Access::write)});
  CHECK(hazards.full());
}

TEST_CASE("with a granularity, ranges count whole: neighbours in one of its steps wait for each other") {
  Hazards exact, coarse(64);
  exact.add(std::array{bytes(640, 20, Access::write)});
  coarse.add(std::array{bytes(640, 20, Access::write)});
  CHECK_FALSE(conflicts(exact, bytes(660, 4, Access::read)));
  CHECK(conflicts(coarse, bytes(660, 4, Access::read)));
  CHECK_FALSE(conflicts(coarse, bytes(704, 4, Access::read)));
  CHECK_FALSE(conflicts(coarse, bytes(660, 0, Access::read)));
}
