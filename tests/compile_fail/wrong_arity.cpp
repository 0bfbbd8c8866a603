// A recorded function of two operands, given one.
// expect: (no matching function|constraints not satisfied)
// expect: Recordable
#include "cotenant/reference/reference.hpp"

auto lonely(const cotenant::SharedTensor<float, cotenant::ReferenceHeap>& x) {
  return cotenant::map([](auto a, auto b) { return a + b; }, x);
}
