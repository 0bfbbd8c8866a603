// gather and top_k: which elements are found, in which order, for any layout.
#include "cotenant/cpu/lookup.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace cotenant;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

template <class T> Operand<const T> in(const std::vector<T>& memory, const Layout& layout) {
  return {View<const T>(std::span<const T>(memory), layout), nullptr};
}
template <class T> Operand<const T> in(const std::vector<T>& memory, const Shape& shape) { return in(memory, contiguous_layout(shape)); }
template <class T> Operand<T> out(std::vector<T>& memory, const Layout& layout) { return {View<T>(std::span<T>(memory), layout), nullptr}; }
template <class T> Operand<T> out(std::vector<T>& memory, const Shape& shape) { return out(memory, contiguous_layout(shape)); }

template <class T, class Index, class Out> void gather(const Operand<const T>& table, const Operand<const Index>& indices, const Operand<Out>& result) {
  cpu::gather(GatherArguments<T, Index, Out>{table, indices, result});
}

struct Best {
  std::vector<float> values;
  std::vector<std::int32_t> indices;
};
// The k largest of one row.
Best best(const std::vector<float>& row, std::size_t k) {
  Best result{std::vector<float>(k), std::vector<std::int32_t>(k, -1)};
  cpu::top_k(TopKArguments<float>{in(row, {row.size()}), out(result.values, {k}), out(result.indices, {k})});
  return result;
}

}  // namespace

TEST_CASE_TEMPLATE("rows by index, from the end too", Index, std::int32_t, std::int64_t) {
  const std::vector<float> table{0, 1, 2, 10, 11, 12, 20, 21, 22};
  const std::vector<Index> indices{2, 0, -1, -3, 1, 1};
  std::vector<float> result(18);
  gather(in(table, {3, 3}), in(indices, {2, 3}), out(result, {2, 3, 3}));
  CHECK(result == std::vector<float>{20, 21, 22, 0, 1, 2, 20, 21, 22, 0, 1, 2, 10, 11, 12, 10, 11, 12});
  // One index without a dimension; a table of single elements.
  std::vector<float> row(3), element(1);
  gather(in(table, {3, 3}), in(std::vector<Index>{1}, Shape{}), out(row, {3}));
  CHECK(row == std::vector<float>{10, 11, 12});
  gather(in(table, {9}), in(std::vector<Index>{-9}, Shape{}), out(element, Shape{}));
  CHECK(element[0] == 0.f);
}

TEST_CASE_TEMPLATE("an index outside the table is refused before anything is written", Index, std::int32_t, std::int64_t) {
  const std::vector<float> table{1, 2, 3};
  for (const Index wrong : {Index(3), Index(-4), std::numeric_limits<Index>::max(), std::numeric_limits<Index>::min()}) {
    const std::vector<Index> indices{0, 1, wrong};
    std::vector<float> result{7, 7, 7};
    std::string message;
    try {
      gather(in(table, {3}), in(indices, {3}), out(result, {3}));
    } catch (const InvalidArgument& error) {
      CHECK(error.code() == ErrorCode::invalid_argument);
      message = error.what();
    }
    CHECK(message.find("index " + std::to_string(wrong)) != std::string::npos);
    CHECK(message.find("3 rows") != std::string::npos);
    CHECK(result == std::vector<float>{7, 7, 7});
  }
  // Also where a row has no elements to write.
  std::vector<float> none;
  CHECK_THROWS_AS(gather(in(none, {3, 0}), in(std::vector<Index>{5}, {1}), out(none, {1, 0})), InvalidArgument);
  CHECK_NOTHROW(gather(in(none, {3, 0}), in(std::vector<Index>{2}, {1}), out(none, {1, 0})));
  CHECK_NOTHROW(gather(in(none, {0, 3}), in(std::vector<Index>(), {0}), out(none, {0, 3})));
}

