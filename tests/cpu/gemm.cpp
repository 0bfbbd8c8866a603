// GemmProblem: the blocked product of any two sources, finished once per element, on the target this file is compiled for.
#include "cotenant/cpu/gemm.hpp"
#include "cotenant/cpu/dispatch.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace {

using namespace cotenant;
namespace target = cotenant::HWY_NAMESPACE;
using Gemm = target::Gemm<HWY_TARGETS>;
using Rows = target::Rows<HWY_TARGETS>;
using Dots = target::Dots<HWY_TARGETS>;

std::size_t lanes() { return Gemm::kernel().lanes; }  // Highway's own function may only be called from code of the target

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
template <class Leaf = target::FloatLeaf, class T> Collected product(const Case<T>& wanted, cpu::GemmProblem gemm) {
  Collected collected{std::vector<float>(wanted.rows * wanted.columns, -99), std::vector<int>(wanted.rows * wanted.columns), wanted.columns, 0, true};
  gemm.finish = &collect;
  gemm.context = &collected;
  gemm.batch = 7;
  using Product = target::Gemm<HWY_TARGETS, Leaf>;
  Product::block(gemm, 0, gemm.rows, 0, cpu::Panels(gemm.columns, Product::kernel()).count());
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

TEST_CASE("panels cover all columns, none of one vector beside others") {
  for (const std::size_t lanes : {std::size_t{1}, std::size_t{4}, std::size_t{16}})
    for (std::size_t i = 0; i < 400; ++i) {
      const std::size_t columns = i / 2 + 1, widest = 3 + i % 2;
      const cpu::Panels panels(columns, {lanes, 1, 4, widest, false, nullptr, nullptr, nullptr});
      std::size_t vectors = 0;
      for (std::size_t panel = 0; panel < panels.count(); ++panel) {
        REQUIRE(panels.first_vector(panel) == vectors);
        REQUIRE(panels.first_column(panel) == vectors * lanes);
        const std::size_t own = panels.vectors(panel);
        REQUIRE(((own >= 2 && own <= widest) || (own == 1 && panels.vectors() == 1)));
        vectors += own;
      }
      REQUIRE(vectors == panels.vectors());
      REQUIRE(panels.first_vector(panels.count()) == vectors);
      REQUIRE(panels.padded_columns() >= columns);
      REQUIRE(panels.padded_columns() < columns + lanes);
    }
}

TEST_CASE("tiles of heights that there are take all rows, and no two of six rows are left alone") {
  const cpu::GemmKernel six{16, 1, 6, 4, false, nullptr, nullptr, nullptr};
  for (const cpu::GemmKernel& kernel : {six, Gemm::kernel(), target::Gemm<HWY_TARGETS, target::IntegerLeaf<false>>::kernel()})
    for (std::size_t vectors = 1; vectors <= kernel.tile_vectors; ++vectors)
      for (std::size_t rows = 1; rows < 70; ++rows)
        for (std::size_t rest = rows; rest > 0;) {
          const auto [height, some] = kernel.next_tiles(rest, vectors);
          REQUIRE((height % 2 == 0 && height >= 2 && (height <= kernel.tile_rows || (height == 8 && vectors == 1))));
          REQUIRE((some >= 1 && some <= rest));
          if (some < rest) REQUIRE(some % height == 0);
          if (kernel.tile_rows == 6 && rows > 6 && vectors == kernel.tile_vectors) REQUIRE(height > 2);
          rest -= some;
        }
}

TEST_CASE("long sums are taken in parts of one size, exact ones at once") {
  const cpu::GemmKernel kernel = Gemm::kernel();
  for (std::size_t lanes = 1; lanes <= cpu::block_lanes; ++lanes) {
    const std::size_t part = kernel.part(lanes), parts = (lanes + part - 1) / part;
    REQUIRE(part < 384);
    REQUIRE(parts * part < lanes + parts);
  }
  CHECK(kernel.part(256) == 256);
  CHECK(kernel.part(515) == 258);
  CHECK(target::Gemm<HWY_TARGETS, target::IntegerLeaf<false>>::kernel().part(1000) == 1000);
}

TEST_CASE("blocks of k cover the depth") {
  for (const std::size_t per_lane : {std::size_t{1}, std::size_t{2}, std::size_t{4}})
    for (std::size_t depth = 0; depth < 5000; depth += 1 + depth / 7) {
      const cpu::DepthBlocks blocks(depth, per_lane);
      REQUIRE(blocks.count >= 1);
      std::size_t lanes = 0;
      for (std::size_t block = 0; block < blocks.count; ++block) {
        REQUIRE(blocks.first(block) == lanes);
        REQUIRE(blocks.size(block) <= cpu::block_lanes);
        lanes += blocks.size(block);
      }
      REQUIRE(lanes == blocks.lanes);
      REQUIRE(lanes * per_lane >= depth);
      REQUIRE(lanes * per_lane < depth + per_lane);
    }
}

TEST_CASE("sizes around every tile, panel and block") {
  const std::size_t width = target::tile_vectors * lanes(), tile = target::tile_rows, deep = cpu::block_lanes;
  for (const std::size_t rows : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{5}, tile - 1, tile, tile + 1, 2 * tile + 7})
    for (const std::size_t columns : {std::size_t{1}, lanes(), width - 1, width, width + 1, 3 * width + 2})
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
        Gemm::block(gemm, 0, rows, 0, cpu::Panels(gemm.columns, Gemm::kernel()).count());
        for (std::size_t i = 0; i < rows; ++i)
          for (std::size_t j = 0; j < columns + 3; ++j) REQUIRE(output[i * (columns + 3) + j] == (j < columns ? wanted.expected[i * columns + j] : -7.f));
      }
}

