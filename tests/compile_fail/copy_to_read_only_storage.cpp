// A copy into a storage that cannot make room for it.
// expect: AllocatingStorage
#include "cotenant/ops/copy.hpp"
#include "cotenant/storage/mapped.hpp"

auto copy(const cotenant::SharedTensor<float>& x) { return x.copy_to<cotenant::Mapped>(); }
