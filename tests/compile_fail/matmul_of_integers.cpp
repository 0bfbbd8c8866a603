// A matrix product of integers: the sum would overflow or round.
// expect: matmul multiplies float, f16 or bf16 elements: dequantize\(\) integers first
#include "cotenant/reference/reference.hpp"

auto product(const cotenant::SharedTensor<std::int8_t, cotenant::ReferenceHeap>& x) { return cotenant::matmul(x, x); }
