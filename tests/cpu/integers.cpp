// map_integers and reduce_integers: exact, wrapping, and the same for every layout.
#include "cotenant/cpu/integers.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <tuple>
#include <type_traits>
#include <vector>

namespace {

using namespace cotenant;

template <class T> Operand<const T> in(const std::vector<T>& memory, const Layout& layout) {
  return {View<const T>(std::span<const T>(memory), layout), nullptr};
}
template <class T> Operand<const T> in(const std::vector<T>& memory) { return in(memory, contiguous_layout({memory.size()})); }
template <class T> Operand<T> out(std::vector<T>& memory, const Layout& layout) { return {View<T>(std::span<T>(memory), layout), nullptr}; }
template <class T> Operand<T> out(std::vector<T>& memory) { return out(memory, contiguous_layout({memory.size()})); }

template <class F, class Out, class... In> void map(const F& function, const Operand<Out>& result, const Operand<const In>&... inputs) {
  const auto expression = expr::record<sizeof...(In)>(function);
  cpu::map_integers(MapArguments<Out, std::remove_const_t<decltype(expression)>, In...>{expression, {inputs...}, result});
}
template <class Kind, class In, class Out> void reduce(const Operand<const In>& input, std::size_t reduced_rank, const Operand<Out>& result) {
  cpu::reduce_integers(ReduceArguments<Kind, In, Out>{input, reduced_rank, result});
}
// Kind over all of `values`.
template <class Kind, class Out = void, class In> auto all(const std::vector<In>& values) {
  std::vector<std::conditional_t<std::is_void_v<Out>, In, Out>> result(1);
  reduce<Kind>(in(values), 1, out(result, contiguous_layout({})));
  return result[0];
}

}  // namespace

TEST_CASE("int8 computes in int32 and keeps the low bits") {
  const std::vector<std::int8_t> a{127, -128, 100, -1, 0}, b{1, -1, 100, -128, 5};
  std::vector<std::int8_t> sum(5);
  map([](auto x, auto y) { return x + y; }, out(sum), in(a), in(b));
  CHECK(sum == std::vector<std::int8_t>{-128, 127, -56, 127, 5});
  std::vector<std::int32_t> product(5);
  map([](auto x, auto y) { return x * y; }, out(product), in(a), in(b));
  CHECK(product == std::vector<std::int32_t>{127, 128, 10000, 128, 0});
  std::vector<std::uint8_t> unsigned_difference(5);
  map([](auto x, auto y) { return abs(x - y); }, out(unsigned_difference), in(a), in(b));
  CHECK(unsigned_difference == std::vector<std::uint8_t>{126, 127, 0, 127, 5});
  std::vector<std::int8_t> negated(5);
  map([](auto x) { return -x; }, out(negated), in(a));
  CHECK(negated == std::vector<std::int8_t>{-127, -128, -100, 1, 0});
}

TEST_CASE("int64 is exact where float and double are not, and wraps") {
  const std::vector<std::int64_t> a{INT64_MAX, INT64_MIN, (INT64_C(1) << 53) + 1, -5};
  const std::vector<std::int32_t> b{1, -1, 1, 7};
  std::vector<std::int64_t> result(4);
  map([](auto x, auto y) { return x + y; }, out(result), in(a), in(b));
  CHECK(result == std::vector<std::int64_t>{INT64_MIN, INT64_MAX, (INT64_C(1) << 53) + 2, 2});
  std::vector<bool> expected{false, true, false, true};
  std::vector<std::uint8_t> less(4);
  map([](auto x, auto y) { return x < y; }, out(less), in(a), in(b));
  for (std::size_t i = 0; i < 4; ++i) CHECK((less[i] == 1) == expected[i]);
  std::vector<std::int32_t> low(4);
  map([](auto x) { return x; }, out(low), in(a));
  CHECK(low == std::vector<std::int32_t>{-1, 0, 1, -5});
}

TEST_CASE("bool is 0 or 1, and what differs from 0 is true") {
  // std::vector<bool> has no memory to look at.
  bool flags[4] = {false, true, true, false}, result[4] = {};
  const std::vector<std::int32_t> numbers{0, 256, -1, 4};
  const Layout layout = contiguous_layout({4});
  const Operand<bool> target{View<bool>(std::span<bool>(result), layout), nullptr};
  const Operand<const bool> source{View<const bool>(std::span<const bool>(flags), layout), nullptr};
  map([](auto flag, auto x) { return select(flag, x, 0); }, target, source, in(numbers));
  CHECK(result[0] == false);
  CHECK(result[1] == true);
  CHECK(result[2] == true);
  CHECK(result[3] == false);
  std::vector<std::int64_t> count(1);
  reduce<reduction::Sum>(source, 1, out(count, contiguous_layout({})));
  CHECK(count[0] == 2);
}

