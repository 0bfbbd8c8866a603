// An op on host memory without any CPU backend included.
// expect: no CPU backend is included: include <cotenant/cotenant.hpp>
#include "cotenant/ops/matmul.hpp"

auto nobody_computes(const cotenant::SharedTensor<float>& x) { return cotenant::matmul(x, x); }