TEST_CASE("elements are converted as convert() does") {
  const std::vector<float> table{1.9f, -300.f, not_a_number, 300.f};
  const std::vector<std::int32_t> indices{3, 2, 1, 0};
  std::vector<std::int8_t> bytes(4);
  gather(in(table, {4}), in(indices, {4}), out(bytes, {4}));
  CHECK(bytes == std::vector<std::int8_t>{127, 0, -128, 1});
  const std::vector<f16> halves{f16(0.5f), f16(-2.f)};
  std::vector<float> floats(2);
  gather(in(halves, {2}), in(std::vector<std::int32_t>{1, 0}, {2}), out(floats, {2}));
  CHECK(floats == std::vector<float>{-2.f, 0.5f});
}

TEST_CASE("any layout of table, indices and result") {
  // The table's second axis first in memory, its rows backwards; the indices every other; the result transposed.
  std::vector<std::int32_t> table(5 * 4 * 3);
  std::iota(table.begin(), table.end(), 0);
  Layout layout = transpose(contiguous_layout({4, 5, 3}), 0, 1);
  layout = slice(layout, 0, 4, -1, -1);
  const View<const std::int32_t> view(std::span<const std::int32_t>(table), layout);
  const std::vector<std::int64_t> indices{4, 99, -5, 99, 2, 99};
  std::vector<std::int32_t> result(3 * 4 * 3, -1);
  const Layout result_layout = permute(contiguous_layout({3, 4, 3}), std::vector<std::size_t>{2, 1, 0});
  gather(in(table, layout), in(indices, slice(contiguous_layout({6}), 0, 0, 6, 2)), out(result, result_layout));
  const View<const std::int32_t> got(std::span<const std::int32_t>(result), result_layout);
  const std::size_t rows[] = {4, 0, 2};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t a = 0; a < 4; ++a)
      for (std::size_t b = 0; b < 3; ++b) CHECK(got(i, a, b) == view(rows[i], a, b));
}

TEST_CASE("many rows: more than one task") {
  const std::size_t rows = 100, columns = 64, count = 5000;
  std::vector<float> table(rows * columns), result(count * columns);
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(i);
  std::vector<std::int32_t> indices(count);
  for (std::size_t i = 0; i < count; ++i) indices[i] = static_cast<std::int32_t>(i * 37 % rows);
  gather(in(table, {rows, columns}), in(indices, {count}), out(result, {count, columns}));
  bool right = true;
  for (std::size_t i = 0; i < result.size(); ++i)
    right = right && result[i] == table[static_cast<std::size_t>(indices[i / columns]) * columns + i % columns];
  CHECK(right);
}

TEST_CASE("the largest come first, equal ones in their order, NaN before all") {
  CHECK(best({3, 9, -1, 5}, 2).values == std::vector<float>{9, 5});
  CHECK(best({3, 9, -1, 5}, 2).indices == std::vector<std::int32_t>{1, 3});
  CHECK(best({3, 9, -1, 5}, 4).indices == std::vector<std::int32_t>{1, 3, 0, 2});
  CHECK(best({2, 7, 7, 2, 7}, 4).indices == std::vector<std::int32_t>{1, 2, 4, 0});
  CHECK(best({0.f, -0.f, 0.f}, 3).indices == std::vector<std::int32_t>{0, 1, 2});  // the zeros are equal
  CHECK(best({-infinity, -infinity}, 1).indices == std::vector<std::int32_t>{0});
  const Best with_nan = best({1, not_a_number, infinity, not_a_number}, 3);
  CHECK(with_nan.indices == std::vector<std::int32_t>{1, 3, 2});
  CHECK(std::isnan(with_nan.values[0]));
  CHECK(with_nan.values[2] == infinity);
  CHECK(best({4}, 1).indices == std::vector<std::int32_t>{0});
  CHECK(best({4, 5}, 0).indices.empty());
}

