#include "cotenant/vulkan/kernels/map_plan.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace cotenant;
using namespace cotenant::vulkan;

namespace {
const char* const first_address = reinterpret_cast<const char*>(std::uintptr_t{1} << 40);

MapPlan plan(const Shape& shape, const std::vector<Strides>& strides, std::vector<std::uint32_t> bytes = {}, std::ptrdiff_t first = 0) {
  bytes.resize(strides.size(), 4);
  std::vector<MapOperand> operands;
  for (std::size_t i = 0; i < strides.size(); ++i)
    operands.push_back({nullptr, first_address + (static_cast<std::ptrdiff_t>(i) << 30) + first * static_cast<std::ptrdiff_t>(bytes[i]), &strides[i], bytes[i]});
  return plan_map(shape, operands);
}
}  // namespace

TEST_CASE("FastDivisor divides every number below 2^31") {
  std::mt19937 random(1);
  for (std::uint64_t d : {1u, 2u, 3u, 5u, 7u, 10u, 641u, 65535u, 65536u, 65537u, 0x7FFFFFFEu, 0x7FFFFFFFu}) {
    const FastDivisor fast = FastDivisor::of(d);
    for (int i = 0; i < 2000; ++i) {
      std::uint32_t n = static_cast<std::uint32_t>(random()) >> 1;
      if (i < 4) n = 0x7FFFFFFFu - static_cast<std::uint32_t>(i);
      if (i >= 4 && i < 8) n = static_cast<std::uint32_t>(d * (n / d)) - (i % 2 != 0 && n >= d ? 1 : 0);
      const std::uint64_t high = std::uint64_t{n} * fast.factor >> 32;
      REQUIRE(high + n <= 0xFFFFFFFFu);
      REQUIRE(((high + n) >> fast.shift) == n / d);
    }
  }
}

TEST_CASE("plan_map: dense operands are one stretch, whatever their axes") {
  const MapPlan dense = plan({8, 5, 100}, {{500, 100, 1}, {500, 100, 1}});
  CHECK(dense.code.form == MapCode::Form::flat);
  CHECK(dense.code.groups == 1);
  CHECK(dense.scalars[0] == 4000);
  CHECK(dense.buffers[1].bytes == 16000);
  // Both permuted alike, and both reversed.
  CHECK(plan({8, 100}, {{1, 8}, {1, 8}}).code.form == MapCode::Form::flat);
  const MapPlan backwards = plan({8, 100}, {{-100, -1}, {-100, -1}}, {}, 799);
  CHECK(backwards.code.form == MapCode::Form::flat);
  CHECK(backwards.buffers[0].address == first_address);
  // One element for all.
  const MapPlan scalar = plan({8, 100}, {{100, 1}, {0, 0}});
  CHECK(scalar.code.form == MapCode::Form::flat);
  CHECK(scalar.code.repeated == Few<std::uint8_t, 8>{0, 1});
  CHECK(scalar.buffers[1].bytes == 4);
}

TEST_CASE("plan_map: vectors have 16 bytes of the widest element") {
  CHECK(plan({1000}, {{1}, {1}}, {2, 2}).code.groups == 2);
  CHECK(plan({1000}, {{1}, {1}}, {1, 1}).code.groups == 4);
  CHECK(plan({1000}, {{1}, {1}}, {1, 4}).code.groups == 1);
  CHECK(plan({1000}, {{1}, {1}}, {8, 1}).code.groups == 1);
}

TEST_CASE("plan_map: vectors along rows need whole vectors, aligned") {
  CHECK(plan({16, 32}, {{32, 1}, {0, 1}}).code.form == MapCode::Form::rows);       // a row for all
  CHECK(plan({16, 32}, {{32, 1}, {1, 0}}).code.form == MapCode::Form::rows);       // a column for all
  CHECK(plan({16, 33}, {{33, 1}, {0, 1}}).code.form == MapCode::Form::singles);
  CHECK(plan({16, 32}, {{33, 1}, {32, 1}}).code.form == MapCode::Form::singles);   // rows that begin anywhere
  CHECK(plan({1000}, {{1}, {1}}, {}, 1).code.form == MapCode::Form::singles);      // not at a multiple of 16 bytes
  CHECK(plan({16, 32}, {{32, 1}, {1, 16}}).code.form == MapCode::Form::singles);   // a transposed operand
}

TEST_CASE("plan_map: indices of 64 bits where 32 do not reach") {
  const std::size_t many = std::size_t{1} << 33;
  const MapPlan huge = plan({many}, {{1}, {1}});
  CHECK(huge.code.wide);
  CHECK(huge.scalars[0] == 0);
  CHECK(huge.scalars[1] == 2);
  CHECK(huge.groups[1] > 1);
  CHECK(huge.groups[0] <= 65535);
  CHECK(huge.groups[1] <= 65535);
  CHECK(plan({4, 4}, {{4, 1}, {1 << 30, 1}}).code.wide);  // few elements far apart
  CHECK(!plan({1 << 20}, {{1}, {1}}).code.wide);
}

TEST_CASE("plan_map: only what the strides reach is named") {
  const MapPlan stepped = plan({3, 4}, {{4, 1}, {-10, 2}}, {}, 20);
  CHECK(stepped.buffers[1].address == first_address + (1 << 30));
  CHECK(stepped.buffers[1].bytes == (2 * 10 + 3 * 2 + 1) * 4);
}
