// What the plain loops of Reference share: elements by row-major position, read and written in double.
#ifndef COTENANT_REFERENCE_ELEMENT_HPP
#define COTENANT_REFERENCE_ELEMENT_HPP
#include <cstddef>
#include <limits>
#include <type_traits>

#include "cotenant/core/convert.hpp"
#include "cotenant/ops/operand.hpp"

namespace cotenant::reference {

// The element at a row-major position of a view of any strides.
template <class T> T& element(const View<T>& view, std::size_t position) {
  std::ptrdiff_t offset = 0;
  for (std::size_t axis = view.rank(); axis-- > 0;) {
    offset += static_cast<std::ptrdiff_t>(position % view.shape(axis)) * view.stride(axis);
    position /= view.shape(axis);
  }
  return view.data()[offset];
}

// Reads as the type to compute in: double instead of float, so that the oracle's own rounding hardly shows.
template <class C> using precise = std::conditional_t<std::is_same_v<C, float>, double, C>;
template <class C, class T> C load(const View<const T>& view, std::size_t position) { return convert<C>(element(view, position)); }
// A double result is rounded to float first: that is the type the contract computes in.
template <class T, class C> void store(const View<T>& view, std::size_t position, C value) {
  if constexpr (std::is_same_v<C, double>) element(view, position) = convert<T>(static_cast<float>(value));
  else element(view, position) = convert<T>(value);
}

// Where an extremum of In elements, computed in C, starts.
template <class In, class C> constexpr C least() {
  if constexpr (std::is_integral_v<C>) return std::numeric_limits<In>::lowest();
  else return -std::numeric_limits<C>::infinity();
}
template <class In, class C> constexpr C greatest() {
  if constexpr (std::is_integral_v<C>) return std::numeric_limits<In>::max();
  else return std::numeric_limits<C>::infinity();
}

template <class T> std::size_t row_length(const Operand<T>& operand) { return operand.shape().empty() ? 1 : operand.shape().back(); }
template <class T> std::size_t row_count(const Operand<T>& operand) { return row_length(operand) == 0 ? 0 : operand.view.size() / row_length(operand); }

}  // namespace cotenant::reference

#endif
