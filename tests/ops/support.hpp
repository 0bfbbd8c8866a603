// What the tests of ops/ share: small tensors on the Reference backend, which compiles in a second, and error messages.
#ifndef COTENANT_TESTS_OPS_SUPPORT_HPP
#define COTENANT_TESTS_OPS_SUPPORT_HPP
#include <doctest/doctest.h>

#include <cotenant/reference/reference.hpp>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include "../error_text.hpp"

namespace cotenant::test {

template <class T> SharedTensor<T, ReferenceHeap> tensor(std::initializer_list<T> values, const Shape& shape) {
  auto result = empty<T, ReferenceHeap>(shape);
  REQUIRE(result.size() == values.size());
  std::copy(values.begin(), values.end(), result.mutable_view().data());
  return result;
}
// Every element is 0.
template <class T> SharedTensor<T, ReferenceHeap> blank(const Shape& shape) {
  auto result = empty<T, ReferenceHeap>(shape);
  std::fill_n(result.mutable_view().data(), result.size(), T{});
  return result;
}
// The elements in row-major order, as double.
template <class T, class S> std::vector<double> list(const SharedTensor<T, S>& t) {
  std::vector<double> values;
  const auto row_major = t.contiguous();
  for (const T& x : row_major.view().span()) values.push_back(convert<double>(x));
  return values;
}
using Values = std::vector<double>;

}  // namespace cotenant::test

#endif
