#include "cotenant/vulkan/kernels/element_wise.hpp"

#include <doctest/doctest.h>

#include <cstdint>

using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("element-wise plans read by fours where they may, and repeat what the innermost axis repeats") {
  const Layout x = contiguous_layout({6, 8}), scale{{6, 8}, {1, 0}, 0};
  const auto axes = merged_axes<2>({&x, &scale}, 0, 2);
  const Operand<const float> values{View<const float>::unchecked(reinterpret_cast<const float*>(std::uintptr_t{4096}), x),
                                    reinterpret_cast<Block*>(std::uintptr_t{64})};
  CHECK(allows_vectors(values, 0, axes));
  CHECK(allows_vectors(values, 1, axes));
  CHECK(allows_vectors(Operand<const float>{}, 1, axes));
  LaunchPlan plan("op");
  const auto code = plan_elements<2>(plan, axes, {true, true}, true);
  CHECK(code.reading[0] == Reading::vectors);
  CHECK(code.reading[1] == Reading::repeated);
  CHECK(plan.scalars[0] == 12);
  CHECK(plan.groups[0] == 1);
  LaunchPlan single("op");
  CHECK(plan_elements<2>(single, axes, {true, false}, false).reading[1] == Reading::absent);
  CHECK(single.scalars[0] == 48);
  CHECK(single.key != plan.key);
}

TEST_CASE("an innermost axis that is no multiple of four is read one by one") {
  const Layout x = contiguous_layout({4, 7}), strided{{4, 8}, {16, 2}, 0};
  const auto even = merged_axes<1>({&x}, 0, 2);
  const Operand<const float> dense{View<const float>::unchecked(reinterpret_cast<const float*>(std::uintptr_t{4096}), x),
                                   reinterpret_cast<Block*>(std::uintptr_t{64})};
  CHECK(allows_vectors(dense, 0, even));  // 28 elements in one stretch
  const auto far = merged_axes<1>({&strided}, 0, 2);
  CHECK_FALSE(allows_vectors(dense, 0, far));
}
