// copy: bits from any layout to any other, and not one byte beside them.
#include "cotenant/cpu/copy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace {

using namespace cotenant;

// Where the elements of a layout lie, in row-major order of the indices.
std::vector<std::ptrdiff_t> offsets(const Layout& layout) {
  std::vector<std::ptrdiff_t> result;
  for (std::size_t i = 0; i < element_count(layout.shape); ++i) {
    std::ptrdiff_t offset = layout.offset;
    std::size_t rest = i;
    for (std::size_t axis = layout.shape.rank(); axis-- > 0; rest /= layout.shape[axis])
      offset += static_cast<std::ptrdiff_t>(rest % layout.shape[axis]) * layout.strides[axis];
    result.push_back(offset);
  }
  return result;
}

// Copies between two layouts in memories of arbitrary bytes, and compares all of the second memory.
template <class T> void check_copy(const Layout& from, std::size_t from_size, const Layout& to, std::size_t to_size) {
  std::vector<T> in(from_size), out(to_size);
  std::uint32_t state = 1;
  const auto fill = [&](std::vector<T>& memory) {
    for (T& element : memory) {
      unsigned char bytes[sizeof(T)];
      for (unsigned char& byte : bytes) byte = static_cast<unsigned char>((state = state * 1664525u + 1013904223u) >> 24);
      std::memcpy(static_cast<void*>(&element), bytes, sizeof(T));
    }
  };
  fill(in);
  fill(out);
  std::vector<T> expected = out;
  const auto sources = offsets(from), targets = offsets(to);
  for (std::size_t i = 0; i < sources.size(); ++i)
    std::memcpy(static_cast<void*>(&expected[static_cast<std::size_t>(targets[i])]), &in[static_cast<std::size_t>(sources[i])], sizeof(T));
  cpu::copy<T>(View<const T>(std::span<const T>(in), from), View<T>(std::span<T>(out), to));
  CHECK((out.empty() || std::memcmp(out.data(), expected.data(), out.size() * sizeof(T)) == 0));
}

Layout row_major(const Shape& shape) { return contiguous_layout(shape); }

}  // namespace

TEST_CASE_TEMPLATE("elements of every size, bit for bit", T, std::uint8_t, f16, bf16, float, std::int32_t, std::int64_t, i4x2) {
  check_copy<T>(row_major({}), 1, row_major({}), 1);
  check_copy<T>(row_major({1000}), 1000, row_major({1000}), 1000);
  check_copy<T>(row_major({5, 7}), 35, transpose(row_major({7, 5}), 0, 1), 35);
  check_copy<T>(slice(row_major({20}), 0, 19, -1, -2), 20, row_major({10}), 10);
}

TEST_CASE("NaNs keep their payload") {
  const std::uint32_t patterns[] = {0x7F800001u, 0xFFC12345u, 0x80000000u, 1u};
  float in[4], out[4] = {};
  std::memcpy(in, patterns, sizeof in);
  cpu::copy<float>(View<const float>(std::span<const float>(in), {4}), View<float>(std::span<float>(out), {4}));
  CHECK(std::memcmp(out, patterns, sizeof out) == 0);
}

TEST_CASE("nothing is copied where there is nothing") {
  check_copy<float>(row_major({0}), 0, row_major({0}), 0);
  check_copy<float>(row_major({3, 0, 2}), 4, row_major({3, 0, 2}), 4);
}

TEST_CASE("tiles that do not divide the matrix, in both directions") {
  // Tiles are 64 x 64 where one side's rows are the other's columns.
  for (const std::size_t rows : {1, 63, 64, 65, 130})
    for (const std::size_t columns : {1, 63, 64, 65, 200}) {
      const std::size_t size = rows * columns;
      check_copy<float>(transpose(row_major({columns, rows}), 0, 1), size, row_major({rows, columns}), size);
      check_copy<std::uint8_t>(row_major({rows, columns}), size, transpose(row_major({columns, rows}), 0, 1), size);
    }
  // A batch of them.
  check_copy<std::int64_t>(transpose(row_major({3, 70, 66}), 1, 2), 3 * 70 * 66, row_major({3, 66, 70}), 3 * 70 * 66);
}

TEST_CASE("rows longer than one task, with and without gaps") {
  // Contiguous rows are cut after 65536 elements.
  for (const std::size_t length : {65535, 65536, 65537, 200000}) check_copy<std::uint8_t>(row_major({length}), length, row_major({length}), length);
  const Layout wide = slice(row_major({3, 70001}), 1, 1, 70001);
  check_copy<std::uint8_t>(wide, 3 * 70001, row_major({3, 70000}), 3 * 70000);
  check_copy<f16>(row_major({3, 70000}), 3 * 70000, wide, 3 * 70001);
  // Many short rows with gaps between them.
  const Layout narrow = slice(row_major({70000, 4}), 1, 0, 3);
  check_copy<std::uint8_t>(narrow, 4 * 70000, row_major({70000, 3}), 3 * 70000);
}

TEST_CASE("an element that is repeated is read again and again") {
  check_copy<float>(broadcast_to(row_major({1}), {4, 5}), 1, row_major({4, 5}), 20);
  check_copy<float>(broadcast_to(row_major({5}), {4, 5}), 5, row_major({4, 5}), 20);
  check_copy<float>(broadcast_to(row_major({4, 1}), {3, 4, 5}), 4, row_major({3, 4, 5}), 60);
}

TEST_CASE("any two layouts of one shape") {
  std::mt19937 random(2);
  const auto number = [&](std::size_t first, std::size_t last) { return std::uniform_int_distribution<std::size_t>(first, last)(random); };
  for (int round = 0; round < 400; ++round) {
    Shape shape;
    for (std::size_t axis = number(0, 4); axis > 0; --axis) shape.append(number(round % 20 == 0 ? 0 : 1, 7));
    // A part of a larger tensor, its axes in another order, some of them backwards.
    const auto any = [&](Layout& layout) {
      std::vector<std::size_t> order(shape.rank()), back(shape.rank());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::shuffle(order.begin(), order.end(), random);
      Shape whole = shape;
      std::vector<std::size_t> step(shape.rank()), margin(shape.rank());
      for (std::size_t i = 0; i < order.size(); ++i) {
        step[i] = number(1, 2);
        margin[i] = number(0, 2);
        whole[i] = shape[order[i]] * step[i] + margin[i];
        back[order[i]] = i;
      }
      layout = contiguous_layout(whole);
      for (std::size_t i = 0; i < order.size(); ++i) {
        const auto axis = static_cast<std::ptrdiff_t>(i), first = static_cast<std::ptrdiff_t>(margin[i]), last = static_cast<std::ptrdiff_t>(whole[i]);
        layout = slice(layout, axis, first, last, static_cast<std::ptrdiff_t>(step[i]));
        if (number(0, 2) == 0 && layout.shape[i] > 0) layout = slice(layout, axis, static_cast<std::ptrdiff_t>(layout.shape[i]) - 1, -1, -1);
      }
      layout = permute(layout, back);
      return element_count(whole);
    };
    Layout from, to;
    const std::size_t from_size = any(from), to_size = any(to);
    REQUIRE(from.shape == shape);
    REQUIRE(to.shape == shape);
    if (round % 2 == 0) check_copy<float>(from, from_size, to, to_size);
    else check_copy<std::uint8_t>(from, from_size, to, to_size);
  }
}
