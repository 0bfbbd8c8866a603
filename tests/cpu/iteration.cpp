// coalesce and Odometer: every index is met exactly once, with every operand's own offset, in few and long rows.
#include "cotenant/cpu/iteration.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <random>
#include <vector>

namespace {

using namespace cotenant;
using cpu::coalesce;
using cpu::Iteration;
using cpu::Odometer;

template <std::size_t Count> using Offsets = std::vector<std::array<std::ptrdiff_t, Count>>;

// The offsets of all operands at each index, in row-major order of the indices.
template <std::size_t Count> Offsets<Count> all_offsets(const Shape& shape, const std::array<Strides, Count>& strides) {
  Offsets<Count> result;
  for (std::size_t i = 0; i < element_count(shape); ++i) {
    std::array<std::ptrdiff_t, Count> offset{};
    std::size_t rest = i;
    for (std::size_t axis = shape.rank(); axis-- > 0; rest /= shape[axis])
      for (std::size_t operand = 0; operand < Count; ++operand) offset[operand] += static_cast<std::ptrdiff_t>(rest % shape[axis]) * strides[operand][axis];
    result.push_back(offset);
  }
  return result;
}

// The same as an Odometer over the outer axes and loops over the inner ones meet them.
template <std::size_t Count> Offsets<Count> walk(const Iteration<Count>& iteration, std::size_t inner_axes) {
  Iteration<Count> inner;
  inner.rank = inner_axes;
  for (std::size_t axis = 0; axis < inner_axes; ++axis) {
    inner.extent[axis] = iteration.extent[iteration.rank - inner_axes + axis];
    for (std::size_t operand = 0; operand < Count; ++operand)
      inner.stride[operand][axis] = iteration.stride[operand][iteration.rank - inner_axes + axis];
  }
  Offsets<Count> result;
  Odometer<Count> outer(iteration, inner_axes, 0);
  for (std::size_t i = 0; i < iteration.outer_count(inner_axes); ++i, outer.advance()) {
    Odometer<Count> row(inner, 0, 0);
    for (std::size_t j = 0; j < inner.outer_count(0); ++j, row.advance()) {
      std::array<std::ptrdiff_t, Count> offset{};
      for (std::size_t operand = 0; operand < Count; ++operand) offset[operand] = outer.offset(operand) + row.offset(operand);
      result.push_back(offset);
    }
  }
  return result;
}

template <std::size_t Count> Iteration<Count> coalesced(const Shape& shape, const std::array<Strides, Count>& strides, std::size_t least_rank = 1, bool reorder = true) {
  std::array<const Strides*, Count> pointers{};
  for (std::size_t operand = 0; operand < Count; ++operand) pointers[operand] = &strides[operand];
  return coalesce<Count>(shape, pointers, least_rank, reorder);
}

Layout transposed(const Shape& shape) { return transpose(contiguous_layout(shape), 0, 1); }

}  // namespace

TEST_CASE("contiguous operands are one row") {
  const Shape shape{2, 3, 4, 5};
  const auto iteration = coalesced<2>(shape, {contiguous_strides(shape), contiguous_strides(shape)});
  CHECK(iteration.rank == 1);
  CHECK(iteration.extent[0] == 120);
  CHECK(iteration.stride[0][0] == 1);
  CHECK(iteration.stride[1][0] == 1);
  CHECK(iteration.outer_count(1) == 1);
  CHECK(iteration.outer_count(0) == 120);
}

TEST_CASE("axes merge only where all operands agree") {
  // The second operand is broadcast along the last axis, the third along the first.
  const auto iteration = coalesced<3>({4, 3, 2}, {Strides{6, 2, 1}, {3, 1, 0}, {0, 2, 1}});
  CHECK(iteration.rank == 3);
  // Broadcast along both of the first two: these merge.
  const auto bias = coalesced<2>({4, 3, 2}, {Strides{6, 2, 1}, {0, 0, 1}});
  CHECK(bias.rank == 2);
  CHECK(bias.extent[0] == 12);
  CHECK(bias.stride[0][0] == 2);
  CHECK(bias.stride[1][0] == 0);
  CHECK(bias.extent[1] == 2);
  // Rows with a gap behind them do not merge.
  CHECK(coalesced<1>({4, 3}, {Strides{5, 1}}).rank == 2);
  // Reversed rows of a reversed matrix do.
  const auto reversed = coalesced<1>({4, 3}, {Strides{-3, -1}});
  CHECK(reversed.rank == 1);
  CHECK(reversed.stride[0][0] == -1);
}

TEST_CASE("axes of one element are dropped, whatever their stride") {
  const auto iteration = coalesced<1>({1, 7, 1, 3, 1}, {Strides{999, 3, -50, 1, 0}});
  CHECK(iteration.rank == 1);
  CHECK(iteration.extent[0] == 21);
  CHECK(coalesced<1>({1, 1, 1}, {Strides{5, 6, 7}}, 0).rank == 0);
}

