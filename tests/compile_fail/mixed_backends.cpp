// Two operands of one op on two different backends.
// expect: two different backends
// expect: copy_to
#include "cotenant/reference/reference.hpp"

auto mixed(const cotenant::SharedTensor<float>& on_cpu, const cotenant::SharedTensor<float, cotenant::ReferenceHeap>& elsewhere) {
  return cotenant::matmul(on_cpu, elsewhere);
}
