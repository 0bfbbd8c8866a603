// multiply_blocks(): the loops around the tile, here with a tile and a packing of plain loops.
#include "cotenant/cpu/blocked_product.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cotenant/storage/heap.hpp"

namespace {

using namespace cotenant;

// Vectors of four lanes and tiles of eight rows by three vectors: no target has both.
constexpr std::size_t lanes = 4;
std::size_t packings = 0;

void multiply(std::size_t height, std::size_t vectors, bool packs, const cpu::TileColumn& tiles) {
  REQUIRE((height % 2 == 0 && height != 0 && height <= 8));
  REQUIRE(tiles.rows != 0);
  REQUIRE((!packs || (tiles.rows == 8 && vectors == 3)));
  const std::size_t width = vectors * lanes;
  if (packs) ++packings;
  for (std::size_t r = 0; r < tiles.rows; ++r) {
    float* const row = tiles.sums + static_cast<std::ptrdiff_t>(r) * tiles.sums_row;
    if (!tiles.add) std::fill(row, row + width, 0.0f);
    for (std::size_t k = 0; k < tiles.lanes; ++k)
      for (std::size_t n = 0; n < width; ++n) {
        const float right = tiles.right[static_cast<std::ptrdiff_t>(k) * tiles.right_lane + static_cast<std::ptrdiff_t>(n)];
        if (packs) tiles.packed[k * width + n] = right;
        row[n] += reinterpret_cast<const float*>(tiles.left + static_cast<std::ptrdiff_t>(r) * tiles.left_row)[k] * right;
      }
  }
}
void load(const void* from, std::ptrdiff_t stride, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<const float*>(from)[static_cast<std::ptrdiff_t>(i) * stride];
}
void pack_left(const cpu::Source& from, std::size_t rows, std::size_t depth, std::uint8_t, float* to, std::size_t to_step) {
  for (std::size_t row = 0; row < rows; ++row)
    from.load(from.at(static_cast<std::ptrdiff_t>(row) * from.row_stride), from.column_stride, depth, to + row * to_step);
}
void pack_right(const cpu::Source& from, std::size_t depth, std::size_t columns, float* to, std::size_t width) {
  for (std::size_t k = 0; k < depth; ++k) {
    std::fill(to + k * width, to + (k + 1) * width, 0.0f);
    from.load(from.at(static_cast<std::ptrdiff_t>(k) * from.row_stride), from.column_stride, columns, to + k * width);
  }
}
const cpu::GemmKernel kernel{lanes, 1, 8, 3, false, &multiply, &pack_left, &pack_right};

struct Product {
  std::size_t rows, columns, depth;
  std::vector<float> left = std::vector<float>(rows * depth), right = std::vector<float>(depth * columns), expected = std::vector<float>(rows * columns),
                     found = std::vector<float>(rows * columns, -99);

  Product(std::size_t m, std::size_t n, std::size_t k) : rows(m), columns(n), depth(k) {
    for (std::size_t i = 0; i < left.size(); ++i) left[i] = static_cast<float>(i % 7) - 3;
    for (std::size_t i = 0; i < right.size(); ++i) right[i] = static_cast<float>(i % 5) - 2;
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j)
        for (std::size_t l = 0; l < k; ++l) expected[i * n + j] += left[i * k + l] * right[l * n + j];
  }
  // The right operand's columns lie contiguously where `transposed`.
  cpu::GemmProblem problem(bool direct, std::vector<float>& turned, bool transposed) {
    cpu::GemmProblem gemm;
    gemm.kernel = &kernel;
    gemm.rows = rows, gemm.columns = columns, gemm.depth = depth;
    gemm.left = {reinterpret_cast<const char*>(left.data()), sizeof(float), static_cast<std::ptrdiff_t>(depth), 1, &load, true};
    gemm.right = {reinterpret_cast<const char*>(right.data()), sizeof(float), static_cast<std::ptrdiff_t>(columns), 1, &load, true};
    if (transposed) {
      turned.resize(right.size());
      for (std::size_t k = 0; k < depth; ++k)
        for (std::size_t n = 0; n < columns; ++n) turned[n * depth + k] = right[k * columns + n];
      gemm.right = {reinterpret_cast<const char*>(turned.data()), sizeof(float), 1, static_cast<std::ptrdiff_t>(depth), &load, true};
    }
    if (direct) {
      gemm.direct = found.data();
      gemm.direct_stride = static_cast<std::ptrdiff_t>(columns);
    } else {
      gemm.context = this;
      gemm.finish = [](const void* context, std::size_t, const float* sums, std::ptrdiff_t stride, std::size_t row, std::size_t column, std::size_t some_rows,
                       std::size_t some_columns) {
        Product& product = *static_cast<Product*>(const_cast<void*>(context));
        for (std::size_t i = 0; i < some_rows; ++i)
          std::copy_n(sums + static_cast<std::ptrdiff_t>(i) * stride, some_columns, product.found.data() + (row + i) * product.columns + column);
      };
    }
    return gemm;
  }
};

}  // namespace

