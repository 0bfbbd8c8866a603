#include "cotenant/vulkan/kernels/transpose.hpp"

#include "../emitted.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

namespace {
std::optional<TransposePlan> plan(const Shape& shape, const Strides& out, const Strides& in) {
  static const char bytes[4]{};
  return plan_transpose(shape, {nullptr, bytes, &out, 4}, {nullptr, bytes, &in, 4});
}
}  // namespace

TEST_CASE("plan_transpose: where one side's rows are the other's columns") {
  const auto simple = plan({100, 70}, {70, 1}, {1, 100});
  REQUIRE(simple.has_value());
  CHECK(simple->batch_rank == 0);
  CHECK(simple->scalars[0] == 4 * 3);
  CHECK(plan({5, 100, 70}, {7000, 70, 1}, {7000, 1, 100})->batch_rank == 2);
  CHECK(plan({12, 64, 8, 20}, {10240, 160, 20, 1}, {160, 1920 * 20, 20, 1}) == std::nullopt);  // rows stay whole
  CHECK(plan({100, 70}, {70, 1}, {70, 1}) == std::nullopt);
  CHECK(plan({100, 70}, {70, 1}, {1, 0}) == std::nullopt);     // one column over and over
  CHECK(plan({4, 70}, {70, 1}, {1, 4}) == std::nullopt);       // too narrow for tiles
  CHECK(plan({100, 70}, {140, 2}, {1, 100}) == std::nullopt);  // the result has gaps
}

TEST_CASE("emit_transpose: valid code") {
  const Capabilities device = test::usual_device();
  for (const Addressing addressing : {Addressing::pointers, Addressing::descriptors})
    for (const std::uint32_t bytes : {1u, 2u, 4u, 8u}) test::check_valid(emit_transpose({device, addressing}, bytes == 4 ? 6 : 2, bytes));
}
