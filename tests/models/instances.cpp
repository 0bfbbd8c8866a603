// What instances.hpp promises.
#include "instances.hpp"

template class cotenant::Encoder<float>;
