#include "cotenant/vulkan/kernels/matrix_product.hpp"

#include <doctest/doctest.h>

#include <array>
#include <vector>

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

Operand<const float> operand(const std::vector<float>& memory, const Layout& layout,
    Block* block) { return {View<const float>::unchecked(memory.data(), layout), block}; }

TEST_CASE("a batch with one right matrix becomes rows") {
  const std::vector<float> memory(4096);
  auto* const block = reinterpret_cast<Block*>(0x1000);  // only compared with null
  const auto a = operand(memory, contiguous_layout({2, 3, 4, 5}), block), b = operand(memory, broadcast_to(contiguous_layout({5, 6}), {2, 3, 5, 6}), block);
  const auto out = operand(memory, contiguous_layout({2, 3, 4, 6}), block), row = operand(memory, broadcast_to(contiguous_layout({6}), {2, 3, 4, 6}), block);
  MatrixProduct product = matrix_product(5, a, b, out, std::array{AnyOperand(row)});
  product.merge_batches();
  CHECK(product.batch_rank == 0);
  CHECK(product.rows == 24);
  CHECK(product.a().row == 5);
  CHECK(product.operands[3].row == 0);
  CHECK(product.operands[3].column == 1);

  MatrixProduct kept = matrix_product(5, a, b, out, std::array{AnyOperand(row)});
  kept.merge_batches(false);
  CHECK(kept.batch_rank == 1);
  CHECK(kept.batch[0] == 6);
  CHECK(kept.a().batch[0] == 20);
  CHECK(kept.batches() == 6);
}

TEST_CASE("single rows of a batch are the rows of one product") {
  const std::vector<float> memory(4096);
  auto* const block = reinterpret_cast<Block*>(0x1000);
  MatrixProduct product = matrix_product(5, operand(memory, contiguous_layout({7, 1, 5}), block),
      operand(memory, broadcast_to(contiguous_layout({5, 6}), {7, 5, 6}), block),
                                         operand(memory, contiguous_layout({7, 1, 6}), block));
  product.merge_batches();
  CHECK(product.batch_rank == 0);
  CHECK(product.rows == 7);
  CHECK(product.a().row == 5);
  CHECK(product.out().row == 6);
}

TEST_CASE("parameters of the right side, whose rows are depth, stay as they are where a batch becomes rows") {
  const std::vector<float> memory(4096);
  auto* const block = reinterpret_cast<Block*>(0x1000);
  for (const std::size_t rows : {std::size_t{1}, std::size_t{3}}) {
    const auto operands = [&](bool one_each) {
      MatrixProduct product = matrix_product(8, operand(memory, contiguous_layout({7, rows, 8}), block), operand(memory, broadcast_to(contiguous_layout({8, 6}), {7, 8, 6}), block),
                                             operand(memory, contiguous_layout({7, rows, 6}), block));
      // A scale for each column and half of depth.
      const Layout scale = contiguous_layout({7, 2, 6});
      product.operands.push_back(matrix_operand(operand(memory, one_each ? scale : broadcast_to(contiguous_layout({2, 6}), {7, 2, 6}), block)));
      product.operands.back().side = MatrixSide::right;
      return product;
    };
    MatrixProduct shared = operands(false);
    shared.merge_batches();
    CHECK(shared.batch_rank == 0);
    CHECK(shared.rows == 7 * rows);
    CHECK(shared.a().row == 8);
    CHECK(shared.operands[3].row == 6);
    CHECK(shared.operands[3].column == 1);
    MatrixProduct own = operands(true);
    own.merge_batches();
    CHECK(own.batch_rank == 1);
    CHECK(own.rows == rows);
    MatrixProduct turned = operands(false);
    turned.transpose();
    CHECK(turned.operands[3].side == MatrixSide::left);
  }
}

TEST_CASE("transposing exchanges sides, rows and columns") {
  const std::vector<float> memory(4096);
  auto* const block = reinterpret_cast<Block*>(0x1000);
  MatrixProduct product = matrix_product(5, operand(memory, contiguous_layout({4, 5}), block), operand(memory, contiguous_layout({5, 6}), block),
      operand(memory, contiguous_layout({4, 6}), block));
  product.transpose();
  CHECK(product.rows == 6);
  CHECK(product.columns == 4);
  CHECK(product.a().row == 1);
  CHECK(product.a().column == 6);
  CHECK(product.b().row == 1);
  CHECK(product.out().row == 1);
  CHECK_FALSE(product.empty());
}

TEST_CASE("alignment is that of every line") {
  alignas(16) static const float memory[64] = {};
  MatrixOperand x;
  x.reach = {memory, sizeof memory, 0, 64};
  x.row = 8, x.column = 1;
  CHECK(x.aligned(16, true, 0));
  x.row = 6;
  CHECK_FALSE(x.aligned(16, true, 0));
  x.row = 8, x.batch[0] = 3;
  CHECK_FALSE(x.aligned(16, true, 1));
  x.reach.first = 2;
  CHECK_FALSE(x.aligned(16, true, 0));
}

}  // namespace