TEST_CASE("integers are compared exactly") {
  const std::vector<std::int64_t> row{INT64_MAX - 1, INT64_MAX, INT64_MIN, (INT64_C(1) << 53) + 1, INT64_C(1) << 53};
  std::vector<std::int64_t> values(4);
  std::vector<std::int32_t> indices(4);
  cpu::top_k(TopKArguments<std::int64_t>{in(row, {5}), out(values, {4}), out(indices, {4})});
  CHECK(indices == std::vector<std::int32_t>{1, 0, 3, 4});
  CHECK(values == std::vector<std::int64_t>{INT64_MAX, INT64_MAX - 1, (INT64_C(1) << 53) + 1, INT64_C(1) << 53});
  const std::vector<std::uint8_t> bytes{127, 128, 255, 0};
  std::vector<std::uint8_t> byte(1);
  std::vector<std::int32_t> where(1);
  cpu::top_k(TopKArguments<std::uint8_t>{in(bytes, {4}), out(byte, {1}), out(where, {1})});
  CHECK(byte[0] == 255);
  CHECK(where[0] == 2);
}

TEST_CASE("rows of any layout against a stable sort") {
  std::mt19937 random(5);
  const auto number = [&](int first, int last) { return std::uniform_int_distribution<int>(first, last)(random); };
  for (int round = 0; round < 100; ++round) {
    const auto rows = static_cast<std::size_t>(number(1, 4)), length = static_cast<std::size_t>(number(1, 40));
    const auto k = static_cast<std::size_t>(number(0, static_cast<int>(length)));
    std::vector<f16> memory(rows * length);
    for (f16& x : memory) x = number(0, 15) == 0 ? f16(not_a_number) : f16(static_cast<float>(number(-6, 6)));
    const Layout layout = round % 2 == 0 ? contiguous_layout({rows, length}) : transpose(contiguous_layout({length, rows}), 0, 1);
    const View<const f16> view(std::span<const f16>(memory), layout);
    std::vector<f16> values(rows * k);
    std::vector<std::int32_t> indices(rows * k);
    const Layout result = round % 3 == 0 ? transpose(contiguous_layout({k, rows}), 0, 1) : contiguous_layout({rows, k});
    cpu::top_k(TopKArguments<f16>{in(memory, layout), out(values, contiguous_layout({rows, k})), out(indices, result)});
    const View<const std::int32_t> got(std::span<const std::int32_t>(indices), result);
    for (std::size_t r = 0; r < rows; ++r) {
      std::vector<std::int32_t> order(length);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](std::int32_t i, std::int32_t j) {
        const auto a = static_cast<float>(view(r, i)), b = static_cast<float>(view(r, j));
        return std::isnan(a) ? !std::isnan(b) : a > b;
      });
      for (std::size_t j = 0; j < k; ++j) {
        REQUIRE(got(r, j) == order[j]);
        REQUIRE(values[r * k + j].bits == view(r, order[j]).bits);
      }
    }
  }
}

TEST_CASE("the largest of long rows: the first of equals, NaN before everything, at every place") {
  std::mt19937 random(11);
  for (const std::size_t length : {1u, 2u, 15u, 16u, 17u, 33u, 100u, 1000u}) {
    std::vector<float> row(length);
    for (float& x : row) x = static_cast<float>(std::uniform_int_distribution<int>(-5, 5)(random));
    for (int round = 0; round < 8; ++round) {
      if (round == 3) row[random() % length] = infinity;
      if (round == 4) row[random() % length] = -infinity;
      if (round >= 5) row[random() % length] = not_a_number;
      std::shuffle(row.begin(), row.end(), random);
      const auto first = std::find_if(row.begin(), row.end(), [](float x) { return std::isnan(x); });
      const auto expected = (first != row.end() ? first : std::max_element(row.begin(), row.end())) - row.begin();
      const Best found = best(row, 1);
      CHECK(found.indices[0] == expected);
      CHECK((found.values[0] == row[static_cast<std::size_t>(expected)] || std::isnan(found.values[0]) == (first != row.end())));
    }
  }
}
