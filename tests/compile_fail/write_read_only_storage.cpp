// The result of an op in the bytes of a read-only file.
// expect: cannot be written into read-only storage
#include "cotenant/reference/reference.hpp"
#include "cotenant/storage/mapped.hpp"

void overwrite(const cotenant::SharedTensor<float, cotenant::Mapped>& weights) { cotenant::output(weights); }