TEST_CASE("a block computes its own rows and columns only") {
  const std::size_t width = target::tile_vectors * lanes();
  const Case<float> wanted(20, 4 * width + 2 * lanes(), 30);
  Collected collected{std::vector<float>(20 * wanted.columns, -99), std::vector<int>(20 * wanted.columns), wanted.columns, 0, true};
  cpu::GemmProblem gemm = wanted.problem();
  gemm.finish = &collect;
  gemm.context = &collected;
  Gemm::block(gemm, 3, 18, 1, 3);
  for (std::size_t i = 0; i < 20; ++i)
    for (std::size_t j = 0; j < wanted.columns; ++j) {
      const bool inside = i >= 3 && i < 18 && j >= width && j < 3 * width;
      REQUIRE(collected.finished[i * wanted.columns + j] == (inside ? 1 : 0));
      REQUIRE(collected.sums[i * wanted.columns + j] == (inside ? wanted.expected[i * wanted.columns + j] : -99.f));
    }
}

TEST_CASE("a left operand that is larger than the caches is taken part by part") {
  const std::size_t depth = 2 * cpu::block_lanes + 60, rows = cpu::caches().level3 / 8 / sizeof(float) / depth + 100;
  const Case<float> wanted(rows, 2 * lanes() + 1, depth);
  CHECK(product(wanted, wanted.problem()).sums == wanted.expected);
  // Rows that compete for the sets of a cache, and sums that go to their places at once.
  const std::size_t apart = (depth + 511) / 512 * 512;
  std::vector<float> spread(rows * apart), output(rows * wanted.columns, -7);
  for (std::size_t i = 0; i < rows; ++i) std::copy_n(wanted.left.data() + i * depth, depth, spread.data() + i * apart);
  cpu::GemmProblem gemm = wanted.problem();
  gemm.left = Rows::source(spread.data(), static_cast<std::ptrdiff_t>(apart), 1);
  gemm.direct = output.data();
  gemm.direct_stride = static_cast<std::ptrdiff_t>(wanted.columns);
  Gemm::block(gemm, 0, rows, 0, cpu::Panels(gemm.columns, Gemm::kernel()).count());
  CHECK(output == wanted.expected);
}