TEST_CASE("the output's order of memory is the order of the walk") {
  const Layout out = transposed({3, 4});
  const auto iteration = coalesced<2>(out.shape, {out.strides, contiguous_strides(out.shape)});
  CHECK(iteration.rank == 2);
  CHECK(iteration.stride[0][1] == 1);
  CHECK(iteration.stride[1][1] == 3);
  CHECK(iteration.extent[1] == 4);
  // Both transposed: one row again.
  CHECK(coalesced<2>(out.shape, {out.strides, out.strides}).rank == 1);
  // Unless the order must be kept.
  const auto kept = coalesced<2>(out.shape, {out.strides, out.strides}, 1, false);
  CHECK(kept.rank == 2);
  CHECK(kept.stride[0][0] == 1);
  CHECK(kept.extent[0] == 4);
}

TEST_CASE("at least so many axes remain, the added ones of one element") {
  for (std::size_t least : {0, 1, 2, 3}) {
    const auto scalar = coalesced<2>(Shape{}, {Strides{}, Strides{}}, least);
    CHECK(scalar.rank == least);
    CHECK(scalar.outer_count(0) == 1);
    const auto row = coalesced<2>({6}, {Strides{2}, Strides{-1}}, least);
    REQUIRE(row.rank == std::max<std::size_t>(1, least));
    CHECK(row.extent[row.rank - 1] == 6);
    CHECK(row.stride[0][row.rank - 1] == 2);
    CHECK(row.stride[1][row.rank - 1] == -1);
    for (std::size_t axis = 0; axis + 1 < row.rank; ++axis) {
      CHECK(row.extent[axis] == 1);
      CHECK(row.stride[0][axis] == 0);
    }
    CHECK(walk(row, row.rank) == all_offsets<2>({6}, {Strides{2}, Strides{-1}}));
  }
}

TEST_CASE("an axis without elements leaves nothing to walk") {
  for (const Shape& shape : {Shape{0}, Shape{3, 0}, Shape{0, 3}, Shape{2, 0, 3}, Shape{1, 0, 1}}) {
    const auto iteration = coalesced<1>(shape, {contiguous_strides(shape)});
    CHECK(iteration.outer_count(0) == 0);
    const Odometer<1> begin(iteration, 0, 0);
    CHECK(begin.offset(0) == 0);
  }
}

TEST_CASE("any layouts: each index once, with the offsets of all operands") {
  std::mt19937 random(1);
  const auto number = [&](int first, int last) { return std::uniform_int_distribution<int>(first, last)(random); };
  for (int round = 0; round < 2000; ++round) {
    constexpr std::size_t count = 3;
    Shape shape;
    for (int axis = number(0, round % 50 == 0 ? int{max_rank} : 5); axis > 0; --axis)
      shape.append(static_cast<std::size_t>(number(round % 10 == 0 ? 0 : 1, 3)));
    std::array<Strides, count> strides;
    for (auto& operand : strides) {
      operand = contiguous_strides(shape);
      const int kind = number(0, 3);
      if (kind == 0) continue;
      if (kind == 1) {  // the axes in another order
        std::vector<std::size_t> order(shape.rank());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        std::shuffle(order.begin(), order.end(), random);
        std::ptrdiff_t stride = 1;
        for (std::size_t axis : order) {
          operand[axis] = stride;
          stride *= static_cast<std::ptrdiff_t>(std::max<std::size_t>(1, shape[axis]));
        }
      }
      for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
        if (kind == 2 && number(0, 1) == 0) operand[axis] = 0;  // broadcast
        if (kind == 3) operand[axis] = number(-9, 9);           // anything, overlapping too
      }
    }
    const auto least = static_cast<std::size_t>(number(0, 2));
    auto expected = all_offsets(shape, strides);
    const auto ordered = coalesced(shape, strides, least, false);
    REQUIRE(ordered.rank >= least);
    REQUIRE(ordered.rank <= std::max(least, shape.rank()));
    for (std::size_t inner = 0; inner <= ordered.rank; ++inner) REQUIRE(walk(ordered, inner) == expected);

    const auto iteration = coalesced(shape, strides, least);
    REQUIRE(iteration.outer_count(0) == expected.size());
    auto met = walk(iteration, std::min<std::size_t>(1, iteration.rank));
    // An Odometer that starts in the middle continues as one that came there.
    if (!met.empty()) {
      const auto start = static_cast<std::size_t>(number(0, static_cast<int>(met.size()) - 1));
      Odometer<count> middle(iteration, 0, start);
      for (std::size_t i = start; i < met.size(); ++i, middle.advance())
        for (std::size_t operand = 0; operand < count; ++operand) REQUIRE(middle.offset(operand) == met[i][operand]);
      // Behind the last index comes the first.
      for (std::size_t operand = 0; operand < count; ++operand) REQUIRE(middle.offset(operand) == 0);
    }
    std::sort(met.begin(), met.end());
    std::sort(expected.begin(), expected.end());
    REQUIRE(met == expected);
    // Outermost first, by the first operand.
    for (std::size_t axis = 1; axis < iteration.rank; ++axis)
      if (iteration.extent[axis - 1] > 1) REQUIRE(std::abs(iteration.stride[0][axis - 1]) >= std::abs(iteration.stride[0][axis]));
  }
}
