// A function of real numbers on integer elements.
// expect: this function has no integer meaning: give map<float>
#include "cotenant/reference/reference.hpp"

auto activated(const cotenant::SharedTensor<std::int32_t, cotenant::ReferenceHeap>& x) {
  return cotenant::map([](auto v) { return gelu(v); }, x);
}