TEST_CASE("one element, none, and many rows") {
  std::vector<std::int32_t> one{5};
  map([](auto x) { return x * 2; }, out(one, contiguous_layout({})), in(one, contiguous_layout({})));
  CHECK(one[0] == 10);
  std::vector<std::int32_t> none;
  map([](auto x) { return x * 2; }, out(none, contiguous_layout({3, 0})), in(none, contiguous_layout({3, 0})));
  CHECK(none.empty());
  // More work than one task has.
  std::vector<std::int32_t> many(300 * 300), doubled(300 * 300);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::int32_t>(i);
  map([](auto x) { return x * 2; }, out(doubled, transpose(contiguous_layout({300, 300}), 0, 1)), in(many, contiguous_layout({300, 300})));
  bool right = true;
  for (std::size_t r = 0; r < 300; ++r)
    for (std::size_t c = 0; c < 300; ++c) right = right && doubled[c * 300 + r] == 2 * many[r * 300 + c];
  CHECK(right);
}

TEST_CASE("any layouts, broadcast and backwards too, give the elements of the plain loop") {
  std::mt19937 random(3);
  const auto number = [&](int first, int last) { return std::uniform_int_distribution<int>(first, last)(random); };
  for (int round = 0; round < 200; ++round) {
    const auto rows = static_cast<std::size_t>(number(1, 5)), columns = static_cast<std::size_t>(number(1, 9));
    std::vector<std::int8_t> a(rows * columns);
    for (auto& x : a) x = static_cast<std::int8_t>(number(-128, 127));
    std::vector<std::uint8_t> row(columns);
    for (auto& x : row) x = static_cast<std::uint8_t>(number(0, 255));
    std::vector<std::int32_t> result(rows * columns * 2, -7);

    Layout a_layout = contiguous_layout({rows, columns});
    const bool transposed = number(0, 1) == 1, backwards = number(0, 1) == 1;
    if (transposed) a_layout = transpose(contiguous_layout({columns, rows}), 0, 1);
    if (backwards) a_layout = slice(a_layout, 1, static_cast<std::ptrdiff_t>(columns) - 1, -1, -1);
    const Layout out_layout = slice(contiguous_layout({rows, 2 * columns}), 1, 0, static_cast<std::ptrdiff_t>(2 * columns), 2);
    const Layout row_layout = broadcast_to(contiguous_layout({columns}), {rows, columns});
    map([](auto x, auto y) { return x * y - 3; }, out(result, out_layout), in(a, a_layout), in(row, row_layout));
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < columns; ++c) {
        const std::size_t at = backwards ? columns - 1 - c : c;
        REQUIRE(result[r * 2 * columns + 2 * c] == a[transposed ? at * rows + r : r * columns + at] * row[c] - 3);
        REQUIRE(result[r * 2 * columns + 2 * c + 1] == -7);  // the gaps are left alone
      }
  }
}

TEST_CASE("reductions of all elements") {
  const std::vector<std::int8_t> small{-128, 127, 5, -1};
  CHECK(all<reduction::Maximum>(small) == 127);
  CHECK(all<reduction::Minimum>(small) == -128);
  CHECK(all<reduction::Sum>(small) == 3);
  CHECK(all<reduction::AbsMaximum, std::int32_t>(small) == 128);
  CHECK(all<reduction::AbsMaximum, std::uint8_t>(small) == 128);
  const std::vector<std::int8_t> negative{-3, -7};
  CHECK(all<reduction::Maximum>(negative) == -3);
  CHECK(all<reduction::Minimum>(std::vector<std::uint8_t>{9, 200}) == 9);
  // The sum is computed wider and only then narrowed.
  const std::vector<std::uint8_t> many(1000, 255);
  CHECK(all<reduction::Sum, std::int32_t>(many) == 255000);
  CHECK(all<reduction::Sum>(many) == static_cast<std::uint8_t>(255000 % 256));
  // What does not fit wraps.
  CHECK(all<reduction::Sum>(std::vector<std::int32_t>{INT32_MAX, 1}) == INT32_MIN);
  CHECK(all<reduction::Sum>(std::vector<std::int64_t>{INT64_MAX, INT64_MAX, 2}) == 0);
  CHECK(all<reduction::Maximum>(std::vector<std::int64_t>{(INT64_C(1) << 60) + 1, INT64_C(1) << 60}) == (INT64_C(1) << 60) + 1);
}

