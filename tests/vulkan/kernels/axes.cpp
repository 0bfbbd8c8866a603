#include "cotenant/vulkan/kernels/axes.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("axes merge where every operand walks through them as one") {
  const Layout rows = contiguous_layout({2, 3, 4}), turned = transpose(contiguous_layout({2, 4, 3}), 1, 2);
  const auto one = merged_axes<2>({&rows, nullptr}, 0, 3);
  CHECK(one.rank == 1);
  CHECK(one.extent[0] == 24);
  CHECK(one.dense(0));
  CHECK(one.stride[1][0] == 0);
  const auto both = merged_axes<2>({&rows, &turned}, 0, 3);
  REQUIRE(both.rank == 3);
  CHECK(both.count() == 24);
  CHECK(both.inner_stride(0) == 1);
  CHECK(both.inner_stride(1) == 3);
  CHECK_FALSE(both.dense(1));
  const auto part = merged_axes<2>({&rows, &turned}, 1, 1);
  CHECK(part.rank == 0);
  CHECK(part.count() == 1);
}

TEST_CASE("axes of one element disappear, repeated ones stay apart from others") {
  const Layout repeated = broadcast_to(contiguous_layout({5, 1, 1}), {5, 6, 7}), full = contiguous_layout({5, 6, 7});
  const auto axes = merged_axes<2>({&full, &repeated}, 0, 3);
  REQUIRE(axes.rank == 2);
  CHECK(axes.extent[1] == 42);
  CHECK(axes.stride[1][1] == 0);
  const Layout thin{{1, 8, 1}, {77, 3, -5}, 0};
  const auto line = merged_axes<1>({&thin}, 0, 3);
  CHECK(line.rank == 1);
  CHECK(line.inner_stride(0) == 3);
}

TEST_CASE("the reach of a reversed view begins at its last element") {
  std::vector<float> memory(20);
  const View<float> view = View<float>::unchecked(memory.data(), slice(contiguous_layout({20}), 0, 15, 3, -4));
  const Reach reach = reach_of(view);
  CHECK(reach.address == &memory[7]);
  CHECK(reach.first == 8);
  CHECK(reach.elements == 9);
  CHECK(reach.bytes == 36);
  // The kernel's sum of products in 32 bits.
  CHECK(static_cast<std::uint32_t>(reach.first + 2 * wrapped(view.stride(0))) == 0);
}

TEST_CASE("groups fold into two dimensions") {
  CHECK(folded_groups(1)[0] == 1);
  CHECK(folded_groups(32768)[1] == 1);
  const auto many = folded_groups(100000);
  CHECK(many[0] == 32768);
  CHECK(many[1] == 4);
}