TEST_CASE("any tile gives any product, in one block or several, direct or finished, packed before or while it runs") {
  for (const auto& extents : {std::array<std::size_t, 3>{1, 1, 1}, {5, 12, 3}, {7, 13, 40}, {11, 50, 1100}, {23, 4, 513}, {6, 29, 0}})
    for (const bool direct : {false, true})
      for (const bool transposed : {false, true}) {
        const std::size_t m = extents[0], n = extents[1], k = extents[2];
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(k);
        Product product(m, n, k);
        std::vector<float> turned;
        const cpu::GemmProblem gemm = product.problem(direct, turned, transposed);
        const std::size_t panels = cpu::Panels(n, kernel).count(), middle = panels / 2;
        cpu::multiply_blocks(gemm, 0, m, 0, middle);
        cpu::multiply_blocks(gemm, 0, m, middle, panels);
        REQUIRE(product.found == product.expected);
      }
}

TEST_CASE("rows that no near cache holds are packed by the first tile") {
  Product product(21, 50, 600);
  std::vector<float> unused;
  cpu::GemmProblem gemm = product.problem(true, unused, false);
  // So far apart that they lie in four places of each way of the cache.
  const std::size_t stride = cpu::caches().level2 / 64 / sizeof(float);
  std::vector<float> apart(stride * product.depth);
  for (std::size_t k = 0; k < product.depth; ++k) std::copy_n(product.right.data() + k * product.columns, product.columns, apart.data() + k * stride);
  gemm.right.data = reinterpret_cast<const char*>(apart.data());
  gemm.right.row_stride = static_cast<std::ptrdiff_t>(stride);
  packings = 0;
  cpu::multiply_blocks(gemm, 0, product.rows, 0, cpu::Panels(product.columns, kernel).count());
  CHECK(product.found == product.expected);
  CHECK(packings == 3);  // of 13 vectors three panels are whole
}

TEST_CASE("a small product of whole vectors is multiplied where it lies, all of it or a part of its rows and panels") {
  for (std::size_t m = 1; m <= 21; ++m)
    for (const std::size_t n : {4, 8, 12, 16, 28})
      for (const std::size_t k : {1, 17, 256}) {
        Product product(m, n, k);
        std::vector<float> unused;
        const cpu::GemmProblem gemm = product.problem(true, unused, false);
        const std::size_t panels = cpu::Panels(n, kernel).count();
        REQUIRE(cpu::detail::multiply_small(gemm, 0, m / 2, 0, panels));
        REQUIRE(cpu::detail::multiply_small(gemm, m / 2, m, 0, panels / 2));
        REQUIRE(cpu::detail::multiply_small(gemm, m / 2, m, panels / 2, panels));
        REQUIRE(product.found == product.expected);
      }
  std::vector<float> turned;
  for (const auto& extents : {std::array<std::size_t, 3>{4, 7, 3}, {4, 8, 257}, {4, 8, 0}, {4, 132, 3}, {300, 8, 256}}) {
    Product product(extents[0], extents[1], extents[2]);
    CHECK(!cpu::detail::multiply_small(product.problem(true, turned, false), 0, extents[0], 0, 1));
  }
  Product product(4, 8, 3);
  CHECK(!cpu::detail::multiply_small(product.problem(false, turned, false), 0, 4, 0, 1));
  CHECK(!cpu::detail::multiply_small(product.problem(true, turned, true), 0, 4, 0, 1));
}

TEST_CASE("a packed operand gives the same, and is made once") {
  Product product(9, 77, 600);
  std::vector<float> turned;
  cpu::GemmProblem gemm = product.problem(true, turned, false);
  const BlockRef block = Block::allocate(Heap{}, product.right.size() * sizeof(float));
  std::copy(product.right.begin(), product.right.end(), static_cast<float*>(block->data()));
  gemm.right.data = static_cast<const char*>(block->data());
  block->publish();
  const auto packed = cpu::packed_panels(gemm, block.get());
  REQUIRE(packed != nullptr);
  CHECK(cpu::packed_panels(gemm, block.get()) == packed);
  gemm.packed_right = packed->data();
  cpu::multiply_blocks(gemm, 0, product.rows, 0, cpu::Panels(product.columns, kernel).count());
  CHECK(product.found == product.expected);
}
