// packed_panels(): where each element of a right operand lies, here for a kernel that is no target's.
#include "cotenant/cpu/packed_panels.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "cotenant/storage/heap.hpp"

namespace {

using namespace cotenant;

void load(const void* from, std::ptrdiff_t stride, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<const float*>(from)[static_cast<std::ptrdiff_t>(i) * stride];
}
void pack_right(const cpu::Source& from, std::size_t depth, std::size_t columns, float* to, std::size_t width) {
  for (std::size_t k = 0; k < depth; ++k) {
    std::fill(to + k * width, to + (k + 1) * width, 0.0f);
    from.load(from.at(static_cast<std::ptrdiff_t>(k) * from.row_stride), from.column_stride, columns, to + k * width);
  }
}
// Vectors of four lanes, panels of three.
const cpu::GemmKernel kernel{4, 1, 8, 3, false, nullptr, nullptr, &pack_right};

cpu::GemmProblem product_with(const void* right, std::size_t depth, std::size_t columns) {
  cpu::GemmProblem gemm;
  gemm.kernel = &kernel;
  gemm.rows = 1, gemm.columns = columns, gemm.depth = depth;
  gemm.right = {static_cast<const char*>(right), sizeof(float), static_cast<std::ptrdiff_t>(columns), 1, &load, true};
  return gemm;
}

}  // namespace

TEST_CASE("block after block of k, in each panel after panel, in each row after row; zeros fill up the last vector") {
  const std::size_t depth = cpu::block_lanes + 100, columns = 29;
  const BlockRef block = Block::allocate(Heap{}, depth * columns * sizeof(float));
  auto* const elements = static_cast<float*>(block->data());
  for (std::size_t i = 0; i < depth * columns; ++i) elements[i] = static_cast<float>(i + 1);
  block->publish();
  const cpu::GemmProblem gemm = product_with(elements, depth, columns);
  const auto packed = cpu::packed_panels(gemm, block.get());
  REQUIRE(packed != nullptr);
  CHECK(cpu::packed_panels(gemm, block.get()) == packed);

  const cpu::Panels panels(columns, kernel);
  const cpu::DepthBlocks blocks(depth, 1);
  REQUIRE(panels.count() == 3);
  REQUIRE(blocks.count == 2);
  const float* at = packed->data();
  for (std::size_t part = 0; part < blocks.count; ++part)
    for (std::size_t panel = 0; panel < panels.count(); ++panel)
      for (std::size_t k = blocks.first(part); k < blocks.first(part) + blocks.size(part); ++k)
        for (std::size_t column = panels.first_column(panel); column < panels.first_column(panel + 1); ++column)
          REQUIRE(*at++ == (column < columns ? elements[k * columns + column] : 0.0f));
}

TEST_CASE("a private operand, or none, is not packed for later calls") {
  const std::vector<float> elements(100 * 100);
  CHECK(cpu::packed_panels(product_with(elements.data(), 100, 100), nullptr) == nullptr);
  const BlockRef block = Block::allocate(Heap{}, elements.size() * sizeof(float));
  CHECK(cpu::packed_panels(product_with(block->data(), 100, 100), block.get()) == nullptr);
}

TEST_CASE("what the tiles take in another form than it is stored in is not kept either") {
  const BlockRef block = Block::allocate(Heap{}, 100 * 100 * sizeof(float));
  block->publish();
  cpu::GemmProblem gemm = product_with(block->data(), 100, 100);
  gemm.right.is_float = false;
  CHECK(cpu::packed_panels(gemm, block.get()) == nullptr);
}
