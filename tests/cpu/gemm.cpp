// GemmProblem: the blocked product of any two sources, finished once per element, on the target this file is compiled for.
#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/dispatch.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace {

using namespace cotenant;
namespace target = cotenant::HWY_NAMESPACE;
using Gemm = target::Gemm<HWY_TARGETS>;
using Rows = target::Rows<HWY_TARGETS>;

// Small whole numbers: every sum is exact, so that the order of the additions does not matter.
template <class T> std::vector<T> numbers(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<T> result(count);
  for (T& x : result) x = convert<T>(static_cast<float>(std::uniform_int_distribution<int>(-3, 3)(random)));
  return result;
}

// A product with row-major operands and what it must give.
template <class T> struct Case {
  std::size_t rows, columns, depth;
  std::vector<T> left = numbers<T>(rows * depth, 1), right = numbers<T>(depth * columns, 2);
  std::vector<float> expected = std::vector<float>(rows * columns);

  Case(std::size_t m, std::size_t n, std::size_t k) : rows(m), columns(n), depth(k) {
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t l = 0; l < depth; ++l)
        for (std::size_t j = 0; j < columns; ++j) expected[i * columns + j] += convert<float>(left[i * depth + l]) * convert<float>(right[l * columns + j]);
  }
  cpu::GemmProblem problem() const {
    cpu::GemmProblem gemm;
    gemm.rows = rows;
    gemm.columns = columns;
    gemm.depth = depth;
    gemm.left = Rows::source(left.data(), static_cast<std::ptrdiff_t>(depth), 1);
    gemm.right = Rows::source(right.data(), static_cast<std::ptrdiff_t>(columns), 1);
    return gemm;
  }
};

// Where a FinishTile puts its elements.
struct Collected {
  std::vector<float> sums;
  std::vector<int> finished;  // how often
  std::size_t columns = 0, batch = 0;
  bool has_room = true;
};
void collect(const void* context, std::size_t batch, const float* sums, std::ptrdiff_t stride, std::size_t row, std::size_t column, std::size_t rows,
             std::size_t columns) {
  auto& collected = *static_cast<Collected*>(const_cast<void*>(context));
  collected.batch = batch;
  collected.has_room = collected.has_room && (rows == 1 || static_cast<std::size_t>(stride) >= columns);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) {
      const std::size_t at = (row + i) * collected.columns + column + j;
      collected.sums.at(at) = sums[static_cast<std::ptrdiff_t>(i) * stride + static_cast<std::ptrdiff_t>(j)];
      ++collected.finished.at(at);
    }
}
template <class T> Collected product(const Case<T>& wanted, cpu::GemmProblem gemm) {
  Collected collected{std::vector<float>(wanted.rows * wanted.columns, -99), std::vector<int>(wanted.rows * wanted.columns), wanted.columns, 0, true};
  gemm.finish = &collect;
  gemm.context = &collected;
  gemm.batch = 7;
  Gemm::block(gemm, 0, gemm.rows, 0, gemm.columns);
  return collected;
}

}  // namespace

TEST_CASE("nothing is asked for by default") {
  const cpu::GemmProblem gemm;
  CHECK(gemm.rows + gemm.columns + gemm.depth + gemm.batch == 0);
  CHECK(gemm.direct == nullptr);
  CHECK((gemm.finish == nullptr));
  CHECK((gemm.few_rows == nullptr));
}

TEST_CASE("the blocks' sizes fit the vectors and the caches") {
  CHECK(Gemm::panel_columns() >= 2);
  static_assert(target::left_stride * sizeof(float) % 64 == 0 && target::left_stride * sizeof(float) % 4096 != 0);
  static_assert(target::left_stride >= target::block_depth);
  static_assert(target::block_rows % target::tile_rows == 0);
}

