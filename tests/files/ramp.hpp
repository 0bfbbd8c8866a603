// ramp: a tensor whose elements are first, first + 1, … in row-major order.
#ifndef COTENANT_TESTS_FILES_RAMP_HPP
#define COTENANT_TESTS_FILES_RAMP_HPP
#include <cstddef>

#include "cotenant/core/element.hpp"
#include "cotenant/share/tensor.hpp"

namespace cotenant::test {

template <class T = float> SharedTensor<T> ramp(const Shape& shape, int first = 0) {
  auto tensor = empty<T>(shape);
  const auto span = tensor.mutable_view().span();
  for (std::size_t i = 0; i < span.size(); ++i) {
    const int value = static_cast<int>(i) + first;
    if constexpr (FloatElement<T>) span[i] = static_cast<T>(static_cast<float>(value));
    else span[i] = static_cast<T>(value);
  }
  return tensor;
}

}  // namespace cotenant::test

#endif
