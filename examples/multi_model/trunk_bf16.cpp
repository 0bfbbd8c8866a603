// Trunks with weights in bf16.
#include "trunk_of.hpp"

template struct example::TrunkOf<cotenant::bf16>;
