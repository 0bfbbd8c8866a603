// Quantising to a type that is not an 8-bit integer.
// expect: (no matching function|constraints not satisfied)
// expect: QuantizedElement
#include "cotenant/reference/reference.hpp"

auto quantized(const cotenant::SharedTensor<float, cotenant::ReferenceHeap>& x) { return cotenant::quantize<float>(x); }