TEST_CASE("a sum of nothing is 0") {
  const Case<float> wanted(5, 9, 0);
  CHECK(product(wanted, wanted.problem()).sums == std::vector<float>(45, 0.f));
  std::vector<float> output(45, -7);
  cpu::GemmProblem gemm = wanted.problem();
  gemm.direct = output.data();
  gemm.direct_stride = 9;
  Gemm::block(gemm, 0, 5, 0, cpu::Panels(gemm.columns, Gemm::kernel()).count());
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

// Both operands in each way in which they can be stored: along k, across k, neither.
template <class Leaf, class Left, class Right, class Check> void in_every_order(const Check& check) {
  for (const std::size_t depth : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{300}, 2 * cpu::block_lanes * Leaf::per_lane + 3})
    for (const std::size_t columns : {std::size_t{1}, 2 * lanes() + 3}) {
      const std::size_t rows = target::tile_rows + 3;
      const auto left = numbers<Left>(rows * depth * 2, 1);
      const auto right = numbers<Right>(columns * depth * 2, 2);
      const auto m = static_cast<std::ptrdiff_t>(rows), n = static_cast<std::ptrdiff_t>(columns), k = static_cast<std::ptrdiff_t>(depth);
      for (const cpu::Source& from : {Rows::source(left.data(), k, 1), Rows::source(left.data(), 1, m), Rows::source(left.data(), 2 * k, 2)})
        for (const cpu::Source& to : {Rows::source(right.data(), n, 1), Rows::source(right.data(), 1, k), Rows::source(right.data(), 2 * n, 2)}) {
          cpu::GemmProblem gemm;
          gemm.rows = rows;
          gemm.columns = columns;
          gemm.depth = depth;
          gemm.left = from;
          gemm.right = to;
          check(gemm, left, right);
        }
    }
}
template <class T> float at(const std::vector<T>& elements, const cpu::Source& from, std::size_t row, std::size_t column) {
  const std::ptrdiff_t offset = reinterpret_cast<const T*>(from.data) - elements.data();
  return convert<float>(elements[static_cast<std::size_t>(offset + static_cast<std::ptrdiff_t>(row) * from.row_stride +
                                                          static_cast<std::ptrdiff_t>(column) * from.column_stride)]);
}

template <class Leaf> void check_bf16() {
  in_every_order<Leaf, bf16, bf16>([](const cpu::GemmProblem& gemm, const std::vector<bf16>& left, const std::vector<bf16>& right) {
    const Case<bf16> size(gemm.rows, gemm.columns, 0);
    const Collected collected = product<Leaf>(size, gemm);
    for (std::size_t i = 0; i < gemm.rows; ++i)
      for (std::size_t j = 0; j < gemm.columns; ++j) {
        float sum = 0;
        for (std::size_t k = 0; k < gemm.depth; ++k) sum += at(left, gemm.left, i, k) * at(right, gemm.right, k, j);
        REQUIRE(collected.sums[i * gemm.columns + j] == sum);
      }
  });
}
TEST_CASE("bf16 in the lanes of the dot product") {
  check_bf16<target::Bf16Leaf<false>>();
  if (Dots::has_bf16()) check_bf16<target::Bf16Leaf<true>>();
}

template <class Leaf, class Left> void check_integers() {
  in_every_order<Leaf, Left, std::int8_t>([](cpu::GemmProblem gemm, std::vector<Left> left, std::vector<std::int8_t> right) {
    // The largest products there are, which no step may saturate.
    for (std::size_t i = 0; i < left.size(); ++i)
      left[i] = static_cast<Left>(i % 3 == 0 ? std::numeric_limits<Left>::max() : i % 3 == 1 ? std::numeric_limits<Left>::min() : left[i]);
    for (std::size_t i = 0; i < right.size(); ++i) right[i] = static_cast<std::int8_t>(i % 5 < 3 ? -128 : i % 5 == 3 ? 127 : right[i]);
    gemm.left.data = reinterpret_cast<const char*>(left.data());
    gemm.right.data = reinterpret_cast<const char*>(right.data());
    if (std::is_same_v<Left, std::int8_t>) gemm.left_flip = 0x80;
    const float more = std::is_same_v<Left, std::int8_t> ? 128.f : 0.f;
    const Case<std::int8_t> size(gemm.rows, gemm.columns, 0);
    const Collected collected = product<Leaf>(size, gemm);
    for (std::size_t i = 0; i < gemm.rows; ++i)
      for (std::size_t j = 0; j < gemm.columns; ++j) {
        std::int32_t sum = 0, got = 0;
        for (std::size_t k = 0; k < gemm.depth; ++k) sum += static_cast<std::int32_t>((at(left, gemm.left, i, k) + more) * at(right, gemm.right, k, j));
        std::memcpy(&got, &collected.sums[i * gemm.columns + j], sizeof got);
        REQUIRE(got == sum);
      }
  });
}
TEST_CASE("bytes in the lanes of the integer dot product, exactly") {
  check_integers<target::IntegerLeaf<false>, std::uint8_t>();
  check_integers<target::IntegerLeaf<false>, std::int8_t>();
  if (!Dots::has_u8_i8()) return;
  check_integers<target::IntegerLeaf<true>, std::uint8_t>();
  check_integers<target::IntegerLeaf<true>, std::int8_t>();
}