TEST_CASE("sizes around every tile, panel and block") {
  const std::size_t width = Gemm::panel_columns(), tile = target::tile_rows, deep = target::block_depth;
  for (const std::size_t rows : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{5}, tile - 1, tile, tile + 1, 2 * tile + 7})
    for (const std::size_t columns : {std::size_t{1}, width - 1, width, width + 1, 3 * width + 2})
      for (const std::size_t depth : {std::size_t{1}, std::size_t{4}, std::size_t{17}, deep, deep + 1, 2 * deep + 5}) {
        if (depth > 17 && rows > 3 && columns > width) continue;  // enough of the long ones
        const Case<float> wanted(rows, columns, depth);
        const Collected collected = product(wanted, wanted.problem());
        REQUIRE(collected.sums == wanted.expected);
        REQUIRE(collected.finished == std::vector<int>(rows * columns, 1));
        REQUIRE(collected.has_room);
        REQUIRE(collected.batch == 7);

        // Into rows of floats that are further apart than they are long.
        cpu::GemmProblem gemm = wanted.problem();
        std::vector<float> output(rows * (columns + 3), -7);
        gemm.direct = output.data();
        gemm.direct_stride = static_cast<std::ptrdiff_t>(columns + 3);
        Gemm::block(gemm, 0, rows, 0, columns);
        for (std::size_t i = 0; i < rows; ++i)
          for (std::size_t j = 0; j < columns + 3; ++j) REQUIRE(output[i * (columns + 3) + j] == (j < columns ? wanted.expected[i * columns + j] : -7.f));
      }
}

TEST_CASE("a block computes its own rows and columns only") {
  const std::size_t width = Gemm::panel_columns();
  const Case<float> wanted(20, 4 * width + 1, 30);
  Collected collected{std::vector<float>(20 * wanted.columns, -99), std::vector<int>(20 * wanted.columns), wanted.columns, 0, true};
  cpu::GemmProblem gemm = wanted.problem();
  gemm.finish = &collect;
  gemm.context = &collected;
  Gemm::block(gemm, 3, 18, width, 3 * width);
  for (std::size_t i = 0; i < 20; ++i)
    for (std::size_t j = 0; j < wanted.columns; ++j) {
      const bool inside = i >= 3 && i < 18 && j >= width && j < 3 * width;
      REQUIRE(collected.finished[i * wanted.columns + j] == (inside ? 1 : 0));
      REQUIRE(collected.sums[i * wanted.columns + j] == (inside ? wanted.expected[i * wanted.columns + j] : -99.f));
    }
}

TEST_CASE("a sum of nothing is 0") {
  const Case<float> wanted(5, 9, 0);
  CHECK(product(wanted, wanted.problem()).sums == std::vector<float>(45, 0.f));
  std::vector<float> output(45, -7);
  cpu::GemmProblem gemm = wanted.problem();
  gemm.direct = output.data();
  gemm.direct_stride = 9;
  Gemm::block(gemm, 0, 5, 0, 9);
  CHECK(output == std::vector<float>(45, 0.f));
}

TEST_CASE_TEMPLATE("every element type and any strides", T, float, f16, bf16, std::int8_t, std::uint8_t) {
  const Case<T> wanted(13, 21, 37);
  CHECK(product(wanted, wanted.problem()).sums == wanted.expected);
  // Both stored transposed.
  std::vector<T> left(wanted.left.size()), right(wanted.right.size());
  for (std::size_t i = 0; i < 13; ++i)
    for (std::size_t l = 0; l < 37; ++l) left[l * 13 + i] = wanted.left[i * 37 + l];
  for (std::size_t l = 0; l < 37; ++l)
    for (std::size_t j = 0; j < 21; ++j) right[j * 37 + l] = wanted.right[l * 21 + j];
  cpu::GemmProblem gemm = wanted.problem();
  gemm.left = Rows::source(left.data(), 1, 13);
  gemm.right = Rows::source(right.data(), 1, 37);
  CHECK(product(wanted, gemm).sums == wanted.expected);
  // Backwards along k on both sides, and one row of the left operand for all.
  gemm.left = Rows::source(wanted.left.data() + 36, 37, -1);
  gemm.right = Rows::source(wanted.right.data() + 36 * 21, -21, 1);
  CHECK(product(wanted, gemm).sums == wanted.expected);
  gemm = wanted.problem();
  gemm.left = Rows::source(wanted.left.data(), 0, 1);
  const Collected repeated = product(wanted, gemm);
  for (std::size_t i = 0; i < 13 * 21; ++i) REQUIRE(repeated.sums[i] == wanted.expected[i % 21]);
}
