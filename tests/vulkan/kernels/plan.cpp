#include "cotenant/vulkan/kernels/plan.hpp"

#include <doctest/doctest.h>

#include <cstdint>


using namespace cotenant;
using namespace cotenant::vulkan;

namespace {
// No kernel runs here: any address does.
template <class T> Operand<T> at(std::uintptr_t address, const Layout& layout) {
  return {View<T>::unchecked(reinterpret_cast<T*>(address), layout), reinterpret_cast<Block*>(std::uintptr_t{64})};
}
}  // namespace

TEST_CASE("a plan gathers buffers, scalars and what the code depends on") {
  LaunchPlan plan("op");
  const auto x = at<const f16>(4096, slice(contiguous_layout({4, 6}), 0, 3, -1, -1));
  plan.buffer(x.with({x.view.shape(), x.view.strides(), 0}), Access::read);
  CHECK(plan.scalars.back() == 18);
  const Layout layout = x.view.layout();
  plan.axes(merged_axes<1>({&layout}, 0, 2));
  CHECK(plan.key == "op f16 axes2");
  REQUIRE(plan.scalars.size() == 4);
  CHECK(plan.scalars[1] == 6);
  CHECK(plan.scalars[2] == static_cast<std::uint32_t>(-6));
  CHECK(plan.launch().buffers[0].bytes == 48);
}

TEST_CASE("what 32 bits cannot reach is refused") {
  LaunchPlan plan("op");
  const auto large = at<const std::int8_t>(4096, contiguous_layout({std::size_t{1} << 16, std::size_t{1} << 15}));
  CHECK_THROWS_AS(plan.buffer(large, Access::read), InvalidArgument);
  // Nor counted: rows of a view that repeats them take no memory.
  CHECK_THROWS_AS(plan.scalar(std::size_t{1} << 32), InvalidArgument);
}

TEST_CASE("rows are read by vectors where every row begins at a multiple of one") {
  const auto check = [](std::uintptr_t address, const Layout& layout) {
    const auto x = at<const float>(address, layout);
    const auto outer = merged_axes<1>({&layout}, 0, 1), inner = merged_axes<1>({&layout}, 1, 2);
    return has_vectors(x, 0, outer, inner);
  };
  CHECK(check(4096, contiguous_layout({3, 8})));
  CHECK_FALSE(check(4100, contiguous_layout({3, 8})));
  CHECK_FALSE(check(4096, contiguous_layout({3, 6})));
  CHECK_FALSE(check(4096, {{3, 8}, {9, 1}, 0}));
  CHECK_FALSE(check(4096, {{3, 8}, {1, 3}, 0}));
}

TEST_CASE("columns that lie side by side are rows across") {
  const Layout columns{{100, 50}, {1, 100}, 0}, rows = contiguous_layout({100, 50});
  CHECK(lies_across(0, merged_axes<1>({&columns}, 0, 1), merged_axes<1>({&columns}, 1, 2)));
  CHECK_FALSE(lies_across(0, merged_axes<1>({&rows}, 0, 1), merged_axes<1>({&rows}, 1, 2)));
}