TEST_CASE("over no element") {
  const std::vector<std::int32_t> none;
  CHECK(all<reduction::Sum>(none) == 0);
  CHECK(all<reduction::AbsMaximum>(none) == 0);
  CHECK(all<reduction::Maximum>(none) == INT32_MIN);
  CHECK(all<reduction::Minimum>(none) == INT32_MAX);
  CHECK(all<reduction::Maximum, std::int64_t>(std::vector<std::int64_t>()) == INT64_MIN);
  // Every row of an empty matrix has a result; a result without elements is left alone.
  std::vector<std::int32_t> result{7, 7, 7};
  reduce<reduction::Sum>(in(none, contiguous_layout({3, 0})), 1, out(result));
  CHECK(result == std::vector<std::int32_t>{0, 0, 0});
  result = {7, 7, 7};
  reduce<reduction::Sum>(in(none, contiguous_layout({0, 3})), 1, out(result, contiguous_layout({0})));
  CHECK(result == std::vector<std::int32_t>{7, 7, 7});
}

TEST_CASE("no axis reduced is a conversion") {
  const std::vector<std::uint8_t> values{1, 200, 255};
  std::vector<std::int64_t> result(3);
  reduce<reduction::Sum>(in(values), 0, out(result));
  CHECK(result == std::vector<std::int64_t>{1, 200, 255});
}

TEST_CASE("some axes of any layout, into any layout") {
  // [2, 3, 4, 5] with its last two axes reduced, read in each order of its axes.
  std::vector<std::int32_t> values(2 * 3 * 4 * 5);
  std::mt19937 random(4);
  for (auto& x : values) x = std::uniform_int_distribution<std::int32_t>(-1000, 1000)(random);
  std::vector<std::size_t> order{0, 1, 2, 3};
  do {
    const Layout layout = permute(contiguous_layout({2, 3, 4, 5}), order);
    const std::size_t a = layout.shape[0], b = layout.shape[1];
    std::vector<std::int64_t> sum(a * b);
    std::vector<std::int32_t> largest(a * b), smallest(a * b), magnitude(a * b);
    const Layout transposed = transpose(contiguous_layout({b, a}), 0, 1);
    reduce<reduction::Sum>(in(values, layout), 2, out(sum, transposed));
    reduce<reduction::Maximum>(in(values, layout), 2, out(largest, transposed));
    reduce<reduction::Minimum>(in(values, layout), 2, out(smallest, transposed));
    reduce<reduction::AbsMaximum>(in(values, layout), 2, out(magnitude, transposed));
    const View<const std::int32_t> view(std::span<const std::int32_t>(values), layout);
    for (std::size_t i = 0; i < a; ++i)
      for (std::size_t j = 0; j < b; ++j) {
        std::int64_t total = 0;
        std::int32_t most = -2000, least = 2000;
        for (std::size_t k = 0; k < layout.shape[2]; ++k)
          for (std::size_t l = 0; l < layout.shape[3]; ++l) {
            total += view(i, j, k, l);
            most = std::max(most, view(i, j, k, l));
            least = std::min(least, view(i, j, k, l));
          }
        REQUIRE(sum[j * a + i] == total);
        REQUIRE(largest[j * a + i] == most);
        REQUIRE(smallest[j * a + i] == least);
        REQUIRE(magnitude[j * a + i] == std::max(most, -least));
      }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("long dense rows, in place too, give the elements of the plain loop") {
  std::mt19937 random(5);
  for (const std::size_t count : {15u, 16u, 17u, 1000u}) {
    std::vector<std::int8_t> a(count), expected(count);
    std::vector<std::int32_t> b(count), expected_wide(count);
    for (std::size_t i = 0; i < count; ++i) {
      a[i] = static_cast<std::int8_t>(random());
      b[i] = static_cast<std::int32_t>(random());
      const std::uint32_t sum = static_cast<std::uint32_t>(a[i]) + static_cast<std::uint32_t>(b[i]);
      expected_wide[i] = static_cast<std::int32_t>(sum);
      expected[i] = static_cast<std::int8_t>(sum);
    }
    std::vector<std::int8_t> narrow(count);
    map([](auto x, auto y) { return x + y; }, out(narrow), in(a), in(b));
    CHECK(narrow == expected);
    map([](auto x, auto y) { return x + y; }, out(b), in(a), in(b));
    CHECK(b == expected_wide);
  }
}
